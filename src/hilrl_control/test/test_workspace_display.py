"""What is remembered of the TCP, and what is drawn of it. No ROS graph, but real messages."""

import itertools
import math

import pytest
from visualization_msgs.msg import Marker

from hilrl_control.markers import workspace_in, workspace_markers
from hilrl_control.settings import Settings
from hilrl_control.workspace import Workspace
from hilrl_control.workspace_display import CLIP_SPACING_M, Actor, Glance, History
from hilrl_control.workspace_display_markers import BOUNDS, COLOURS, display_markers, glance
from hilrl_interfaces.msg import EeAction, EeState
from hilrl_ros import stamps

FLAGS = [
    field for field in EeState.get_fields_and_field_types() if field.startswith(("clipped_", "unreachable"))
]


def state(x=0.2, y=0.0, z=0.1, tick=1, **fields):
    message = EeState(status="following actions", action_stamp=stamps.from_ns(tick), **fields)
    for pose in (message.pose, message.target):
        pose.position.x, pose.position.y, pose.position.z = x, y, z
        pose.orientation.w = 1.0
    return message


def seen(states, trail_points=300, clip_marks=40):
    history = History(trail_points, clip_marks)
    for message in states:
        history.add(glance(message))
    return history


def drawn(states, **sizes):
    """The markers by name."""
    return {marker.ns: marker for marker in display_markers(seen(states, **sizes), states[-1]).markers}


@pytest.mark.parametrize(
    ("source", "actor"),
    [
        (EeAction.SOURCE_POLICY, Actor.POLICY),
        (EeAction.SOURCE_INTERVENTION, Actor.INTERVENTION),
        (EeAction.SOURCE_DEMONSTRATION, Actor.DEMONSTRATION),
        (77, Actor.NOBODY),
    ],
)
def test_the_one_who_acts_is_the_source_of_the_action(source, actor):
    assert glance(state(action_source=source)).actor is actor


@pytest.mark.parametrize(
    "idle", [{"holding": True, "status": "holding: no action"}, {"holding": False, "status": "going home"}]
)
def test_nobody_acts_while_the_controller_holds_or_goes_home(idle):
    message = state(action_source=EeAction.SOURCE_INTERVENTION)
    for field, value in idle.items():
        setattr(message, field, value)
    assert glance(message).actor is Actor.NOBODY
    assert drawn([message])["status"].text == idle["status"]


def test_each_part_of_the_trail_has_the_colour_of_who_made_it():
    by = [EeAction.SOURCE_POLICY] * 4 + [EeAction.SOURCE_INTERVENTION] * 3
    markers = drawn([state(x=0.2 + 0.01 * i, action_source=source) for i, source in enumerate(by)])
    for actor, ends in ((Actor.POLICY, (0.20, 0.23)), (Actor.INTERVENTION, (0.23, 0.26))):
        trail = markers[f"trail/{actor}"]
        assert trail.type == Marker.LINE_LIST and len(trail.points) == 6
        assert (trail.points[0].x, trail.points[-1].x) == pytest.approx(ends)
        assert (trail.color.r, trail.color.g, trail.color.b) == pytest.approx(COLOURS[actor])
    assert markers["status"].text == "intervention"
    for one, other in itertools.combinations(COLOURS.values(), 2):
        assert math.dist(one, other) > 0.3


