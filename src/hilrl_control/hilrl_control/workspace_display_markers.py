"""The markers of `workspace_display`: trail, bounds met, TCP, and what ee_controller says it is doing.

The box and the target are not among them: ee_controller shows those itself, so that they are true.
"""

from collections.abc import Iterable

from geometry_msgs.msg import Point
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from hilrl_control.ee_state import FOLLOWING
from hilrl_control.markers import lines, new_marker, point
from hilrl_control.workspace_display import Actor, Clip, Glance, History, TrailPoint
from hilrl_interfaces.msg import EeState
from hilrl_ros import stamps
from hilrl_ros.ee_action import Source

ACTORS = {
    Source.POLICY: Actor.POLICY,
    Source.INTERVENTION: Actor.INTERVENTION,
    Source.DEMONSTRATION: Actor.DEMONSTRATION,
}
# Apart for the colour-blind too; red is for bounds alone.
COLOURS = {
    Actor.POLICY: (0.25, 0.55, 0.95),
    Actor.INTERVENTION: (1.0, 0.6, 0.0),
    Actor.DEMONSTRATION: (0.95, 0.9, 0.25),
    Actor.NOBODY: (0.6, 0.6, 0.6),
}
BOUNDS = {
    "clipped_workspace": "workspace",
    "clipped_step": "step",
    "clipped_joint_limit": "joint limit",
    "clipped_speed": "speed",
    "clipped_leash": "leash",
    "unreachable": "reach",
}
"""What the flags of EeState are called in the picture."""
CLIP = (0.9, 0.1, 0.1)
TEXT = (0.95, 0.95, 0.95)
TRAIL_WIDTH_M = 0.003
CLIP_WIDTH_M = 0.0025
CLIP_ARM_M = 0.005
"""Half the size of the cross that marks a bound."""
AXIS_M = 0.03
AXIS_WIDTH_M = 0.002
TEXT_HEIGHT_M = 0.012
STATUS_ABOVE_M = 0.06
LABEL_ABOVE_M = 0.012


def glance(state: EeState) -> Glance:
    """What `History` keeps of a state."""
    acts = not state.holding and state.status == FOLLOWING
    at, target = state.pose.position, state.target.position
    return Glance(
        position=(at.x, at.y, at.z),
        target=(target.x, target.y, target.z),
        actor=ACTORS.get(state.action_source, Actor.NOBODY) if acts else Actor.NOBODY,
        action_ns=stamps.to_ns(state.action_stamp),
        bounds=tuple(name for flag, name in BOUNDS.items() if getattr(state, flag)),
    )


def display_markers(history: History, state: EeState) -> MarkerArray:
    """The whole picture; it replaces the one before."""
    now = glance(state)
    return MarkerArray(
        markers=[
            Marker(action=Marker.DELETEALL),
            *_trails(history.trail),
            *_clips(history.clips),
            _axes(state),
            _status(state, now),
        ]
    )


def _trails(trail: Iterable[TrailPoint]) -> list[Marker]:
    """A marker per actor, so that RViz can hide each. A line has the colour of who made it."""
    ends: dict[Actor, list[Point]] = {}
    before = None
    for place in trail:
        here = point(place.position)
        if before is not None and place.joined:
            ends.setdefault(place.actor, []).extend((before, here))
        before = here
    return [lines(f"trail/{actor}", ends[actor], TRAIL_WIDTH_M, COLOURS[actor]) for actor in ends]


def _clips(clips: Iterable[Clip]) -> list[Marker]:
    """A marker per bound: a cross wherever it was met, its name at the newest, one name above the other."""
    by_bound: dict[str, list[Clip]] = {}
    for clip in clips:
        by_bound.setdefault(clip.bound, []).append(clip)
    markers = []
    for row, (bound, places) in enumerate(by_bound.items()):
        ends = [point(end) for clip in places for end in _cross(clip.position)]
        markers.append(lines(f"clip/{bound}", ends, CLIP_WIDTH_M, CLIP))
        x, y, z = places[-1].position
        above_m = LABEL_ABOVE_M + row * TEXT_HEIGHT_M
        markers.append(_text(f"clip_label/{bound}", bound, (x, y, z + above_m), CLIP))
    return markers


def _cross(centre: tuple[float, float, float]) -> list[list[float]]:
    """The ends of three lines through `centre`, along x, y and z [m]."""
    return [
        [value + (offset if axis == other else 0.0) for other, value in enumerate(centre)]
        for axis in range(3)
        for offset in (-CLIP_ARM_M, CLIP_ARM_M)
    ]


def _axes(state: EeState) -> Marker:
    """The measured TCP: x red, y green, z, the direction of approach, blue."""
    origin = Point(x=0.0, y=0.0, z=0.0)
    tips = ((AXIS_M, 0.0, 0.0), (0.0, AXIS_M, 0.0), (0.0, 0.0, AXIS_M))
    marker = lines("tcp", [end for tip in tips for end in (origin, point(tip))], AXIS_WIDTH_M, TEXT)
    marker.colors = [
        ColorRGBA(r=float(i == 0), g=float(i == 1), b=float(i == 2), a=1.0) for i in range(3) for _ in "ab"
    ]
    marker.pose = state.pose
    return marker


def _status(state: EeState, now: Glance) -> Marker:
    x, y, z = now.position
    text = state.status if now.actor is Actor.NOBODY else str(now.actor)
    return _text("status", text, (x, y, z + STATUS_ABOVE_M), COLOURS[now.actor])


def _text(
    name: str, text: str, position: tuple[float, float, float], colour: tuple[float, float, float]
) -> Marker:
    marker = new_marker(name, Marker.TEXT_VIEW_FACING, colour)
    marker.pose.position = point(position)
    marker.scale.z = TEXT_HEIGHT_M
    marker.text = text
    return marker
