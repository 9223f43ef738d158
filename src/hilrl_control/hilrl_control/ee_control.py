"""End-effector control: actions in, bounded joint commands out.

`EeControl` knows nothing of ROS. Its clock is that of the stamps, in nanoseconds: `observe` tells it where
the arm is, `act` answers one action with one command, `tick` says what to send when no action came.

Whatever comes in, a command stays within the joint limits, and within one period's joint travel of the
command before it; of the measured joints, where it starts anew. It starts anew with the first action,
after silence, and after something else moved the arm.
"""

import numpy as np
from numpy.typing import ArrayLike

from hilrl_control.arm_motion import step_towards
from hilrl_control.ee_state import FOLLOWING, STAY, Command, State, action_problem, timing_problem
from hilrl_control.ee_target import EeTarget, Flags
from hilrl_control.home_path import HomePath, HomeQuestion
from hilrl_control.homing import AT_HOME_RAD, Homing
from hilrl_control.inverse_kinematics import InverseKinematics
from hilrl_control.joint_motion import bounded_step, jaw_target, six_numbers, speeds_for, travelled_too_far
from hilrl_control.kinematics import Array, Kinematics, rotation_from
from hilrl_control.settings import Settings

SECOND_NS = 1_000_000_000


class EeControl:
    """The controller of one arm."""

    def __init__(self, kinematics: Kinematics, settings: Settings) -> None:
        """Raises ValueError where the robot is not built like an SO-101."""
        self.settings = settings
        """May be replaced at any time; the next call uses the new ones."""
        self.refusal = ""
        """Why the newest action was refused; empty when it was served."""
        self._kinematics = kinematics
        self._inverse = InverseKinematics(kinematics)
        self._forget()

    def _forget(self) -> None:
        self._state: State | None = None
        self._q: Array = np.zeros(6)
        self._command: Array | None = None
        """Goals in force, shape (6,); None: the arm is not ours, and nothing is sent unasked."""
        self._engaged = False
        """Whether actions follow each other. If not, the next one starts from the measured pose."""
        self._gripper_ours = False
        """Whether the gripper target was ever steered. If not, it is wherever the jaw is."""
        self._gripper_goal = 0.0
        """On its way to the gripper target at the gripper's speed; kept through a hold, for the grip."""
        self._answered_ns: int | None = None
        self._answer: Command | None = None
        self._action_ns, self._action_source = 0, 0
        self._heard_ns: int | None = None
        self._sent_ns: int | None = None
        self._moved_ns: int | None = None
        self._asked: HomeQuestion | None = None
        """For a way home; the answer is still to come."""
        self._homing: Homing | None = None
        self._flags = Flags()
        self._holding, self._status = True, "holding: waiting for the first action"

    def observe(self, stamp_ns: int, q: ArrayLike, dq: ArrayLike) -> State:
        """Take in measured joint angles and speeds, each shape (6,) [rad, rad/s]; say where the TCP is.

        The same stamp again gives the same state again. Raises ValueError, and changes nothing, where
        these are not six finite numbers.
        """
        q, dq = six_numbers("joint_states position", q), six_numbers("joint_states velocity", dq)
        last = self._state
        if last is not None and stamp_ns == last.stamp_ns:
            return last
        if last is not None and stamp_ns < last.stamp_ns:
            self._forget()  # the clock started again, and whatever ran on it
            last = None
        pose, twist = self._kinematics.forward_with_twist(q, dq)
        if last is not None:
            elapsed_s = (stamp_ns - last.stamp_ns) / SECOND_NS
            if (joint := travelled_too_far(self._q, q, elapsed_s, self._kinematics.servo_speed)) is not None:
                self._gripper_ours = False
                self._release(f"holding: {joint} was moved by something else")
            elif self.settings.lockstep and self._command is not None and last.stamp_ns != self._answered_ns:
                self._gripper_ours = False
                self._release("holding: time went on without an action, as in a reset")
            elif elapsed_s > self.settings.joint_state_timeout_s and not self.settings.lockstep:
                self._release(f"holding: no joint_states for {elapsed_s:.2f} s")
        self._q = q
        if self._command is None:
            self._target = EeTarget.at(pose)
        if not self._gripper_ours:
            self._gripper_target = self._gripper_goal = float(self._within_limits(q)[5])
        target = self._target
        self._state = State(
            stamp_ns,
            pose,
            twist,
            target,
            rotation_from(self._inverse.heading(target.position), target.pitch, target.roll),
            float(q[5]),
            self._gripper_target,
            self._action_ns,
            self._action_source,
            self._flags,
            self._holding,
            self._status,
        )
        return self._state

    def act(
        self,
        stamp_ns: int,
        delta: ArrayLike,
        gripper: int,
        now_ns: int | None = None,
        source: int = 0,
        gripper_goal: float | None = None,
    ) -> Command | None:
        """Answer the action of one tick with one command.

        `delta`: shape (5,), x, y, z, pitch, roll in [-1, 1]; beyond that it is clipped. `gripper`: STAY,
        CLOSE or OPEN, only as far as `gripper_goal` [rad] where there is one. `now_ns`: the present, by
        default the stamp of the newest joint state. `source`: is handed on to the state. A stamp already
        answered gets the same answer. An action that makes no sense is answered with a command that holds,
        or with None where none is due; `refusal` says why.
        """
        state = self._state
        if state is None:
            return self._refuse("no joint_states yet")
        now_ns = state.stamp_ns if now_ns is None else now_ns
        if reason := self._blind(now_ns):
            return self._refuse(reason)
        if self._homing is not None:
            return self._refuse("action: refused while going home")
        if stamp_ns == self._answered_ns:
            return self._answer
        if reason := timing_problem(stamp_ns, state.stamp_ns, self._answered_ns, self.settings):
            return self._refuse(reason)
        if reason := action_problem(delta, gripper, gripper_goal):
            self._refuse(reason)
            self._hold(f"holding: {reason}")
            return self._answer_with(stamp_ns, now_ns, self._goals())

        self.refusal, self._asked = "", None
        travel = self.settings.joint_speeds * self._elapsed_s(now_ns)
        commanded = None if self._command is None else self._kinematics.forward(self._command)
        if self._silent(now_ns) or commanded is None:
            self._target = self._target.restarted(commanded, state.pose, self.settings)
            self._command = None
            self._engaged = True
        previous = self._goals()
        target, flags = self._target.moved(
            np.asarray(delta, float), self._kinematics.forward(previous), state.pose, self.settings
        )
        step = step_towards(
            target,
            previous[:5],
            float(travel[0]),
            self.settings.workspace,
            self._kinematics,
            self._inverse,
            flags,
        )
        self._target, self._flags = step.target, step.flags
        if gripper != STAY:
            self._gripper_target = jaw_target(gripper, gripper_goal, self._gripper_target, self.settings)
        self._moved_ns = now_ns
        self._gripper_goal = bounded_step(self._gripper_goal, self._gripper_target, float(travel[5]))
        self._action_ns, self._action_source, self._heard_ns = stamp_ns, source, now_ns
        self._holding, self._status = False, FOLLOWING
        return self._answer_with(stamp_ns, now_ns, np.append(step.q, self._gripper_goal))

    def tick(self, now_ns: int) -> Command | None:
        """What to send in real time when a period has passed without an action, or None.

        That is a step of going home, or the command in force once more, so that a servo's watchdog does
        not trip. Nothing before the first action, and nothing without fresh joint states.
        """
        state = self._state
        if state is None or self.settings.lockstep or self._blind(now_ns):
            return None
        if self._homing is not None:
            return self._step_home(self._homing, now_ns)
        if self._command is None or self._sent_ns is None:
            return None
        if self._engaged and self._silent(now_ns):
            self._engaged = False
            self._hold(f"holding: no action for {self.settings.command_timeout_s} s")
        if not self._engaged:
            away = self._kinematics.forward(self._command).position - state.pose.position
            if float(np.sqrt(away @ away)) > self.settings.leash_m + self.settings.step_m:
                self._release("holding: the arm was moved away from the held pose")
                return None
        if (now_ns - self._sent_ns) / SECOND_NS < 0.9 * self.settings.period_s:
            return None
        return self._command_at(now_ns, now_ns, self._command)

    def ask_home(self, now_ns: int) -> HomeQuestion | str:
        """What a planner has to answer before the arm can `set_out`, or why it cannot. Changes nothing."""
        if self.settings.lockstep:
            return "go_home: not in lockstep, where time stands still without actions; reset the simulation"
        if self._state is None:
            return "go_home: no joint_states yet"
        if reason := self._blind(now_ns):
            return f"go_home: {reason}"
        start = self._goals() if self._engaged else self._standing()
        self._asked = HomeQuestion(start, self._within_limits(self._q), self.settings)
        return self._asked

    def set_out(self, question: HomeQuestion, answer: HomePath | str, now_ns: int) -> str:
        """Go that way, step by step with `tick`; returns why not, or an empty string.

        An action, new settings or whatever moved the arm since calls it off. Actions are refused on the way.
        """
        asked, self._asked = self._asked, None
        if isinstance(answer, str):
            return f"go_home: {answer}"
        if reason := self._blind(now_ns):
            return f"go_home: {reason}"
        away, was_away = np.abs(self._q - question.start), np.abs(question.measured - question.start)
        is_moved = bool((away[:5] > was_away[:5] + AT_HOME_RAD).any())
        if asked is not question or self.settings is not question.settings or is_moved:
            return "go_home: called off, the arm or its settings changed while the way was planned"
        self._command, self._answer = question.start, None
        self._homing = Homing.along(answer, question.start, now_ns, self.settings)
        self._target = EeTarget.at(self._kinematics.forward(answer.waypoints[-1]))
        self._engaged, self._flags = False, Flags()
        self._holding, self._status = False, "going home"
        return ""

    def _step_home(self, homing: Homing, now_ns: int) -> Command | None:
        if now_ns > homing.deadline_ns:
            self._release("holding: did not get home in time, is the arm blocked?")
            return None
        goals = homing.next_goals(self._goals(), self._q, self._elapsed_s(now_ns), self.settings)
        self._moved_ns = now_ns
        if goals[5] != self._gripper_goal:
            self._gripper_target = self._gripper_goal = float(goals[5])
        if homing.arrived(goals, self._q):
            self._homing = None
            self._hold("holding: at home")
        return self._command_at(now_ns, now_ns, goals)

    def _blind(self, now_ns: int) -> str:
        """Why the newest joint state tells nothing about the present, or an empty string."""
        assert self._state is not None
        age_s = (now_ns - self._state.stamp_ns) / SECOND_NS
        timeout_s = self.settings.joint_state_timeout_s
        if self.settings.lockstep or abs(age_s) <= timeout_s:
            return ""
        reason = (
            f"joint_states: expected a stamp within {timeout_s} s of now, the newest is {age_s:.2f} s old"
        )
        self._release(f"holding: {reason}")
        return reason

    def _silent(self, now_ns: int) -> bool:
        """Whether no action was served lately, so that the next one starts anew."""
        if not self._engaged or self._heard_ns is None:
            return True
        silent_s = (now_ns - self._heard_ns) / SECOND_NS
        return silent_s > self.settings.command_timeout_s and not self.settings.lockstep

    def _elapsed_s(self, now_ns: int) -> float:
        """Time to move in, one period at most [s]: actions in quick succession share a period."""
        period_s = self.settings.period_s
        elapsed_s = period_s if self._moved_ns is None else (now_ns - self._moved_ns) / SECOND_NS
        return min(max(elapsed_s, 0.0), period_s)

    def _goals(self) -> Array:
        """The goals in force; where there are none, those that leave the arm where it stands."""
        return self._standing() if self._command is None else self._command

    def _standing(self) -> Array:
        """The arm as measured and the jaw as it was told, shape (6,) [rad]."""
        return self._within_limits(np.append(self._q[:5], self._gripper_goal))

    def _within_limits(self, q: Array) -> Array:
        return np.minimum(np.maximum(q, self._kinematics.lower), self._kinematics.upper)

    def _release(self, status: str) -> None:
        """Send nothing more until an action comes, and start from the measured pose then."""
        self._command, self._engaged, self._homing, self._asked = None, False, None, None
        self._answer = None  # a repeat must not bring the old goals back
        self._hold(status)

    def _hold(self, status: str) -> None:
        self._flags, self._holding, self._status = Flags(), True, status

    def _refuse(self, reason: str) -> None:
        self.refusal = reason

    def _answer_with(self, stamp_ns: int, now_ns: int, goals: Array) -> Command:
        self._answered_ns, self._answer = stamp_ns, self._command_at(stamp_ns, now_ns, goals)
        return self._answer

    def _command_at(self, stamp_ns: int, now_ns: int, goals: Array) -> Command:
        self._command, self._sent_ns, self._gripper_ours = goals, now_ns, True
        return Command(stamp_ns, goals, speeds_for(goals, self._q, self.settings))
