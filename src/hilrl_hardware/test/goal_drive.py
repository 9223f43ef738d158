"""What tests of joint goals share: goals under way, and an arm that follows them."""

import numpy as np

from hilrl_hardware.joint_goals import GoalLimits, JointGoals

LIMITS = GoalLimits(
    lower_rad=[-1.92, -1.75, -1.69, -1.66, -2.74, -0.17],
    upper_rad=[1.92, 1.75, 1.69, 1.66, 2.84, 1.75],
    max_speed=[3.0, 3.0, 3.0, 3.0, 3.0, 4.0],
    ramp_speed=0.5,
    max_step_rad=0.1,
    leash_rad=0.4,
    command_timeout_s=0.5,
    far_rad=0.5,
)
DT_S = 0.01
EPSILON = 1e-12


class Drive:
    """Goals under way, with a clock and an arm that stands `droop` below its goals."""

    def __init__(self, measured=(0.0,) * 6, limits=LIMITS, droop=0.0):
        self.goals = JointGoals(limits)
        self.now_s = 100.0
        self.droop = np.full(6, droop)
        self.goal = np.array(measured, float)
        self.goals.start(measured)
        self.measured = None
        """Set where the arm does not follow."""

    def command(self, position, velocity=None):
        return self.goals.command(np.broadcast_to(position, 6), velocity, self.now_s)

    def cycle(self, dt_s=DT_S):
        """One step; how far each goal moved."""
        self.now_s += dt_s
        measured = self.goal - self.droop if self.measured is None else self.measured
        before, self.goal = self.goal, self.goals.step(measured, dt_s, self.now_s)
        return self.goal - before

    def cycles(self, count, position=None):
        """That many steps, with a command every tenth; the largest move of each."""
        moves = []
        for i in range(count):
            if position is not None and i % 10 == 0:
                self.command(position)
            moves.append(np.abs(self.cycle()).max())
        return np.array(moves)


def following(position=0.0, **options):
    """An arm that has caught up with its commands."""
    drive = Drive(**options)
    drive.command(drive.goal)
    drive.cycle()
    drive.cycles(400, position)
    assert not drive.goals.ramping and not drive.goals.holding
    return drive
