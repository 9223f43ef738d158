"""The guided calibration as a person meets it: at a terminal, with an emulated arm."""

import signal
import subprocess
import sys
import time

import pytest
from emulated_arm import Hand, memory, seen, stops
from person import PATIENCE_S, Person

from hilrl_hardware import calibrate
from hilrl_hardware import registers as r
from hilrl_hardware.calibration_files import load
from hilrl_hardware.emulator.client import EmulatedBus
from hilrl_ros.joints import ARM_JOINTS

STAGES = ("limp", "middle", "sweep", "gripper", "directions", "confirm")


@pytest.fixture
def emulated(tmp_path):
    with EmulatedBus(tmp_path, "follower", no_wire_time=True, record=tmp_path / "record") as emulated:
        yield emulated


def starts(emulated: EmulatedBus, path, role: str = "follower") -> Person:
    return Person("hilrl_hardware.calibrate", "--port", emulated.port, "--file", str(path), "--role", role)


def goes_on(person: Person, emulated: EmulatedBus, until: str = "end") -> None:
    """As the instructions say, up to the question of a stage."""
    hand = Hand(emulated, lambda: seen(emulated))
    person.waits_for("1. ", "Press Enter: ")
    if until == "limp":
        return
    person.answers("Press Enter: ")
    person.waits_for("2. Middle.", "Press Enter: ")
    if until == "middle":
        return
    person.answers("Press Enter: ")
    person.waits_for("3. ")
    person.waits_for("Press Enter: ")
    if until == "sweep":
        return
    hand.sweeps()
    person.types()
    for line, end in (("4. ", 0), ("as far as it goes.", 1)):
        person.waits_for(line)
        person.waits_for("Press Enter: ")
        if until == "gripper":
            return
        hand.moves("gripper", hand.ends("gripper")[end])
        person.types()
    if emulated.role == "follower":
        person.answers("fingertips [mm]: ", "90")
        person.waits_for("% open: 90 mm")
        person.waits_for("fingertips [mm]: ")
        hand.moves("gripper", hand.ends("gripper")[0])
        person.types("2.5")
        person.answers("fingertips [mm]: ")
    person.waits_for("5. ")
    for joint in ARM_JOINTS:
        person.waits_for(f"   {joint}: ")
        person.waits_for("Press Enter: ")
        if until == "directions":
            return
        hand.moves(joint, hand.middle(joint) + 340)
        person.types()
    person.waits_for("[y/N] ")


@pytest.mark.parametrize("role", ["follower", "leader"])
def test_a_person_is_led_to_a_calibration_that_file_and_servos_hold(tmp_path, role):
    path = tmp_path / "arm.yaml"
    options = {"uncalibrated": True, "no_wire_time": True, "record": tmp_path / "record"}
    with EmulatedBus(tmp_path, role, **options) as emulated:
        with starts(emulated, path, role) as person:
            goes_on(person, emulated)
            assert not path.exists()
            person.types("y")
            assert person.sees_the_end() == 0, person.read
        calibration = load(path)
        assert (calibration.role, calibration.port, calibration.problems()) == (role, emulated.port, [])
        for name, joint in calibration.joints.items():
            held = emulated.get(joint.servo_id, r.HOMING_OFFSET)
            limits = [
                emulated.get(joint.servo_id, limit) for limit in (r.MIN_POSITION_LIMIT, r.MAX_POSITION_LIMIT)
            ]
            assert (held, limits) == (joint.homing_offset, [joint.range_min, joint.range_max])
            assert (joint.drive_mode, joint.reversed) == (0, False)
            if name != "wrist_roll":
                found = (joint.range_min + joint.homing_offset, joint.range_max + joint.homing_offset)
                assert found == stops(emulated, name)
        if role == "follower":
            assert calibration.gripper_width_mm == ((0.0, 2.5), (100.0, 90.0))
        assert calibrate.main(["--port", emulated.port, "--file", str(path), "--verify", "--role", role]) == 0


def undone(emulated: EmulatedBus, before: dict) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while memory(emulated) != before and time.monotonic() < deadline:
        time.sleep(0.05)
    return memory(emulated) == before


@pytest.mark.parametrize("stage", STAGES)
def test_ctrl_c_leaves_file_and_servos_as_they_were(tmp_path, emulated, stage):
    path, before = tmp_path / "arm.yaml", memory(emulated)
    path.write_text("what was there")
    with starts(emulated, path) as person:
        goes_on(person, emulated, stage)
        person.presses_ctrl_c()
        assert person.sees_the_end() == 130
        assert "Stopped; the calibration is as it was." in person.read
    assert memory(emulated) == before
    assert path.read_text() == "what was there"
    assert not any(servo["torque_enabled"] for servo in emulated.truth())


