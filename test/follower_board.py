"""What is asked of an emulated board with a follower on it."""

import time

from conftest import Command

from hilrl_hardware import registers as r
from hilrl_hardware.emulator.client import EmulatedBus
from hilrl_hardware.emulator.recording import Written

SHOULDER_LIFT = 2
EASING_WRITES = 10
BEGUN = "arm: its joints are on /so101/joint_states"
ASK_AGAIN_S = 6.0
"""The driver itself asks for torque for 5 s when it starts, and no longer once it is asked for otherwise."""


def on(board: EmulatedBus) -> tuple[str, ...]:
    """Options of `hilrl up` that name the board of the fixture `follower`."""
    return ("--follower-port", board.port, "--follower-calibration", "follower.json")


def has_torque(board: EmulatedBus) -> list[bool]:
    """Of each servo."""
    return [servo["torque_enabled"] for servo in board.truth()]


def wait_until_stiff(command: Command, board: EmulatedBus) -> None:
    """On a busy machine the board may answer too late at first: then torque is asked for again."""
    command.wait_until(lambda: BEGUN in command.output, 120)
    asked_s = time.monotonic()

    def is_stiff() -> bool:
        nonlocal asked_s
        if all(has_torque(board)):
            return True
        if time.monotonic() - asked_s > ASK_AGAIN_S:
            command.type("on")
            asked_s = time.monotonic()
        return False

    command.wait_until(is_stiff, 60)


def was_let_down(board: EmulatedBus) -> bool:
    """Whether a joint felt less and less torque, and now none has any."""
    limits = [
        r.TORQUE_LIMIT.decode(event.data)
        for event in board.events()
        if isinstance(event, Written)
        and (event.servo_id, event.address) == (SHOULDER_LIFT, r.TORQUE_LIMIT.address)
    ]
    last = limits[-EASING_WRITES:]
    eased = len(last) == EASING_WRITES and last == sorted(last, reverse=True) and last[0] > last[-1]
    return eased and not any(has_torque(board))
