"""The graph around a device for `takeover.py`, and the policy's end of it, which keeps a record."""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rclpy.clock import Clock, ClockType
from sensor_msgs.msg import JointState

from hilrl_interfaces.msg import EeAction, EeState
from hilrl_ros import qos, stamps
from hilrl_ros.ee_action import Gripper
from hilrl_ros.testing import Probe, StartNode, new_namespace, starting_nodes
from takeover_operators import RELEASE_S, Mood, Operator

PATIENCE = ("leader_timeout_s:=2.0", "follower_timeout_s:=2.0", "mirror_lag_s:=0.5")
"""The emulated leader is here: a busy machine must not look like one that was unplugged."""


@dataclass
class Tick:
    """All that was said with one stamp."""

    state: EeState
    mood: Mood
    jaw_is_meant: bool
    policy: EeAction | None = None
    executed: EeAction | None = None
    command: JointState | None = None
    executed_s: float = 0.0


class Loop:
    """The policy's end of the graph, and a record of what goes round."""

    def __init__(self, probe: Probe, seed: int) -> None:
        self.ticks: dict[int, Tick] = {}
        self.operator: Operator | None = None
        self.on_action: Callable[[EeAction], None] = lambda message: None
        self.on_command: Callable[[JointState], None] = lambda message: None
        self.state: EeState | None = None
        self.answers_states = True
        self._rng, self._drift = np.random.default_rng(seed), np.zeros(5)
        node = probe.node
        self._policy = node.create_publisher(EeAction, "policy_action", qos.ACTIONS)
        node.create_subscription(EeState, "ee_state", self._on_state, qos.JOINT_STATES)
        node.create_subscription(EeAction, "action", self._on_action, qos.EVENTS)
        node.create_subscription(JointState, "joint_commands", self._on_command, qos.EVENTS)

    def _on_state(self, message: EeState) -> None:
        self.state = message
        stamp_ns = stamps.to_ns(message.header.stamp)
        operator = self.operator
        if not self.answers_states or operator is None:
            return
        tick = self.ticks.get(stamp_ns)
        if tick is None:
            tick = self.ticks[stamp_ns] = Tick(message, operator.mood, operator.jaw_is_meant)
            tick.policy = self._random_action(message)
        assert tick.policy is not None
        self._policy.publish(tick.policy)

    def _random_action(self, state: EeState) -> EeAction:
        self._drift = np.clip(0.8 * self._drift + self._rng.normal(0.0, 0.5, 5), -1.0, 1.0)
        gripper = self._rng.choice([Gripper.STAY, Gripper.CLOSE, Gripper.OPEN], p=[0.9, 0.05, 0.05])
        return EeAction(
            header=state.header, delta=self._drift.astype(np.float32), gripper=int(gripper), engaged=True
        )

    def keep_still(self) -> None:
        """The policy's action, in real time."""
        if self.state is not None:
            self._policy.publish(EeAction(header=self.state.header, engaged=True))

    def _on_action(self, message: EeAction) -> None:
        tick = self.ticks.get(stamps.to_ns(message.header.stamp))
        if tick is not None and tick.executed is None:
            tick.executed, tick.executed_s = message, time.monotonic()
        self.on_action(message)

    def _on_command(self, message: JointState) -> None:
        tick = self.ticks.get(stamps.to_ns(message.header.stamp))
        if tick is not None:
            tick.command = tick.command or message
        self.on_command(message)


@contextmanager
def graph(device: str, lockstep: bool, control_hz: float = 10.0) -> Iterator[tuple[Probe, StartNode]]:
    """The processes around one device."""
    namespace, step = new_namespace(), f"lockstep:={str(lockstep).lower()}"
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(Probe(namespace)) as probe,
        starting_nodes(namespace, Path(folder)) as start,
    ):
        hz = f"control_hz:={control_hz}"
        start("hilrl_sim.sim_node", step, hz, "image_size:=16", "state_hz:=100.0", "camera_hz:=1.0")
        clock = f"use_sim_time:={str(not lockstep).lower()}"
        start("hilrl_control.ee_controller_node", step, hz, clock)
        awaited = [f"lockstep_devices:=[{device}]"] if lockstep else []
        start("hilrl_teleop.intervention_mux_node", hz, clock, *awaited)
        if device == "leader":
            start("hilrl_teleop.leader_teleop_node", step, clock, f"release_s:={RELEASE_S}", *PATIENCE)
        else:
            start("hilrl_teleop.joy_teleop_node", step, clock, "joy_timeout_s:=2.0")
        yield probe, start


def every(probe: Probe, period_s: float, work: Callable[[], None]) -> None:
    probe.node.create_timer(period_s, work, clock=Clock(clock_type=ClockType.STEADY_TIME))
