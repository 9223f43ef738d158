"""What MoveIt is told of the arm agrees with the URDF, Coal, our parameters and ros2_control."""

import xml.etree.ElementTree as ElementTree
from itertools import combinations
from pathlib import Path

import numpy as np
import pinocchio as pin
import pytest
import rclpy
import yaml

from hilrl_control import moveit_process
from hilrl_control.collision import CollisionModel
from hilrl_control.kinematics import TCP_FRAME
from hilrl_control.settings import Settings
from hilrl_ros.joints import JOINT_NAMES
from hilrl_ros.testing import new_namespace

ROOT = Path(__file__).parents[3]
SETTINGS = Settings.default()
POSES = 4000
APART_M = 0.005
"""What two links keep in every pose to be never looked at again."""


@pytest.fixture(scope="module")
def srdf():
    return ElementTree.parse(ROOT / "urdf" / "so101.srdf").getroot()


@pytest.fixture(scope="module")
def urdf(urdf_text):
    return ElementTree.fromstring(urdf_text)


@pytest.fixture(scope="module")
def parameters(urdf_text):
    return moveit_process.configuration(ROOT, urdf_text)


def state(srdf, name):
    found = srdf.find(f"group_state[@name='{name}']")
    return {joint.get("name"): float(joint.get("value")) for joint in found}


def test_every_name_is_one_of_the_urdf(srdf, urdf):
    links = {link.get("name") for link in urdf.iterfind("link")}
    joints = {joint.get("name") for joint in urdf.iterfind("joint")}
    assert srdf.get("name") == urdf.get("name")
    chain = srdf.find("group[@name='arm']/chain")
    assert (chain.get("base_link"), chain.get("tip_link")) == ("base_link", TCP_FRAME)
    assert {chain.get("base_link"), chain.get("tip_link")} <= links
    assert srdf.find("virtual_joint").get("child_link") == "base_link"
    assert srdf.find("end_effector").get("parent_link") in links
    named = {joint.get("name") for group in srdf for joint in group.iterfind("joint")}
    assert named <= joints
    for pair in srdf.iterfind("disable_collisions"):
        assert {pair.get("link1"), pair.get("link2")} <= links


def test_the_disabled_pairs_are_those_that_always_or_never_touch(srdf, kinematics, urdf_text):
    model = kinematics.model
    shapes = pin.buildGeomFromUrdfString(model, urdf_text, pin.GeometryType.COLLISION)
    links = [model.frames[shape.parentFrame].name for shape in shapes.geometryObjects]
    pairs = [(i, j) for i, j in combinations(range(len(links)), 2) if links[i] != links[j]]
    for i, j in pairs:
        shapes.addCollisionPair(pin.CollisionPair(i, j))
    of_links = [frozenset((links[i], links[j])) for i, j in pairs]
    nearest = {pair: [] for pair in of_links}
    data, results, rng = model.createData(), pin.GeometryData(shapes), np.random.default_rng(0)
    for _ in range(POSES):
        q = rng.uniform(model.lowerPositionLimit, model.upperPositionLimit)
        pin.computeDistances(model, data, shapes, results, q)
        now = dict.fromkeys(nearest, np.inf)
        for pair, result in zip(of_links, results.distanceResults, strict=True):
            now[pair] = min(now[pair], result.min_distance)
        for pair, distance in now.items():
            nearest[pair].append(distance)
    disabled = {"Adjacent": set(), "Never": set()}
    for entry in srdf.iterfind("disable_collisions"):
        disabled[entry.get("reason")].add(frozenset((entry.get("link1"), entry.get("link2"))))
    assert disabled["Adjacent"] == {pair for pair, seen in nearest.items() if max(seen) <= 0.0}
    assert disabled["Never"] == {pair for pair, seen in nearest.items() if min(seen) > APART_M}


def test_our_own_checks_leave_out_no_pair_that_moveit_looks_at(srdf, kinematics):
    links = {shape for pair in CollisionModel(kinematics, SETTINGS.table_z_m).pairs for shape in pair}
    disabled = {
        frozenset((entry.get("link1"), entry.get("link2"))) for entry in srdf.iterfind("disable_collisions")
    }
    looked_at = {frozenset(pair) for pair in combinations(links - {"table"}, 2)} - disabled
    assert looked_at <= CollisionModel(kinematics, SETTINGS.table_z_m).pairs


