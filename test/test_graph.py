"""The graph as data, and what is made of it."""

import re
from pathlib import Path

import pytest
import rclpy.node
import yaml
from ament_index_python.packages import get_package_share_directory

from hilrl import arm_graph, arm_up, graph, options, parameter_files
from hilrl.packages import is_installed
from hilrl.run_config import new_config
from hilrl.supervisor import GRACE_S, executable, grace_s, ros_arguments
from hilrl_hardware.arm_parameters import parameter_table


def train(**choices):
    config = new_config(choices, [])
    return {node.name: node for node in graph.train(config.options, config.parameters, Path("r"))}


def test_the_package_installs_the_top_level_folders():
    share = Path(get_package_share_directory("hilrl"))
    for path in ("launch/train.launch.py", "launch/arm.launch.py", "config/train.yaml", "config/arm.yaml"):
        assert (share / path).is_file()
    assert (share / "urdf" / "so101.urdf.xacro").is_file()


def test_every_program_of_the_graphs_is_installed():
    for node in (*graph.TRAIN, *graph.OPTIONAL):
        # Others come with an installed ROS.
        if node.package.startswith("hilrl"):
            assert executable(node).is_file()


def test_only_the_learner_is_outside_the_namespace_of_the_robot():
    nodes = train(robot="so101_b")
    assert nodes["learner"].fully_qualified_name == "/learner"
    others = set(nodes) - {"learner"}
    assert {nodes[n].fully_qualified_name for n in others} == {f"/so101_b/{n}" for n in others}


def test_robot_side_nodes_follow_the_clock_of_the_simulator():
    nodes = train(lockstep=False)
    follow = {name for name, node in nodes.items() if node.parameters.get("use_sim_time")}
    assert follow == set(nodes) - {"sim", "learner"}


def test_in_lockstep_no_node_wakes_up_for_the_clock():
    assert not any(node.parameters.get("use_sim_time") for node in train().values())


def test_the_side_that_can_wait_gives_way():
    for lockstep in (True, False):
        gives_way = {name for name, node in train(lockstep=lockstep).items() if node.niceness > 0}
        assert gives_way == (set(train()) - {"learner"} if lockstep else {"learner"})


def test_what_holds_the_state_of_the_arm_is_not_respawned():
    stay_down = {name for name, node in train().items() if not node.respawn}
    assert stay_down == {"sim", "ee_controller", "intervention_mux"}


def test_an_option_reaches_every_parameter_that_it_names():
    nodes = train(seed=7, control_hz=20.0)
    for option in (options.BY_NAME["seed"], options.BY_NAME["control_hz"]):
        for target in option.sets:
            node, parameter = target.split(".")
            assert nodes[node].parameters[parameter] == {"seed": 7, "control_hz": 20.0}[option.name]


def test_every_option_names_nodes_of_the_graph():
    for table, names in (
        (options.OPTIONS, graph.NODE_NAMES),
        (options.ARM_OPTIONS, arm_graph.NODE_NAMES),
    ):
        assert {target.split(".")[0] for option in table for target in option.sets} <= names


def test_a_person_has_no_scripted_rival_and_is_not_awaited():
    nodes = train(operator="human", lockstep=False)
    assert "scripted_operator" not in nodes
    assert "lockstep_devices" not in nodes["intervention_mux"].parameters
    with pytest.raises(ValueError, match="operator: a human needs real time"):
        train(operator="human")


def test_a_person_gets_the_devices_asked_for():
    nodes = train(operator="human", lockstep=False, devices="joy, leader", leader_port="/dev/x")
    assert {"joy_teleop", "gamepad", "leader_teleop", "leader_arm"} <= set(nodes)
    keyboard = train(operator="human", lockstep=False, devices="keyboard")["keyboard_teleop"]
    assert keyboard.parameters == {"keys_from": "auto", "deadman_key": "right_ctrl"}
    assert nodes["leader_arm"].parameters["role"] == "leader"
    assert nodes["leader_arm"].parameters["port"] == "/dev/x"
    assert nodes["leader_arm"].has_motors and not nodes["leader_arm"].respawn
    assert not {"joy_teleop", "leader_arm"} & set(train(operator="human", lockstep=False))
    with pytest.raises(ValueError, match=r"devices: expected .* 'keyboard', 'leader'\], got 'pedal'"):
        train(operator="human", lockstep=False, devices="joy,pedal")
    with pytest.raises(ValueError, match="devices: a scripted operator has none"):
        train(devices="joy")


