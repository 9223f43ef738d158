"""A servo on a bench: no bus, and time is what the test says."""

from hilrl_hardware import registers
from hilrl_hardware.emulator.motion import Mechanics
from hilrl_hardware.emulator.servo import Servo
from hilrl_hardware.registers import Register

LOADED = Mechanics(lower_stop=500.0, upper_stop=3500.0, gravity=0.25)


class Bench:
    """A servo and a clock."""

    def __init__(self, mechanics: Mechanics | None = None, **options) -> None:
        self.servo = Servo(1, mechanics, **options)
        self.now_s = 100.0
        self.servo.advance(self.now_s)

    def write(self, register: Register, value: int) -> None:
        self.servo.write(register.address, bytes(register.encode(value)), self.now_s)

    def read(self, register: Register) -> int:
        return register.decode(self.servo.read(register.address, register.size, self.now_s))

    def wait(self, duration_s: float) -> None:
        self.now_s += duration_s
        self.servo.advance(self.now_s)

    def watch(self, duration_s: float, period_s: float = 0.001) -> list[float]:
        """Encoder ticks, one per period."""
        ticks = []
        for _ in range(round(duration_s / period_s)):
            self.wait(period_s)
            ticks.append(self.servo.motion.encoder)
        return ticks

    def hold(self, goal: int | None = None) -> None:
        """Torque on, to stay where it is unless told otherwise."""
        self.write(registers.GOAL_POSITION, self.read(registers.PRESENT_POSITION) if goal is None else goal)
        self.write(registers.TORQUE_ENABLE, 1)
