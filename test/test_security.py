"""The policy for SROS2 against the graphs as they run: each node has what it may, and may what it has."""

import os
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import pytest
from fleet import LEARNER, Fleet

from hilrl import boards, graph, nodes, security
from hilrl.run_config import new_config
from hilrl.run_folder import RunFolder
from hilrl_ros.testing import Probe

pytestmark = pytest.mark.timeout(600)

ROBOT = "so101"
PATIENCE_S = 120.0
SETTLED_S = 4.0
"""Longer than DDS takes to tell what a node has."""
ON_A_TERMINAL = [sys.executable, "-c", "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]))"]
KEYBOARD = replace(nodes.JOY_TELEOP, executable="keyboard_teleop", name="keyboard_teleop")
SIMULATED = {"lockstep": False, "reward": "rule"}
REAL = {
    "sim": False,
    "emulated": True,
    "lockstep": False,
    "operator": "human",
    "devices": "joy,leader",
    "reward": "rule",
    "reward_rule": "gripper_width",
}
LEFT_OUT = {"reward_classifier", "replay_episode", "mcap_recorder", "rviz2", "robot_state_publisher"}
"""Nodes without a profile: what they have was not compared with one."""
Rights = Mapping[tuple[str, str], frozenset[str]]
"""Names by node and kind: publish, subscribe, reply or request."""


def simulated(folder: Path, resources: ExitStack) -> Fleet:
    """A simulated arm that learns from a scripted operator, and somebody who looks on."""
    fleet = resources.enter_context(closing(Fleet(folder, {ROBOT: 0}, SIMULATED)))
    display = nodes.WORKSPACE_DISPLAY
    for node in graph.placed([display], ROBOT, {display.name: {"use_sim_time": True}}):
        fleet.nodes[node.fully_qualified_name] = node
    return fleet


def real(folder: Path, resources: ExitStack) -> Fleet:
    """The drivers on emulated boards, a person's devices, and the recorder in the learner's place."""
    fleet = resources.enter_context(closing(Fleet(folder, {ROBOT: 0}, REAL)))
    chosen = new_config(REAL, []).options
    here = boards.parameters(chosen, RunFolder(folder / "run"), resources)
    here["recorder"] = {"dataset": str(folder / "dataset"), "task_text": "Lift the cube."}
    further = graph.placed([nodes.RECORDER, KEYBOARD], ROBOT, {})
    del fleet.nodes[LEARNER]
    fleet.nodes |= {node.fully_qualified_name: node for node in further}
    fleet.nodes = {
        name: replace(node, parameters={**node.parameters, **here.get(node.name, {})})
        for name, node in fleet.nodes.items()
    }
    fleet.before[f"/{ROBOT}/keyboard_teleop"] = ON_A_TERMINAL
    return fleet


def seen(probe: Probe, names: set[str]) -> Rights:
    """What DDS says that these nodes have."""
    found = {}
    for node, namespace in probe.node.get_node_names_and_namespaces():
        name = f"{namespace.rstrip('/')}/{node}"
        if name not in names:
            continue
        for kind, ask in (
            ("publish", probe.node.get_publisher_names_and_types_by_node),
            ("subscribe", probe.node.get_subscriber_names_and_types_by_node),
            ("reply", probe.node.get_service_names_and_types_by_node),
            ("request", probe.node.get_client_names_and_types_by_node),
        ):
            found[name, kind] = frozenset(topic for topic, _ in ask(node, namespace))
    return found


def start_again(fleet: Fleet) -> None:
    """A driver that has ended: an emulated board answers late where the machine is busy."""
    for name in fleet.ended():
        assert fleet.nodes[name].has_motors, fleet.output(name)
        fleet.start(name)


def meet(fleet: Fleet, probe: Probe) -> None:
    """Until every node spins. Before, it may look for others of its kind, or for a board, for seconds."""

    def is_there(name: str) -> bool:
        start_again(fleet)
        return f"{name}/list_parameters" in dict(probe.node.get_service_names_and_types())

    for name in fleet.nodes:
        probe.spin_until(lambda name=name: is_there(name), PATIENCE_S)
        probe.meet(name)


