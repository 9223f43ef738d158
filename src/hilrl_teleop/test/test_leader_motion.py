"""From the hand's motion to actions: relative, bounded, and a jaw that only moves when it is asked to."""

from dataclasses import replace

import numpy as np
import pytest

from hilrl_control.kinematics import Pose
from hilrl_ros.ee_action import Gripper
from hilrl_teleop.leader_motion import HandMotion, JawMotion, Target
from hilrl_teleop.leader_settings import CONTINUOUS, LeaderSettings
from hilrl_teleop.wish import GRIPPER_HOLD_S

SETTINGS = LeaderSettings()
HERE = np.array([0.22, 0.0, 0.1])
LEADER = np.array([0.3, 0.2, 0.3])
"""Elsewhere, and outside the follower's box: only its motion counts."""


def pose(dx=0.0, dy=0.0, dz=0.0, pitch=0.0, roll=0.0) -> Pose:
    return Pose(LEADER + [dx, dy, dz], 1.0 + pitch, 0.3 + roll, np.eye(3))


def target(position=HERE, pitch=0.5, roll=-0.2) -> Target:
    return Target(np.array(position, float), pitch, roll, 0.9)


class Follower:
    """A controller that executes what the hand asks for."""

    def __init__(self, settings=SETTINGS, at=None):
        self.settings = settings
        self.target = at or target()
        self.hand = HandMotion(pose(), self.target, settings)

    def tick(self, leader, times=1):
        for _ in range(times):
            delta = self.hand.ask(leader, self.target, True)
            assert delta.dtype == np.float32 and (np.abs(delta) <= 1.0).all()
            settings = self.settings
            moved = self.target.position + delta[:3] * settings.step_m
            self.target = Target(
                np.clip(moved, settings.workspace_min, settings.workspace_max),
                self.target.pitch + float(delta[3]) * settings.step_rad,
                self.target.roll + float(delta[4]) * settings.step_rad,
                self.target.jaw,
            )
        return delta


def test_the_take_over_itself_moves_nothing():
    follower = Follower()
    assert (follower.tick(pose()) == 0.0).all()


def test_a_motion_of_the_hand_arrives_whole_and_in_its_direction():
    follower = Follower()
    first = follower.tick(pose(0.03, -0.01, 0.02, 0.15, -0.05))
    np.testing.assert_allclose(first, [1.0, -0.5, 1.0, 1.0, -0.5], atol=1e-6)
    follower.tick(pose(0.03, -0.01, 0.02, 0.15, -0.05), 5)
    np.testing.assert_allclose(follower.target.position - HERE, [0.03, -0.01, 0.02], atol=2e-4)
    assert follower.target.pitch == pytest.approx(0.65, abs=1e-3)
    assert follower.target.roll == pytest.approx(-0.25, abs=1e-3)


def test_scale_applies_to_the_position_alone():
    follower = Follower(replace(SETTINGS, scale=0.5))
    follower.tick(pose(0.04, pitch=0.1), 5)
    np.testing.assert_allclose(follower.target.position - HERE, [0.02, 0, 0], atol=2e-4)
    assert follower.target.pitch == pytest.approx(0.6, abs=1e-3)


def test_noise_of_the_encoders_asks_for_nothing():
    follower = Follower()
    rng = np.random.default_rng(1)
    for _ in range(50):
        assert (follower.tick(pose(*rng.normal(0, 3e-5, 3))) == 0.0).all()


def test_beyond_the_workspace_nothing_winds_up():
    """The hand goes 10 cm past the box's wall and comes back by 1 cm: the follower comes back by 1 cm."""
    follower = Follower()
    for step in range(21):
        follower.tick(pose(0.01 * step))
    assert follower.target.position[0] == pytest.approx(SETTINGS.workspace_max[0])
    assert (follower.tick(pose(0.2)) == 0.0).all(), "at the wall nothing is asked for"
    assert follower.tick(pose(0.19))[0] == pytest.approx(-0.5)


