"""What is asked of an emulated board with a follower on it."""

from hilrl_hardware import registers as r
from hilrl_hardware.emulator.client import EmulatedBus
from hilrl_hardware.emulator.recording import Written

SHOULDER_LIFT = 2
EASING_WRITES = 10


def on(board: EmulatedBus) -> tuple[str, ...]:
    """Options of `hilrl up` that name the board of the fixture `follower`."""
    return ("--follower-port", board.port, "--follower-calibration", "follower.json")


def has_torque(board: EmulatedBus) -> list[bool]:
    """Of each servo."""
    return [servo["torque_enabled"] for servo in board.truth()]


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
