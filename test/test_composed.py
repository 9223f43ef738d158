"""The robot's nodes in one process: the same graph, and one fault ends all."""

import psutil
import pytest
import rclpy
from conftest import LONGER, QUICK, command_line, metrics

from hilrl import graph
from hilrl.run_config import new_config

SHARED = {"image_cropper", "ee_controller", "intervention_mux", "actor"}

pytestmark = pytest.mark.timeout(400)


def nodes(tmp_path, **choices):
    config = new_config({"composed": True, **choices}, [])
    return graph.train(config.options, config.parameters, tmp_path)


@pytest.mark.parametrize("lockstep", [True, False])
def test_only_the_process_is_shared(tmp_path, lockstep):
    alone = nodes(tmp_path, composed=False, lockstep=lockstep)
    together = nodes(tmp_path, lockstep=lockstep)
    assert graph.parameters_by_name(together) == graph.parameters_by_name(alone)
    assert {part.name for node in together for part in node.components} == SHARED
    assert {n.name for n in together if not n.components} == {n.name for n in alone} - SHARED


def test_it_learns_and_its_nodes_keep_their_names(hilrl, tmp_path):
    command = hilrl("up", "train", "--run", "shared", "--composed", "true", *QUICK, *LONGER)
    run = tmp_path / "runs" / "shared"
    command.wait_until((run / "ros_domain_id").exists, 60)
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=int((run / "ros_domain_id").read_text()))
    onlooker = rclpy.create_node("onlooker", context=context)
    wanted = {(name, "/so101") for name in SHARED}
    command.wait_until(lambda: wanted <= set(onlooker.get_node_names_and_namespaces()), 60)
    onlooker.destroy_node()
    context.shutdown()
    assert command.wait(240) == 0, command.output
    assert metrics(run)[-1]["critic_updates"] > 0


def test_a_fault_in_one_ends_all(hilrl, tmp_path):
    command = hilrl("up", "train", "--run", "shared", "--composed", "true", "--duration-s", "0")

    def shared() -> list[psutil.Process]:
        below = psutil.Process(command.process.pid).children(recursive=True)
        return [process for process in below if "lib/hilrl/composed" in command_line(process)]

    command.wait_until(shared, 60)
    shared()[0].kill()
    assert command.wait(60) == 1
    assert "robot_side ended (SIGKILL) and is not started again" in command.output
