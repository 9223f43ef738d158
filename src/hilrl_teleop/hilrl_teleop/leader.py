"""The leader arm as an operator's device: it mirrors the follower until a hand takes over, and again after.

Knows nothing of ROS. Times are wall time on one monotonic clock [s]: the leader is in a person's hand, also
where the follower's time is simulated.
"""

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from hilrl_control.kinematics import Kinematics
from hilrl_teleop.leader_mirror import Mirror
from hilrl_teleop.leader_motion import Asked, HandMotion, JawMotion, Target
from hilrl_teleop.leader_settings import DEADMAN, MOVEMENT, LeaderSettings

Array = NDArray[np.float64]

LOST_TORQUE = "leader: its torque was switched off; leader_arm/enable_torque makes it mirror again"
GAP_S = 0.4
"""After a longer time without a mirror command the leader may have let go by itself."""
JAW = 5


class Phase(StrEnum):
    """Who has the leader."""

    FREE = "free"
    """Nobody: it has no torque yet, or one of the arms is not there."""
    MIRRORING = "mirroring"
    """The policy: with soft torque it follows the follower."""
    TAKEN = "taken"
    """The hand: no torque, and its motion moves the follower."""
    LOST = "lost"
    """Nobody: its torque went without our asking, and comes back when a person asks for it."""


