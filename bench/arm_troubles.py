"""What a servo may report or do that the driver reacts to."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from arm_sweep import SETTINGS, Row, Sweep, eased_since, off_since
from arm_world import World
from hilrl_hardware import registers as r

STATUS_ENCODER = 2


@dataclass(frozen=True)
class Trouble:
    """Something wrong with a servo, and what is expected of the driver."""

    title: str
    begin: Callable[[World, int], None]
    said: str = ""
    held: str = ""
    eased: str = ""
    off: str = ""
    lasts_s: float = 2.5


def measured(register: r.Register, value: int) -> Callable[[World, int], None]:
    return lambda arm, servo_id: arm.bus.set(servo_id, register, value)


def fault(kind: str, **detail: float) -> Callable[[World, int], None]:
    return lambda arm, servo_id: arm.bus.fault(kind, servo_id, **detail)


EASE_S = SETTINGS.ease_down_s
TROUBLES = (
    Trouble("57 C", fault("hot", temperature_c=57), said="after 1 s"),
    Trouble("63 C", fault("hot", temperature_c=63), held="after 1 s"),
    Trouble(
        "68 C", fault("hot", temperature_c=68), eased="after 1 s", off=f"after 1 + {EASE_S:g} s", lasts_s=4.0
    ),
    Trouble("1.4 A", measured(r.PRESENT_CURRENT, 215), said="after 2 s", lasts_s=3.0),
    Trouble("1.7 A", measured(r.PRESENT_CURRENT, 262), held="after 1 s", eased="after 4 s", lasts_s=5.0),
    Trouble("reports overload", fault("overload"), held="after 30 ms", eased="after 3 s", lasts_s=4.0),
    Trouble("4.4 V", measured(r.PRESENT_VOLTAGE, 44), said="after 0.5 s"),
    Trouble("4.2 V", measured(r.PRESENT_VOLTAGE, 42), held="after 0.3 s"),
    Trouble(
        "4.0 V",
        measured(r.PRESENT_VOLTAGE, 40),
        eased="after 1 s",
        off=f"after 1 + {EASE_S:g} s",
        lasts_s=4.0,
    ),
    Trouble("silent", fault("absent"), said="after 0.1 s", held="at once", lasts_s=1.0),
    Trouble("restarts", fault("brownout"), eased="", off=f"{EASE_S:g} s later", lasts_s=4.0),
    Trouble("reports an encoder fault", measured(r.STATUS, STATUS_ENCODER), off="after 30 ms", lasts_s=1.0),
)


def troubles(sweep: Sweep, tries: int) -> Iterator[Row]:
    arm = sweep.arm
    for trouble in TROUBLES:
        name = f"servo: {trouble.title}"
        said = Row(name, "says so", trouble.said)
        held = Row(name, "holds: last new goal", trouble.held)
        eased = Row(name, "torque begins to go down", trouble.eased)
        off = Row(name, "torque off", trouble.off)
        for number in range(tries):
            servo_id = 2 + number % 5 if trouble.title not in ("1.4 A", "1.7 A") else 2 + number % 4
            if "overload" in trouble.title:
                servo_id = 2 + number % 4  # of the gripper it is no trouble
            sweep.get_going()
            from_s = time.monotonic()
            trouble.begin(arm, servo_id)
            sweep.run(trouble.lasts_s)
            ended_s = time.monotonic()
            if trouble.said:
                said.add(from_s, arm.heard(f"servo {servo_id} (", from_s))
            if trouble.held:
                held.add(from_s, sweep.held_since(from_s, ended_s))
            if trouble.eased or trouble.title == "restarts":
                eased.add(from_s, eased_since(arm, from_s))
            if trouble.off:
                off.add(from_s, off_since(arm, from_s))
            sweep.recover()
        yield from (row for row in (said, held, eased, off) if row.times_s or row.notes)
