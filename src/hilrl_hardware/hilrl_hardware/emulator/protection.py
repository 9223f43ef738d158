"""What a servo measures of its motor, and when it protects itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hilrl_hardware import registers

if TYPE_CHECKING:
    from hilrl_hardware.emulator.servo import Servo

STALL_CURRENT_A = 2.7
IDLE_CURRENT_A = 0.006
SAG_OHM = 0.15
"""Of the supply and its wires."""
TIME_UNIT_S = 0.01
"""Of Protection_Time and Over_Current_Protection_Time."""
OVER_CURRENT_TIME_ADDRESS = 38
COOLING_TIME_S = 600.0
HEATING_C_PER_A2_S = 0.02
VOLTAGE, OVER_TEMPERATURE, OVER_CURRENT, OVERLOAD = 1, 4, 8, 32


@dataclass(frozen=True)
class Supply:
    """What surrounds a servo."""

    voltage_v: float = 7.4
    ambient_c: float = 30.0
    heating: float = 1.0
    """How much faster than a real motor this one heats up."""
    torque_at_power_up: bool = False
    """Whether the motor holds its place as soon as there is power; sources disagree about the real one."""


class Protection:
    """Current, voltage and temperature of one servo, its fault bits, and the torque these leave it."""

    def __init__(self, supply: Supply) -> None:
        self.supply = supply
        self.temperature_c = supply.ambient_c
        self.overloaded = False
        """Somebody says that the servo has tripped."""
        self.reset()

    def reset(self) -> None:
        """As after a power-up, though no cooler."""
        self.status = 0
        self.current_a = IDLE_CURRENT_A
        self.voltage_v = self.supply.voltage_v
        self._overload_s = 0.0
        self._over_current_s = 0.0

    def update(self, servo: Servo, dt_s: float) -> bool:
        """Measure, after the motor has run for `dt_s`; whether the fault bits changed."""
        memory, motion, forced = servo.memory, servo.motion, servo.forced
        self.current_a = motion.torque * STALL_CURRENT_A + IDLE_CURRENT_A
        amperes = abs(self.current_a)
        self.voltage_v = self.supply.voltage_v - amperes * SAG_OHM
        heat = HEATING_C_PER_A2_S * self.supply.heating * amperes**2
        cooling = (self.temperature_c - self.supply.ambient_c) / COOLING_TIME_S
        self.temperature_c += (heat - cooling) * min(dt_s, COOLING_TIME_S)

        voltage = forced.get(registers.PRESENT_VOLTAGE, self.voltage_v / registers.VOLTAGE_UNIT_V)
        temperature = forced.get(registers.PRESENT_TEMPERATURE, self.temperature_c)
        current = abs(forced.get(registers.PRESENT_CURRENT, self.current_a / registers.CURRENT_UNIT_A))
        before = self.status
        self.status &= OVERLOAD | OVER_CURRENT  # these stay until torque is switched
        low, high = registers.MIN_VOLTAGE_LIMIT.address, registers.MAX_VOLTAGE_LIMIT.address
        if not memory[low] <= voltage <= memory[high]:
            self.status |= VOLTAGE
        if temperature >= memory[registers.MAX_TEMPERATURE_LIMIT.address]:
            self.status |= OVER_TEMPERATURE
        heavy = abs(motion.duty) * 100 >= memory[registers.OVERLOAD_TORQUE.address]
        self._overload_s = self._overload_s + dt_s if heavy else 0.0
        limit_s = memory[registers.PROTECTION_TIME.address] * TIME_UNIT_S
        if self.overloaded or self._overload_s > limit_s:
            self.status |= OVERLOAD
        over = current > servo.get(registers.PROTECTION_CURRENT)
        self._over_current_s = self._over_current_s + dt_s if over else 0.0
        if self._over_current_s > memory[OVER_CURRENT_TIME_ADDRESS] * TIME_UNIT_S:
            self.status |= OVER_CURRENT
        return self.status != before

    def allowed(self, servo: Servo, torque: float) -> float:
        """What is left of the torque limit, of the stall torque, after the faults that unload the motor."""
        unloading = self.status & servo.memory[registers.UNLOADING_CONDITION.address]
        if unloading & ~OVERLOAD:
            return 0.0
        if unloading & OVERLOAD:
            return min(torque, servo.memory[registers.PROTECTIVE_TORQUE.address] / 100)
        return torque
