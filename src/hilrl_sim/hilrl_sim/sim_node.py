"""The `sim` node: a simulated SO-101 behind the topics of the real arm and cameras."""

import math
import time
from collections.abc import Mapping
from typing import Any

from builtin_interfaces.msg import Time
from rclpy.clock import Clock, ClockType
from rosgraph_msgs.msg import Clock as ClockMessage
from sensor_msgs.msg import Image, JointState

from hilrl_interfaces.msg import GroundTruth, RewardEstimate
from hilrl_interfaces.srv import ResetScene
from hilrl_ros import images, joint_messages, qos, stamps
from hilrl_ros.diagnostics import Report
from hilrl_ros.main import run_node
from hilrl_ros.node import Node
from hilrl_ros.parameters import Parameter, Parameters
from hilrl_sim import messages
from hilrl_sim.pacing import WallPace
from hilrl_sim.scene import CAMERAS
from hilrl_sim.simulation import HOME_JOINTS, Frame, Simulation
from hilrl_sim.tasks import TASKS

REPEAT_S = 0.2
"""Lockstep: with no command for this long, of wall time, the last observation is published again."""
ALONE_S = 1.5
"""Real time: how long to look for another clock before being one."""
REPORT_S = 5.0
"""At most one report of the same trouble in this time."""

TABLE = [
    Parameter("task", "lift", "what to do", choices=tuple(sorted(TASKS)), read_only=True),
    Parameter(
        "lockstep",
        True,
        "advance one control period per command instead of with the wall clock",
        read_only=True,
    ),
    Parameter("control_hz", 10.0, "control periods per second", 1.0, 100.0, read_only=True),
    Parameter("state_hz", 50.0, "joint_states per second, real time only", 10.0, 250.0, read_only=True),
    Parameter("camera_hz", 10.0, "images per second, real time only", 1.0, 60.0, read_only=True),
    Parameter("image_size", 128, "width and height of the images [pixel]", 16, 1024, read_only=True),
    Parameter("seed", 0, "of the scene at the start", 0, read_only=True),
    Parameter("servo_lag_s", 0.0, "dead time between command and motion [s]", 0.0, 1.0),
    Parameter("quantise", True, "round goals and measurements to the servo's 12 bits"),
    Parameter("randomise_visuals", False, "vary lamp, colours and camera poses, from the next reset on"),
    Parameter("urdf", "", "xacro of the arm; empty: the installed one", read_only=True),
    Parameter(
        "home_joints",
        list(HOME_JOINTS),
        "joints at the start, before the task's own variation [rad]",
        -3.2,
        3.2,
        length=6,
        read_only=True,
    ),
]


