"""The handles on the faces of the box, without a graph."""

import math

import numpy as np
import pinocchio as pin
import pytest
from visualization_msgs.msg import InteractiveMarkerControl, Marker

from hilrl_control.workspace_display_faces import FACES, handles

LOW, HIGH = (-0.45, -0.45, 0.0), (0.45, 0.45, 0.5)


def drag(workspace, name, place_m):
    return FACES[name].dragged(place_m, workspace, LOW, HIGH)


def out_of(face):
    normal = np.zeros(3)
    normal[face.axis] = 1.0 if face.upper else -1.0
    return normal


def turned(q):
    """The x axis of a quaternion."""
    return pin.Quaternion(q.w, q.x, q.y, q.z).matrix()[:, 0]


def test_there_is_a_handle_in_the_middle_of_each_face_that_moves_along_its_normal(workspace):
    markers = handles(workspace)
    assert [marker.name for marker in markers] == ["x min", "x max", "y min", "y max", "z min", "z max"]
    middle = (workspace.minimum + workspace.maximum) / 2
    for marker in markers:
        face = FACES[marker.name]
        at = np.array([marker.pose.position.x, marker.pose.position.y, marker.pose.position.z])
        assert at[face.axis] == face.place(workspace)
        np.testing.assert_allclose(np.delete(at, face.axis), np.delete(middle, face.axis))
        (control,) = marker.controls
        assert control.interaction_mode == InteractiveMarkerControl.MOVE_AXIS
        np.testing.assert_allclose(turned(control.orientation), out_of(face), atol=1e-12)
        arrow, text = control.markers
        assert (arrow.type, text.type) == (Marker.ARROW, Marker.TEXT_VIEW_FACING)
        np.testing.assert_allclose(turned(arrow.pose.orientation), out_of(face), atol=1e-12)
        assert not arrow.header.frame_id and not text.header.frame_id, "they move with the handle"
        assert marker.header.frame_id == "base_link" and text.text.startswith(marker.name)


def test_a_drag_moves_one_face_and_nothing_else(workspace):
    low, high = drag(workspace, "x max", 0.2513)
    assert low == workspace.minimum.tolist()
    assert high == [0.251, 0.15, 0.22], "to the millimetre"
    low, high = drag(workspace, "z min", 0.1)
    assert low == [0.12, -0.15, 0.1] and high == workspace.maximum.tolist()


def test_a_drag_goes_no_further_than_the_limits(workspace):
    assert drag(workspace, "x max", 7.0)[1] == [0.45, 0.15, 0.22]
    assert drag(workspace, "z min", -0.3)[0] == [0.12, -0.15, 0.0], "not into the table"


def test_a_click_is_no_drag(workspace):
    for name, face in FACES.items():
        # The mouse's numbers are of single precision.
        assert drag(workspace, name, float(np.float32(face.place(workspace)))) is None
        assert drag(workspace, name, face.place(workspace) + 4e-4) is None


@pytest.mark.parametrize("place_m", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_handed_on_to_be_refused(workspace, place_m):
    _, high = drag(workspace, "x max", place_m)
    assert high[0] is place_m


def test_a_refusal_is_shown_at_its_face(workspace):
    reason = "workspace_min x: expected less than workspace_max x = 0.12 m, got 0.3 m"
    for marker in handles(workspace, "x max", reason):
        arrow, text = marker.controls[0].markers
        shown = text.text.partition("\n")[2].replace("\n", " ")
        assert shown == (reason if marker.name == "x max" else "")
        assert (arrow.color.r > 0.9) == (marker.name == "x max")
        assert max(map(len, text.text.splitlines())) <= 40
