"""The process in which MoveIt plans: requests in, waypoints out. Needs moveit_py of an installed ROS.

`moveit_planner` starts it, and says there what goes in and out.
"""

import signal
import sys
import tempfile
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from ament_index_python.packages import get_package_share_directory
from numpy.typing import NDArray

from hilrl_control.moveit_request import Request
from hilrl_ros.joints import JOINT_NAMES

Array = NDArray[np.float64]
GROUP = "arm"
BASE, TABLE = "base_link", "table"
TABLE_SIZE_M = (2.0, 2.0, 0.1)


def configuration(share: Path, urdf: str) -> dict[str, Any]:
    """MoveIt's parameters: `config/moveit/` and `urdf/so101.srdf` below `share`, and that description."""

    def read(name: str) -> dict[str, Any]:
        return yaml.safe_load((share / "config" / "moveit" / f"{name}.yaml").read_text())

    return {
        "robot_description": urdf,
        "robot_description_semantic": (share / "urdf" / "so101.srdf").read_text(),
        "robot_description_kinematics": read("kinematics"),
        "robot_description_planning": read("joint_limits"),
        "ompl": read("ompl_planning"),
        **read("moveit_controllers"),
        **read("moveit_cpp"),
    }


def write_parameters(parameters: dict[str, Any], file: Path) -> None:
    """As a ROS parameter file for whatever namespace: MoveItPy's own way from a dictionary is for none."""
    file.write_text(yaml.safe_dump({"/**": {"ros__parameters": parameters}}))


class MoveIt:
    """MoveIt with the arm above a table. It commands nothing: nobody executes what it plans but we."""

    def __init__(self, urdf: str, namespace: str) -> None:
        from moveit.planning import MoveItPy, PlanRequestParameters

        parameters = configuration(Path(get_package_share_directory("hilrl")), urdf)
        with tempfile.TemporaryDirectory(prefix="moveit_") as folder:
            file = Path(folder, "parameters.yaml")
            write_parameters(parameters, file)
            self._moveit = MoveItPy(
                node_name="moveit", name_space=namespace, launch_params_filepaths=[str(file)]
            )
        self._arm = self._moveit.get_planning_component(GROUP)
        # Those called plan_request_params; the second word would be a prefix of that name.
        self._parameters = PlanRequestParameters(self._moveit, "")
        self._table_z_m: float | None = None

    def propose(self, request: Request) -> Array | str:
        """Waypoints from the start to the goal, shape (n, 5) [rad], or why there are none."""
        if request.table_z_m != self._table_z_m:
            self._place_table(request.table_z_m)
        self._arm.set_start_state(robot_state=self._state(request.start))
        self._arm.set_goal_state(robot_state=self._state(request.goal))
        self._parameters.planning_time = request.limit_s
        answer = self._arm.plan(self._parameters)
        if not answer:
            return f"MoveIt found no way home, its error code is {answer.error_code.val}"
        trajectory = answer.trajectory.get_robot_trajectory_msg().joint_trajectory
        columns = [trajectory.joint_names.index(name) for name in JOINT_NAMES[:5]]
        return np.array([point.positions for point in trajectory.points])[:, columns]

    def close(self) -> None:
        """Leave the graph."""
        self._moveit.shutdown()

    def _state(self, q: Array) -> Any:
        from moveit.core.robot_state import RobotState

        state = RobotState(self._moveit.get_robot_model())
        state.set_to_default_values()
        state.joint_positions = dict(zip(JOINT_NAMES, map(float, q), strict=True))
        state.update()
        return state

    def _place_table(self, height_m: float) -> None:
        from geometry_msgs.msg import Pose
        from moveit_msgs.msg import CollisionObject
        from shape_msgs.msg import SolidPrimitive

        pose = Pose()
        pose.position.z = height_m - TABLE_SIZE_M[2] / 2
        table = CollisionObject(id=TABLE, operation=CollisionObject.ADD, primitive_poses=[pose])
        table.header.frame_id = BASE
        table.primitives = [SolidPrimitive(type=SolidPrimitive.BOX, dimensions=list(TABLE_SIZE_M))]
        with self._moveit.get_planning_scene_monitor().read_write() as scene:
            scene.apply_collision_object(table)
            # The arm stands on it.
            scene.allowed_collision_matrix.set_entry(BASE, TABLE, True)
        self._table_z_m = height_m


def main() -> None:
    """Serve until told to end."""
    # Ctrl-C goes to the whole group; the controller ends this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection, namespace = Connection(int(sys.argv[1])), sys.argv[2]
    moveit = MoveIt(connection.recv(), namespace)
    try:
        while (asked := connection.recv()) is not None:
            while connection.poll():  # nobody waits for older ones any more
                newer = connection.recv()
                if newer is None:
                    return
                asked = newer
            number, request = asked
            connection.send((number, moveit.propose(request)))
    except (EOFError, OSError):
        pass  # the controller is gone
    finally:
        moveit.close()


if __name__ == "__main__":
    main()
