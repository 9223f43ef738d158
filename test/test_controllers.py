"""The controllers of ros2_control at work on the driver. Needs an installed ROS with ros2_control."""

import json
import os
import signal
import subprocess
import time
from contextlib import closing

import numpy as np
import pytest
from follower_board import has_torque
from rclpy.action import ActionClient
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import SetBool
from trajectory_msgs.msg import JointTrajectoryPoint

from hilrl_hardware.emulator.client import EmulatedBus
from hilrl_hardware.registers import TICK_RAD
from hilrl_ros.joints import JOINT_NAMES
from hilrl_ros.testing import Probe, new_namespace

MISSING = "needs an installed ROS with ros2_control"
pytest.importorskip("launch_ros", reason=MISSING)
control_msgs = pytest.importorskip("control_msgs.action", reason=MISSING)
controller_manager_msgs = pytest.importorskip("controller_manager_msgs.srv", reason=MISSING)

pytestmark = pytest.mark.timeout(300)
FIRST_PAN_RAD = 0.4
"""Not zero: a command that nobody meant would be seen."""
GOAL_PAN_RAD = -0.2
STILL_RAD = 0.03
ARRIVED_RAD = 0.05


class Launched:
    """`ros2 launch` of one emulated arm under ros2_control, and a node that talks with its controllers."""

    def __init__(self, folder, board):
        calibration = board.calibration()
        pan = calibration["shoulder_pan"]
        middle = (pan["range_min"] + pan["range_max"]) / 2 + pan["homing_offset"]
        board.place(pan["id"], middle + FIRST_PAN_RAD / TICK_RAD)
        (folder / "follower.json").write_text(json.dumps(calibration))
        namespace = new_namespace()
        self.output_file = folder / "output"
        arguments = {
            "follower_port": board.port,
            "follower_calibration": folder / "follower.json",
            "robot": namespace,
            "ros2_control": "true",
        }
        with open(self.output_file, "w") as output:
            self.process = subprocess.Popen(
                ["ros2", "launch", "hilrl", "arm.launch.py", *(f"{k}:={v}" for k, v in arguments.items())],
                cwd=folder,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.probe = Probe(namespace)
        self.states: list[JointState] = []
        node = self.probe.node
        node.create_subscription(JointState, "joint_states", self.states.append, 10)
        self.trajectory = ActionClient(
            node, control_msgs.FollowJointTrajectory, "joint_trajectory_controller/follow_joint_trajectory"
        )
        self.forward = node.create_publisher(Float64MultiArray, "forward_command_controller/commands", 1)
        self._list = node.create_client(
            controller_manager_msgs.ListControllers, "controller_manager/list_controllers"
        )
        self._switch = node.create_client(
            controller_manager_msgs.SwitchController, "controller_manager/switch_controller"
        )

    def controllers(self) -> dict[str, str]:
        """State by name."""
        found = self.probe.call(self._list, controller_manager_msgs.ListControllers.Request())
        return {controller.name: controller.state for controller in found.controller}

    def switch(self, off: str, on: str) -> bool:
        """Whether one controller has taken over from the other."""
        request = controller_manager_msgs.SwitchController.Request(
            activate_controllers=[on],
            deactivate_controllers=[off],
            strictness=controller_manager_msgs.SwitchController.Request.STRICT,
        )
        return self.probe.call(self._switch, request).ok

    def pan(self) -> float:
        """Angle of shoulder_pan, as last told [rad]."""
        return self.states[-1].position[self.states[-1].name.index("shoulder_pan")]

    def close(self) -> None:
        """End it as Ctrl+C does."""
        self.probe.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(40)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                raise


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    with EmulatedBus(tmp_path_factory.mktemp("board"), "follower") as board:
        yield board


@pytest.fixture(scope="module")
def launched(tmp_path_factory, board):
    """Once all controllers are there and the arm holds."""
    wanted = {
        "joint_state_broadcaster": "active",
        "joint_trajectory_controller": "active",
        "forward_command_controller": "inactive",
    }
    with closing(Launched(tmp_path_factory.mktemp("launched"), board)) as launched:
        deadline = time.monotonic() + 60
        while (found := launched.controllers()) != wanted:
            assert time.monotonic() < deadline, f"{found}\n{launched.output_file.read_text()}"
            assert launched.process.poll() is None, launched.output_file.read_text()
            launched.probe.spin_for(0.5)
        torque = launched.probe.node.create_client(SetBool, "arm/enable_torque")
        deadline = time.monotonic() + 60
        while not all(has_torque(board)):
            assert time.monotonic() < deadline, launched.output_file.read_text()
            # On a busy machine the board may answer too late at first: torque is asked for again.
            launched.probe.call(torque, SetBool.Request(data=True))
        yield launched


def test_no_controller_moves_the_arm_when_it_starts(launched):
    launched.probe.spin_for(1.0)
    # The broadcaster speaks before the first pose has come: not numbers then.
    known = [state for state in launched.states if np.isfinite(state.position).all()]
    assert len(known) > 20
    for state in known:
        assert set(state.name) == set(JOINT_NAMES)
        assert state.position[state.name.index("shoulder_pan")] == pytest.approx(FIRST_PAN_RAD, abs=STILL_RAD)


def test_a_trajectory_moves_the_arm(launched):
    goal = control_msgs.FollowJointTrajectory.Goal()
    goal.trajectory.joint_names = ["shoulder_pan"]
    goal.trajectory.points = [JointTrajectoryPoint(positions=[GOAL_PAN_RAD])]
    goal.trajectory.points[0].time_from_start.sec = 3
    launched.probe.spin_until(launched.trajectory.server_is_ready)
    sent = launched.trajectory.send_goal_async(goal)
    launched.probe.spin_until(sent.done)
    assert sent.result().accepted
    result = sent.result().get_result_async()
    launched.probe.spin_until(result.done, 20)
    assert result.result().result.error_code == control_msgs.FollowJointTrajectory.Result.SUCCESSFUL
    launched.probe.spin_until(lambda: abs(launched.pan() - GOAL_PAN_RAD) < ARRIVED_RAD)


def test_the_other_controller_takes_over_and_moves_it(launched):
    assert launched.switch("joint_trajectory_controller", "forward_command_controller")
    before = launched.states[-1]
    command = [before.position[before.name.index(name)] for name in JOINT_NAMES]
    command[JOINT_NAMES.index("shoulder_pan")] = FIRST_PAN_RAD
    launched.forward.publish(Float64MultiArray(data=command))
    launched.probe.spin_until(lambda: abs(launched.pan() - FIRST_PAN_RAD) < ARRIVED_RAD)


def test_the_end_lets_the_arm_down(launched, board):
    launched.process.send_signal(signal.SIGINT)
    launched.process.wait(40)
    assert not any(has_torque(board))
