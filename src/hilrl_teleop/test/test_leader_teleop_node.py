"""`leader_teleop` over real DDS: with the driver of an emulated leader, and with drivers that fail."""

import re
import signal
import time
from contextlib import ExitStack

import numpy as np
import pytest
from leader_desk import HOME, Follower, LeaderArm
from sensor_msgs.msg import JointState, Joy
from std_srvs.srv import SetBool, Trigger

from hilrl_control import messages
from hilrl_ros import qos, stamps
from hilrl_ros.joints import JOINT_NAMES

NODE = "hilrl_teleop.leader_teleop_node"
RELEASE_S = 1.5
PATIENCE = ("mirror_lag_s:=1.0", "leader_timeout_s:=1.0", "follower_timeout_s:=2.0", "lead_m:=0.3")
"""A busy machine is late; that is not what is tested."""
NO_SILENCE = ("leader_timeout_s:=5.0", "follower_timeout_s:=5.0")
"""The same for tests that say nothing of silence."""


@pytest.fixture
def follower(probe):
    return Follower(probe)


@pytest.fixture
def leader(tmp_path, namespace, probe):
    arm = LeaderArm(tmp_path, namespace, probe)
    with ExitStack() as stack:
        stack.enter_context(arm.bus)
        stack.callback(arm.stop_driver)
        arm.start_driver()
        yield arm


@pytest.fixture
def mirroring(leader, follower, start_node):
    """The leader's process, once it follows the follower."""
    process = start_node(NODE, f"release_s:={RELEASE_S}", *PATIENCE)
    # Where the machine is so busy that the driver loses its board, torque waits for a person.
    person = leader.ask_where_lost(process)
    follower.until(lambda: leader.states and leader.has_torque(), person)
    follower.until(lambda: np.abs(leader.q - follower.q).max() < 0.08, person)
    assert not follower.answers, "catching up is no take-over"
    return process


def test_the_leader_mirrors_is_pushed_moves_the_follower_and_mirrors_again(leader, follower, mirroring):
    person = leader.ask_where_lost(mirroring)
    # The policy moves, and nothing is taken over.
    rng = np.random.default_rng(5)
    follower.policy = lambda: rng.uniform(-1, 1, 5)
    follower.run(5.0)
    assert not follower.answers
    follower.policy = lambda: (0.0,) * 5
    follower.until(lambda: np.abs(leader.q - follower.q).max() < 0.1, person)
    assert not follower.answers
    jaw = follower.q[5]

    # A hand turns the pan, and has it.
    pushed = leader.q + [0.3, 0, 0, 0, 0, 0]
    follower.until(lambda: follower.engaged, lambda t: (leader.put(pushed), person(t)))
    follower.until(leader.is_limp, lambda t: leader.put(pushed))
    follower.run(0.3, lambda t: leader.put(pushed))
    taken = [answer for answer in follower.answers if answer.engaged]
    assert (taken[0].delta == 0.0).all(), "the take-over itself moves nothing"
    follower.until(lambda: np.abs(follower.answers[-1].delta).max() < 0.06, lambda t: leader.put(pushed))

    # The follower goes where the hand goes, relative to the take-over.
    kinematics = follower.kinematics
    here, target = kinematics.forward(leader.q).position, follower.state.target.position
    turn = np.array([0.15, 0.12, -0.08, 0.1, 0.2, 0.0])
    follower.run(1.0, lambda t: leader.put(pushed + min(t, 1.0) * turn))
    assert follower.engaged

    def has_followed():
        moved = kinematics.forward(leader.q).position - here
        off_by = np.abs(follower.state.target.position - target - moved).max()
        return np.linalg.norm(moved) > 0.03 and off_by < 2e-3

    follower.until(has_followed, lambda t: leader.put(pushed + turn))

    # It keeps still, and is handed back once; torque comes back where the leader is.
    held = pushed + turn
    follower.until(lambda: not follower.engaged, lambda t: leader.put(held))
    back_s, commands = time.monotonic(), len(leader.commands)
    follower.until(leader.has_torque, person)
    follower.run(4.0, person)
    engaged = [answer.engaged for answer in follower.answers]
    assert engaged.index(False) == engaged.count(True), "one release, last"
    assert engaged.count(False) == 1
    goals = leader.goals(back_s)
    assert np.abs(goals[0] - held).max() < 0.08
    assert np.abs(leader.commands[commands] - held).max() < 0.08
    assert np.abs(np.diff(leader.commands[commands : commands + 50], axis=0)).max() < 0.1
    follower.until(lambda: np.abs(leader.q - follower.q).max() < 0.1, person)

    assert {answer.gripper for answer in follower.answers} == {0}
    assert follower.q[5] == pytest.approx(jaw), "nobody asked the gripper for anything"


