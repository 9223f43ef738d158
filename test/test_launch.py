"""The launch files and `hilrl up` start the same graphs. Needs `ros2 launch`, which has no wheel."""

import contextlib
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import yaml
from conftest import LONGER, QUICK, all_gone, node_processes
from domain_coordinator import domain_id
from follower_board import has_torque, was_let_down
from std_srvs.srv import SetBool

from hilrl import arm_graph, arm_up, graph, options, record
from hilrl.nodes import Node
from hilrl.parameter_files import merged
from hilrl.run_config import new_config
from hilrl.run_folder import RunFolder
from hilrl.supervisor import executable, ros_arguments
from hilrl_ros.testing import Probe

pytest.importorskip("launch_ros", reason="needs an installed ROS: launch_ros is not on the Python index")

pytestmark = pytest.mark.timeout(400)

TRAINED = {"seed": 5, "robot": "so101_b", "servo_lag_s": 0.05}
REAL = {"sim": False, "emulated": True, "operator": "human", "lockstep": False, "reward": "operator"}


class Launched:
    """`ros2 launch` as a user starts it, in a folder."""

    def __init__(self, folder: Path, file: str, *arguments: str) -> None:
        self.folder = folder
        self._output = folder / "output"
        with open(self._output, "w") as output:
            self.process = subprocess.Popen(
                ["ros2", "launch", "hilrl", file, *arguments],
                cwd=folder,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return self._output.read_text()

    def nodes(self, count: int) -> dict[str, psutil.Process]:
        """By name, once there are so many."""
        deadline = time.monotonic() + 60
        while len(found := node_processes(self.process.pid)) < count:
            assert time.monotonic() < deadline and self.process.poll() is None, self.output
            time.sleep(0.1)
        return found

    def ctrl_c(self) -> int:
        """As in a terminal: the signal reaches all that was started there. The exit status."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(60)


@contextlib.contextmanager
def launching(folder: Path, file: str, *arguments: str) -> Iterator[Launched]:
    """Ended at the end, whatever happens."""
    with domain_id() as domain, pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROS_DOMAIN_ID", str(domain))
        launched = Launched(folder, file, *arguments)
        try:
            yield launched
        finally:
            if launched.process.poll() is None:
                left = list(node_processes(launched.process.pid).values())
                launched.ctrl_c()
                assert all_gone(left, 1)


def as_arguments(choices: dict) -> list[str]:
    texts = {
        name: str(value).lower() if isinstance(value, bool) else value for name, value in choices.items()
    }
    return [f"{name}:={text}" for name, text in texts.items()]


def assert_same(launched: Launched, nodes: list[Node], folder: RunFolder) -> None:
    """What was launched are these nodes, with these arguments and parameters."""
    found = launched.nodes(len(nodes))
    assert set(found) == {node.name for node in nodes}
    parameter_file = folder.path / "parameters.yaml"
    parameters = yaml.safe_load(parameter_file.read_text())
    for node in nodes:
        program = str(executable(node))
        expected = [program, *ros_arguments(node, parameter_file)]
        started = found[node.name].cmdline()
        # Each argument of ROS stands for itself: their order is launch's own, and it begins them twice.
        assert rest_of(started[started.index(program) :]) == rest_of(expected)
        assert_gives_way(found[node.name], psutil.Process().nice() + node.niceness)
        given = parameters.get(node.fully_qualified_name, {"ros__parameters": {}})
        assert given["ros__parameters"] == dict(node.parameters)


def assert_gives_way(process: psutil.Process, niceness: int) -> None:
    """It is niced only once it runs."""
    deadline = time.monotonic() + 20
    while (found := process.nice()) != niceness:
        assert time.monotonic() < deadline, f"expected niceness {niceness}, got {found}"
        time.sleep(0.1)


def rest_of(command: list[str]) -> list[str]:
    return sorted(word for word in command if word != "--ros-args")


def emulated(folder: RunFolder) -> dict:
    """What the nodes of a real arm are connected to where `emulated` is chosen."""
    arm = {
        "port": str(folder.path / "follower" / "bus"),
        "calibration_file": str(folder.path / "follower" / "calibration.json"),
    }
    return {"arm": arm, "camera_front": {"device": "pattern"}, "camera_wrist": {"device": "pattern"}}


@pytest.fixture(scope="module")
def launched(tmp_path_factory):
    """(`ros2 launch` of a run with a few arguments, its folder), once all nodes run."""
    folder = tmp_path_factory.mktemp("launched")
    with launching(folder, "train.launch.py", "run:=here", *as_arguments(TRAINED)) as launched:
        launched.nodes(len(graph.TRAIN))
        yield launched, RunFolder(folder / "runs" / "here")


def test_train_is_launched_as_hilrl_brings_it_up(launched):
    launched, run = launched
    config = new_config(TRAINED, [])
    assert_same(launched, graph.train(config.options, config.parameters, run.path), run)


def test_a_launched_run_is_one_that_hilrl_can_go_on_with(launched):
    assert launched[1].load().options["seed"] == 5


def test_a_node_that_may_be_started_again_is(launched):
    launched, _ = launched
    launched.nodes(len(graph.TRAIN))["image_cropper"].kill()
    time.sleep(0.5)
    launched.nodes(len(graph.TRAIN))


def test_the_death_of_what_holds_the_arm_ends_the_launch(launched):
    launched, _ = launched
    nodes = launched.nodes(len(graph.TRAIN))
    nodes["intervention_mux"].kill()
    launched.process.wait(60)
    assert all_gone(list(nodes.values()), 1)


def learner(folder: Path) -> tuple[list[Node], RunFolder]:
    run = RunFolder(folder / "runs" / "here")
    config = new_config({"demonstrations": 3}, [])
    return graph.learn(config.options, config.parameters, run.path), run


def train_on_an_arm(folder: Path) -> tuple[list[Node], RunFolder]:
    run = RunFolder(folder / "runs" / "here")
    config = new_config({**REAL, "learner": "remote"}, [])
    return graph.train(config.options, merged([config.parameters, emulated(run)]), run.path), run


def record_on_an_arm(folder: Path) -> tuple[list[Node], RunFolder]:
    dataset = folder / "own"
    config, run = new_config(REAL, []), record.folder_of(dataset)
    parameters = merged([config.parameters, emulated(run)])
    return record.recording(config.options, parameters, dataset, 7, ""), run


def drive_in_simulation(folder: Path) -> tuple[list[Node], RunFolder]:
    config = new_config({**options.A_PERSON_DRIVES, "control_hz": 20.0}, [])
    return graph.teleop(config.options, config.parameters), RunFolder(folder / "runs" / "teleop-so101")


@pytest.mark.parametrize(
    ("file", "arguments", "brought_up"),
    [
        ("learner", ("run:=here", "demonstrations:=3"), learner),
        ("train", ("run:=here", *as_arguments(REAL), "learner:=remote"), train_on_an_arm),
        ("record", ("dataset:=own", "episodes:=7", *as_arguments(REAL)), record_on_an_arm),
        ("teleop", ("control_hz:=20.0",), drive_in_simulation),
    ],
)
def test_a_graph_is_launched_as_hilrl_brings_it_up(
    tmp_path, file, arguments, brought_up: Callable[[Path], tuple[list[Node], RunFolder]]
):
    nodes, folder = brought_up(tmp_path)
    with launching(tmp_path, f"{file}.launch.py", *arguments) as launched:
        assert_same(launched, nodes, folder)


def test_the_arms_are_launched_as_hilrl_brings_them_up(tmp_path):
    folder = RunFolder(tmp_path / "runs" / "arm-so101_b")
    chosen = options.defaults(options.ARM_OPTIONS) | {"robot": "so101_b"}
    for arm in ("follower", "leader"):
        chosen[f"{arm}_port"] = str(folder.path / arm / "bus")
        chosen[f"{arm}_calibration"] = str(folder.path / arm / "calibration.json")
    nodes = arm_graph.arms(chosen, arm_up.parameters(chosen, []))
    with launching(tmp_path, "arm.launch.py", "emulated:=true", "robot:=so101_b") as launched:
        assert_same(launched, nodes, folder)


def test_ctrl_c_lets_a_launched_arm_down(follower, tmp_path):
    arguments = [f"follower_port:={follower.port}", "follower_calibration:=follower.json", "sim:=false"]
    cameras = ["front_camera:=pattern", "wrist_camera:=pattern"]
    # Longer than launch would wait by itself.
    (tmp_path / "slowly.yaml").write_text("/**/arm: {ros__parameters: {ease_down_s: 7.0}}")
    slowly = "params_file:=slowly.yaml"
    with (
        launching(tmp_path, "teleop.launch.py", *arguments, *cameras, slowly) as launched,
        contextlib.closing(Probe("/so101")) as probe,
    ):
        nodes = launched.nodes(6)
        torque = probe.node.create_client(SetBool, "arm/enable_torque")
        deadline = time.monotonic() + 90
        while not all(has_torque(follower)):
            assert time.monotonic() < deadline, launched.output
            # On a busy machine the board may answer too late at first: torque is asked for again.
            probe.call(torque, SetBool.Request(data=True))
        launched.ctrl_c()
        assert all_gone(list(nodes.values()), 1)
        assert was_let_down(follower), launched.output


def test_a_policy_is_tried_by_launch_until_it_has_been_tried_often_enough(hilrl, tmp_path):
    command = hilrl("up", "train", "--run", "tried", *QUICK, *LONGER)
    assert command.wait(150) == 0, command.output
    with launching(tmp_path, "eval.launch.py", "run:=tried", "episodes:=2") as launched:
        assert launched.process.wait(150) == 0, launched.output
    results = json.loads((tmp_path / "runs" / "tried" / "log" / "evaluation_results.json").read_text())
    assert len(results["episodes"]) == 2


@pytest.mark.parametrize(
    ("file", "arguments", "message"),
    [
        ("train", ("sim:=false",), "sim: a real arm needs"),
        ("train", ("rviz:=perhaps",), "Valid options are: ('true', 'false')"),
        ("record", ("dataset:=d", "episodes:=0"), "episodes: expected a whole number of at least 1, got '0'"),
        ("teleop", ("ros2_control:=true",), "ros2_control: expected a real arm, the simulated one has no"),
        ("eval", ("run:=none",), "config.yaml: no such file; is none a run?"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, file, arguments, message):
    with launching(tmp_path, f"{file}.launch.py", *arguments) as launched:
        assert launched.process.wait(60) == 1
        assert message in launched.output


@pytest.mark.parametrize(
    ("file", "table"),
    [
        ("train.launch.py", options.OPTIONS),
        ("record.launch.py", options.OPTIONS),
        ("teleop.launch.py", options.TELEOP_OPTIONS),
        ("learner.launch.py", options.LEARNER_OPTIONS),
        ("arm.launch.py", options.ARM_OPTIONS),
        ("eval.launch.py", ()),
    ],
)
def test_show_args_tells_every_option_with_its_default(file, table):
    shown = subprocess.run(
        ["ros2", "launch", "hilrl", file, "--show-args"],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stdout
    for option in table:
        pattern = rf"'{option.name}':\s+{re.escape(option.description)}.*?\(default: '(.*?)'\)"
        assert re.search(pattern, shown, re.DOTALL)[1] == option.default_text
    assert "no description given" not in shown
