"""What the TCP did lately: where it went, who acted, and where it was bounded. For RViz."""

import math
from collections import deque
from dataclasses import dataclass
from enum import StrEnum

Position = tuple[float, float, float]
"""In the base frame [m]."""

SPACING_M = 0.002
"""The trail has no two points closer together."""
JUMP_M = 0.05
"""Further apart than steps are: the scene was reset, and no line joins the two places."""
CLIP_SPACING_M = 0.01
"""A bound that was met twice within this distance is marked once."""


class Actor(StrEnum):
    """Who moved the arm."""

    POLICY = "policy"
    INTERVENTION = "intervention"
    DEMONSTRATION = "demonstration"
    NOBODY = "nobody"
    """No action was followed: the arm holds, goes home, or is moved by hand."""


@dataclass(frozen=True)
class Glance:
    """The end effector at one moment."""

    position: Position
    """Of the measured TCP."""
    target: Position
    actor: Actor
    action_ns: int
    """Stamp of the action in force; tells one action from the next."""
    bounds: tuple[str, ...]
    """What bounded that action."""


@dataclass(frozen=True)
class TrailPoint:
    """A place where the TCP was."""

    position: Position
    actor: Actor
    """Who brought it there."""
    joined: bool
    """Whether it came there from the point before, rather than by a reset."""


@dataclass(frozen=True)
class Clip:
    """A place where a bound was met."""

    bound: str
    position: Position
    """Of the target, as bounded."""


class History:
    """The newest `trail_points` places of the TCP and the newest `clip_marks` places of a bound."""

    def __init__(self, trail_points: int, clip_marks: int) -> None:
        self.trail: deque[TrailPoint] = deque(maxlen=trail_points)
        """Oldest first."""
        self.clips: deque[Clip] = deque(maxlen=clip_marks)
        """Oldest first."""
        self._clipped_ns: int | None = None

    def add(self, glance: Glance) -> None:
        """Take in what is seen now."""
        travelled = math.dist(glance.position, self.trail[-1].position) if self.trail else math.inf
        if travelled >= SPACING_M:
            self.trail.append(TrailPoint(glance.position, glance.actor, travelled <= JUMP_M))
        if glance.action_ns != self._clipped_ns:
            self._clipped_ns = glance.action_ns
            for bound in glance.bounds:
                self._mark(Clip(bound, glance.target))

    def _mark(self, clip: Clip) -> None:
        """The newest of those at one place stays: it is the one that is labelled."""
        for known in self.clips:
            if known.bound == clip.bound and math.dist(known.position, clip.position) < CLIP_SPACING_M:
                self.clips.remove(known)
                break
        self.clips.append(clip)
