"""The node in its own process, over real DDS."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import rclpy
from rcl_interfaces.srv import SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.task import Future
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image, JointState

from hilrl_interfaces.msg import GroundTruth, RewardEstimate
from hilrl_interfaces.srv import ResetScene
from hilrl_ros import qos, stamps
from hilrl_ros.joints import JOINT_NAMES
from hilrl_ros.testing import own_domain

NAMESPACE = "/so101"
PERIOD_NS = 100_000_000
WAIT_S = 20.0
START_S = 60.0
"""Longest that a simulator may take until it runs, or refuses to."""

STREAMS = {
    "joints": (JointState, f"{NAMESPACE}/joint_states"),
    "front": (Image, f"{NAMESPACE}/camera/front/image_raw"),
    "wrist": (Image, f"{NAMESPACE}/camera/wrist/image_raw"),
    "reward": (RewardEstimate, f"{NAMESPACE}/reward"),
    "truth": (GroundTruth, f"{NAMESPACE}/sim/ground_truth"),
    "clock": (Clock, "/clock"),
}
# As deep as that, nothing is lost where this process stands still for a while.
EVERYTHING = QoSProfile(reliability=ReliabilityPolicy.RELIABLE, history=HistoryPolicy.KEEP_LAST, depth=1000)


def stamp_of(message: object) -> int:
    return stamps.to_ns(message.clock if isinstance(message, Clock) else message.header.stamp)


class Client:
    """The rest of the graph, as far as the simulator can tell."""

    def __init__(self, domain_id: int) -> None:
        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=domain_id)
        self.node = rclpy.create_node("client", context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.received: dict[str, list] = {name: [] for name in STREAMS}
        for name, (kind, topic) in STREAMS.items():
            self.node.create_subscription(kind, topic, self.received[name].append, EVERYTHING)
        self.commands = self.node.create_publisher(JointState, f"{NAMESPACE}/joint_commands", qos.ACTIONS)
        self.reset_client = self.node.create_client(ResetScene, f"{NAMESPACE}/sim/reset")
        # The last one: `meet` rests on it.
        self.parameter_client = self.node.create_client(SetParameters, f"{NAMESPACE}/sim/set_parameters")

    def meet(self) -> None:
        """Until each knows the other: the simulator has answered the client that was made last.

        Whoever finds a service ready may not be known to it yet, and then waits for its answer in vain.
        """
        self.spin_until(lambda: all(self.received.values()), START_S)
        self.spin_until(lambda: self.commands.get_subscription_count() == 1)
        self.spin_until(self.reset_client.service_is_ready)
        self.spin_until(self.parameter_client.service_is_ready)
        asked: list[Future] = []

        def is_answered() -> bool:
            asked.append(self.parameter_client.call_async(SetParameters.Request()))
            self.spin_for(0.2)
            return any(future.done() for future in asked)

        self.spin_until(is_answered)

    def spin_until(self, done: Callable[[], bool], timeout_s: float = WAIT_S) -> None:
        deadline = time.monotonic() + timeout_s
        while not done():
            assert time.monotonic() < deadline, {name: len(got) for name, got in self.received.items()}
            self.executor.spin_once(timeout_sec=0.05)

    def spin_for(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.executor.spin_once(timeout_sec=0.02)

    def spin_through(self, simulated_s: float) -> None:
        """Until the newest joint state is that much later than the newest one is now."""
        end = self.tick + round(simulated_s * 1e9)
        self.spin_until(lambda: self.tick >= end)

    @property
    def tick(self) -> int:
        return stamp_of(self.received["joints"][-1])

    def observation(self, tick: int) -> dict[str, object]:
        """Wait for everything with this stamp."""

        def complete() -> dict[str, object]:
            return {
                name: message
                for name, messages in self.received.items()
                for message in messages
                if stamp_of(message) == tick
            }

        self.spin_until(lambda: len(complete()) == len(STREAMS))
        return complete()

    def send(self, tick: int, position: list[float], names: tuple[str, ...] = JOINT_NAMES) -> None:
        message = JointState(name=list(names), position=position)
        message.header.stamp = stamps.from_ns(tick)
        self.commands.publish(message)

    def reset(self, seed: int) -> ResetScene.Response:
        return self._call(self.reset_client, ResetScene.Request(seed=seed))

    def set_parameter(self, name: str, value: object) -> tuple[bool, str]:
        request = SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])
        result = self._call(self.parameter_client, request).results[0]
        return result.successful, result.reason

    def _call(self, client: object, request: object) -> object:
        assert client.wait_for_service(WAIT_S)
        future = client.call_async(request)
        self.spin_until(future.done)
        return future.result()

    def close(self) -> None:
        self.executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)


class Running:
    """A simulator process and a client in a ROS domain of their own."""

    def __init__(self, xacro: Path, log: Path, **parameters: object) -> None:
        settings = {"urdf": xacro, "image_size": 32, **parameters}
        arguments = [part for name, value in settings.items() for part in ("-p", f"{name}:={value}")]
        self.log = log
        with ExitStack() as started:  # where it does not start, nothing of it stays
            domain_id = started.enter_context(own_domain())  # several run at once
            self.process = subprocess.Popen(
                [sys.executable, "-c", "from hilrl_sim.sim_node import main; main()", "--ros-args"]
                + ["-r", f"__ns:={NAMESPACE}", *arguments],
                env={**os.environ, "ROS_DOMAIN_ID": str(domain_id)},
                stderr=log.open("w"),
            )
            started.callback(self.process.wait)
            started.callback(self.process.kill)  # does nothing to one that has ended
            self.client = Client(domain_id)
            started.callback(self.client.close)
            self.client.meet()
            self._started = started.pop_all()

    def errors(self) -> list[str]:
        return [line for line in self.log.read_text().splitlines() if "[ERROR]" in line]

    def close(self) -> int:
        with self._started:
            self.process.terminate()
            return self.process.wait(WAIT_S)


@pytest.fixture(scope="module")
def lockstep(xacro_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = Running(xacro_path, tmp_path_factory.mktemp("lockstep") / "log", lockstep="true", seed=7)
    yield running
    running.close()


@pytest.fixture
def scene(lockstep: Running) -> Client:
    """A fresh scene of seed 7, fully received."""
    response = lockstep.client.reset(7)
    assert response.success
    lockstep.client.observation(stamps.to_ns(response.stamp))
    return lockstep.client


def goal_of(client: Client, turn: float = 0.2) -> list[float]:
    position = list(client.received["joints"][-1].position)
    return [position[0] + turn, *position[1:]]


def test_a_command_with_the_current_stamp_executes_one_control_period(scene: Client) -> None:
    tick = scene.tick
    before = scene.received["joints"][-1].position[0]
    scene.send(tick, goal_of(scene))
    observation = scene.observation(tick + PERIOD_NS)
    assert list(observation["joints"].name) == list(JOINT_NAMES)
    assert observation["joints"].position[0] > before + 0.05
    for name in ("front", "wrist"):
        image = observation[name]
        assert image.header.frame_id == f"{name}_optical_frame"
        assert (image.encoding, image.height, image.width) == ("rgb8", 32, 32)


def test_a_repeated_command_moves_nothing_further(scene: Client) -> None:
    tick, goal = scene.tick, goal_of(scene)
    for _ in range(3):
        scene.send(tick, goal)
        scene.spin_for(0.05)
    first = scene.observation(tick + PERIOD_NS)["joints"]
    scene.spin_for(0.3)
    assert scene.tick == tick + PERIOD_NS
    assert scene.received["joints"][-1] == first


def test_a_command_for_another_tick_is_not_executed(scene: Client) -> None:
    tick = scene.tick
    for wrong in (tick - PERIOD_NS, tick + PERIOD_NS, 0):
        scene.send(wrong, goal_of(scene))
        scene.spin_for(0.1)
    assert scene.tick == tick


def test_with_no_command_the_last_observation_is_published_again(scene: Client) -> None:
    tick = scene.tick
    original = scene.observation(tick)
    for messages in scene.received.values():
        messages.clear()
    scene.spin_until(lambda: all(len(messages) >= 2 for messages in scene.received.values()))
    for name, messages in scene.received.items():
        assert all(message == original[name] for message in messages), name


@pytest.mark.parametrize(
    ("position", "names", "complaint"),
    [
        ([float("nan")] * 6, JOINT_NAMES, "joint goal: expected finite numbers"),
        ([0.0] * 5, JOINT_NAMES, "position: expected 6 values, got 5"),
        ([0.0] * 5, JOINT_NAMES[:5], "name: expected ["),
        ([0.0] * 6, (*JOINT_NAMES[:5], "thumb"), "name: expected ["),
    ],
)
def test_a_bad_command_is_one_error_and_the_arm_holds(
    lockstep: Running, scene: Client, position: list[float], names: tuple[str, ...], complaint: str
) -> None:
    tick, known = scene.tick, len(lockstep.errors())
    held = scene.received["joints"][-1]
    for _ in range(3):
        scene.send(tick, position, names)
        scene.spin_for(0.1)
    scene.spin_until(lambda: len(lockstep.errors()) > known)
    assert scene.tick == tick
    assert scene.received["joints"][-1] == held
    # Commands are taken in their order: once a good one is executed, all is said about the bad ones.
    scene.send(tick, goal_of(scene))
    scene.observation(tick + PERIOD_NS)
    errors = lockstep.errors()[known:]
    assert len(errors) == 1 and "joint_commands: " + complaint in errors[0], errors
    assert "the tick is not executed and the arm holds" in errors[0]


def test_joints_may_come_in_any_order(scene: Client) -> None:
    tick, goal = scene.tick, goal_of(scene)
    before = scene.received["joints"][-1].position
    scene.send(tick, goal[::-1], JOINT_NAMES[::-1])
    after = scene.observation(tick + PERIOD_NS)["joints"].position
    assert after[0] > before[0] + 0.05
    assert after[5] == pytest.approx(before[5], abs=0.01)


def test_reset_begins_the_seeds_scene_one_millisecond_later(scene: Client) -> None:
    seen = []
    for seed in (11, 12, 11):
        tick = scene.tick
        response = scene.reset(seed)
        assert response.success
        assert stamps.to_ns(response.stamp) == tick + 1_000_000
        start = scene.observation(tick + 1_000_000)
        scene.send(tick + 1_000_000, [0.1, -0.5, 0.2, 1.5, 0.1, 0.5])
        later = scene.observation(tick + 1_000_000 + PERIOD_NS)
        seen.append(
            [
                (list(one["joints"].position), bytes(one["front"].data), one["truth"].poses)
                for one in (start, later)
            ]
        )
    assert seen[0] == seen[2]
    assert seen[0] != seen[1]


def test_a_command_for_the_scene_before_the_reset_is_not_executed(scene: Client) -> None:
    old, goal = scene.tick, goal_of(scene)
    assert scene.reset(13).success
    new = scene.observation(old + 1_000_000)["joints"]
    scene.send(old, goal)
    scene.spin_for(0.3)
    assert scene.received["joints"][-1] == new


def test_a_negative_seed_is_refused_and_the_scene_stays(scene: Client) -> None:
    tick = scene.tick
    response = scene.reset(-5)
    assert not response.success
    assert "seed: expected an integer >= 0, got -5" in response.message
    scene.spin_for(0.3)
    assert scene.tick == tick


def test_a_bad_parameter_is_refused_with_a_reason_and_a_good_one_works_at_once(scene: Client) -> None:
    assert scene.set_parameter("servo_lag_s", -1.0)[0] is False
    assert scene.set_parameter("task", "place")[0] is False
    assert scene.set_parameter("servo_lag_s", 0.1) == (True, "")
    try:
        tick = scene.tick
        before = scene.received["joints"][-1].position[0]
        scene.send(tick, goal_of(scene, 0.5))
        after = scene.observation(tick + PERIOD_NS)["joints"].position[0]
        assert abs(after - before) < 0.01
    finally:
        assert scene.set_parameter("servo_lag_s", 0.0) == (True, "")


def test_object_poses_are_on_the_ground_truth_topic_only(scene: Client) -> None:
    published = dict(scene.node.get_publisher_names_and_types_by_node("sim", NAMESPACE))
    for everybodys in ("/rosout", "/parameter_events", "/diagnostics"):
        published.pop(everybodys, None)
    assert published == {
        topic: [f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}"] for kind, topic in STREAMS.values()
    }
    assert list(scene.received["truth"][-1].names) == ["cube"]


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("task", "fold", "error: task: expected one of ['lift', 'place'], got 'fold'"),
        ("urdf", "/nowhere.xacro", "error: urdf: expected a xacro file, found none at /nowhere.xacro"),
        ("seed", "-1", "seed"),
    ],
)
def test_a_bad_start_parameter_is_one_error(name: str, value: str, complaint: str) -> None:
    result = subprocess.run(
        [
            sys.executable,
            "-c",
            "from hilrl_sim.sim_node import main; main()",
            "--ros-args",
            "-p",
            f"{name}:={value}",
        ],
        capture_output=True,
        text=True,
        timeout=START_S,
        check=False,
    )
    assert result.returncode == 2
    assert complaint in result.stderr
    assert "Traceback" not in result.stderr


@pytest.fixture(scope="module")
def real_time(xacro_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    log = tmp_path_factory.mktemp("real_time") / "log"
    running = Running(xacro_path, log, lockstep="false", state_hz=50.0, camera_hz=10.0)
    yield running
    running.close()


def test_real_time_runs_without_commands_at_the_asked_rates(real_time: Running) -> None:
    client = real_time.client
    for messages in client.received.values():
        messages.clear()
    client.spin_until(lambda: len(client.received["front"]) >= 4)
    fronts = [stamp_of(message) for message in client.received["front"]]
    # One message of each topic is taken at a time: of joint states some more may be waiting.
    client.spin_until(lambda: client.tick >= fronts[-1])
    joints = [stamp_of(message) for message in client.received["joints"]]
    assert set(np.diff(joints)) == {20_000_000}
    assert set(np.diff(fronts)) == {100_000_000}
    assert set(fronts[1:-1]) <= set(joints), "an image has the stamp of a joint state"


def test_real_time_follows_the_newest_command_whatever_its_stamp(real_time: Running) -> None:
    client = real_time.client
    goal = goal_of(client, 0.3)
    client.send(0, goal)
    client.spin_until(lambda: abs(client.received["joints"][-1].position[0] - goal[0]) < 0.01)


def test_real_time_holds_after_a_bad_command(real_time: Running) -> None:
    client = real_time.client
    known = len(real_time.errors())
    goal = goal_of(client, 1.0)
    message = JointState(name=list(JOINT_NAMES), position=goal, velocity=[0.2] * 6)
    client.commands.publish(message)
    client.spin_until(lambda: client.received["joints"][-1].position[0] > goal[0] - 0.95)
    client.send(0, [float("nan")] * 6)
    client.spin_until(lambda: len(real_time.errors()) > known)
    # Joint states from before the bad command may still be waiting; in those the arm moves.
    client.spin_until(lambda: abs(client.received["joints"][-1].velocity[0]) < 0.02)
    client.spin_through(0.4)
    held = client.received["joints"][-1].position[0]
    client.spin_through(0.4)
    assert client.received["joints"][-1].position[0] == pytest.approx(held, abs=0.005)
    assert held < goal[0] - 0.3
    assert "the arm holds until a good command comes" in real_time.errors()[-1]


def test_a_termination_signal_ends_the_node_cleanly(
    xacro_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    running = Running(xacro_path, tmp_path_factory.mktemp("end") / "log")
    assert running.close() == 0
    assert "Traceback" not in running.log.read_text()