def test_motion_at_full_joint_speed_takes_nothing_over(leader, follower, mirroring):
    """Soft torque cannot keep up with 3 rad/s to and fro; that is no push."""

    def path(now_s):
        phase = (now_s / 0.8) % 1.0
        return HOME + 1.2 * min(phase, 1.0 - phase) * np.array([2, 1.3, -1.3, -1, 2, -1])

    follower.path = path
    furthest = 0.0
    for _ in range(40):
        follower.run(0.2)
        furthest = max(furthest, np.abs(leader.q - follower.q).max())
    assert not follower.answers and furthest > 0.2


def test_a_leader_that_was_stopped_sinks_without_taking_the_follower_along(leader, follower, mirroring):
    assert leader.probe.call(leader.stop_service, Trigger.Request()).success
    follower.until(leader.is_limp)
    leader.bus.let_go()
    follower.until(lambda: "its torque was switched off" in mirroring.log)
    assert np.abs(leader.q - follower.q).max() > 0.1
    follower.run(2.5)
    assert not follower.answers and leader.is_limp(), "nor is the stop undone"


def test_a_driver_that_dies_under_the_hand_lets_the_follower_go(leader, follower, mirroring):
    pushed = leader.q + [0.3, 0, 0, 0, 0, 0]
    follower.until(lambda: follower.engaged, lambda t: leader.put(pushed))
    leader.driver.stop(signal.SIGKILL)
    follower.until(lambda: not follower.engaged)
    follower.run(2.5)
    assert [answer.engaged for answer in follower.answers].count(False) == 1
    assert mirroring.log.count("leader/joint_states: none for 1 s: let go") == 1


class Stand:
    """A leader's driver that answers for torque as it likes, in the test's own process."""

    def __init__(self, probe):
        self.answer = (True, "active")
        self.asked, self.commands, self.answers = [], [], []
        self.q = HOME.copy()
        node = probe.node
        self._states = node.create_publisher(JointState, "leader/joint_states", qos.JOINT_STATES)
        self.joy = node.create_publisher(Joy, "joy", qos.EVENTS)
        node.create_subscription(JointState, "leader/joint_commands", self.commands.append, qos.ACTIONS)
        node.create_service(SetBool, "leader_arm/enable_torque", self._on_torque)

    def _on_torque(self, request, response):
        self.asked.append((time.monotonic(), request.data))
        response.success, response.message = self.answer
        return response

    def say(self, _=0.0, **fields):
        message = JointState(name=list(JOINT_NAMES), position=self.q.tolist())
        for name, value in fields.items():
            setattr(message, name, value)
        self._states.publish(message)


@pytest.fixture
def stand(probe):
    return Stand(probe)


@pytest.fixture
def steady_hand(tmp_path):
    """The node, to which a button is still held that a busy machine is late to repeat."""
    script = tmp_path / "steady_hand.py"
    script.write_text(
        "from hilrl_teleop import leader_teleop_node as node\nnode.JOY_TIMEOUT_S = 60.0\nnode.main()\n"
    )
    return script


def test_torque_that_is_refused_is_asked_for_calmly(follower, stand, start_node):
    stand.answer = (False, "gripper: 71 C")
    process = start_node(NODE, *NO_SILENCE)
    follower.until(lambda: len(stand.asked) > 3, stand.say)
    times = [when_s for when_s, _ in stand.asked]
    # Each may come a little late, so that two of them are closer than they were sent.
    assert {on for _, on in stand.asked} == {True} and (times[-1] - times[0]) / (len(times) - 1) > 1.9
    assert stand.commands == [], "no torque, no mirror commands"
    assert process.log.count("leader_arm/enable_torque: gripper: 71 C: not mirroring, asking again") == 1
    stand.answer = (True, "active")
    follower.until(lambda: stand.commands, stand.say)