def test_a_hand_that_is_too_fast_is_ahead_by_no_more_than_the_lead():
    follower = Follower()
    follower.tick(pose(dy=0.12))
    delta = follower.tick(pose(dy=0.12))
    assert delta[1] == 1.0
    follower.tick(pose(dy=0.12), 10)
    assert follower.target.position[1] == pytest.approx(SETTINGS.lead_m, abs=2e-4), (
        "and the rest is forgotten"
    )
    assert follower.tick(pose(dy=0.11))[1] == pytest.approx(-0.5, abs=0.02)


def test_pitch_and_roll_do_not_wind_up_either():
    follower = Follower()
    hand = follower.hand
    stuck = follower.target
    hand.ask(pose(pitch=1.2, roll=-1.2), stuck, True)
    back = hand.ask(
        pose(pitch=1.2 - SETTINGS.lead_rad - 0.05, roll=-1.2 + SETTINGS.lead_rad + 0.05), stuck, True
    )
    np.testing.assert_allclose(back[3:], [-0.5, 0.5], atol=1e-6)


def test_a_follower_that_is_blocked_does_not_wind_up():
    follower = Follower()
    stuck = follower.target
    for step in range(50):
        follower.hand.ask(pose(dz=0.004 * step), stuck, True)
    delta = follower.hand.ask(pose(dz=0.196 - SETTINGS.lead_m - 0.01), stuck, True)
    assert delta[2] == pytest.approx(-0.5, abs=1e-4)


def test_angles_count_across_the_seam():
    seam = target(roll=3.1)
    hand = HandMotion(pose(roll=2.8), seam, SETTINGS)  # 3.1 of the leader, too
    delta = hand.ask(pose(roll=2.85 - 2 * np.pi), seam, True)
    assert delta[4] == pytest.approx(0.5, abs=1e-5)
    over = Target(seam.position, seam.pitch, 3.15 - 2 * np.pi, 0.9)
    assert hand.ask(pose(roll=2.85 - 2 * np.pi), over, True)[4] == 0.0


def test_what_the_policy_did_after_the_take_over_is_not_taken_back():
    follower = Follower()
    moved = target(HERE + [0.02, -0.01, 0.0], pitch=0.6)
    assert (follower.hand.ask(pose(), moved, False) == 0.0).all()
    delta = follower.hand.ask(pose(dz=0.01), moved, False)
    np.testing.assert_allclose(delta, [0, 0, 0.5, 0, 0], atol=1e-5)
    # From the first executed action of the hand on, a target that strayed is brought back.
    strayed = target(moved.position + [0, 0, 0.02], pitch=0.6)
    np.testing.assert_allclose(follower.hand.ask(pose(dz=0.01), strayed, True), [0, 0, -0.5, 0, 0], atol=1e-5)


def test_a_target_that_was_set_anew_is_not_pulled_back():
    """As by the reset of a simulation."""
    follower = Follower()
    follower.tick(pose(0.01), 3)
    elsewhere = target([0.25, 0.1, 0.05])
    assert follower.hand.ask(pose(0.01), elsewhere, True)[:3] == pytest.approx([0, 0, 0], abs=0.05)


def test_a_target_outside_the_box_is_not_moved_by_the_take_over():
    outside = target([0.05, 0.0, 0.3])
    hand = HandMotion(pose(), outside, SETTINGS)
    assert (hand.ask(pose(), outside, True) == 0.0).all()
    assert (hand.ask(pose(-0.02), outside, True) == 0.0).all(), "no further out"
    assert hand.ask(pose(-0.01), outside, True)[0] == pytest.approx(0.5)


# -- the jaw

BAND = SETTINGS.jaw_band_rad


def jaw_with(settings=SETTINGS, leader=0.4, follower=0.9):
    return JawMotion(leader, follower, settings)


def asked(jaw, angle, now_s, follower=0.9):
    jaw.move(angle, now_s)
    return jaw.ask(follower, now_s)