class Leader:
    """Fed with what both arms report; says what the hand asks for and what the leader is to do."""

    def __init__(self, kinematics: Kinematics, settings: LeaderSettings) -> None:
        self.settings = settings
        """May be replaced at any time."""
        self.phase = Phase.FREE
        self.generation = 0
        """Rises where torque must be asked for anew, or taken anew."""
        self.trouble = ""
        """Why the leader does not do what it is there for, or an empty string."""
        self._kinematics = kinematics
        self._q: Array = np.zeros(6)
        self._follower: Array = np.zeros(6)
        self._target = Target(np.zeros(3), 0.0, 0.0, 0.0)
        self._served = False
        self._leader_s = self._follower_s = self._state_s = float("-inf")
        self._pressed = False
        self._mirror: Mirror
        self._mirrored_s = 0.0
        self._hand: HandMotion
        self._jaw: JawMotion
        self._still_q: Array = np.zeros(6)
        self._still_since_s = 0.0

    @property
    def engaged(self) -> bool:
        """Whether the hand has the follower."""
        return self.phase is Phase.TAKEN

    # -- what both arms and the person do ------------------------------------------------------------------

    def on_leader(self, q: Array, effort: Array | None, now_s: float) -> None:
        """The leader's measured joints, shape (6,) [rad], and the torque of its servos, where it is known."""
        self._q, self._leader_s = q, now_s
        has_torque = effort is None or bool(np.any(effort != 0.0))
        self.poll(now_s)
        if self.phase is Phase.MIRRORING and self.settings.takeover == MOVEMENT:
            self._mirror.settings = self.settings
            if self._mirror.is_pushed(q, now_s):
                if not has_torque:
                    self._enter(Phase.LOST, LOST_TORQUE)
                elif self._follower_is_there(now_s):
                    self._take_over(now_s)
        elif self.phase is Phase.LOST and effort is not None and has_torque:
            self._start_mirroring(now_s)
        elif self.phase is Phase.TAKEN:
            self._jaw.settings = self.settings
            self._jaw.move(float(q[JAW]), now_s)
            self._hand_back_where_still(now_s)

    def on_follower(self, q: Array, now_s: float) -> None:
        """The follower's measured joints, shape (6,) [rad]."""
        self._follower, self._follower_s = q, now_s

    def on_state(self, target: Target, served: bool, now_s: float) -> None:
        """Where the follower is commanded to be; `served`: by an operator, not by the policy."""
        self._target, self._served, self._state_s = target, served, now_s
        self.poll(now_s)

    def on_button(self, pressed: bool, now_s: float) -> None:
        """Whether the dead man's switch is held."""
        self._pressed = pressed
        self.poll(now_s)

    def on_torque(self, now_s: float) -> None:
        """The leader has torque, as was wanted."""
        if self.phase is Phase.FREE and self.torque_wanted(now_s):
            self._start_mirroring(now_s)

    def poll(self, now_s: float) -> None:
        """What follows from time alone, and from the switch. Call it every few 10 ms."""
        missing = self._missing(now_s)
        if missing and self.phase is Phase.TAKEN:
            self._enter(Phase.FREE, f"{missing}: let go")
        elif missing and self._leader_is_silent(now_s) and self.phase is not Phase.FREE:
            self._enter(Phase.FREE, f"{missing}: no longer mirroring")
        elif missing and self.phase is Phase.MIRRORING:
            self.trouble = f"{missing}: the leader stays where it is"
        elif missing and self.phase is Phase.FREE:
            self.trouble = self.trouble or f"{missing}: waiting for it"
        elif not missing and self.phase in (Phase.MIRRORING, Phase.TAKEN):
            self.trouble = ""
        if self.settings.takeover != DEADMAN:
            return
        if self._pressed and not missing and self.phase is not Phase.TAKEN:
            self._take_over(now_s)
        elif not self._pressed and self.phase is Phase.TAKEN:
            self._enter(Phase.FREE)

    # -- what the leader is to do, and what the hand asks for ------------------------------------------------

    def torque_wanted(self, now_s: float) -> bool | None:
        """Whether the leader is to have torque; None: whatever it has."""
        if self.phase is Phase.TAKEN:
            return False
        if self.phase is Phase.MIRRORING:
            return True
        return True if self.phase is Phase.FREE and not self._missing(now_s) else None

    def mirror(self, now_s: float) -> Array | None:
        """Where the leader is to go now, shape (6,) [rad], or None. Call it at a fixed rate."""
        self.poll(now_s)
        if self.phase is not Phase.MIRRORING:
            return None
        if now_s - self._mirrored_s > GAP_S:
            self._enter(Phase.FREE, f"no mirror command for {now_s - self._mirrored_s:.2f} s: starting anew")
            return None
        self._mirrored_s = now_s
        self._mirror.settings = self.settings
        goal = self._follower if self._follower_is_there(now_s) else self._mirror.pose
        return self._mirror.step(goal, now_s)

    def ask(self, now_s: float) -> Asked | None:
        """What the hand asks for with the follower as in the newest state; None: it does not have it."""
        self.poll(now_s)
        if self.phase is not Phase.TAKEN:
            return None
        self._hand.settings = self.settings
        delta = self._hand.ask(self._kinematics.forward(self._q), self._target, self._served)
        gripper, goal = self._jaw.ask(self._target.jaw, now_s)
        return Asked(delta, gripper, goal)

    # -- transitions ---------------------------------------------------------------------------------------

    def _take_over(self, now_s: float) -> None:
        self._hand = HandMotion(self._kinematics.forward(self._q), self._target, self.settings)
        self._jaw = JawMotion(float(self._q[JAW]), self._target.jaw, self.settings)
        self._still_q, self._still_since_s = self._q, now_s
        self._enter(Phase.TAKEN)

    def _hand_back_where_still(self, now_s: float) -> None:
        if float(np.abs(self._q - self._still_q).max()) > self.settings.release_rad:
            self._still_q, self._still_since_s = self._q, now_s
        still_s = now_s - self._still_since_s
        if self.settings.takeover == MOVEMENT and still_s >= self.settings.release_s:
            self._enter(Phase.FREE)

    def _start_mirroring(self, now_s: float) -> None:
        self._mirror, self._mirrored_s = Mirror(self._q, now_s, self.settings), now_s
        # With torque as it is wanted there is nothing to ask for.
        self.phase, self.trouble = Phase.MIRRORING, ""

    def _enter(self, phase: Phase, trouble: str = "") -> None:
        self.phase, self.trouble = phase, trouble
        self.generation += 1

    # -- who is there --------------------------------------------------------------------------------------

    def _leader_is_silent(self, now_s: float) -> bool:
        return now_s - self._leader_s > self.settings.leader_timeout_s

    def _follower_is_there(self, now_s: float) -> bool:
        oldest_s = min(self._follower_s, self._state_s)
        return now_s - oldest_s <= self.settings.follower_timeout_s

    def _missing(self, now_s: float) -> str:
        """Which input is silent, or an empty string."""
        settings = self.settings
        for name, heard_s, timeout_s in (
            ("leader/joint_states", self._leader_s, settings.leader_timeout_s),
            ("joint_states", self._follower_s, settings.follower_timeout_s),
            ("ee_state", self._state_s, settings.follower_timeout_s),
        ):
            if now_s - heard_s > timeout_s:
                return f"{name}: none for {timeout_s:g} s"
        return ""
