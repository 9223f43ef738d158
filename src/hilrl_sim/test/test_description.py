"""The description is the SO-101, and the MuJoCo model is the description."""

import csv
from pathlib import Path
from xml.etree import ElementTree

import mujoco
import numpy as np
import pinocchio as pin
import pytest

from hilrl_ros.joints import JOINT_NAMES
from hilrl_sim import servo, tasks
from hilrl_sim.description import TCP_FRAME, load_urdf
from hilrl_sim.scene import build_model
from hilrl_sim.simulation import Simulation

# Joints, then TCP position and quaternion (x, y, z, w) computed from the manufacturer's URDF.
REFERENCE = Path(__file__).parent / "reference_fk.csv"
TOLERANCE = 1e-6

# Masses of so101_new_calib.urdf [kg].
MASSES = {
    "base_link": 0.147,
    "shoulder_link": 0.100006,
    "upper_arm_link": 0.103,
    "lower_arm_link": 0.104,
    "wrist_link": 0.079,
    "gripper_link": 0.087,
    "moving_jaw_so101_v1_link": 0.012,
}


@pytest.fixture(scope="module")
def urdf(xacro_path: Path) -> str:
    return load_urdf(xacro_path)


@pytest.fixture(scope="module")
def pinocchio_model(urdf: str) -> pin.Model:
    return pin.buildModelFromXML(urdf)


def _reference() -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    with REFERENCE.open() as file:
        rows = np.array([[float(value) for value in row.values()] for row in csv.DictReader(file)])
    rotations = [pin.Quaternion(q[3], q[0], q[1], q[2]).normalized().matrix() for q in rows[:, 9:]]
    return list(zip(rows[:, :6], rows[:, 6:9], rotations, strict=True))


def _angle(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(pin.log3(a.T @ b)))


def test_pinocchio_agrees_with_the_reference_kinematics(pinocchio_model: pin.Model) -> None:
    data = pinocchio_model.createData()
    frame = pinocchio_model.getFrameId(TCP_FRAME)
    assert tuple(pinocchio_model.names)[1:] == JOINT_NAMES
    for joints, position, rotation in _reference():
        pin.framesForwardKinematics(pinocchio_model, data, joints)
        assert np.linalg.norm(data.oMf[frame].translation - position) < TOLERANCE
        assert _angle(data.oMf[frame].rotation, rotation) < TOLERANCE


def test_mujoco_agrees_with_the_reference_kinematics(urdf: str) -> None:
    model = build_model(urdf, tasks.create("lift"))
    data = mujoco.MjData(model)
    for joints, position, rotation in _reference():
        for name, angle in zip(JOINT_NAMES, joints, strict=True):
            data.joint(name).qpos = angle
        mujoco.mj_kinematics(model, data)
        tcp = data.body(TCP_FRAME)
        assert np.linalg.norm(tcp.xpos - position) < TOLERANCE
        assert _angle(tcp.xmat.reshape(3, 3), rotation) < TOLERANCE


def test_masses_are_the_manufacturers(urdf: str) -> None:
    model = build_model(urdf, tasks.create("lift"))
    assert {name: model.body(name).mass[0] for name in MASSES} == pytest.approx(MASSES)


def test_mujoco_has_the_mass_matrix_and_the_gravity_of_the_urdf(
    urdf: str, pinocchio_model: pin.Model
) -> None:
    model = build_model(urdf, tasks.create("lift"))
    data = mujoco.MjData(model)
    pin_data = pinocchio_model.createData()
    dofs = [model.joint(name).dofadr[0] for name in JOINT_NAMES]
    rng = np.random.default_rng(0)
    for _ in range(10):
        joints = rng.uniform(pinocchio_model.lowerPositionLimit, pinocchio_model.upperPositionLimit)
        for name, angle in zip(JOINT_NAMES, joints, strict=True):
            data.joint(name).qpos = angle
        mujoco.mj_forward(model, data)
        full = np.zeros((model.nv, model.nv))
        mujoco.mj_fullM(model, data, full)
        without_rotors = full[np.ix_(dofs, dofs)] - servo.JOINT_ARMATURE * np.eye(6)
        upper = pin.crba(pinocchio_model, pin_data, joints)
        expected = np.triu(upper) + np.triu(upper, 1).T
        np.testing.assert_allclose(without_rotors, expected, atol=1e-9)
        gravity = pin.computeGeneralizedGravity(pinocchio_model, pin_data, joints)
        np.testing.assert_allclose(data.qfrc_bias[dofs], gravity, atol=1e-7)


def test_limits_are_those_of_the_servos_and_the_same_everywhere(
    urdf: str, pinocchio_model: pin.Model
) -> None:
    model = build_model(urdf, tasks.create("lift"))
    for index, name in enumerate(JOINT_NAMES):
        limits = [pinocchio_model.lowerPositionLimit[index], pinocchio_model.upperPositionLimit[index]]
        np.testing.assert_allclose(model.joint(name).range, limits)
        assert pinocchio_model.effortLimit[index] == servo.STALL_TORQUE
        assert pinocchio_model.velocityLimit[index] == pytest.approx(servo.MAX_SPEED, abs=0.02)


def test_only_jaws_table_and_objects_collide(place: Simulation) -> None:
    model = place.model
    colliding = {model.geom(i).name for i in range(model.ngeom) if model.geom_contype[i]}
    walls = {f"bin_{side}" for side in ("floor", "front", "back", "left", "right")}
    assert colliding == {"table", "cube", "fixed_jaw", "moving_jaw"} | walls


def test_cameras_look_from_the_optical_frames_of_the_description(
    lift: Simulation, pinocchio_model: pin.Model
) -> None:
    lift.reset(0, render=False)
    joints = np.array([lift.data.joint(name).qpos[0] for name in JOINT_NAMES])
    data = pinocchio_model.createData()
    pin.framesForwardKinematics(pinocchio_model, data, joints)
    for name in ("front", "wrist"):
        frame = data.oMf[pinocchio_model.getFrameId(f"{name}_optical_frame")]
        camera = lift.data.camera(name)
        np.testing.assert_allclose(camera.xpos, frame.translation, atol=1e-9)
        view = -camera.xmat.reshape(3, 3)[:, 2]
        np.testing.assert_allclose(view, frame.rotation[:, 2], atol=1e-9)


def test_the_shapes_of_a_link_do_not_hide_its_inertia(urdf: str) -> None:
    links = ElementTree.fromstring(urdf).findall("link")
    assert {link.get("name") for link in links if link.find("inertial") is not None} == set(MASSES)


def test_an_absent_description_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="urdf: expected a xacro file, found none at"):
        load_urdf(tmp_path / "none.urdf.xacro")


def test_a_malformed_description_is_one_clear_error(tmp_path: Path) -> None:
    broken = tmp_path / "broken.urdf.xacro"
    broken.write_text("<robot><link></robot>")
    with pytest.raises(ValueError, match="urdf: .*broken.urdf.xacro is not a valid xacro"):
        load_urdf(broken)


def test_a_description_without_the_arm_is_one_clear_error() -> None:
    other = '<robot name="r"><link name="base_link"/></robot>'
    with pytest.raises(ValueError, match="urdf: not a usable SO-101 description: no joint shoulder_pan"):
        build_model(other, tasks.create("lift"))
