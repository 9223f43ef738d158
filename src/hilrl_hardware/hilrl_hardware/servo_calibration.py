"""What of a calibration the servos keep themselves: read, compared and written, never with torque on."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from hilrl_hardware import registers as r
from hilrl_hardware.bus import BusError, ServoBus
from hilrl_hardware.calibration import Calibration
from hilrl_hardware.registers import Register

Settings = dict[Register, int]
"""Values of registers of one servo."""
KEPT = (r.HOMING_OFFSET, r.MIN_POSITION_LIMIT, r.MAX_POSITION_LIMIT)
"""What a calibration decides."""


@dataclass(frozen=True)
class Difference:
    """A register that does not hold what the calibration says."""

    joint: str
    servo_id: int
    register: Register
    expected: int
    found: int

    def __str__(self) -> str:
        return (
            f"{self.joint} (servo {self.servo_id}): {self.register.name}: expected {self.expected}, "
            f"found {self.found}"
        )


def settings_of(calibration: Calibration) -> dict[int, Settings]:
    """What each servo should hold, by id."""
    return {
        joint.servo_id: dict(zip(KEPT, (joint.homing_offset, joint.range_min, joint.range_max), strict=True))
        for joint in calibration.joints.values()
    }


def verify(bus: ServoBus, calibration: Calibration) -> list[Difference]:
    """Where the servos hold something else; reads only. Raises BusError."""
    wanted = settings_of(calibration)
    return [
        Difference(name, joint.servo_id, register, value, found)
        for name, joint in calibration.joints.items()
        for register, value in wanted[joint.servo_id].items()
        if (found := bus.read(joint.servo_id, register)) != value
    ]


def apply(bus: ServoBus, calibration: Calibration) -> None:
    """Write the calibration to the servos with torque off, and read it back; where that fails, undo it.

    The caller has asked the person: an arm that is not held falls. Raises BusError.
    """
    with restored_on_failure(bus, calibration.ids, KEPT):
        torque_off(bus, calibration.ids)
        write(bus, settings_of(calibration))


def torque_off(bus: ServoBus, ids: Iterable[int]) -> None:
    """Let go of all joints. Raises BusError, the others being let go of nevertheless."""
    failed = None
    for servo_id in ids:
        try:
            bus.write(servo_id, r.TORQUE_ENABLE, 0)
        except BusError as error:
            failed = error
    if failed:
        raise failed


def read(bus: ServoBus, ids: Iterable[int], registers: Iterable[Register]) -> dict[int, Settings]:
    """What the servos hold, by id. Raises BusError."""
    registers = tuple(registers)
    return {i: {register: bus.read(i, register) for register in registers} for i in ids}


def write(bus: ServoBus, settings: Mapping[int, Settings]) -> None:
    """Set registers for good, and read them back. Raises BusError, also where a servo did not take one."""
    for servo_id, wanted in settings.items():
        # Also what reads as wanted: it may have been written without being kept.
        bus.write(servo_id, r.LOCK, 0)
        try:
            for register, value in wanted.items():
                bus.write(servo_id, register, value)
        finally:
            bus.write(servo_id, r.LOCK, 1)
        for register, value in wanted.items():
            if (found := bus.read(servo_id, register)) != value:
                raise BusError(
                    f"port {bus.port}: servo {servo_id}: {register.name}: wrote {value}, reads {found}; "
                    "switch the arm off and on, and try again"
                )


class NotRestored(BusError):
    """Servos that were left with settings which are not the ones they had."""


@contextmanager
def restored_on_failure(
    bus: ServoBus, ids: Iterable[int], registers: Iterable[Register]
) -> Iterator[dict[int, Settings]]:
    """Gives what the servos hold; where the block raises, Ctrl+C included, they get it back.

    Raises NotRestored from what the block raised for servos that cannot be reached for it.
    """
    before = read(bus, ids, registers)
    try:
        yield before
    except BaseException as error:
        restore(bus, before, error)
        raise


def restore(bus: ServoBus, before: Mapping[int, Settings], cause: BaseException | None = None) -> None:
    """Give servos their settings back, as many as answer. Raises NotRestored for the others."""
    failures = []
    for servo_id, settings in before.items():
        try:
            write(bus, {servo_id: settings})
        except BusError as error:
            values = ", ".join(f"{register.name} {value}" for register, value in settings.items())
            failures.append(f"servo {servo_id} ({error}) should have {values}")
    if failures:
        raise NotRestored(
            "settings were not given back: "
            + "; ".join(failures)
            + ". Once they answer, `hilrl calibrate --apply` "
            "writes the calibration file to the servos"
        ) from cause