def test_a_message_that_makes_no_sense_is_refused_with_one_error_and_lets_go(follower, stand, start_node):
    process = start_node(NODE, "takeover:=deadman", "deadman_button:=2")
    follower.until(lambda: stand.commands, stand.say)

    def hold(_):
        stand.joy.publish(Joy(buttons=[0, 0, 1]))

    follower.until(lambda: follower.engaged, lambda t: (hold(t), stand.say()))
    nan = HOME.copy()
    nan[2] = float("nan")
    follower.until(lambda: not follower.engaged, lambda t: (hold(t), stand.say(position=nan.tolist())))
    follower.run(0.5, lambda t: stand.say(name=list(JOINT_NAMES[:5]), position=[0.0] * 5))
    follower.until(lambda: "expected ['shoulder_pan'" in process.log)
    follower.run(0.3, lambda t: stand.say(position=[0.0] * 5))
    errors = re.findall(r"leader/joint_states (?:position|name): .*", process.log)
    assert [error.split(": ")[1][:30] for error in errors] == [
        "expected finite numbers, got n",
        "expected ['shoulder_pan', 'sho",
    ]


def test_the_button_lets_go_when_the_gamepad_is_gone(follower, stand, start_node):
    start_node(NODE, "takeover:=deadman", "deadman_button:=0")
    follower.until(lambda: stand.commands, stand.say)
    follower.until(lambda: follower.engaged, lambda t: (stand.joy.publish(Joy(buttons=[1])), stand.say()))
    asked = len(stand.asked)
    follower.until(lambda: not follower.engaged, stand.say)
    follower.until(lambda: len(stand.asked) > asked and stand.asked[-1][1], stand.say)


def test_a_silent_follower_is_let_go_and_said_once(follower, stand, start_node, steady_hand):
    timeouts = ("leader_timeout_s:=5.0", "follower_timeout_s:=2.0")
    process = start_node(steady_hand, "takeover:=deadman", "deadman_button:=0", *timeouts)
    follower.until(lambda: stand.commands, stand.say)

    def hold(_):
        stand.joy.publish(Joy(buttons=[1]))
        stand.say()

    follower.until(lambda: follower.engaged, hold)
    follower.talks = False
    follower.until(lambda: not follower.engaged, hold)
    follower.run(1.0, hold)
    assert [answer.engaged for answer in follower.answers].count(False) == 1
    assert len(re.findall("none for 2 s: let go", process.log)) == 1


def test_lockstep_every_new_stamp_is_answered_once_and_a_repeat_the_same(
    probe, follower, stand, start_node, steady_hand
):
    start_node(steady_hand, "lockstep:=true", "takeover:=deadman", "deadman_button:=0", *NO_SILENCE)
    answers = follower.answers
    states = follower._states
    probe.spin_until(states.get_subscription_count)
    probe.spin_until(lambda: probe.node.count_publishers("intervention/leader"))
    probe.spin_until(stand._states.get_subscription_count)
    probe.spin_until(stand.joy.get_subscription_count)
    probe.meet("leader_teleop")

    def tick(number, pressed):
        state = messages.ee_state(follower.control.observe(number * 100_000_000, HOME, np.zeros(6)))
        follower._joints.publish(JointState(name=list(JOINT_NAMES), position=HOME.tolist()))
        stand.say()
        stand.joy.publish(Joy(buttons=[int(pressed)]))
        # Of what is ready at once the node takes the state before the button.
        probe.until_taken_by("leader_teleop")
        count = len(answers)
        states.publish(state)
        probe.spin_until(lambda: len(answers) > count)
        return answers[-1]

    expected = [False, False, True, True, True, False, True, False]
    for number, pressed in enumerate(expected, 1):
        first = tick(number, pressed)
        assert stamps.to_ns(first.header.stamp) == number * 100_000_000
        stand.q = stand.q + [0.02, 0, 0, 0, 0, 0]
        again = tick(number, pressed)
        assert again == first, "the same stamp, the same answer"
    assert len(answers) == 2 * len(expected)
    assert [answer.engaged for answer in answers[::2]][1:] == expected[1:]


@pytest.mark.parametrize(
    ("parameter", "complaint"),
    [
        ("takeover:=shout", "takeover: expected one of ['movement', 'deadman'], got 'shout'"),
        ("engage_rad:=nan", "engage_rad"),
        ("workspace_min:=[0.5, 0.0, 0.0]", "workspace_min: expected less than workspace_max"),
        ("urdf:=/nowhere.urdf", "urdf: expected a URDF or xacro file, found none at /nowhere.urdf"),
    ],
)
def test_what_it_cannot_start_with_is_said_in_one_line(start_node, parameter, complaint):
    process = start_node(NODE, parameter)
    assert process.wait() == 2
    assert complaint in process.log and "Traceback" not in process.log