def settled(fleet: Fleet, probe: Probe) -> Rights:
    """What all nodes have, once nothing has been added for a while."""
    meet(fleet, probe)
    before, deadline = {}, time.monotonic() + PATIENCE_S
    while True:
        probe.spin_for(SETTLED_S)
        start_again(fleet)
        rights = seen(probe, set(fleet.nodes))
        missing = [name for name in fleet.nodes if not rights.get((name, "reply"))]
        if not missing and rights == before:
            return rights
        before = rights
        assert time.monotonic() < deadline, f"not there, or not settled: {missing}"


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> list[Rights]:
    """Of both graphs, one after the other."""
    found = []
    for make in (simulated, real):
        with ExitStack() as resources, closing(Probe("/watch")) as probe:
            fleet = make(tmp_path_factory.mktemp("graph"), resources)
            fleet.environment["ROS_DOMAIN_ID"] = os.environ["ROS_DOMAIN_ID"]
            fleet.start(*fleet.nodes)
            found.append(settled(fleet, probe))
    return found


@pytest.fixture(scope="module")
def policy() -> Rights:
    return security.rights(security.policy_for([ROBOT]))


def test_no_node_has_what_it_may_not(graphs, policy):
    too_much = {
        key: sorted(names - policy.get(key, frozenset()))
        for rights in graphs
        for key, names in rights.items()
        if names - policy.get(key, frozenset())
    }
    assert not too_much


def test_no_node_may_what_it_never_has(graphs, policy):
    used = {key: frozenset().union(*(rights.get(key, frozenset()) for rights in graphs)) for key in policy}
    unused = {key: sorted(names - used[key]) for key, names in policy.items() if names - used[key]}
    # A simulator gives the reward itself where no rule does.
    assert unused == {(f"/{ROBOT}/sim", "publish"): [f"/{ROBOT}/reward"]}


def test_every_program_of_ours_that_the_policy_leaves_out_is_named():
    """A new node needs a profile, or a place on this list."""
    have_one = {node.rsplit("/", 1)[1] for node, _ in security.rights(security.policy_for([ROBOT]))}
    assert graph.NODE_NAMES - have_one == LEFT_OUT


def test_a_second_robot_may_nothing_of_the_first(policy):
    rights = security.rights(security.policy_for([ROBOT, "so101_b"]))
    for (node, kind), names in rights.items():
        if node.startswith("/so101_b/"):
            assert not any(name.startswith(f"/{ROBOT}/") for name in names), (node, kind)
    assert rights["/so101_b/actor", "publish"] >= {"/learner/steps", "/so101_b/episode"}
    assert {key: names for key, names in rights.items() if not key[0].startswith("/so101_b/")} == policy


def test_the_learner_reaches_nothing_that_moves(policy):
    for kind in ("publish", "request"):
        assert not any(name.startswith(f"/{ROBOT}/") for name in policy.get(("/learner", kind), ()))


def test_only_the_controller_commands_the_arm_and_only_the_mux_the_controller(policy):
    def who_may(kind: str, name: str) -> set[str]:
        return {node for (node, what), names in policy.items() if what == kind and name in names}

    assert who_may("publish", f"/{ROBOT}/joint_commands") == {f"/{ROBOT}/ee_controller"}
    assert who_may("publish", f"/{ROBOT}/action") == {f"/{ROBOT}/intervention_mux"}
    assert who_may("publish", "/learner/policy") == {LEARNER}


def test_an_unsafe_robot_name_is_refused():
    with pytest.raises(ValueError, match=r"robot: expected a ROS name, got 'so 101'"):
        security.policy_for(["so 101"])


def test_a_missing_sros2_is_said_before_anything_is_made(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match=r"security: expected `ros2 security`"):
        security.make_keystore(tmp_path / "keys", [ROBOT])
    assert not (tmp_path / "keys").exists()


def test_without_its_keys_no_node_starts(tmp_path):
    """Security that is asked for and not to be had stops a node."""
    with closing(Fleet(tmp_path, {ROBOT: 0}, {})) as fleet:
        fleet.environment |= {
            "ROS_SECURITY_ENABLE": "true",
            "ROS_SECURITY_STRATEGY": "Enforce",
            "ROS_SECURITY_KEYSTORE": str(tmp_path),
        }
        fleet.start(f"/{ROBOT}/intervention_mux")
        deadline = time.monotonic() + PATIENCE_S
        while not fleet.ended():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert f"/enclaves/{ROBOT}/intervention_mux" in fleet.output(f"/{ROBOT}/intervention_mux")
