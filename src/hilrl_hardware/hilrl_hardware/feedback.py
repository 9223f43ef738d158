"""What one servo reports of itself."""

from dataclasses import dataclass

from hilrl_hardware import registers


@dataclass(frozen=True, slots=True)
class Feedback:
    """The registers from Present_Position to Present_Current, read in one go."""

    position: int
    """[tick], homing offset applied by the servo."""
    velocity: int
    """[tick/s]"""
    load: float
    """Duty of the motor's supply, -1..1. Not a torque, but grows with it."""
    voltage_v: float
    temperature_c: int
    status: int
    """Fault bits, see `registers.FAULTS`."""
    moving: bool
    current_a: float

    @staticmethod
    def decode(data: bytes) -> "Feedback":
        """From 15 bytes that begin at Present_Position."""

        def at(register: registers.Register) -> int:
            start = register.address - registers.PRESENT_POSITION.address
            return register.decode(data[start : start + register.size])

        return Feedback(
            position=at(registers.PRESENT_POSITION),
            velocity=at(registers.PRESENT_VELOCITY),
            load=at(registers.PRESENT_LOAD) * registers.LOAD_UNIT,
            voltage_v=at(registers.PRESENT_VOLTAGE) * registers.VOLTAGE_UNIT_V,
            temperature_c=at(registers.PRESENT_TEMPERATURE),
            status=at(registers.STATUS),
            moving=bool(at(registers.MOVING)),
            current_a=abs(at(registers.PRESENT_CURRENT)) * registers.CURRENT_UNIT_A,
        )