@pytest.mark.parametrize("stage", ["limp", "sweep"])
def test_ctrl_c_again_and_again_does_not_keep_the_servos_from_being_restored(tmp_path, emulated, stage):
    before = memory(emulated)
    with starts(emulated, tmp_path / "arm.yaml") as person:
        goes_on(person, emulated, stage)
        for _ in range(200):
            person.presses_ctrl_c()
            time.sleep(0.0005)
        assert person.sees_the_end() in (130, -signal.SIGINT)
    assert memory(emulated) == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_being_ended_is_undone_like_ctrl_c(tmp_path, emulated, number):
    before = memory(emulated)
    with starts(emulated, tmp_path / "arm.yaml") as person:
        goes_on(person, emulated, "sweep")
        person.ends_it(number)
        assert person.sees_the_end() == 130
    assert memory(emulated) == before


def test_a_terminal_that_is_closed_is_undone_like_ctrl_c(tmp_path, emulated):
    before = memory(emulated)
    with starts(emulated, tmp_path / "arm.yaml") as person:
        goes_on(person, emulated, "sweep")
        person.hang_up()
        person.process.wait(PATIENCE_S)
    assert undone(emulated, before)


def test_a_no_at_the_end_keeps_nothing(tmp_path, emulated):
    before = memory(emulated)
    with starts(emulated, tmp_path / "arm.yaml") as person:
        goes_on(person, emulated)
        person.types("n")
        assert person.sees_the_end() == 1
        assert "Not kept; servos and file are as they were." in person.read
    assert memory(emulated) == before
    assert not (tmp_path / "arm.yaml").exists()


def test_a_joint_not_swept_is_asked_for_again_and_one_over_the_seam_begins_at_homing(tmp_path, emulated):
    hand = Hand(emulated, lambda: seen(emulated))
    with starts(emulated, tmp_path / "arm.yaml") as person:
        goes_on(person, emulated, "middle")
        hand.look = lambda: None
        hand.moves("elbow_flex", hand.ends("elbow_flex")[0])
        hand.look = lambda: seen(emulated)
        person.types()
        person.waits_for("3. ")
        person.waits_for("Press Enter: ")
        hand.sweeps("shoulder_pan", "shoulder_lift", "wrist_flex")
        person.types()
        person.waits_for("Not yet moved from stop to stop: elbow_flex, gripper.")
        person.waits_for("Press Enter: ")
        hand.sweeps("elbow_flex", "gripper")
        person.waits_for("jumped: begin again")
        person.types()
        person.waits_for("The readings of elbow_flex jumped between 4095 and 0")
        person.waits_for("2. Middle.")
        person.answers("Press Enter: ")
        person.waits_for("3. ")
        person.waits_for("Press Enter: ")
        hand.sweeps()
        person.types()
        person.waits_for("4. ")


def test_a_joint_moved_the_wrong_way_is_asked_for_again_and_one_that_is_reversed_is_believed(
    tmp_path, emulated
):
    path, hand = tmp_path / "arm.yaml", Hand(emulated, lambda: seen(emulated))
    with starts(emulated, path) as person:
        goes_on(person, emulated, "directions")
        person.types()
        person.waits_for("Too little to tell.")
        person.waits_for("Press Enter: ")
        hand.moves("shoulder_pan", hand.middle("shoulder_pan") - 340)
        person.types()
        person.answers("Enter or reversed: ")
        person.waits_for("Press Enter: ")
        hand.centres("shoulder_pan")
        person.types()
        for joint in ARM_JOINTS[1:]:
            person.waits_for(f"   {joint}: ")
            person.waits_for("Press Enter: ")
            hand.moves(joint, hand.middle(joint) - 340)
            person.types()
            person.answers("Enter or reversed: ", "reversed")
        person.answers("[y/N] ", "y")
        assert person.sees_the_end() == 0
    assert [joint.reversed for joint in load(path).joints.values()] == [False, True, True, True, True, False]


def test_without_a_terminal_it_ends_and_leaves_all_as_it_was(tmp_path, emulated):
    before = memory(emulated)
    program = "import sys; from hilrl_hardware.calibrate import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "--port", emulated.port, "--file", str(tmp_path / "arm.yaml")]
    ended = subprocess.run(command, input="\n\n", capture_output=True, text=True, timeout=PATIENCE_S)
    assert ended.returncode == 130 and "Stopped" in ended.stderr
    assert "\x1b" not in ended.stdout
    assert memory(emulated) == before