@pytest.mark.parametrize("settings", [SETTINGS, replace(SETTINGS, gripper=CONTINUOUS)])
@pytest.mark.parametrize("leader", [-0.1, 0.4, 1.7])
@pytest.mark.parametrize("follower", [-0.1, 0.4, 1.7])
def test_gripper_continuity_a_hand_that_holds_its_jaw_never_moves_the_gripper(settings, leader, follower):
    jaw = jaw_with(settings, leader, follower)
    rng = np.random.default_rng(0)
    for step in range(300):
        angle = leader + rng.uniform(-0.95, 0.95) * BAND
        assert asked(jaw, angle, 0.02 * step, follower) == (Gripper.STAY, None)


@pytest.mark.parametrize(("sign", "command"), [(-1, Gripper.CLOSE), (1, Gripper.OPEN)])
def test_beyond_the_band_the_jaw_asks_for_a_moment(sign, command):
    jaw = jaw_with()
    assert asked(jaw, 0.4 + sign * (BAND + 0.01), 0.0) == (command, None)
    assert asked(jaw, 0.4 + sign * (BAND + 0.01), GRIPPER_HOLD_S - 0.01) == (command, None)
    assert asked(jaw, 0.4 + sign * (BAND + 0.01), GRIPPER_HOLD_S + 0.01) == (Gripper.STAY, None)


def test_to_ask_for_the_opposite_the_jaw_must_come_back_by_twice_the_band():
    jaw = jaw_with()
    assert asked(jaw, -0.1, 0.0)[0] == Gripper.CLOSE
    assert asked(jaw, -0.1 + 2 * BAND - 0.01, 1.0)[0] == Gripper.STAY
    assert asked(jaw, -0.1 + 2 * BAND + 0.01, 2.0)[0] == Gripper.OPEN


def test_a_jaw_that_trembles_at_the_edge_asks_for_one_direction_only():
    jaw, said = jaw_with(), set()
    for step in range(200):
        said.add(asked(jaw, 0.4 - BAND + 0.02 * (-1) ** step, 0.02 * step)[0])
    assert said == {Gripper.CLOSE, Gripper.STAY}


def test_what_is_asked_for_between_two_answers_is_not_lost():
    jaw = jaw_with()
    jaw.move(0.4 - BAND - 0.01, 0.0)
    jaw.move(0.4, 0.1)
    assert jaw.ask(0.9, 10.0) == (Gripper.CLOSE, None)
    assert jaw.ask(0.9, 10.1) == (Gripper.STAY, None)


def test_polarity_is_the_controllers():
    jaw = jaw_with(replace(SETTINGS, gripper_open_rad=-0.1, gripper_closed_rad=1.2))
    assert asked(jaw, 0.0, 0.0)[0] == Gripper.OPEN


def test_continuous_the_jaw_says_how_far():
    jaw = jaw_with(replace(SETTINGS, gripper=CONTINUOUS))
    command, goal = asked(jaw, 0.4 - BAND - 0.2, 0.0)
    assert command == Gripper.CLOSE and goal == pytest.approx(0.7)
    command, goal = asked(jaw, 0.4 - BAND - 0.1, 0.1, follower=0.7)
    assert command == Gripper.OPEN and goal == pytest.approx(0.78), "hardly any play once it moves"
    assert asked(jaw, 0.4 - BAND - 0.1, 0.2, follower=0.78) == (Gripper.STAY, None)


def test_continuous_the_goal_stays_within_the_range_and_does_not_wind_up():
    jaw = jaw_with(replace(SETTINGS, gripper=CONTINUOUS), leader=1.7, follower=0.5)
    assert asked(jaw, -0.17, 0.0, 0.5) == (Gripper.CLOSE, pytest.approx(-0.1))
    command, goal = asked(jaw, 0.13, 0.1, -0.1)
    assert command == Gripper.OPEN and goal == pytest.approx(0.18)
