"""The MuJoCo model: the arm from its URDF, then what a URDF cannot say, then the task's objects."""

import mujoco
import numpy as np

from hilrl_ros.joints import JOINT_NAMES
from hilrl_sim import servo
from hilrl_sim.description import TABLE_Z
from hilrl_sim.objects import make_collidable
from hilrl_sim.tasks.base import Task
from hilrl_sim.world import JAWS

CAMERAS = {"front": 42.0, "wrist": 75.0}
"""Name to vertical field of view [deg]; the pose is the URDF's `<name>_optical_frame`."""
MAX_TIMESTEP_S = 0.004

# Keeps the URDF's visuals and fixed frames, which MuJoCo drops from a URDF by default.
_KEEP_ALL = '<mujoco><compiler discardvisual="false" fusestatic="false"/></mujoco></robot>'


def build_model(urdf: str, task: Task, timestep_s: float = MAX_TIMESTEP_S) -> mujoco.MjModel:
    """Compile the scene of `task` around the arm that `urdf` (text) describes.

    Raises ValueError when the URDF is not one, or lacks a joint, jaw or camera frame of the SO-101.
    """
    try:
        spec = mujoco.MjSpec.from_string(urdf.replace("</robot>", _KEEP_ALL))
        _set_options(spec, timestep_s)
        _make_servos(spec)
        _keep_jaw_collisions(spec)
        _add_cameras(spec)
    except (ValueError, KeyError, AttributeError) as error:
        raise ValueError(f"urdf: not a usable SO-101 description: {error}") from error
    _add_table(spec)
    task.add_to_scene(spec)
    return spec.compile()


def _set_options(spec: mujoco.MjSpec, timestep_s: float) -> None:
    spec.option.timestep = timestep_s
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.option.impratio = 10
    spec.visual.quality.offsamples = 0
    spec.visual.quality.shadowsize = 0
    # In software the vertices cost most: as few as still look round. Three times faster than the defaults.
    spec.visual.quality.numslices = 12
    spec.visual.quality.numstacks = 2
    spec.visual.quality.numquads = 1
    # Near and far plane are multiples of the extent; pinned, so that no object moves them.
    spec.stat.extent = 1.0
    spec.visual.map.znear = 0.01
    spec.visual.map.zfar = 10.0
    spec.visual.headlight.ambient = [0.35, 0.35, 0.35]
    spec.visual.headlight.diffuse = [0.25, 0.25, 0.25]
    spec.visual.headlight.specular = [0, 0, 0]


def _make_servos(spec: mujoco.MjSpec) -> None:
    for index, name in enumerate(JOINT_NAMES):
        joint = spec.joint(name)
        if joint is None:
            raise ValueError(f"no joint {name}")
        joint.damping = [servo.JOINT_DAMPING, 0, 0]  # linear only
        joint.frictionloss = servo.JOINT_FRICTION
        joint.armature = servo.JOINT_ARMATURE
        limit = servo.TORQUE_LIMIT[index]
        actuator = spec.add_actuator(
            name=name,
            target=name,
            trntype=mujoco.mjtTrn.mjTRN_JOINT,
            forcerange=[-limit, limit],
        )
        actuator.set_to_position(kp=servo.POSITION_GAIN[index], kv=servo.VELOCITY_GAIN)


def _keep_jaw_collisions(spec: mujoco.MjSpec) -> None:
    """Only the jaws collide: fewer contacts, and a task on a table needs no others."""
    for geom in list(spec.geoms):
        if geom.name in JAWS:
            make_collidable(geom)
            geom.group = 3  # collision shapes are not drawn
        elif geom.contype:
            spec.delete(geom)
    missing = [name for name in JAWS if spec.geom(name) is None]
    if missing:
        raise ValueError(f"no collision shape {missing[0]}")


def _add_cameras(spec: mujoco.MjSpec) -> None:
    for name, fovy in CAMERAS.items():
        frame = spec.body(f"{name}_optical_frame")
        if frame is None:
            raise ValueError(f"no link {name}_optical_frame")
        # An optical frame looks along z with y down, a MuJoCo camera along -z with y up.
        frame.add_camera(name=name, fovy=fovy, quat=[0, 1, 0, 0])
    if (body := spec.body("front_camera_link")) is not None:
        for geom in list(body.geoms):
            spec.delete(geom)


def _add_table(spec: mujoco.MjSpec) -> None:
    table = spec.worldbody.add_geom(
        name="table",
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        pos=[0.2, 0, TABLE_Z],
        size=[4, 4, 0.1],
        rgba=[0.62, 0.58, 0.52, 1],
    )
    make_collidable(table)
    spec.worldbody.add_light(
        name="lamp",
        pos=[0.4, -0.4, 1.2],
        dir=list(-np.array([0.2, -0.4, 1.2]) / np.linalg.norm([0.2, -0.4, 1.2])),
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
        diffuse=[0.6, 0.6, 0.6],
        specular=[0.1, 0.1, 0.1],
        castshadow=False,
    )