class SimNode(Node):
    """Publishes what `arm` and `camera_<name>` publish, and what only a simulator knows.

    Lockstep: the observation's stamp is the tick. A command with that stamp is executed for one control
    period, any other is a late repeat and moves nothing. A command that cannot be executed leaves the tick
    standing.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("sim", **kwargs)
        started_s = time.monotonic()
        self._params = Parameters(self, TABLE, on_change=self._on_parameters)
        params = self._params
        self._sim = Simulation(
            params["task"],
            control_hz=params["control_hz"],
            image_size=params["image_size"],
            servo_lag_s=params["servo_lag_s"],
            quantise=params["quantise"],
            randomise_visuals=params["randomise_visuals"],
            home_joints=tuple(params["home_joints"]),
            urdf=params["urdf"] or None,
        )
        if not params["lockstep"]:
            self._look_for_clock(until_s=started_s + ALONE_S)
        self._clock_pub = self.create_publisher(ClockMessage, "/clock", qos.JOINT_STATES)
        self._joints_pub = self.create_publisher(JointState, "joint_states", qos.JOINT_STATES)
        self._reward_pub = self.create_publisher(RewardEstimate, "reward", qos.EVENTS)
        self._truth_pub = self.create_publisher(GroundTruth, "~/ground_truth", qos.EVENTS)
        self._image_pubs = {
            name: self.create_publisher(Image, f"camera/{name}/image_raw", qos.IMAGES) for name in CAMERAS
        }
        self.create_subscription(JointState, "joint_commands", self._on_command, qos.ACTIONS)
        self.create_service(ResetScene, "~/reset", self._on_reset)
        self._refused = ""
        self._lockstep: bool = params["lockstep"]
        # Timers run on wall time: simulated time stands still until they fire.
        wall = Clock(clock_type=ClockType.STEADY_TIME)
        if self._lockstep:
            self._timer = self.create_timer(REPEAT_S, self._repeat, clock=wall)
        else:
            self._start_real_time(params["state_hz"], params["camera_hz"])
            self._timer = self.create_timer(self._chunk_s, self._on_wall_tick, clock=wall)
            self.create_subscription(ClockMessage, "/clock", self._on_clock, qos.JOINT_STATES)
        self._repeats = 0
        self.diagnostics.ask(self._diagnose)
        self._publish(self._sim.reset(params["seed"], render=False), with_images=True)

    def _diagnose(self, report: Report) -> None:
        if self._refused:
            report.error(f"joint_commands: {self._refused}; the arm holds")
        if self._lockstep:
            report.values["observations repeated"] = self._repeats
            return
        report.values["wall time lost [s]"] = f"{self._pace.lost_s:.2f}"
        if self._pace.lost_s > self._diagnosed_lost_s:
            report.warn("simulated time runs slower than the wall clock: the machine is too busy")
        self._diagnosed_lost_s = self._pace.lost_s

    def _look_for_clock(self, until_s: float) -> None:
        """Raises ValueError: whoever follows two clocks jumps to and fro. In lockstep nobody reads it."""
        topic = self.resolve_topic_name("/clock")
        while True:
            if self.count_publishers(topic):
                raise ValueError(self._second_clock())
            if time.monotonic() >= until_s:
                return
            time.sleep(0.05)

    def _on_clock(self, message: ClockMessage) -> None:
        """Ends the newer of two clocks, which is behind, however late it hears of the other.

        Its own messages come back too, and are never ahead.
        """
        if stamps.to_ns(message.clock) > self._sim.time_ns:
            raise SystemExit(f"error: {self._second_clock()}")

    def _second_clock(self) -> str:
        return (
            f"{self.resolve_topic_name('/clock')}: expected to be the only clock, another simulator is one "
            f"already; start this arm's nodes with -r /clock:={self.get_namespace().rstrip('/')}/clock"
        )

    def _on_parameters(self, values: Mapping[str, Any]) -> None:
        self._sim.servos.lag_s = values["servo_lag_s"]
        self._sim.servos.quantise = values["quantise"]
        self._sim.randomise_visuals = values["randomise_visuals"]

    def _on_command(self, message: JointState) -> None:
        if self._lockstep and stamps.to_ns(message.header.stamp) != self._sim.time_ns:
            return
        try:
            self._sim.servos.command(*joint_messages.joint_command(message))
        except ValueError as error:
            self._refuse(str(error))
            return
        self._refused = ""
        if self._lockstep:
            self._sim.advance(self._sim.substeps)
            self._publish(self._sim.observe(render=False), with_images=True)

    def _refuse(self, reason: str) -> None:
        """The arm holds. Said once per reason: the same wrong command tends to come at every tick."""
        self.diagnostics.refused(f"joint_commands: {reason}")
        if self._lockstep:
            consequence = "the tick is not executed and the arm holds until a good command comes"
        else:
            self._sim.servos.hold()
            consequence = "the arm holds until a good command comes"
        if reason != self._refused:
            self.get_logger().error(f"joint_commands: {reason}; {consequence}")
        self._refused = reason

    def _on_reset(self, request: ResetScene.Request, response: ResetScene.Response) -> ResetScene.Response:
        try:
            frame = self._sim.reset(request.seed, render=False)
        except ValueError as error:
            response.success, response.message = False, str(error)
            return response
        response.success = True
        response.message = f"{self._sim.task.name}, seed {request.seed}"
        response.stamp = stamps.from_ns(frame.time_ns)
        self._refused = ""
        self._publish(frame, with_images=True)
        return response

    def _publish(self, frame: Frame, with_images: bool) -> None:
        """Everything small goes first: the controller works on it while the images are rendered."""
        stamp = stamps.from_ns(frame.time_ns)
        self._last = [
            (self._clock_pub, ClockMessage(clock=stamp)),
            (self._joints_pub, messages.joint_state(frame, stamp)),
            (self._reward_pub, messages.reward(frame, stamp)),
            (self._truth_pub, messages.ground_truth(frame, stamp)),
        ]
        for publisher, message in self._last:
            publisher.publish(message)
        if with_images:
            self._publish_images(stamp)
        if self._lockstep:
            self._timer.reset()

    def _publish_images(self, stamp: Time) -> None:
        for name, image in self._sim.render().items():
            message = images.to_message(image, stamp, f"{name}_optical_frame")
            self._image_pubs[name].publish(message)
            self._last.append((self._image_pubs[name], message))

    def _repeat(self) -> None:
        """A message was lost, or nobody was there yet: the same observation again, bit for bit."""
        self._repeats += 1
        for publisher, message in self._last:
            publisher.publish(message)

    def _start_real_time(self, state_hz: float, camera_hz: float) -> None:
        timestep_s = self._sim.timestep_ns * 1e-9
        self._chunk = max(1, round(1.0 / state_hz / timestep_s))
        self._chunk_s = self._chunk * timestep_s
        self._chunks_per_image = max(1, round(1.0 / camera_hz / self._chunk_s))
        self._chunks = 0
        self._pace = WallPace(self._chunk_s)
        self._reported_lost_s, self._reported_at_s = 0.0, -math.inf
        self._diagnosed_lost_s = 0.0

    def _on_wall_tick(self) -> None:
        for _ in range(self._pace.due(time.monotonic())):
            self._sim.advance(self._chunk)
            self._chunks += 1
            self._publish(self._sim.observe(render=False), self._chunks % self._chunks_per_image == 0)
        if self._pace.lost_s > self._reported_lost_s:
            self._report_overrun()

    def _report_overrun(self) -> None:
        now = time.monotonic()
        if now - self._reported_at_s < REPORT_S:
            return
        lost_s = self._pace.lost_s - self._reported_lost_s
        self.get_logger().warning(
            f"overrun: {lost_s:.2f} s of wall time lost; simulated time runs slower than the wall clock"
        )
        self._reported_at_s, self._reported_lost_s = now, self._pace.lost_s

    def close(self) -> None:
        """Free the renderer."""
        self._sim.close()


def main() -> None:
    run_node(SimNode)
