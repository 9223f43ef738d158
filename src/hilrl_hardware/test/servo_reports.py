"""What tests of health share: six servos that report."""

from dataclasses import replace

from hilrl_hardware.feedback import Feedback
from hilrl_hardware.health import Health
from hilrl_hardware.health_limits import HealthLimits, Level
from hilrl_ros.joints import JOINT_NAMES

CALM = Feedback(
    position=2047,
    velocity=0,
    load=0.2,
    voltage_v=5.0,
    temperature_c=40,
    status=0,
    moving=False,
    current_a=0.3,
)
DT_S = 0.01
ELBOW, GRIPPER = JOINT_NAMES.index("elbow_flex"), JOINT_NAMES.index("gripper")
VOLTAGE, ENCODER, HOT, OVER_CURRENT, OVERLOAD = 1, 2, 4, 8, 32
OK, WARN, HOLD, EASE_OFF = Level


class Arm:
    """Six servos that report every hundredth of a second."""

    def __init__(self, limits=None):
        self.health = Health(limits or HealthLimits())
        self.now_s = 100.0
        self.reports = [CALM] * 6
        self.ages_s = [0.002] * 6

    def set(self, joint=ELBOW, **readings):
        self.reports[joint] = replace(self.reports[joint], **readings)

    def cycle(self, dt_s=DT_S):
        self.now_s += dt_s
        return self.health.update(self.reports, self.ages_s, self.now_s)

    def run(self, duration_s):
        """The last verdict of that time."""
        for _ in range(round(duration_s / DT_S)):
            verdict = self.cycle()
        return verdict

    def until(self, level, at_most_s):
        """How long it takes to get there [s]."""
        for cycle in range(1, round(at_most_s / DT_S) + 1):
            if self.cycle().level is level:
                return cycle * DT_S
        raise AssertionError(f"not {level!r} within {at_most_s} s")