def test_the_trail_and_the_marks_are_bounded():
    states = [
        state(x=0.01 * (i % 40), y=0.01 * (i // 40), tick=i, clipped_leash=True, clipped_step=True)
        for i in range(1, 1000)
    ]
    history = seen(states, trail_points=50, clip_marks=20)
    assert (len(history.trail), len(history.clips)) == (50, 20)
    assert history.trail[-1].position == pytest.approx((0.39, 0.24, 0.1))


def test_an_arm_that_stands_still_leaves_no_trail():
    assert len(seen([state(x=0.2 + 1e-4 * (i % 3), tick=i) for i in range(100)]).trail) == 1


def test_no_line_crosses_a_reset():
    places = (0.10, 0.11, 0.30, 0.31)
    trail = drawn([state(x=x) for x in places])["trail/policy"]
    assert [p.x for p in trail.points] == pytest.approx([0.10, 0.11, 0.30, 0.31])
    assert len(trail.points) == 4, "one line on either side of the reset"


def test_a_bound_is_marked_where_the_target_met_it_and_named():
    markers = drawn([state(x=0.32, clipped_workspace=True)])
    crosses, label = markers["clip/workspace"], markers["clip_label/workspace"]
    assert len(crosses.points) == 6 and crosses.color.r > 0.8 and crosses.color.g < 0.3
    assert all(math.dist((p.x, p.y, p.z), (0.32, 0.0, 0.1)) < 0.01 for p in crosses.points)
    assert label.text == "workspace"


def test_every_flag_of_the_controller_has_a_mark():
    assert set(BOUNDS) == set(FLAGS)
    for flag in FLAGS:
        assert f"clip/{BOUNDS[flag]}" in drawn([state(**{flag: True})])


def test_an_action_is_marked_once_and_a_place_is_marked_once():
    far = 2 * CLIP_SPACING_M
    same_action = [state(x=0.2 + far * i, tick=5, clipped_leash=True) for i in range(5)]
    assert len(seen(same_action).clips) == 1
    same_place = [state(x=0.2 + 0.001 * (i % 3), tick=i, clipped_leash=True) for i in range(1, 50)]
    assert len(seen(same_place).clips) == 1
    both = [state(x=0.2 + far * i, tick=i, clipped_leash=True) for i in range(1, 6)]
    assert len(seen(both).clips) == 5


def test_the_label_is_at_the_newest_mark():
    turns = [state(x=x, tick=i, clipped_leash=True) for i, x in enumerate((0.2, 0.3, 0.2))]
    assert drawn(turns)["clip_label/leash"].pose.position.x == pytest.approx(0.2)


def test_the_markers_are_such_as_rviz_takes():
    """It refuses odd numbers of line ends, two markers of one name, and numbers that are none."""
    states = [
        state(x=0.2 + 0.01 * i, tick=i, action_source=i % 3, **{FLAGS[i % len(FLAGS)]: True})
        for i in range(1, 40)
    ]
    first, *markers = display_markers(seen(states), states[-1]).markers
    assert first.action == Marker.DELETEALL, "what is no longer there goes"
    names = [(marker.ns, marker.id) for marker in markers]
    assert len(names) == len(set(names)) > 10
    for marker in markers:
        assert marker.header.frame_id == "base_link" and marker.header.stamp == type(marker.header.stamp)()
        if marker.type == Marker.LINE_LIST:
            assert marker.points and len(marker.points) % 2 == 0 and marker.scale.x > 0.0
            assert len(marker.colors) in (0, len(marker.points))
        else:
            assert marker.type == Marker.TEXT_VIEW_FACING and marker.text and marker.scale.z > 0.0


def test_the_box_and_the_target_are_left_to_the_controller():
    own = {marker.ns for marker in workspace_markers(Settings.default().workspace, None).markers}
    assert not own & set(drawn([state()]))


def test_the_box_is_read_from_the_controllers_markers():
    for box in (Settings.default().workspace, Workspace.from_corners((-0.1, 0.0, 0.3), (0.7, 0.1, 0.317))):
        read = workspace_in(workspace_markers(box, None).markers)
        assert read.minimum.tolist() == box.minimum.tolist(), "no rounding of what was not dragged"
        assert read.maximum.tolist() == box.maximum.tolist()
    assert workspace_in([]) is None


def test_a_history_of_garbage_does_not_grow():
    history = History(10, 10)
    for tick in range(100):
        history.add(Glance((0.1 * tick,) * 3, (math.nan,) * 3, Actor.NOBODY, tick, ("leash",)))
    assert len(history.trail) == 10 and len(history.clips) <= 10