def test_the_leader_arm_works_in_the_bounds_of_the_controller():
    assignments = [("ee_controller", "step_m", 0.01), ("ee_controller", "workspace_min", [0.1, -0.1, 0.0])]
    config = new_config({}, assignments)
    assert config.parameters["leader_teleop"] == {"step_m": 0.01, "workspace_min": [0.1, -0.1, 0.0]}
    config = new_config({}, [*assignments, ("leader_teleop", "step_m", 0.005)])
    assert config.parameters["leader_teleop"]["step_m"] == 0.005


def test_a_person_gets_more_time_unless_a_file_or_an_assignment_says_otherwise(tmp_path):
    human = {"operator": "human", "lockstep": False, "control_hz": 20.0}
    assert train(**human)["actor"].parameters["max_episode_steps"] == 600
    file = tmp_path / "own.yaml"
    file.write_text("/**/actor: {ros__parameters: {max_episode_steps: 80}}")
    config = new_config({**human, "params_file": str(file)}, [])
    assert config.parameters["actor"]["max_episode_steps"] == 80


def test_one_node_alone_says_what_the_reward_is():
    nodes = train(reward="classifier", reward_model="m.safetensors")
    assert nodes["reward_classifier"].parameters["model_file"] == "m.safetensors"
    assert ("reward", "sim/reward") in nodes["sim"].remappings
    nodes = train(reward="rule", reward_rule="ee_pose")
    assert nodes["reward_rule"].parameters["rule"] == "ee_pose"
    nodes = train(reward="operator", operator="human", lockstep=False)
    assert nodes["reward_rule"].parameters["rule"] == "never"
    nodes = train()
    assert not {"reward_rule", "reward_classifier"} & set(nodes) and not nodes["sim"].remappings
    with pytest.raises(ValueError, match="reward_model: expected the file of a model"):
        train(reward="classifier")
    with pytest.raises(ValueError, match="reward: a scripted operator presses no buttons"):
        train(reward="operator")


def test_an_evaluation_is_judged_by_the_simulator_whatever_trained():
    config = new_config({"reward": "rule"}, [])
    nodes = graph.evaluate(config.options, config.parameters, Path("r"), {})
    assert not any(node.remappings for node in nodes)
    assert "reward_rule" not in {node.name for node in nodes}


def test_evaluation_runs_the_policy_alone_under_the_parameters_of_the_run():
    config = new_config({"servo_lag_s": 0.05}, [])
    nodes = {
        node.name: node
        for node in graph.evaluate(config.options, config.parameters, Path("r"), {"evaluation_episodes": 7})
    }
    assert set(nodes) == {"sim", "image_cropper", "ee_controller", "intervention_mux", "actor"}
    assert nodes["sim"].parameters == train(servo_lag_s=0.05)["sim"].parameters
    assert nodes["actor"].parameters["mode"] == "evaluate"
    assert nodes["actor"].parameters["evaluation_episodes"] == 7
    assert "lockstep_devices" not in nodes["intervention_mux"].parameters


REAL = {"sim": False, "operator": "human", "lockstep": False, "reward": "operator"}


def real(**choices):
    return train(**{**REAL, **choices})


def test_a_real_arm_has_a_driver_and_cameras_where_a_simulated_one_has_the_simulator():
    simulated, on_the_arm = train(operator="human", lockstep=False, reward="operator"), real()
    assert set(simulated) - set(on_the_arm) == {"sim"}
    assert set(on_the_arm) - set(simulated) == {"arm", "camera_front", "camera_wrist"}
    assert on_the_arm["arm"].has_motors and not on_the_arm["arm"].respawn
    assert on_the_arm["camera_wrist"].parameters == {"camera": "wrist", "device": "/dev/video2"}
    assert on_the_arm["actor"].parameters["sim_reset"] is False
    assert not any(node.parameters.get("use_sim_time") for node in on_the_arm.values())
    # Reliable frames are for a simulator in lockstep; a camera drops some.
    assert "reliable" not in on_the_arm["image_cropper"].parameters


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"operator": "scripted"}, "sim: a real arm needs .* got operator scripted, lockstep false"),
        ({"lockstep": True}, "sim: a real arm needs .* lockstep true"),
        ({"reward": "sim"}, "sim: a real arm needs .* reward sim"),
        ({"reward": "rule"}, "reward_rule: object_height is known of a simulated object only"),
        ({"front_camera": ""}, "front_camera: expected a device, got none"),
        ({"leader_port": "/dev/so101_follower"}, "leader_port: /dev/so101_follower is the follower's"),
        ({"sim": True, "emulated": True}, "emulated: a simulated arm has no board"),
    ],
)
def test_a_real_arm_is_refused_what_only_a_simulated_one_has(choices, message):
    with pytest.raises(ValueError, match=message):
        real(**choices)


