"""`hilrl up arm` from end to end: real processes, the real driver, emulated servos."""

import os
import signal

import psutil
import pytest
from conftest import all_gone
from domain_coordinator import domain_id
from follower_board import BEGUN, has_torque, on, wait_until_stiff, was_let_down

from hilrl_hardware import calibration_files
from hilrl_hardware import registers as r

pytestmark = pytest.mark.timeout(300)
ELBOW_FLEX = 3


@pytest.fixture
def up(hilrl):
    """`hilrl up arm` with the given arguments, in a domain of this test."""
    with domain_id() as domain:
        yield lambda *arguments: hilrl("up", "arm", *arguments, domain=domain)


@pytest.fixture
def follower_up(up, follower):
    """The same with the follower's port and calibration; waits until the arm speaks."""

    def start(*arguments):
        command = up(*on(follower), *arguments)
        command.wait_until(lambda: BEGUN in command.output, 40)
        return command

    return start


def test_both_arms_speak_on_emulated_boards_and_end_with_ctrl_c(up):
    command = up("--emulated", "--set", "arm.ease_down_s=0.5")
    for line in (BEGUN, "leader_arm: its joints are on /so101/leader/joint_states"):
        command.wait_until(lambda line=line: line in command.output, 40)
    assert set(command.nodes()) == {"arm", "leader_arm"}
    processes = psutil.Process(command.process.pid).children(recursive=True)
    os.killpg(command.process.pid, signal.SIGINT)
    assert command.wait(30) == 0, command.output
    assert command.output.endswith("The drivers have ended.\n")
    assert all_gone(processes, 1)


def test_an_arm_without_a_leader_holds_and_ctrl_c_lets_it_down(follower_up, follower):
    command = follower_up("--set", "arm.ease_down_s=1.0")
    assert set(command.nodes()) == {"arm"}
    wait_until_stiff(command, follower)
    os.killpg(command.process.pid, signal.SIGINT)
    assert command.wait(30) == 0, command.output
    assert was_let_down(follower)


def test_enter_stops_the_arm_and_on_makes_it_hold_again(follower_up, follower):
    command = follower_up("--set", "arm.ease_down_s=0.5")
    wait_until_stiff(command, follower)
    command.type("")
    command.wait_until(lambda: not any(has_torque(follower)), 20)
    command.wait_until(lambda: "/so101/arm: emergency stop: stopping" in command.output, 20)
    command.type("on")
    wait_until_stiff(command, follower)
    command.type("jump")
    command.wait_until(lambda: "'jump' is not known. Enter: emergency stop." in command.output, 20)
    command.type("off")
    command.wait_until(lambda: not any(has_torque(follower)), 20)


def test_the_arm_is_let_down_even_where_hilrl_is_killed(follower_up, follower):
    command = follower_up("--set", "arm.ease_down_s=1.0")
    wait_until_stiff(command, follower)
    nodes = list(command.nodes().values())
    command.process.kill()
    command.wait(5)
    assert all_gone(nodes, 20)
    assert was_let_down(follower)


def test_a_driver_that_dies_is_not_started_again(follower_up, follower):
    command = follower_up()
    wait_until_stiff(command, follower)
    command.nodes()["arm"].kill()
    assert command.wait(30) == 1
    assert "arm ended (SIGKILL) and is not started again" in command.output
    assert all(has_torque(follower))  # nobody was left to let it down, and servos hold by themselves


def test_every_change_of_health_is_said(follower_up, follower):
    command = follower_up()
    follower.set(ELBOW_FLEX, r.PRESENT_TEMPERATURE, 58)
    command.wait_until(lambda: "/so101/arm: elbow_flex: warning: " in command.output, 20)
    follower.release(ELBOW_FLEX)
    command.wait_until(lambda: "/so101/arm: elbow_flex: ok: " in command.output, 20)


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("--set", "arm.max_joint_spede=1.0"), 2, "the nearest is 'max_joint_speed'"),
        (("--set", "arm.max_joint_speed=100.0"), 1, "max_joint_speed"),
        (("--set", "sim.seed=1"), 2, "no such node, expected ['arm'"),
        (("--follower-calibration", "none.yaml"), 2, "follower_calibration: expected the calibration of the"),
        (
            ("--leader-port", "/dev/l", "--leader-calibration", "none.json"),
            2,
            "the arm on /dev/l, found no file",
        ),
        (("--follower-port", "/dev/none"), 1, "/dev/none"),
    ],
)
def test_what_does_not_fit_is_named(up, follower, arguments, status, message):
    command = up(*on(follower), *arguments)
    assert command.wait(40) == status, command.output
    assert message in command.output and "Traceback" not in command.output


def test_a_calibration_is_found_where_hilrl_calibrate_puts_it(up, follower, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    path = calibration_files.default_path("follower")
    calibration_files.save(calibration_files.load(tmp_path / "follower.json"), path)
    command = up("--follower-port", follower.port)
    command.wait_until(lambda: BEGUN in command.output, 40)
    assert f"calibrated by {path}" in command.output


def test_arms_that_are_up_are_not_brought_up_twice(follower_up, up):
    follower_up()
    second = up("--emulated")
    assert second.wait(60) == 2
    assert "another process is using" in second.output


@pytest.mark.parametrize("name", ["calibrate", "setup-servos"])
def test_the_commands_of_the_hardware_are_commands_of_hilrl(hilrl, name):
    command = hilrl(name, "--help")
    assert command.wait(60) == 0
    assert "--port" in command.output
