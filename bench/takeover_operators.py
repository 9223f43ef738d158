"""Operators for `takeover.py`: a hand on an emulated leader arm, and a thumb on a gamepad.

Each takes over and hands back at random moments and moves about at random meanwhile. `has_it` is what the
person believes: the arm is theirs from when they took it, until they let go.
"""

import time
from collections import deque
from enum import StrEnum

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import JointState, Joy
from std_srvs.srv import SetBool

from hilrl_interfaces.msg import EeAction
from hilrl_ros import qos
from hilrl_ros.ee_action import Gripper
from hilrl_ros.joints import JOINT_NAMES

PERIOD_S = 0.01
PAD_EVERY = 3
"""Periods between two messages of the gamepad."""
LEADER_LAG_S = 0.08
LEADER_RAD_S = 2.0
PUSH_RAD, PUSH_RAD_S = 0.35, 4.0
MISSED_S = 5.0
START = np.array([0.0, -0.4827, 0.166, 1.638, 0.0, 0.9])
RELEASE_S = 0.3
JAW_SHARE = 0.3
"""Of the take-overs in which the person moves the jaws."""


class Mood(StrEnum):
    """What the person is doing."""

    OFF = "hands off"
    TAKING = "taking over"
    MOVING = "moving"
    LETTING_GO = "letting go"