def test_the_named_states_are_reachable_clear_and_our_defaults(srdf, kinematics):
    collision = CollisionModel(kinematics, SETTINGS.table_z_m)
    home = state(srdf, "home")
    assert tuple(home.values()) == SETTINGS.home_joints[:5]
    assert state(srdf, "open") == {"gripper": SETTINGS.gripper_open_rad}
    assert state(srdf, "closed") == {"gripper": SETTINGS.gripper_closed_rad}
    for arm in (home, state(srdf, "rest")):
        assert list(arm) == list(JOINT_NAMES[:5])
        for jaw in (SETTINGS.gripper_open_rad, SETTINGS.gripper_closed_rad):
            q = np.array([*arm.values(), jaw])
            assert (kinematics.lower <= q).all() and (q <= kinematics.upper).all()
            assert not collision.in_collision(q, SETTINGS.clearance_m), collision.nearest(q)


def test_speeds_are_our_parameters_and_what_the_servos_can(parameters, kinematics):
    limits = parameters["robot_description_planning"]["joint_limits"]
    assert list(limits) == list(JOINT_NAMES)
    speeds = np.array([limits[name]["max_velocity"] for name in JOINT_NAMES])
    np.testing.assert_array_equal(speeds, SETTINGS.joint_speeds)
    assert (speeds <= kinematics.servo_speed).all()
    for limit in limits.values():
        assert limit["has_velocity_limits"] and limit["has_acceleration_limits"]
        assert limit["max_acceleration"] > 0.0
        # Positions are the URDF's: another place could only contradict it.
        assert not any("position" in key for key in limit)


def test_moveit_drives_the_controllers_that_ros2_control_runs(parameters):
    manager = parameters["moveit_simple_controller_manager"]
    settings = yaml.safe_load((ROOT / "config" / "ros2_control.yaml").read_text())
    for name in manager["controller_names"]:
        running = settings[f"/**/{name}"]["ros__parameters"]
        assert manager[name]["joints"] == running["joints"]
        assert running["type"].split("/")[0] == "joint_trajectory_controller"
        assert manager[name]["type"] == "FollowJointTrajectory"


def test_the_planner_that_is_asked_for_is_set_up_for_the_group(parameters, srdf):
    request, groups = parameters["plan_request_params"], {group.get("name") for group in srdf.iter("group")}
    assert request["planning_pipeline"] in parameters["planning_pipelines"]["pipeline_names"]
    pipeline = parameters[request["planning_pipeline"]]
    assert moveit_process.GROUP in groups
    assert request["planner_id"] in pipeline[moveit_process.GROUP]["planner_configs"]
    assert request["planner_id"] in pipeline["planner_configs"]
    assert set(parameters["robot_description_kinematics"]) <= groups
    assert parameters["robot_description_kinematics"][moveit_process.GROUP]["position_only_ik"]


def test_ros_reads_the_parameters_in_any_namespace(parameters, tmp_path):
    """Its parser knows neither aliases nor empty values nor lists of several types."""
    file = tmp_path / "moveit.yaml"
    moveit_process.write_parameters(parameters, file)
    context = rclpy.Context()
    rclpy.init(context=context, args=["--ros-args", "--params-file", str(file)])
    node = rclpy.create_node(
        "moveit",
        namespace=new_namespace(),
        context=context,
        automatically_declare_parameters_from_overrides=True,
    )

    def leaves(tree, name=()):
        if not isinstance(tree, dict):
            return {".".join(name): tree}
        return {
            key: leaf for part, branch in tree.items() for key, leaf in leaves(branch, (*name, part)).items()
        }

    try:
        for name, value in leaves(parameters).items():
            read = node.get_parameter(name).value
            assert (list(read) if isinstance(value, list) else read) == value, name
            assert type(read) is type(value) or isinstance(value, list)
    finally:
        node.destroy_node()
        rclpy.try_shutdown(context=context)
