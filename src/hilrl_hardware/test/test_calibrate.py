"""`hilrl calibrate` without guidance: LeRobot's files taken over and given, servos compared and written."""

import json

import pytest
from person import Person

from hilrl_hardware import calibrate
from hilrl_hardware import registers as r
from hilrl_hardware.calibration import SERVO_IDS, Calibration, JointCalibration
from hilrl_hardware.calibration_files import load
from hilrl_hardware.emulator.client import EmulatedBus
from hilrl_ros.joints import JOINT_NAMES


@pytest.fixture
def emulated(tmp_path):
    with EmulatedBus(tmp_path, "follower", no_wire_time=True) as emulated:
        yield emulated


@pytest.fixture
def lerobot(tmp_path, emulated):
    """LeRobot's file of the arm."""
    path = tmp_path / "lerobot.json"
    with open(path, "w") as file:
        json.dump(emulated.calibration(), file, indent=4)
    return path


def test_a_lerobot_file_is_imported_verified_and_exported_unchanged(tmp_path, emulated, lerobot, capsys):
    ours, exported = tmp_path / "arm.yaml", tmp_path / "exported.json"
    assert calibrate.main(["--import", str(lerobot), "--file", str(ours)]) == 0
    assert calibrate.main(["--verify", "--port", emulated.port, "--file", str(ours)]) == 0
    assert "The servos hold the calibration." in capsys.readouterr().out
    assert calibrate.main(["--export", str(exported), "--file", str(ours)]) == 0
    assert exported.read_bytes() == lerobot.read_bytes()


def test_a_lerobot_calibration_is_found_by_its_id(tmp_path, emulated, lerobot, monkeypatch):
    folder = tmp_path / "robots" / "so_follower"
    folder.mkdir(parents=True)
    lerobot.rename(folder / "mine.json")
    monkeypatch.setenv("HF_LEROBOT_CALIBRATION", str(tmp_path))
    assert calibrate.main(["--import-lerobot", "mine", "--file", str(tmp_path / "arm.yaml")]) == 0
    assert load(tmp_path / "arm.yaml").joints == load(folder / "mine.json").joints


def test_verify_tells_what_differs_and_apply_writes_it(tmp_path, emulated, lerobot, capsys):
    arm = ["--port", emulated.port, "--file", str(lerobot)]
    emulated.set(3, r.HOMING_OFFSET, 5)
    assert calibrate.main(["--verify", *arm]) == 1
    assert "elbow_flex (servo 3): Homing_Offset: expected -412, found 5" in capsys.readouterr().out
    assert emulated.get(3, r.HOMING_OFFSET) == 5
    assert calibrate.main(["--apply", "--yes", *arm]) == 0
    assert calibrate.main(["--verify", *arm]) == 0
    assert not any(emulated.get(servo_id, r.TORQUE_ENABLE) for servo_id in SERVO_IDS.values())


def test_apply_and_import_ask_first(tmp_path, emulated, lerobot):
    emulated.set(3, r.HOMING_OFFSET, 5)
    arm = ("--port", emulated.port, "--file", str(lerobot))
    with Person("hilrl_hardware.calibrate", "--apply", *arm) as person:
        person.answers("hold the arm. Write the expected values to the servos? [y/N] ")
        assert person.sees_the_end() == 1
    assert emulated.get(3, r.HOMING_OFFSET) == 5
    ours = tmp_path / "arm.yaml"
    ours.write_text("what was there")
    with Person("hilrl_hardware.calibrate", "--import", str(lerobot), "--file", str(ours)) as person:
        person.answers(f"Replace {ours}? [y/N] ", "no")
        assert person.sees_the_end() == 1
    assert ours.read_text() == "what was there"


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--verify", "--file", "/nowhere/arm.yaml"], 2, "expected a readable file, got /nowhere/arm.yaml"),
        (
            ["--port", "/dev/nowhere", "--file", "{folder}/lerobot.json", "--verify"],
            1,
            "/dev/nowhere: cannot be opened",
        ),
        (["--file", "{folder}/leader.yaml", "--verify"], 2, "--role: expected leader, as "),
        (["--export", "{folder}/arm.txt"], 2, "--export: expected a name that ends in .json"),
        (
            ["--import", "{folder}/seam.json", "--file", "{folder}/a.yaml"],
            2,
            "shoulder_pan: range: expected at most",
        ),
        (["--file", "{folder}/lerobot.json/arm.yaml", "--port", "no"], 2, "expected a place to write to"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(tmp_path, lerobot, capsys, arguments, status, message):
    data = json.loads(lerobot.read_text())
    data["shoulder_pan"] |= {"range_min": 3, "range_max": 4090}
    (tmp_path / "seam.json").write_text(json.dumps(data))
    (tmp_path / "leader.yaml").write_text(f"role: leader\njoints: {json.dumps(data)}")
    assert calibrate.main([argument.format(folder=tmp_path) for argument in arguments]) == status
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not (tmp_path / "a.yaml").exists()


def test_every_joint_is_in_the_table():
    joints = {name: JointCalibration(i, 0, 0, 1000, 3000) for name, i in SERVO_IDS.items()}
    lines = calibrate.table(Calibration(joints))
    assert [line.split()[0] for line in lines] == ["joint", *JOINT_NAMES]
