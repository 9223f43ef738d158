"""The mirroring leader, as late here as a real one: what it is told, and what counts as a push."""

import numpy as np
import pytest

from hilrl_teleop.leader_mirror import FAR_RAD, Mirror
from hilrl_teleop.leader_settings import LeaderSettings

MIRROR_DT_S, LEADER_DT_S = 0.02, 0.01
LAG_S = 0.1
"""Dead time from a mirror command to motion: driver cycle, servo and the way back."""
SOFT_RAD_S = np.array([1.6, 0.35, 0.75, 1.3, 1.6, 2.9])
"""What is left of the servos' speed at 0.3 of their torque under the arm's weight."""
DROOP_RAD = np.array([0.0, -0.05, -0.03, -0.02, 0.0, 0.0])
SETTINGS = LeaderSettings()


class World:
    """A follower that moves as it is told, and a leader that comes after."""

    def __init__(self, speed=SOFT_RAD_S, leader=None, lag_s=LAG_S):
        self.now_s, self.speed, self.lag_s = 100.0, speed, lag_s
        self.q = np.zeros(6) if leader is None else np.array(leader, float)
        self.mirror = Mirror(self.q, self.now_s, SETTINGS)
        self.commands = [(self.now_s, self.q)]
        self.follower = np.zeros(6)
        self.held = {}
        """Joints that a hand holds, and where."""

    def run(self, duration_s, follower=lambda t: None):
        """Whether a push was seen, and when."""
        for step in range(round(duration_s / LEADER_DT_S)):
            self.now_s += LEADER_DT_S
            goal = follower(step * LEADER_DT_S)
            self.follower = self.follower if goal is None else np.array(goal, float)
            if step % 2 == 0:
                self.commands.append((self.now_s, self.mirror.step(self.follower, self.now_s)))
            told = [pose for when_s, pose in self.commands if when_s <= self.now_s - self.lag_s] or [
                self.commands[0][1]
            ]
            away = told[-1] + DROOP_RAD - self.q
            self.q = self.q + np.clip(away, -self.speed * LEADER_DT_S, self.speed * LEADER_DT_S)
            for joint, place in self.held.items():
                self.q[joint] = place
            if self.mirror.is_pushed(self.q, self.now_s):
                return step * LEADER_DT_S
        return None


@pytest.mark.parametrize("speed", [SOFT_RAD_S, np.full(6, 6.0)], ids=["soft", "strong"])
@pytest.mark.parametrize("lag_s", [LAG_S, 0.25])
@pytest.mark.parametrize("period_s", [0.2, 0.5, 1.0, 2.0, 4.0])
def test_no_motion_of_the_policy_at_full_speed_takes_over(speed, lag_s, period_s):
    """3 rad/s, the jaw 4, to and fro: far more than a leader with soft torque can follow."""
    world = World(speed, lag_s=lag_s)
    world.run(0.5)
    amplitude = min(3.0 * period_s / 2, 1.5)

    def triangle(t):
        phase = (t / period_s) % 1.0
        height = amplitude * (2 * phase if phase < 0.5 else 2 - 2 * phase)
        return [height] * 5 + [4 / 3 * min(height, 1.3)]

    assert world.run(8.0, triangle) is None


def test_random_motion_of_the_policy_does_not_take_over():
    rng = np.random.default_rng(3)
    world = World()
    world.run(0.5)
    speeds, q = np.zeros(6), np.zeros(6)

    def wander(t):
        nonlocal speeds, q
        if round(t / LEADER_DT_S) % 10 == 0:  # a new action every 100 ms
            speeds = rng.uniform(-1, 1, 6) * [3, 3, 3, 3, 3, 4]
        q = np.clip(q + speeds * LEADER_DT_S, -1.5, 1.5)
        return q

    assert world.run(60.0, wander) is None


@pytest.mark.parametrize("joint", range(6))
@pytest.mark.parametrize("sign", [-1, 1])
def test_a_push_against_a_still_leader_takes_over_after_engage_s(joint, sign):
    world = World()
    assert world.run(1.0) is None
    world.held[joint] = world.q[joint] + sign * 0.2
    assert world.run(0.5) == pytest.approx(SETTINGS.engage_s, abs=0.02)


def test_a_short_bump_and_a_small_push_do_not_take_over():
    world = World()
    world.run(1.0)
    world.held[0] = 0.2
    assert world.run(SETTINGS.engage_s - 0.07) is None
    world.held.clear()
    assert world.run(1.0) is None
    world.held[0] = SETTINGS.engage_rad - 0.02
    assert world.run(3.0) is None


def test_a_leader_that_a_hand_keeps_where_it_is_takes_over():
    world = World()
    world.run(1.0)
    world.held[0] = 0.0
    seen_s = world.run(3.0, lambda t: [min(1.0 * t, 0.5)] + [0] * 5)
    limit_s = SETTINGS.engage_rad / SETTINGS.slowest_rad_s + SETTINGS.mirror_lag_s + SETTINGS.engage_s
    assert seen_s is not None and seen_s <= limit_s + 0.3


def test_a_push_while_the_follower_moves_takes_over():
    world = World()
    world.run(1.0)
    world.run(0.5, lambda t: [0.8 * t] + [0] * 5)
    world.held[0] = world.q[0] - 0.25
    assert world.run(1.0, lambda t: [0.4 + 0.8 * t] + [0] * 5) < 0.5


def test_catching_up_is_slow_at_first_and_no_take_over():
    world = World(leader=[1.2, -1.0, 0.8, -0.5, 1.0, 1.5])
    start = world.q.copy()
    assert world.run(8.0) is None
    assert world.mirror.caught_up and np.abs(world.q - world.follower).max() < 0.1
    times, poses = zip(*world.commands, strict=True)
    speeds = np.abs(np.diff(poses, axis=0)).max(axis=1) / np.diff(times)
    assert (np.abs(np.array(poses)[0] - start) == 0).all(), "it begins where the leader is"
    assert speeds[:25].max() <= 1.5 * SETTINGS.catch_up_rad_s
    grown = SETTINGS.catch_up_rad_s * (1 + np.array(times[1:]) - times[0])
    assert (speeds <= grown + 1e-6).all()


def test_a_push_on_the_way_to_the_follower_takes_over():
    world = World(leader=[1.2, 0, 0, 0, 0, 0])
    assert world.run(0.5) is None
    world.held[0] = world.q[0] + 0.2
    assert world.run(1.0) is not None


def test_a_follower_that_moves_on_is_caught_up_with():
    """Faster than the pace that the leader sets out with."""
    world = World(leader=[1.0, 0, 0, 0, 0, 0])
    assert world.run(4.0, lambda t: [-0.5 * t] + [0] * 5) is None
    assert world.mirror.caught_up


def test_a_follower_that_jumps_is_approached_as_at_the_start():
    world = World()
    world.run(1.0)
    before = len(world.commands)
    assert world.run(0.2, lambda t: [FAR_RAD + 0.5] + [0] * 5) is None
    poses = np.array([pose for _, pose in world.commands[before - 1 :]])
    assert np.abs(np.diff(poses, axis=0)).max() / MIRROR_DT_S <= 1.25 * SETTINGS.catch_up_rad_s


def test_a_late_period_moves_the_pose_no_further_than_one():
    mirror = Mirror(np.zeros(6), 0.0, SETTINGS)
    assert mirror.step(np.full(6, 2.0), 5.0).max() <= 0.1 * SETTINGS.catch_up_rad_s + 1e-9