def test_a_real_arm_is_tried_beside_its_person_and_a_simulated_one_alone():
    choices = {
        "sim": False,
        "operator": "human",
        "lockstep": False,
        "reward": "operator",
        "devices": "leader",
    }
    config = new_config(choices, [])
    nodes = {node.name for node in graph.evaluate(config.options, config.parameters, Path("r"), {})}
    assert {"arm", "reward_rule", "leader_arm", "leader_teleop"} <= nodes


def test_an_arm_that_is_only_driven_has_nothing_that_judges_or_learns():
    for sim in (True, False):
        config = new_config({"sim": sim, **options.A_PERSON_DRIVES}, [])
        nodes = {node.name for node in graph.teleop(config.options, config.parameters)}
        body = {"sim"} if sim else {"arm", "camera_front", "camera_wrist"}
        assert nodes == {*body, "image_cropper", "ee_controller", "intervention_mux"}


def test_a_learner_elsewhere_is_not_started_here():
    here, elsewhere = train(), train(learner="remote", robot="so101_b")
    assert set(here) - set(elsewhere) == {"learner"}
    # Its own name: the learner may hear of other arms.
    assert elsewhere["actor"].parameters["actor_id"] == "so101_b"
    config = new_config({}, [])
    (learner,) = graph.learn(config.options, config.parameters, Path("r"))
    assert learner.parameters == here["learner"].parameters and learner.fully_qualified_name == "/learner"


@pytest.mark.parametrize(("option", "package"), [("rviz", "rviz2"), ("moveit", "moveit_py")])
def test_what_is_not_installed_is_named_with_the_way_to_install_it(option, package):
    if is_installed(package):
        pytest.skip(f"{package} is installed")
    name = package.replace("_", "-")
    with pytest.raises(ValueError, match=f"{option}: .*{package}.* sudo apt install .*ros-jazzy-{name}"):
        train(**{option: True})


def test_files_yield_to_options_and_options_to_assignments(tmp_path):
    extra = tmp_path / "extra.yaml"
    extra.write_text("/**/sim: {ros__parameters: {seed: 3, image_size: 64, servo_lag_s: 0.5}}")
    config = new_config({"params_file": str(extra), "seed": 4}, [("sim", "servo_lag_s", 0.1)])
    sim = config.parameters["sim"]
    assert (sim["seed"], sim["image_size"], sim["servo_lag_s"]) == (4, 64, 0.1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("/**/leg: {ros__parameters: {x: 1}}", r"\['leg'\]: no such node, expected \['actor'"),
        ("/**/sim: {x: 1}", "sim: expected a block ros__parameters, got {'x': 1}"),
        ("a: [", "expected a readable YAML file"),
        ("3", "expected node names at the top, got 3"),
    ],
)
def test_a_bad_parameter_file_is_named(tmp_path, text, message):
    bad = tmp_path / "bad.yaml"
    bad.write_text(text)
    with pytest.raises(ValueError, match=message):
        new_config({"params_file": str(bad)}, [])


@pytest.mark.parametrize("text", ["x", "sim=1", "sim.=1", ".x=1"])
def test_a_bad_assignment_is_refused(text):
    with pytest.raises(ValueError, match=r"expected NODE\.PARAMETER=VALUE"):
        parameter_files.parse_assignment(text)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("task", "dance", r"task: expected one of \['lift', 'place'\], got 'dance'"),
        ("seed", "1.5", "seed: expected an integer, got '1.5'"),
        ("duration_s", "nan", "duration_s: expected at least 0.0, got nan"),
        ("lockstep", "maybe", "lockstep: expected true or false, got 'maybe'"),
    ],
)
def test_a_bad_option_says_what_was_expected_and_what_came(name, text, message):
    with pytest.raises(ValueError, match=message):
        options.BY_NAME[name].parse(text)


def test_the_parameter_file_of_a_run_reads_back_as_written():
    nodes = train().values()
    document = yaml.safe_load(
        parameter_files.dump({node.fully_qualified_name: node.parameters for node in nodes})
    )
    for node in nodes:
        assert document[node.fully_qualified_name]["ros__parameters"] == node.parameters


