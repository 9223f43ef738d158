"""Calibrations in files: ours and LeRobot's."""

import json
import random
from dataclasses import replace

import pytest

from hilrl_hardware.calibration import Calibration, JointCalibration
from hilrl_hardware.calibration_files import default_path, find_lerobot, load, save, to_yaml
from hilrl_hardware.emulator import arm
from hilrl_ros.joints import JOINT_NAMES

LEROBOT = arm.calibration("follower")
OURS = f"joints: {json.dumps(LEROBOT)}"


def changed(joint: str, **fields: object) -> dict[str, dict]:
    return {**LEROBOT, joint: {**LEROBOT[joint], **fields}}


@pytest.fixture
def calibration() -> Calibration:
    return Calibration({name: JointCalibration(*joint.values()) for name, joint in LEROBOT.items()})


BAD_JOINTS = [
    ({"range_min": "871"}, "elbow_flex: range_min: expected an integer, got '871'"),
    ({"range_min": 871.5}, "elbow_flex: range_min: expected an integer, got 871.5"),
    ({"drive_mode": True}, "elbow_flex: drive_mode: expected an integer, got True"),
    ({"drive_mode": 2}, r"elbow_flex: drive_mode: expected within \[0, 1\], got 2"),
    ({"homing_offset": 2048}, r"elbow_flex: homing_offset: expected within \[-2047, 2047\], got 2048"),
    ({"range_max": 871}, r"elbow_flex: range_max: expected within \[872, 4095\].*got 871"),
    ({"range_max": 4096}, r"elbow_flex: range_max: .*got 4096"),
    ({"range_min": -1}, r"elbow_flex: range_min: .*got -1"),
    ({"id": 254}, r"elbow_flex: id: expected within \[0, 253\], got 254"),
    ({"id": 1}, r"id: expected a different one for each joint, got \[1, 2, 1, 4, 5, 6\]"),
    ({"offset": 3}, "elbow_flex: expected id, drive_mode, .*, got also offset"),
]


@pytest.mark.parametrize("name", ["arm.json", "arm.yaml"])
@pytest.mark.parametrize(("fields", "message"), BAD_JOINTS)
def test_a_wrong_field_is_named_with_what_came_and_what_was_expected(tmp_path, name, fields, message):
    data = changed("elbow_flex", **fields)
    (tmp_path / name).write_text(json.dumps(data if name.endswith("json") else {"joints": data}))
    with pytest.raises(ValueError, match=f"{name}: {message}"):
        load(tmp_path / name)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({**LEROBOT, "thumb": LEROBOT["gripper"]}, "joints: expected .*, got also thumb"),
        ({n: j for n, j in LEROBOT.items() if n != "gripper"}, "joints: expected .*, got none of gripper"),
        ({**LEROBOT, "gripper": {"id": 6}}, "gripper: expected .*, got none of drive_mode, homing_offset"),
        ({**LEROBOT, "gripper": 6}, "gripper: expected a mapping with .*, got 6"),
        ([1, 2], r"joints: expected a mapping with .*, got \[1, 2\]"),
        (changed("elbow_flex", reversed=True), "elbow_flex: .*, got also reversed"),
    ],
)
def test_a_lerobot_file_of_another_arm_is_refused(tmp_path, data, message):
    (tmp_path / "arm.json").write_text(json.dumps(data))
    with pytest.raises(ValueError, match=message):
        load(tmp_path / "arm.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("joints: [", "arm.yaml: "),
        ("- 1", "file: expected a mapping with joints"),
        ("", "file: expected a mapping with joints"),
        (f"{OURS}\nspeed: 3", "file: expected .*, got also speed"),
        (f"{OURS}\nrole: boss", "role: expected follower or leader, got 'boss'"),
        (f"{OURS}\nport: [1]", r"port: expected text, got \[1\]"),
        (f"{OURS}\ngripper_width_mm: [[0, 1], [0, 2]]", "gripper_width_mm: .*rising"),
        (f"{OURS}\ngripper_width_mm: [[0, 1]]", "gripper_width_mm: .*two or more"),
        (f"{OURS}\ngripper_width_mm: wide", "gripper_width_mm: .*got 'wide'"),
        (
            f"joints: {json.dumps(changed('gripper', reversed=True))}",
            "gripper: reversed: expected drive_mode",
        ),
        (
            f"joints: {json.dumps(changed('gripper', reversed=1))}",
            "gripper: reversed: expected true or false",
        ),
    ],
)
def test_a_damaged_file_is_refused_with_the_reason(tmp_path, text, message):
    (tmp_path / "arm.yaml").write_text(text)
    with pytest.raises(ValueError, match=message):
        load(tmp_path / "arm.yaml")


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00joints"])
def test_a_file_that_cannot_be_read_is_named(tmp_path, content):
    if content:
        (tmp_path / "arm.yaml").write_bytes(content)
    with pytest.raises(ValueError, match=r"calibration: expected a readable file, got .*arm.yaml"):
        load(tmp_path / "arm.yaml")


