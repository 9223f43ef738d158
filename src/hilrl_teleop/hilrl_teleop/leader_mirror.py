"""The leader while the policy acts: the pose that it is told to take, and whether a hand pushes it away."""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from hilrl_teleop.leader_settings import LeaderSettings

Array = NDArray[np.float64]

CAUGHT_UP_RAD = 0.02
FAR_RAD = 0.4
"""A follower that is suddenly this far away is caught up with as at the start [rad]."""
FASTEST_RAD_S = 5.0
"""Of a leader that has caught up, jaw included; nothing that the follower does is faster [rad/s]."""
MAX_DT_S = 0.1
"""A longer period moves the leader no further than one of this length."""


class Mirror:
    """The mirrored pose starts where the leader is, and comes to the follower's at a bounded speed.

    A push is a joint beyond `engage_rad` from where it is allowed to be: between the poses of the last
    `mirror_lag_s`, or on the way there from where it was. That way gets shorter as the leader advances, and
    by `slowest_rad_s` in any case: weak torque is slow, but a leader that stays behind is held.
    """

    def __init__(self, measured: Array, now_s: float, settings: LeaderSettings) -> None:
        """`measured`: the leader's joints, shape (6,) [rad]."""
        self.settings = settings
        self.pose: Array = measured.copy()
        """The newest pose, shape (6,) [rad]."""
        self.caught_up = False
        """Whether it is the follower's."""
        self._pace = settings.catch_up_rad_s
        self._recent: deque[tuple[float, Array]] = deque([(now_s, self.pose)])
        self._low, self._high = self.pose.copy(), self.pose.copy()
        self._stepped_s = self._looked_s = now_s
        self._pushed_since_s: float | None = None

    def step(self, follower: Array, now_s: float) -> Array:
        """The pose for now, for a follower at `follower`; both of shape (6,) [rad]."""
        dt_s = min(max(now_s - self._stepped_s, 0.0), MAX_DT_S)
        self._stepped_s = now_s
        away = follower - self.pose
        if float(np.abs(away).max()) > FAR_RAD and self.caught_up:
            self.caught_up, self._pace = False, self.settings.catch_up_rad_s
        travel = (FASTEST_RAD_S if self.caught_up else self._pace) * dt_s
        self.pose = self.pose + np.clip(away, -travel, travel)
        if float(np.abs(follower - self.pose).max()) <= CAUGHT_UP_RAD:
            self.caught_up = True
        elif not self.caught_up:
            # Whoever moves on faster than this would otherwise never be caught up with.
            self._pace = min(self._pace + self.settings.catch_up_rad_s * dt_s, FASTEST_RAD_S)
        self._recent.append((now_s, self.pose))
        return self.pose

    def is_pushed(self, measured: Array, now_s: float) -> bool:
        """Whether the leader, at `measured`, shape (6,) [rad], has been pushed for `engage_s`."""
        if float(self._off(measured, now_s).max()) <= self.settings.engage_rad:
            self._pushed_since_s = None
            return False
        if self._pushed_since_s is None:
            self._pushed_since_s = now_s
        return now_s - self._pushed_since_s >= self.settings.engage_s

    def _off(self, measured: Array, now_s: float) -> Array:
        """How far each joint is from where it is allowed to be, shape (6,) [rad]."""
        settings = self.settings
        # The one pose before the window is where the leader may still be at its beginning.
        while len(self._recent) > 1 and self._recent[1][0] <= now_s - settings.mirror_lag_s:
            self._recent.popleft()
        poses = np.array([pose for _, pose in self._recent])
        low, high = poses.min(axis=0), poses.max(axis=0)
        shorter = settings.slowest_rad_s * min(max(now_s - self._looked_s, 0.0), MAX_DT_S)
        self._looked_s = now_s
        self._low = np.minimum(low, np.maximum(self._low + shorter, measured))
        self._high = np.maximum(high, np.minimum(self._high - shorter, measured))
        return np.maximum(np.maximum(self._low - measured, measured - self._high), 0.0)
