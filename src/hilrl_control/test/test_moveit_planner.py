"""MoveIt proposes, our checks decide. Processes in its place here; MoveIt itself where it is installed."""

import math
import subprocess
import sys
import time
from contextlib import closing, suppress
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from hilrl_control.collision import CollisionModel
from hilrl_control.home_path import HomePath, HomePlanner, HomeQuestion
from hilrl_control.inverse_kinematics import InverseKinematics
from hilrl_control.moveit_planner import MOVEIT, MoveItPlanner
from hilrl_control.settings import Settings

PROPOSERS = Path(__file__).with_name("proposers.py")
SETTINGS = Settings.default()
START = np.array([0.9, 0.2, 0.2, 1.0, 0.0, 0.0])
LOW_LEFT, LOW_RIGHT = np.array([1.9, 0.03, 0.46, 1.61, 1.41, 0.0]), (-1.9, 0.44, 0.51, -0.57, 2.48, 0.0)
"""The line between them leads through the table."""
NODE = "hilrl_control.ee_controller_node"


@pytest.fixture
def new_planner(kinematics, urdf_text):
    """new_planner(proposer, limit_s=60), None for MoveIt itself: to be closed by the caller."""

    def new(proposer, limit_s=60.0):
        collision = CollisionModel(kinematics, SETTINGS.table_z_m)
        own = HomePlanner(kinematics, InverseKinematics(kinematics), collision)
        own.limit_s = math.inf
        program = MOVEIT if proposer is None else (str(PROPOSERS), proposer)
        planner = MoveItPlanner(own, urdf_text, "/so101", program)
        planner.limit_s = limit_s
        return closing(planner)

    return new


def question(start=START, **settings):
    return HomeQuestion(start, start, Settings(SETTINGS.workspace, **settings))


def test_a_way_that_is_free_is_gone_and_ends_at_home_itself(new_planner):
    with new_planner("straight") as planner:
        path = planner.plan(question())
    assert isinstance(path, HomePath) and path.kind == "moveit"
    np.testing.assert_array_equal(path.waypoints[-1], SETTINGS.home_joints[:5])


def test_a_proposed_way_through_the_table_is_not_gone(new_planner):
    """Invariant 9: what MoveIt says is not believed."""
    with new_planner("straight") as planner:
        answer = planner.plan(question(LOW_LEFT, home_joints=LOW_RIGHT))
    assert answer == "a way home was proposed that does not keep 5.0 mm of clearance"


def test_no_way_is_a_reason(new_planner):
    with new_planner("refusing") as planner:
        assert planner.plan(question()) == "MoveIt found no way home, its error code is -1"


def test_moveit_that_says_nothing_is_waited_for_so_long_and_no_longer(new_planner):
    with new_planner("silent", limit_s=0.5) as planner:
        assert planner.plan(question()) == ("MoveIt has found no way within 0.5 s, or is still starting")


def test_an_answer_that_comes_too_late_is_not_taken_for_the_next_one(new_planner):
    with new_planner("late", limit_s=3.0) as planner:
        assert isinstance(planner.plan(question()), str)
        planner.limit_s = 60.0
        assert isinstance(planner.plan(question()), HomePath)


def test_a_process_that_ended_is_replaced(new_planner):
    with new_planner("dying") as planner:
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
    with new_planner(None) as planner:
        deadline = time.monotonic() + 60.0
        path = planner.plan(question())
        while isinstance(path, str) and time.monotonic() < deadline:
            path = planner.plan(question())
        assert isinstance(path, HomePath), path
        around = planner.plan(question(LOW_LEFT, home_joints=LOW_RIGHT))
    assert isinstance(around, HomePath) and len(around.waypoints) > 1, around


def test_the_process_of_moveit_does_without_pinocchio():
    """The libraries of two builds in one process would crash it sooner or later."""
    program = """
import sys
import hilrl_control.moveit_process
sys.exit(bool({"pinocchio", "coal"} & set(sys.modules)))
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_controller_that_is_killed_leaves_no_planner_behind(tmp_path):
    """Its end of the connection is closed, whatever happened to it."""
    mark = tmp_path / "pid"
    program = f"""
import os, pathlib
from hilrl_control.moveit_planner import _Process
process = _Process(({str(PROPOSERS)!r}, "refusing"), "<?xml", "/so101")
pathlib.Path({str(mark)!r}).write_text(str(process._process.pid))
os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, "-c", program], check=False)
    planner = Path("/proc") / mark.read_text() / "cmdline"
    deadline = time.monotonic() + 60.0
    # It may end while it is looked at.
    with suppress(FileNotFoundError, ProcessLookupError):
        while planner.read_bytes():
            assert time.monotonic() < deadline
            time.sleep(0.1)