def random_lerobot(seed: int) -> dict[str, dict[str, int]]:
    draw = random.Random(seed)
    data = {}
    for name, servo_id in zip(JOINT_NAMES, draw.sample(range(254), 6), strict=True):
        mn, mx = sorted(draw.sample(range(4096), 2))
        offset = draw.randint(-2047, 2047)
        values = (servo_id, draw.randrange(2), offset, mn, mx)
        data[name] = dict(zip(LEROBOT["gripper"], values, strict=True))
    return data


@pytest.mark.parametrize("seed", range(20))
def test_a_lerobot_file_imported_exported_and_imported_again_is_the_same_to_the_byte(tmp_path, seed):
    original, ours, exported = (tmp_path / name for name in ("lerobot.json", "ours.yaml", "exported.json"))
    with open(original, "w") as file:
        json.dump(random_lerobot(seed), file, indent=4)
    imported = load(original)
    save(imported, ours)
    save(load(ours), exported)
    assert exported.read_bytes() == original.read_bytes()
    assert load(exported) == imported == load(ours)


def test_our_file_keeps_everything_and_reads_well(tmp_path, calibration):
    joints = {**calibration.joints, "wrist_flex": replace(calibration.joints["wrist_flex"], reversed=True)}
    full = Calibration(
        joints, "leader", "/dev/so101_leader", "2026-11-21 13:00:00+00:00", ((0.0, 2.5), (45.5, 61.25))
    )
    path = tmp_path / "new" / "folder" / "arm.yaml"
    save(full, path)
    assert load(path) == full
    assert "  shoulder_pan:  {id: 1, drive_mode: 0, homing_offset:  -312, range_min:  792" in path.read_text()
    assert path.read_text().startswith("# Calibration of an SO-101.")
    assert [file.name for file in path.parent.iterdir()] == ["arm.yaml"]


def test_a_person_may_write_the_date_without_quotes(tmp_path, calibration):
    (tmp_path / "arm.yaml").write_text(to_yaml(calibration) + "written: 2026-11-21\n")
    assert load(tmp_path / "arm.yaml").written == "2026-11-21"


def test_a_reversed_joint_is_not_exported_to_where_it_would_turn_the_wrong_way(tmp_path, calibration):
    joints = {**calibration.joints, "wrist_flex": replace(calibration.joints["wrist_flex"], reversed=True)}
    with pytest.raises(ValueError, match="wrist_flex: reversed: expected false, got true"):
        save(Calibration(joints), tmp_path / "arm.json")
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_named(tmp_path, calibration):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="expected a place to write to, got .*arm.yaml"):
        save(calibration, tmp_path / "file" / "arm.yaml")


@pytest.fixture
def clean_environment(monkeypatch, tmp_path):
    for name in ("HF_LEROBOT_CALIBRATION", "HF_LEROBOT_HOME", "HF_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return monkeypatch


@pytest.mark.parametrize(
    ("variable", "value", "folder"),
    [
        ("HF_LEROBOT_CALIBRATION", "cal", "cal"),
        ("HF_LEROBOT_HOME", "lerobot", "lerobot/calibration"),
        ("HF_HOME", "hf", "hf/lerobot/calibration"),
        ("HOME", "", ".cache/huggingface/lerobot/calibration"),
    ],
)
@pytest.mark.parametrize(
    ("role", "below"),
    [
        ("follower", "robots/so_follower"),
        ("follower", "robots/so101_follower"),
        ("leader", "teleoperators/so_leader"),
    ],
)
def test_lerobots_files_are_found_where_lerobot_keeps_them(
    clean_environment, tmp_path, variable, value, folder, role, below
):
    clean_environment.setenv(variable, str(tmp_path / value))
    path = tmp_path / folder / below / "mine.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(LEROBOT))
    assert find_lerobot("mine", role) == path
    with pytest.raises(ValueError, match=r"expected one of a \w+ \(mine\), got 'other'; looked in"):
        find_lerobot("other", role)


def test_two_lerobot_files_of_one_name_are_chosen_from_by_the_person_unless_they_are_alike(
    clean_environment, tmp_path
):
    clean_environment.setenv("HF_LEROBOT_CALIBRATION", str(tmp_path))
    for name in ("so_follower", "so101_follower"):
        (tmp_path / "robots" / name).mkdir(parents=True)
        (tmp_path / "robots" / name / "mine.json").write_text(json.dumps(LEROBOT))
    assert find_lerobot("mine", "follower") == tmp_path / "robots" / "so_follower" / "mine.json"
    (tmp_path / "robots" / "so101_follower" / "mine.json").write_text("{}")
    with pytest.raises(ValueError, match="choose with --import PATH"):
        find_lerobot("mine", "follower")


def test_a_calibration_is_kept_in_the_users_configuration(clean_environment, tmp_path):
    assert default_path("leader") == tmp_path / ".config" / "hilrl" / "calibration" / "leader.yaml"
