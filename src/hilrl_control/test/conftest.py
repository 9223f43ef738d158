"""The arm with and without ROS; nodes in their own processes, in a domain of this run's own."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import xacro

from hilrl_control.collision import CollisionModel
from hilrl_control.ee_control import EeControl
from hilrl_control.home_path import HomePlanner
from hilrl_control.inverse_kinematics import InverseKinematics
from hilrl_control.kinematics import Kinematics
from hilrl_control.settings import Settings
from hilrl_ros.testing import namespace, probe, start_node

__all__ = ["namespace", "probe", "start_node"]

URDF = Path(__file__).parents[3] / "urdf" / "so101.urdf.xacro"


@pytest.fixture(scope="session")
def urdf_path():
    """Of the arm in this repository."""
    return URDF


@pytest.fixture(scope="session")
def urdf_text():
    """The arm as URDF."""
    return xacro.process_file(str(URDF)).toxml()


@pytest.fixture(scope="session")
def kinematics():
    """Of the arm in this repository."""
    return Kinematics(URDF)


@pytest.fixture(scope="session")
def workspace():
    """The default box."""
    return Settings.default().workspace


@pytest.fixture(scope="session")
def home():
    """Arm joints at home, shape (5,) [rad]."""
    return np.array(Settings.default().home_joints[:5])


HOME = np.array(Settings.default().home_joints)
PERIOD_NS = 100_000_000


class Arm:
    """One controller and one arm, a control period at a time."""

    def __init__(self, kinematics, q=HOME, follows=0.6, **settings):
        settings = {"lockstep": True, **settings}
        self.control = EeControl(kinematics, dataclasses.replace(Settings.default(), **settings))
        self.planner = HomePlanner(
            kinematics,
            InverseKinematics(kinematics),
            CollisionModel(kinematics, Settings.default().table_z_m),
        )
        self.planner.limit_s = math.inf  # on a busy machine too
        self.kinematics = kinematics
        self.q = np.array(q, float)
        self.follows = follows
        """Share of the way to its goal that a joint makes in a period; 0: blocked."""
        self.now_ns = PERIOD_NS
        self.commands = []

    def change(self, **settings):
        self.control.settings = dataclasses.replace(self.control.settings, **settings)

    def observe(self):
        return self.control.observe(self.now_ns, self.q, np.zeros(6))

    def act(self, delta=(0, 0, 0, 0, 0), gripper=0, **options):
        """One whole period: look, act, move. Returns the command."""
        self.observe()
        command = self.control.act(self.now_ns, delta, gripper, **options)
        self.take(command)
        return command

    def take(self, command):
        """Move for one period."""
        if command is not None:
            self.commands.append(command)
            self.q = self.q + self.follows * (command.position - self.q)
        self.now_ns += PERIOD_NS

    def tick(self):
        """One period without an action."""
        self.observe()
        command = self.control.tick(self.now_ns)
        self.take(command)
        return command

    def go_home(self):
        """Ask for the way and set out at once; why not, or ''."""
        question = self.control.ask_home(self.now_ns)
        if isinstance(question, str):
            return question
        return self.control.set_out(question, self.planner.plan(question), self.now_ns)

    def tcp(self, q=None):
        return self.kinematics.forward(self.q if q is None else q).position


@pytest.fixture
def new_arm(kinematics):
    """new_arm(q=HOME, follows=0.6, **settings): an arm under the controller, without ROS."""
    return lambda *args, **options: Arm(kinematics, *args, **options)
