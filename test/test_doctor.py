"""`hilrl doctor` and `hilrl param` on a real graph, to which something is done.

The tests share one graph in real time; each undoes its fault.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import yaml
from conftest import Command
from domain_coordinator import domain_id

PRESETS = sorted((Path(__file__).resolve().parents[1] / "config" / "presets").glob("*.yaml"))
PATIENCE_S = 120.0
pytestmark = pytest.mark.timeout(400)
MEDDLER = """
import sys, rclpy
from sensor_msgs.msg import JointState
rclpy.init()
node = rclpy.create_node("meddler", namespace="/so101")
node.create_publisher(JointState, "joint_commands", 1)
node.create_timer(0.1, lambda: None)  # DDS may miss the wake-up for a signal
rclpy.spin(node)
"""


class Desk:
    """A run that is up, and a shell beside it."""

    def __init__(self, graph: Command) -> None:
        self.graph, self.folder = graph, graph.folder

    def ask(self, *arguments: str) -> tuple[int, str]:
        """The exit status of a command and what it prints."""
        command = Command(self.folder, *arguments)
        try:
            status = command.wait(PATIENCE_S)
            # DDS complains of what killed processes of this machine have left behind.
            lines = command.output.splitlines(keepends=True)
            return status, "".join(line for line in lines if "RTPS_TRANSPORT_SHM" not in line)
        finally:
            command.close()

    def doctor_says(self, *words: str) -> str:
        """What it prints once that has all the words; a graph takes its time to notice."""
        deadline_s = time.monotonic() + PATIENCE_S
        while True:
            status, said = self.ask("doctor", "--graph")
            if status == 1 and all(word in said for word in words):
                return said
            assert time.monotonic() < deadline_s, f"expected 1 and {words}, got {status}:\n{said}"

    def doctor_says_no_more(self, *words: str) -> None:
        """Waits until none of the words is left. On a busy machine there may be other complaints."""
        deadline_s = time.monotonic() + PATIENCE_S
        while True:
            status, said = self.ask("doctor", "--graph")
            if "nodes are well" in said and not any(word in said for word in words):
                assert status == ("Nothing is wrong." not in said), said
                return
            assert time.monotonic() < deadline_s, f"expected none of {words}, got {status}:\n{said}"

    @contextmanager
    def stopped(self, name: str) -> Iterator[None]:
        """While a node hangs."""
        process: psutil.Process = self.graph.nodes()[name]
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("desk")
    arguments = ("--lockstep", "false", "--duration-s", "0", "--demonstrations", "1000")
    graph = Command(folder, "up", "train", "--run", "desk", *arguments)
    try:
        graph.wait_for_nodes()
        desk = Desk(graph)
        desk.doctor_says_no_more("does not answer", "says nothing", "in trouble")
        yield desk
    finally:
        graph.close()


def test_a_cropper_that_hangs_is_named_and_so_is_who_waits_for_it(desk):
    with desk.stopped("image_cropper"):
        desk.doctor_says(
            "/so101/image_cropper does not answer",
            "/so101/actor: node is in trouble: no camera/front/image_crop for",
            "is image_cropper running",
        )
    desk.doctor_says_no_more("does not answer", "no camera/front/image_crop")


def test_a_learner_that_hangs_is_named_and_the_actor_misses_it(desk):
    with desk.stopped("learner"):
        desk.doctor_says("/learner does not answer", "no /learner/ack for", "is the learner running")
    desk.doctor_says_no_more("/learner does not answer", "no /learner/ack for")


def test_a_second_publisher_of_joint_commands_is_named(desk):
    domain = (desk.folder / "runs" / "desk" / "ros_domain_id").read_text()
    env = {**os.environ, "ROS_DOMAIN_ID": domain, "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    meddler = subprocess.Popen([sys.executable, "-c", MEDDLER], env=env)
    try:
        desk.doctor_says(
            "/so101/joint_commands has 2 publishers, expected one: /so101/ee_controller, /so101/meddler"
        )
    finally:
        meddler.terminate()
        meddler.wait(20)
    desk.doctor_says_no_more("has 2 publishers")


def test_a_node_with_another_control_rate_is_named(desk):
    assert desk.ask("param", "set", "intervention_mux", "control_hz", "20")[0] == 0
    desk.doctor_says(
        "control_hz differs between nodes that must agree",
        "/so101/intervention_mux 20.0",
        "/so101/actor 10.0",
    )
    assert desk.ask("param", "set", "intervention_mux", "control_hz", "10.0")[0] == 0
    desk.doctor_says_no_more("control_hz differs")


def test_a_parameter_is_shown_set_and_described(desk):
    assert desk.ask("param", "get", "ee_controller", "step_m") == (0, "step_m: 0.02\n")
    assert desk.ask("param", "set", "/so101/ee_controller", "leash_m", "0.07")[0] == 0
    assert desk.ask("param", "get", "ee_controller", "leash_m")[1] == "leash_m: 0.07\n"
    status, said = desk.ask("param", "describe", "ee_controller", "step_m")
    assert status == 0 and "from 0.001 to 0.1; tunable" in said
    status, said = desk.ask("param", "list")
    assert status == 0 and "/learner:\n" in said and "  step_m\n" in said
    status, said = desk.ask("param", "dump", "ee_controller")
    assert yaml.safe_load(said)["/so101/ee_controller"]["ros__parameters"]["leash_m"] == 0.07


def test_a_node_of_the_graph_that_is_not_there_is_named_and_all_others_are_shown(desk):
    parameters = desk.folder / "runs" / "desk" / "parameters.yaml"
    text = parameters.read_text()
    parameters.write_text(f"{text}/so101/lost:\n  ros__parameters: {{}}\n")
    try:
        status, said = desk.ask("param", "list")
    finally:
        parameters.write_text(text)
    assert status == 1 and "/so101/lost: was started and does not answer" in said
    assert "/learner:\n" in said and "/so101/ee_controller:\n" in said


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("ee_controller", "step_m", "5.0"), 1, "refuses it: Parameter step_m out of range"),
        (("ee_controller", "step_m", "far"), 1, "refuses it: Wrong parameter type"),
        (("ee_controller", "control_hz", "20.0"), 1, "read-only"),
        (("ee_controller", "leash_m=0.05", "step_m=5.0"), 1, "refuses it: Parameter step_m out of range"),
        (("ee_controller", "workspace_max=[0.1,0.1,0.1]"), 1, "expected less than workspace_max x"),
        (("ee_controller", "stepm", "0.01"), 2, "no such parameter; the nearest is 'step_m'"),
        (("ee_control", "step_m", "0.01"), 2, "node 'ee_control': does not run"),
        (("ee_controller", "step_m"), 2, "'step_m': expected NAME VALUE"),
        (("ee_controller", "step_m=[1"), 2, "step_m: expected a YAML value"),
    ],
)  # fmt: skip
def test_what_is_refused_says_why_and_changes_nothing(desk, arguments, status, words):
    before = desk.ask("param", "dump", "ee_controller")[1]
    got, said = desk.ask("param", "set", *arguments)
    assert got == status and words in said, said
    assert desk.ask("param", "dump", "ee_controller")[1] == before


def test_a_box_is_moved_by_setting_both_corners_at_once(desk):
    corners = ("workspace_min=[0.33,-0.1,0.0]", "workspace_max=[0.36,0.1,0.2]")
    assert desk.ask("param", "set", "ee_controller", corners[0])[0] == 1
    assert desk.ask("param", "set", "ee_controller", *corners)[0] == 0
    assert desk.ask("param", "set", "ee_controller", "workspace_min=[0.12,-0.15,0.005]",
                    "workspace_max=[0.32,0.15,0.22]")[0] == 0  # fmt: skip


def test_a_file_is_laid_over_a_running_graph_and_what_it_cannot_change_is_said(desk):
    file = desk.folder / "own.yaml"
    file.write_text(
        "/**/ee_controller: {ros__parameters: {leash_m: 0.06, control_hz: 20.0}}\n"
        "/**/learner: {ros__parameters: {max_updates_per_env_step: 2}}\n"
        "/**/arm: {ros__parameters: {ramp_speed: 0.2}}\n"
    )
    status, said = desk.ask("param", "load", str(file))
    assert status == 1
    assert "/so101/ee_controller leash_m: " in said and "-> 0.06" in said
    assert "/so101/ee_controller control_hz: stays 10.0: it is fixed while the node runs" in said
    assert "/learner max_updates_per_env_step: 4.0 -> 2" in said
    assert "arm: does not run; nothing to set" in said


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.stem)
def test_a_preset_is_taken_by_a_running_graph_as_a_whole(desk, preset):
    status, said = desk.ask("param", "load", str(preset))
    assert status == 0, said
    status, said = desk.ask("param", "dump", "ee_controller")
    now = yaml.safe_load(said)["/so101/ee_controller"]["ros__parameters"]
    wanted = yaml.safe_load(preset.read_text())["/**/ee_controller"]["ros__parameters"]
    assert {name: now[name] for name in wanted} == wanted


def test_a_crop_beyond_the_frame_is_named(hilrl: Callable[..., Command]):
    arguments = ("--lockstep", "false", "--duration-s", "0", "--params-file", str(PRESETS[0]))
    graph = hilrl("up", "train", *arguments, "--set", "image_cropper.crop.front=[0, 0, 5000, 5000]")
    graph.wait_for_nodes()
    said = Desk(graph).doctor_says(
        "/so101/image_cropper: node warns: refuses what comes in: camera front: ",
        "no camera/front/image_crop",
    )
    assert "differs" not in said, "a preset that starts a graph agrees with itself"


FULL = """
mount -t tmpfs -o size=1m tmpfs /dev/shm
head -c 2m /dev/zero > /dev/shm/full
exec hilrl doctor
"""


def test_full_shared_memory_is_named(tmp_path):
    unshare = ["unshare", "--map-root-user", "--mount"]
    if subprocess.run([*unshare, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], check=False).returncode:
        pytest.skip("this machine lets nobody mount a /dev/shm of their own")
    done = subprocess.run(
        [*unshare, "sh", "-c", FULL], cwd=tmp_path, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 1
    assert "0 MiB of shared memory are free, expected 64 MiB in /dev/shm" in done.stdout
    assert "--shm-size=1g" in done.stdout and "Nothing else was looked at" in done.stdout


def test_a_machine_without_faults_is_told_so_and_no_graph_is_no_fault(hilrl):
    with domain_id() as domain:
        command = hilrl("doctor", domain=domain)
        status = command.wait(PATIENCE_S)
    assert "DDS finds a neighbour" in command.output and "no graph runs" in command.output
    assert status == (1 if "wrong " in command.output else 0)