def test_texts_stay_texts_to_the_parser_of_ros(tmp_path):
    """It takes a bare y for a boolean, and refuses a list of unlike types."""
    path = tmp_path / "p.yaml"
    path.write_text(parameter_files.dump({"/n": {"axes": ["x", "y", "n"], "one": "1", "rate": 1e-5}}))
    context = rclpy.Context()
    rclpy.init(args=["--ros-args", "--params-file", str(path)], context=context)
    node = rclpy.node.Node("n", context=context, automatically_declare_parameters_from_overrides=True)
    values = {name: node.get_parameter(name).value for name in ("axes", "one", "rate")}
    node.destroy_node()
    rclpy.shutdown(context=context)
    assert values == {"axes": ["x", "y", "n"], "one": "1", "rate": 1e-5}


def test_node_arguments_carry_names_remappings_enclave_and_parameters():
    node = graph.Node("p", "x", "n", respawn=True, namespace="/ns", remappings=(("a", "b"),))
    assert ros_arguments(node, Path("/f.yaml")) == (
        ["--ros-args", "-r", "__node:=n", "-r", "__ns:=/ns", "-r", "a:=b"]
        + ["--enclave", "/ns/n", "--params-file", "/f.yaml"]
    )


def test_the_own_arguments_of_a_node_come_before_those_of_ros():
    node = graph.Node("p", "x", "n", respawn=True, arguments=("a", "--b"))
    assert ros_arguments(node, Path("/f.yaml"))[:3] == ["a", "--b", "--ros-args"]


def test_a_node_with_motors_gets_the_time_to_let_the_arm_down():
    longest_s = next(p.maximum for p in parameter_table("follower") if p.name == "ease_down_s")
    assert grace_s(arm_graph.ARM) > longest_s + 5.0
    assert grace_s(graph.SIM) == GRACE_S


def arms(*assignments, **choices):
    chosen = options.checked_for_arm({"follower_calibration": "f.yaml", **choices})
    nodes = arm_graph.arms(chosen, arm_up.parameters(chosen, assignments))
    return {node.name: node for node in nodes}


def test_each_arm_has_its_role_its_port_and_its_calibration():
    nodes = arms(leader_port="/dev/l", leader_calibration="/l.json", robot="so101_b")
    assert {name: node.parameters for name, node in nodes.items()} == {
        "arm": {
            "role": "follower",
            "port": "/dev/so101_follower",
            "calibration_file": "f.yaml",
            "state_hz": 100.0,
        },
        "leader_arm": {
            "role": "leader",
            "port": "/dev/l",
            "calibration_file": "/l.json",
            "state_hz": 100.0,
        },
    }
    assert [node.namespace for node in nodes.values()] == ["/so101_b", "/so101_b"]
    assert [arm_up.state_topic(node) for node in nodes.values()] == [
        "/so101_b/joint_states",
        "/so101_b/leader/joint_states",
    ]


def test_an_arm_without_a_leader_is_an_arm():
    assert list(arms()) == ["arm"]


def test_no_arm_is_started_again_by_itself():
    nodes = arms(leader_port="/dev/l", leader_calibration="/l.json")
    assert not any(node.respawn for node in nodes.values())


def test_an_assignment_goes_over_an_option_of_the_arms(tmp_path):
    extra = tmp_path / "extra.yaml"
    extra.write_text("/**/arm: {ros__parameters: {max_joint_speed: 0.5, ramp_speed: 0.2}}")
    arm = arms(("arm", "max_joint_speed", 1.0), params_file=str(extra))["arm"]
    assert (arm.parameters["max_joint_speed"], arm.parameters["ramp_speed"]) == (1.0, 0.2)
    with pytest.raises(ValueError, match=r"\['sim'\]: no such node, expected \['arm'"):
        arms(("sim", "seed", 1))


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"follower_port": ""}, "follower_port: expected a device, got none"),
        ({"leader_port": "/dev/so101_follower"}, "leader_port: /dev/so101_follower is the follower's"),
        ({"emulated": "yes"}, "emulated: expected true or false, got 'yes'"),
        ({"task": "lift"}, "option 'task': unknown, expected one of"),
    ],
)
def test_arms_that_cannot_be_are_refused(choices, message):
    with pytest.raises(ValueError, match=message):
        options.checked_for_arm(choices)


def test_the_udev_rule_makes_the_names_that_the_options_and_the_pages_use():
    rules = (Path(get_package_share_directory("hilrl")) / "config" / "99-so101.rules").read_text()
    names = re.findall(r'^SUBSYSTEM.*SYMLINK\+="(\w+)"$', rules, re.MULTILINE)
    assert names == ["so101_follower", "so101_leader"]
    assert options.defaults(options.ARM_OPTIONS)["follower_port"] == f"/dev/{names[0]}"
