"""The leader as a device, without ROS: who has it, when it takes over and hands back, and what goes wrong."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hilrl_control.kinematics import Kinematics
from hilrl_ros.ee_action import Gripper
from hilrl_teleop.leader import Leader, Phase
from hilrl_teleop.leader_motion import Target
from hilrl_teleop.leader_settings import DEADMAN, LeaderSettings

URDF = Path(__file__).parents[3] / "urdf" / "so101.urdf.xacro"
HOME = np.array([0.0, -0.4827, 0.166, 1.638, 0.0, 0.9])
DT_S = 0.01
SETTINGS = LeaderSettings()
EFFORT = np.full(6, 0.1)


@pytest.fixture(scope="module")
def kinematics():
    return Kinematics(URDF)


class Desk:
    """Both arms. The leader goes where it is told at once, unless a hand has it."""

    def __init__(self, kinematics, **settings):
        self.leader = Leader(kinematics, replace(SETTINGS, **settings))
        self.now_s = 50.0
        self.q, self.follower = HOME.copy(), HOME.copy()
        tcp = kinematics.forward(HOME)
        self.target = Target(tcp.position, tcp.pitch, tcp.roll, 0.9)
        self.served = False
        self.push = np.zeros(6)
        self.effort = EFFORT
        self.leader_talks = self.follower_talks = self.state_talks = True
        self.torque_is_answered = True
        self.commands = []
        self.wanted = []

    def run(self, duration_s, move=None):
        for step in range(round(duration_s / DT_S)):
            self.now_s += DT_S
            if move is not None:
                self.q = move(step * DT_S)
            if self.follower_talks:
                self.leader.on_follower(self.follower, self.now_s)
            if self.state_talks:
                self.leader.on_state(self.target, self.served, self.now_s)
            if self.leader_talks:
                self.leader.on_leader(self.q + self.push, self.effort, self.now_s)
            if step % 2 == 0:
                pose = self.leader.mirror(self.now_s)
                if pose is not None:
                    self.commands.append(pose)
                    self.q = pose
            self.wanted.append(self.leader.torque_wanted(self.now_s))
            if self.wanted[-1] and self.torque_is_answered:
                self.leader.on_torque(self.now_s)

    def mirroring(self):
        self.run(1.0)
        assert self.leader.phase is Phase.MIRRORING
        return self

    def taken(self):
        self.mirroring()
        self.push = np.array([0.3, 0, 0, 0, 0, 0])
        self.run(0.2)
        assert self.leader.phase is Phase.TAKEN
        self.q, self.push = self.q + self.push, np.zeros(6)
        return self

    def ask(self):
        return self.leader.ask(self.now_s)


@pytest.fixture
def new_desk(kinematics):
    return lambda **settings: Desk(kinematics, **settings)


@pytest.fixture
def desk(new_desk):
    return new_desk()


def test_it_mirrors_the_follower_once_there_is_torque(desk):
    desk.follower = HOME + 0.3
    desk.torque_is_answered = False
    desk.run(1.0)
    assert desk.wanted[-1] is True and desk.commands == [] and desk.leader.phase is Phase.FREE
    desk.torque_is_answered = True
    desk.run(3.0)
    assert np.abs(desk.commands[0] - HOME).max() < 0.01, "it begins where the leader is"
    assert np.abs(np.diff(desk.commands, axis=0)).max() <= 0.02 * SETTINGS.catch_up_rad_s * 3
    assert desk.q == pytest.approx(desk.follower) and not desk.leader.engaged and desk.ask() is None


def test_a_push_takes_over_and_torque_goes_at_once(desk):
    desk.taken()
    assert desk.wanted[-1] is False
    commands = len(desk.commands)
    desk.run(0.5)
    assert len(desk.commands) == commands, "no mirror command while the hand has it"


def test_taking_over_and_holding_still_asks_for_nothing(desk):
    desk.taken()
    for _ in range(20):
        desk.run(0.02)
        asked = desk.ask()
        assert (asked.delta == 0.0).all() and asked.gripper == Gripper.STAY and asked.gripper_goal is None


def test_the_hand_moves_the_follower_relative_to_the_take_over(desk, kinematics):
    desk.taken()
    before, start = kinematics.forward(desk.q).position, desk.q.copy()
    desk.run(0.1, lambda t: start + [0, 0.2 * t, 0, 0, 0, 0])
    moved = kinematics.forward(desk.q).position - before
    np.testing.assert_allclose(desk.ask().delta[:3], moved / SETTINGS.step_m, atol=0.02)


def test_a_take_over_that_squeezes_the_jaw_does_not_move_the_gripper(desk):
    """The jaw is what is pushed; it counts from where it is at the take-over."""
    desk.mirroring()
    desk.push = np.array([0, 0, 0, 0, 0, -0.5])
    desk.run(0.2)
    assert desk.leader.phase is Phase.TAKEN and desk.ask().gripper == Gripper.STAY
    desk.run(0.3)
    assert desk.ask().gripper == Gripper.STAY
    desk.push = np.array([0, 0, 0, 0, 0, -0.7])
    desk.run(0.05)
    assert desk.ask().gripper == Gripper.CLOSE


def test_a_jaw_that_asks_and_is_handed_back_asks_no_more(desk):
    desk.taken()
    desk.q = desk.q - [0, 0, 0, 0, 0, 0.3]
    desk.run(0.02)
    assert desk.ask().gripper == Gripper.CLOSE
    desk.run(SETTINGS.release_s + 0.1)
    assert desk.ask() is None
    desk.run(1.0)
    desk.taken()
    assert desk.ask().gripper == Gripper.STAY


def test_a_leader_that_is_not_moved_is_handed_back_and_mirrors_again_without_a_jump(desk):
    desk.taken()
    desk.run(SETTINGS.release_s - 0.3)
    assert desk.leader.engaged
    desk.run(0.4)
    assert not desk.leader.engaged and desk.leader.phase is Phase.MIRRORING
    here, commands = HOME + [0.3, 0, 0, 0, 0, 0], len(desk.commands)
    desk.run(4.0)
    again = np.array(desk.commands[commands - 1 :])
    assert np.abs(again[0] - here).max() <= 0.1
    assert np.abs(np.diff(again, axis=0)).max() <= 0.02 * SETTINGS.catch_up_rad_s * 3
    assert desk.leader.phase is Phase.MIRRORING, "catching up is no take-over"
    assert desk.q == pytest.approx(HOME, abs=0.02)


def test_a_hand_that_goes_on_moving_keeps_the_follower(desk):
    desk.taken()
    start = desk.q.copy()
    desk.run(4.0, lambda t: start + [0.1 * np.sin(2 * t), 0, 0, 0, 0, 0])
    assert desk.leader.engaged


def test_the_dead_mans_switch_takes_over_and_hands_back_at_once(new_desk):
    desk = new_desk(takeover=DEADMAN).mirroring()
    desk.push = np.array([0.5, 0, 0, 0, 0, 0])
    desk.run(1.0)
    assert desk.leader.phase is Phase.MIRRORING, "a push is nothing"
    desk.leader.on_button(True, desk.now_s)
    assert desk.leader.engaged and desk.leader.torque_wanted(desk.now_s) is False
    desk.run(3 * SETTINGS.release_s)
    assert desk.leader.engaged, "held still, but held"
    desk.leader.on_button(False, desk.now_s)
    assert not desk.leader.engaged


def test_the_dead_mans_switch_needs_no_torque_before(new_desk):
    desk = new_desk(takeover=DEADMAN)
    desk.torque_is_answered = False
    desk.run(0.5)
    desk.leader.on_button(True, desk.now_s)
    assert desk.leader.engaged
    desk.leader.on_torque(desk.now_s)  # the answer to what was asked before
    assert desk.leader.phase is Phase.TAKEN and desk.leader.torque_wanted(desk.now_s) is False


def test_a_free_leader_is_not_taken_over_by_moving_it(desk):
    desk.torque_is_answered = False
    desk.run(2.0, lambda t: HOME + [0.3 * np.sin(3 * t), 0, 0, 0, 0, 0])
    assert desk.leader.phase is Phase.FREE and desk.ask() is None


# -- what goes wrong


def test_a_silent_leader_lets_go_and_says_so(desk):
    desk.taken()
    desk.leader_talks = False
    desk.run(SETTINGS.leader_timeout_s + 0.05)
    assert not desk.leader.engaged and desk.ask() is None
    assert desk.leader.trouble == "leader/joint_states: none for 0.25 s: let go"
    assert desk.wanted[-1] is None
    desk.leader_talks = True
    desk.run(0.5)
    assert desk.leader.phase is Phase.MIRRORING and desk.leader.trouble == ""


def test_a_silent_leader_is_not_mirrored_to(desk):
    desk.mirroring()
    desk.leader_talks = False
    desk.run(SETTINGS.leader_timeout_s + 0.05)
    commands = len(desk.commands)
    desk.run(1.0)
    assert len(desk.commands) == commands
    assert desk.leader.trouble == "leader/joint_states: none for 0.25 s: no longer mirroring"


@pytest.mark.parametrize("silent", ["follower_talks", "state_talks"])
def test_a_silent_follower_is_let_go_and_cannot_be_taken_over(desk, silent):
    desk.taken()
    setattr(desk, silent, False)
    desk.run(SETTINGS.follower_timeout_s + 0.05)
    assert not desk.leader.engaged and "let go" in desk.leader.trouble
    desk.run(1.0)
    assert desk.leader.phase is Phase.FREE
    setattr(desk, silent, True)
    desk.run(1.0)
    assert desk.leader.phase is Phase.MIRRORING
    setattr(desk, silent, False)
    desk.run(1.0)
    commands = len(desk.commands)
    desk.push = np.array([0.5, 0, 0, 0, 0, 0])
    desk.run(1.0)
    assert desk.leader.phase is Phase.MIRRORING and len(desk.commands) > commands, "it holds itself"
    assert "stays where it is" in desk.leader.trouble


def test_torque_that_went_by_itself_is_no_take_over(desk):
    """An emergency stop of the leader: it sinks, and must not take the follower with it."""
    desk.mirroring()
    desk.effort = np.zeros(6)
    desk.push = np.array([0, 0.5, 0, 0, 0, 0])
    desk.run(1.0)
    assert (
        desk.leader.phase is Phase.LOST
        and desk.ask() is None
        and "torque was switched off" in desk.leader.trouble
    )
    assert desk.wanted[-1] is None, "whoever stopped it decides when it goes on"
    desk.effort = EFFORT
    desk.push = np.zeros(6)
    desk.run(0.5)
    assert desk.leader.phase is Phase.MIRRORING


def test_a_leader_whose_torque_is_unknown_can_be_taken_over(desk):
    desk.effort = None
    desk.taken()


def test_a_process_that_was_held_up_starts_anew(desk):
    desk.mirroring()
    generation = desk.leader.generation
    desk.now_s += 0.45
    desk.leader.on_leader(desk.q, EFFORT, desk.now_s)
    desk.leader.on_follower(desk.follower, desk.now_s)
    desk.leader.on_state(desk.target, False, desk.now_s)
    assert desk.leader.mirror(desk.now_s) is None and desk.leader.generation > generation
    desk.run(0.5)
    assert desk.leader.phase is Phase.MIRRORING


def test_settings_take_effect_at_once(desk):
    desk.taken()
    desk.leader.settings = replace(desk.leader.settings, release_s=0.2)
    desk.run(0.3)
    assert not desk.leader.engaged