class Operator:
    """What both have in common; `step` runs every `PERIOD_S`."""

    device = ""

    def __init__(self, node: Node, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.mood = Mood.OFF
        self.jaw_is_meant = False
        """Whether the person moves the jaws in this take-over."""
        self.taken = self.missed = 0
        self.answers: dict[int, list[EeAction]] = {}
        """What the device said, by stamp; more than once where the person changed their mind."""
        self.answered_s: dict[int, float] = {}
        self.mood_at: dict[int, Mood] = {}
        """When the first answer came, by stamp."""
        self.engaged = False
        self._since_s = time.monotonic()
        self._until_s = self._since_s + 1.0

    @property
    def has_it(self) -> bool:
        return self.mood in (Mood.MOVING, Mood.LETTING_GO)

    def on_answer(self, stamp_ns: int, message: EeAction) -> None:
        self.answers.setdefault(stamp_ns, []).append(message)
        self.answered_s.setdefault(stamp_ns, time.monotonic())
        self.mood_at.setdefault(stamp_ns, self.mood)
        self.engaged = message.engaged

    def step(self) -> None:
        now_s = time.monotonic()
        if self.mood is Mood.OFF and now_s > self._until_s and self.ready:
            self.jaw_is_meant = bool(self.rng.random() < JAW_SHARE)
            self._enter(Mood.TAKING, MISSED_S)
        elif self.mood is Mood.TAKING and self.engaged:
            self.taken += 1
            self._enter(Mood.MOVING, float(self.rng.uniform(0.2, 0.8)))
        elif self.mood is Mood.TAKING and now_s > self._until_s:
            self.missed += 1
            self._enter(Mood.OFF, 1.0)
        elif self.mood is Mood.MOVING and now_s > self._until_s:
            self._enter(Mood.LETTING_GO, MISSED_S)
        elif self.mood is Mood.LETTING_GO and not self.engaged:
            self._enter(Mood.OFF, float(self.rng.uniform(0.1, 0.5)))
        self.act(now_s, now_s - self._since_s)

    def _enter(self, mood: Mood, for_s: float) -> None:
        self.mood, self._since_s = mood, time.monotonic()
        self._until_s = self._since_s + for_s
        self.on_mood()

    @property
    def ready(self) -> bool:
        return True

    def on_mood(self) -> None: ...

    def act(self, now_s: float, since_s: float) -> None: ...


class LeaderHand(Operator):
    """A leader arm that is late and not too fast, with the hand that pushes it."""

    device = "leader"

    def __init__(self, node: Node, seed: int) -> None:
        super().__init__(node, seed)
        self.q, self.torque = START.copy(), False
        self._commands: deque[tuple[float, np.ndarray]] = deque()
        self._goal: np.ndarray | None = None
        self._from = self.q
        self._push = np.zeros(6)
        self._waves = np.zeros((6, 2))
        self._states = node.create_publisher(JointState, "leader/joint_states", qos.JOINT_STATES)
        node.create_subscription(JointState, "leader/joint_commands", self._on_command, qos.ACTIONS)
        node.create_service(SetBool, "leader_arm/enable_torque", self._on_torque)

    @property
    def ready(self) -> bool:
        return self.torque and self._goal is not None

    def _on_command(self, message: JointState) -> None:
        self._commands.append((time.monotonic(), np.array(message.position)))

    def _on_torque(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self.torque, self._goal = request.data, None
        self._commands.clear()
        response.success = True
        return response

    def on_mood(self) -> None:
        self._from = self.q.copy()
        if self.mood is Mood.TAKING:
            joint = int(self.rng.integers(5))
            self._push = np.zeros(6)
            self._push[joint] = PUSH_RAD if self.q[joint] < 0.0 else -PUSH_RAD
        elif self.mood is Mood.MOVING:
            self._waves = self.rng.uniform([0.1, 2.0], [0.3, 8.0], (6, 2))
            self._waves[:, 0] *= self.rng.choice([-1.0, 1.0], 6)
            jaw = self.rng.choice([-1.0, 1.0]) * (0.8 if self.jaw_is_meant else 0.03)
            self._waves[5] = jaw, self.rng.uniform(2.0, 6.0)

    def act(self, now_s: float, since_s: float) -> None:
        while self._commands and self._commands[0][0] <= now_s - LEADER_LAG_S:
            self._goal = self._commands.popleft()[1]
        if self.mood is Mood.TAKING:
            share = min(since_s * PUSH_RAD_S / PUSH_RAD, 1.0)
            self.q = self._from + share * self._push
        elif self.mood is Mood.MOVING:
            amplitude, pace = self._waves.T
            self.q = self._from + amplitude * np.sin(pace * since_s)
        elif self.mood is Mood.OFF and self.torque and self._goal is not None:
            travel = LEADER_RAD_S * PERIOD_S
            self.q = self.q + np.clip(self._goal - self.q, -travel, travel)
        self._states.publish(JointState(name=list(JOINT_NAMES), position=self.q.tolist()))


class Thumb(Operator):
    """A gamepad; both its sticks move while the dead man's switch is held."""

    device = "joy"
    deadman, close, open = 5, 0, 1

    def __init__(self, node: Node, seed: int) -> None:
        super().__init__(node, seed)
        self._pad = node.create_publisher(Joy, "joy", qos.EVENTS)
        self._waves = np.zeros((8, 2))
        self._jaw = Gripper.CLOSE
        self._steps = 0

    def on_mood(self) -> None:
        if self.mood is Mood.TAKING:
            self._waves = self.rng.uniform([-1.0, 1.0], [1.0, 6.0], (8, 2))
            self._waves[[2, 5, 6, 7], 0] = 0.0  # triggers and the direction pad
            self._jaw = Gripper(int(self.rng.choice([Gripper.CLOSE, Gripper.OPEN])))

    def act(self, now_s: float, since_s: float) -> None:
        axes, buttons = np.zeros(8), [0] * 11
        if self.mood in (Mood.TAKING, Mood.MOVING):
            amplitude, pace = self._waves.T
            axes = amplitude * np.sin(pace * since_s)
            buttons[self.deadman] = 1
            if self.mood is Mood.MOVING and self.jaw_is_meant and 0.1 < since_s < 0.16:
                buttons[self.close if self._jaw is Gripper.CLOSE else self.open] = 1
        self._steps += 1
        if self._steps % PAD_EVERY == 0:
            self._pad.publish(Joy(axes=axes.tolist(), buttons=buttons))
