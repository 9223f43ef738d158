"""Episodes worth looking at: successes, and failures that look nearly like them. Plain numpy, no ROS.

A scripted operator proposes what to do at every tick; practice follows it, or spoils it.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from hilrl_ros.ee_action import Gripper

Array = NDArray[np.float32]
AXES = 5
"""Of an `EeAction.delta`."""
UP = np.array([0, 0, 1, 0, 0], np.float32)
ALMOST_M = 0.045
"""How high the first object may be held at most where it is to stay short of success [m]."""


class Behaviour(StrEnum):
    """What is done with the operator's proposals."""

    SHOW = "show"
    """Followed to success, and a little further."""
    HALF = "half"
    """Followed until the object is held, then it hovers below success."""
    DROP = "drop"
    """Followed, the object let go on the way, and followed again."""
    EMPTY = "empty"
    """Jaws closed on nothing in the middle, and lifted as if they held something."""
    STOP = "stop"
    """Hands off in the middle."""
    WANDER = "wander"
    """A random walk of arm and gripper, as an untrained policy does."""


SHARES = {
    Behaviour.SHOW: 0.34,
    Behaviour.HALF: 0.16,
    Behaviour.DROP: 0.14,
    Behaviour.EMPTY: 0.16,
    Behaviour.STOP: 0.06,
    Behaviour.WANDER: 0.14,
}


@dataclass(frozen=True)
class Situation:
    """A tick as practice sees it."""

    delta: Array
    """The operator's, shape (5,) in [-1, 1]."""
    gripper: Gripper
    """The operator's."""
    done: bool
    grasped: bool
    rise_m: float
    """Of the first object above where it rested."""


class Practice:
    """One episode."""

    def __init__(self, seed: int, episode: int, most_steps: int) -> None:
        """Seed and number decide everything."""
        self._rng = rng = np.random.default_rng([seed, episode, 2])
        self.behaviour = Behaviour(rng.choice(list(SHARES), p=list(SHARES.values())))
        self._most_steps = most_steps
        self._noise = float(rng.uniform(0.0, 0.35))
        self._turn = int(rng.integers(5, 16))
        """Step at which EMPTY and STOP spoil the episode."""
        self._height_m = float(rng.uniform(0.0, ALMOST_M))
        self._drop_m = float(rng.uniform(0.01, 0.09))
        self._after = int(rng.integers(3, 13))
        """Steps that go on after success."""
        self._lets_go_in_the_end = bool(rng.random() < 0.3)
        self._walk = np.zeros(AXES, np.float32)
        self._walk_gripper = Gripper.STAY
        self._step = -1
        self._spoilt_at: int | None = None

    def act(self, now: Situation) -> tuple[Array, Gripper] | None:
        """Delta, shape (5,) in [-1, 1], and gripper for the next tick; None: the episode is over."""
        self._step += 1
        if self._step >= self._most_steps:
            return None
        delta, gripper = getattr(self, f"_{self.behaviour.value}")(now) or (None, None)
        if delta is None:
            return None
        return np.clip(delta, -1, 1).astype(np.float32), gripper

    def _tremor(self, size: float) -> Array:
        noise = np.zeros(AXES, np.float32)
        noise[:3] = self._rng.normal(0.0, size, 3)
        return noise

    def _follow(self, now: Situation) -> tuple[Array, Gripper]:
        return now.delta + self._tremor(self._noise), now.gripper

    def _show(self, now: Situation) -> tuple[Array, Gripper] | None:
        if now.done or self._spoilt_at is not None:
            self._after -= 1
            if self._after < 0:
                return None
            if self._lets_go_in_the_end and self._after < 3:
                self._spoilt_at = self._step
                return self._tremor(0.3), Gripper.OPEN
            if self._after % 2:
                return self._tremor(0.4), Gripper.CLOSE if now.grasped else now.gripper
        return self._follow(now)

    def _half(self, now: Situation) -> tuple[Array, Gripper]:
        if not now.grasped or now.rise_m < self._height_m:
            delta, gripper = self._follow(now)
            if now.grasped:
                delta[2] = min(delta[2], (ALMOST_M - now.rise_m) / 0.02)
            return delta, gripper
        self._count_down(14)
        delta = self._tremor(0.25)
        if now.rise_m > ALMOST_M:
            delta[2] = -0.5
        return delta, Gripper.CLOSE

    def _drop(self, now: Situation) -> tuple[Array, Gripper]:
        if self._spoilt_at is None and now.grasped and now.rise_m >= self._drop_m:
            self._spoilt_at = self._step
        if self._spoilt_at is not None and self._step < self._spoilt_at + 6:
            return self._tremor(0.3) + (0.5 * UP if self._step % 2 else 0), Gripper.OPEN
        if self._spoilt_at is not None and now.done:
            self._count_down(4)
        return self._follow(now)

    def _empty(self, now: Situation) -> tuple[Array, Gripper]:
        since = self._step - self._turn
        if since < 0 and not now.grasped:
            return self._follow(now)
        if now.grasped and self._spoilt_at is None:
            return self._half(now)  # it took hold all the same
        self._spoilt_at = self._spoilt_at or self._step
        if since < 4:
            return self._tremor(0.3), Gripper.CLOSE
        if since < 14:
            return UP * 0.8 + self._tremor(0.3), Gripper.CLOSE
        if since < 20:
            return self._tremor(0.6), Gripper.CLOSE
        return self._follow(now)

    def _stop(self, now: Situation) -> tuple[Array, Gripper]:
        if self._step < self._turn:
            return self._follow(now)
        self._count_down(10)
        return self._tremor(0.05), Gripper.STAY

    def _wander(self, now: Situation) -> tuple[Array, Gripper]:
        self._walk = 0.85 * self._walk + self._tremor(0.5)
        if self._rng.random() < 0.12:
            self._walk_gripper = Gripper(int(self._rng.integers(3)))
        # Near the object it learns more than in the air.
        return self._walk + 0.5 * now.delta, self._walk_gripper

    def _count_down(self, steps: int) -> None:
        """The episode ends after so many more steps."""
        self._most_steps = min(self._most_steps, self._step + steps)
