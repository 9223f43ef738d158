"""MoveIt proposes, our checks decide. Processes in its place here; MoveIt itself where it is installed."""

import math
import time
from contextlib import closing
from importlib.util import find_spec

import numpy as np
import proposers
import pytest

from hilrl_control import moveit_process
from hilrl_control.collision import CollisionModel
from hilrl_control.home_path import HomePath, HomePlanner, HomeQuestion
from hilrl_control.inverse_kinematics import InverseKinematics
from hilrl_control.moveit_planner import MoveItPlanner
from hilrl_control.settings import Settings

SETTINGS = Settings.default()
START = np.array([0.9, 0.2, 0.2, 1.0, 0.0, 0.0])
LOW_LEFT, LOW_RIGHT = np.array([1.9, 0.03, 0.46, 1.61, 1.41, 0.0]), (-1.9, 0.44, 0.51, -0.57, 2.48, 0.0)
"""The line between them leads through the table."""
NODE = "hilrl_control.ee_controller_node"


@pytest.fixture
def new_planner(kinematics, urdf_text):
    """new_planner(serve, limit_s=60): closed by the caller."""

    def new(serve, limit_s=60.0):
        collision = CollisionModel(kinematics, SETTINGS.table_z_m)
        own = HomePlanner(kinematics, InverseKinematics(kinematics), collision)
        own.limit_s = math.inf
        planner = MoveItPlanner(own, urdf_text, "/so101", serve)
        planner.limit_s = limit_s
        return closing(planner)

    return new


def question(start=START, **settings):
    return HomeQuestion(start, start, Settings(SETTINGS.workspace, **settings))


def test_a_way_that_is_free_is_gone_and_ends_at_home_itself(new_planner):
    with new_planner(proposers.straight) as planner:
        path = planner.plan(question())
    assert isinstance(path, HomePath) and path.kind == "moveit"
    np.testing.assert_array_equal(path.waypoints[-1], SETTINGS.home_joints[:5])


def test_a_proposed_way_through_the_table_is_not_gone(new_planner):
    """Invariant 9: what MoveIt says is not believed."""
    with new_planner(proposers.straight) as planner:
        answer = planner.plan(question(LOW_LEFT, home_joints=LOW_RIGHT))
    assert answer == "a way home was proposed that does not keep 5.0 mm of clearance"


def test_no_way_is_a_reason(new_planner):
    with new_planner(proposers.refusing) as planner:
        assert planner.plan(question()) == "MoveIt found no way home, its error code is -1"


def test_moveit_that_says_nothing_is_waited_for_so_long_and_no_longer(new_planner):
    with new_planner(proposers.silent, limit_s=0.5) as planner:
        assert planner.plan(question()) == ("MoveIt has found no way within 0.5 s, or is still starting")


def test_an_answer_that_comes_too_late_is_not_taken_for_the_next_one(new_planner):
    with new_planner(proposers.late, limit_s=3.0) as planner:
        assert isinstance(planner.plan(question()), str)
        planner.limit_s = 60.0
        assert isinstance(planner.plan(question()), HomePath)


def test_a_process_that_ended_is_replaced(new_planner):
    with new_planner(proposers.dying) as planner:
        for _ in range(2):
            assert planner.plan(question()) == "MoveIt has ended; it is started again"


@pytest.mark.skipif(find_spec("moveit") is not None, reason="moveit_py is installed here")
def test_without_moveit_the_node_does_not_start_and_says_why_in_one_line(start_node):
    process = start_node(NODE, "planner:=moveit")
    assert process.wait() == 2 and "Traceback" not in process.log
    assert "error: planner: expected moveit_py to be installed for 'moveit'" in process.log


def test_an_unknown_planner_is_refused(start_node):
    process = start_node(NODE, "planner:=guess")
    assert process.wait() == 2 and "planner: expected one of ['own', 'moveit'], got 'guess'" in process.log


def test_moveit_finds_the_way_where_the_straight_line_is_not_free(new_planner):
    pytest.importorskip("moveit", reason="needs the moveit_py of an installed ROS")
    with new_planner(moveit_process.serve) as planner:
        deadline = time.monotonic() + 60.0
        path = planner.plan(question())
        while isinstance(path, str) and time.monotonic() < deadline:
            path = planner.plan(question())
        assert isinstance(path, HomePath), path
        around = planner.plan(question(LOW_LEFT, home_joints=LOW_RIGHT))
    assert isinstance(around, HomePath) and len(around.waypoints) > 1, around
