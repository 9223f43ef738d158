"""Between the simulation's arrays and ROS messages."""

from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point, Pose, Quaternion
from sensor_msgs.msg import JointState
from std_msgs.msg import Header

from hilrl_interfaces.msg import GroundTruth, RewardEstimate
from hilrl_ros import joint_messages
from hilrl_ros.joint_messages import BASE_FRAME
from hilrl_sim.simulation import Frame


def joint_state(frame: Frame, stamp: Time) -> JointState:
    """What the servos report."""
    return joint_messages.joint_state(stamp, frame.joint_position, frame.joint_velocity, frame.joint_effort)


def reward(frame: Frame, stamp: Time) -> RewardEstimate:
    """The task's own reward, which is exact."""
    return RewardEstimate(
        header=Header(stamp=stamp, frame_id=BASE_FRAME),
        reward=frame.reward,
        success=frame.success,
        probability=float(frame.success),
        source="sim",
    )


def ground_truth(frame: Frame, stamp: Time) -> GroundTruth:
    """Object poses in the base frame."""
    truth = frame.ground_truth
    return GroundTruth(
        header=Header(stamp=stamp, frame_id=BASE_FRAME),
        task=truth.task,
        names=list(truth.names),
        poses=[_pose(values.tolist()) for values in truth.poses],
        grasped=truth.grasped,
        success=frame.success,
    )


def _pose(values: list[float]) -> Pose:
    x, y, z, qx, qy, qz, qw = values
    return Pose(position=Point(x=x, y=y, z=z), orientation=Quaternion(x=qx, y=qy, z=qz, w=qw))
