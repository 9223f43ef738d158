"""Distances are right, what always touches is left out, and nothing slips through between two looks."""

from xml.etree import ElementTree

import numpy as np
import pinocchio as pin
import pytest

from hilrl_control.collision import TABLE, CollisionModel
from hilrl_control.kinematics import Kinematics
from hilrl_control.settings import Settings

HOME = np.array(Settings.default().home_joints)
TABLE_Z = Settings.default().table_z_m
FOLDED = np.array([0.0, -1.4, 1.69, 1.6, 0.0, 0.0])
"""The gripper against the base."""


@pytest.fixture
def collision(kinematics):
    return CollisionModel(kinematics, TABLE_Z)


def anywhere(kinematics, count, seed=0):
    return np.random.default_rng(seed).uniform(kinematics.lower, kinematics.upper, (count, 6))


def lowest_point(kinematics, urdf_text, q):
    """Height of the lowest point of all shapes but the base's, from the URDF's own text [m]."""
    model = kinematics.model
    data, full = model.createData(), pin.neutral(model)
    full[[model.joints[i].idx_q for i in kinematics.joint_ids]] = q
    pin.framesForwardKinematics(model, data, full)
    lowest = np.inf
    for link in ElementTree.fromstring(urdf_text.encode()).findall("link"):
        if link.get("name") == "base_link":
            continue
        pose = data.oMf[model.getFrameId(link.get("name"))]
        for shape in link.findall("collision"):
            centre = np.array(shape.find("origin").get("xyz").split(), float)
            half = np.array(shape.find("geometry/box").get("size").split(), float) / 2
            corners = centre + half * np.array(np.meshgrid(*[[-1, 1]] * 3)).reshape(3, 8).T
            lowest = min(lowest, (corners @ pose.rotation.T + pose.translation)[:, 2].min())
    return lowest


def test_home_is_clear(collision):
    assert not collision.in_collision(HOME, Settings.default().clearance_m)


def test_the_distance_to_the_table_is_that_of_the_lowest_point(kinematics, urdf_text):
    for q in anywhere(kinematics, 50):
        lowest = lowest_point(kinematics, urdf_text, q)
        # A table just below the arm is the nearest thing there is.
        assert CollisionModel(kinematics, lowest - 1e-3).distance(q) <= 1e-3 + 1e-9
        far = CollisionModel(kinematics, -10.0)
        touching = CollisionModel(kinematics, lowest + 1e-4)
        assert touching.in_collision(q)
        if not far.in_collision(q):
            assert not CollisionModel(kinematics, lowest - 1e-4).in_collision(q)


def test_the_table_can_be_moved(collision):
    before = collision.distances(HOME)
    collision.table_z_m = TABLE_Z - 0.1
    change = collision.distances(HOME) - before
    assert {round(abs(metres), 5) for metres in change} == {0.0, 0.1}
    collision.table_z_m = 0.3
    assert "table overlap by" in collision.nearest(HOME)


def test_the_arm_folded_onto_itself_touches(collision):
    assert collision.in_collision(FOLDED)
    assert "base_link and gripper_link overlap by" in collision.nearest(FOLDED)


def test_only_links_that_a_joint_connects_are_left_out(collision):
    """At zero no other two touch; the base stands on the table for good."""
    links = [
        "base_link",
        "shoulder_link",
        "upper_arm_link",
        "lower_arm_link",
        "wrist_link",
        "gripper_link",
        "moving_jaw_so101_v1_link",
    ]
    expected = {frozenset((a, b)) for n, a in enumerate(links) for b in links[n + 2 :]}
    expected |= {frozenset((link, TABLE)) for link in links[1:]}
    assert collision.pairs == expected


def test_links_that_touch_at_zero_are_left_out(urdf_text, tmp_path):
    """As built they always do."""
    bumper = (
        '<collision><origin xyz="0.08 0 0.17"/><geometry><box size="0.06 0.06 0.06"/></geometry></collision>'
    )
    robot = ElementTree.fromstring(urdf_text.encode())
    robot.find("link[@name='base_link']").append(ElementTree.fromstring(bumper))
    path = tmp_path / "bumper.urdf"
    path.write_bytes(ElementTree.tostring(robot))
    pairs = CollisionModel(Kinematics(path), TABLE_Z).pairs
    assert frozenset(("base_link", "upper_arm_link")) not in pairs
    assert frozenset(("base_link", "lower_arm_link")) in pairs


def test_nothing_slips_through_between_two_looks(collision, kinematics):
    """Along straight lines, against looking every 0.004 rad; the steps are often ten times as long."""
    poses, hits, looks = anywhere(kinematics, 120), 0, 0
    for a, b in zip(poses[::2], poses[1::2], strict=True):
        if collision.in_collision(a, 0.005):
            continue
        shares = np.linspace(0.0, 1.0, int(np.abs(b - a).max() / 0.004))
        seen = [collision.distance(a + (b - a) * share) for share in shares]
        before = collision.evaluations
        hit = collision.first_collision(a, b, 0.005)
        looks += collision.evaluations - before
        if hit is None:
            assert min(seen) > 0.004, "between two looks at most a millimetre of the clearance is lost"
        else:
            hits += 1
            assert collision.in_collision(hit, 0.005)
            first = next(n for n, distance in enumerate(seen) if distance < 0.006)
            share = np.abs(hit - a).max() / np.abs(b - a).max()
            assert share > shares[first] - 0.01, "not before there is anything near"
    assert hits > 10


def test_what_starts_too_near_may_leave_and_not_come_nearer(collision):
    low = np.array([0.0, 0.2, 0.6, 0.75, 0.0, 0.0])
    collision.table_z_m = -1.0
    lowest = min(collision.distance(low), 1.0)
    assert lowest > 0.005, "the arm itself is clear there"
    table_z_m = _height_of_the_jaws(collision, low)
    collision.table_z_m = table_z_m + 0.002  # 2 mm into the table
    up, down = low - np.array([0.0, 0.5, 0.0, 0.0, 0.0, 0.0]), low + np.array([0.0, 0.1, 0, 0, 0, 0])
    assert collision.first_collision(low, up, 0.005) is not None
    assert collision.first_collision(low, up, 0.005, collision.allowed_from(low, 0.005)) is None
    assert collision.first_collision(low, down, 0.005, collision.allowed_from(low, 0.005)) is not None
    allowed = collision.allowed_from(low, 0.005)
    collision.first_collision(low, up, 0.005, allowed)
    assert (allowed == 0.005).all(), "once it is clear it stays clear"
    assert collision.first_collision(up, low, 0.005, allowed) is not None


def _height_of_the_jaws(collision, q):
    low, high = -0.5, 0.5
    for _ in range(40):
        collision.table_z_m = (low + high) / 2
        low, high = ((low + high) / 2, high) if not collision.in_collision(q) else (low, (low + high) / 2)
    return low


def test_a_robot_without_collision_shapes_is_refused(urdf_text, tmp_path):
    robot = ElementTree.fromstring(urdf_text.encode())
    jaw = robot.find("link[@name='moving_jaw_so101_v1_link']")
    for shape in jaw.findall("collision"):
        jaw.remove(shape)
    path = tmp_path / "bare.urdf"
    path.write_bytes(ElementTree.tostring(robot))
    with pytest.raises(ValueError, match=r"urdf: .* behind every joint, there is none behind \['gripper'\]"):
        CollisionModel(Kinematics(path), TABLE_Z)
