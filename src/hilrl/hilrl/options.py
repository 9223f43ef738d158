"""What a user may choose about a run. Each option is declared here once.

`hilrl up` makes command-line flags of them, the launch files launch arguments.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from hilrl.option import Option, Value
from hilrl.real_arm_needs import expect_a_board_each, expect_fit_for_a_real_arm
from hilrl_ros.topic_choice import chosen_topics

FOLLOWER_PORT = Option(
    "follower_port",
    "/dev/so101_follower",
    "The follower's board, as the udev rule names it.",
    ("arm.port",),
    may_change=True,
)
FOLLOWER_CALIBRATION = Option(
    "follower_calibration",
    "",
    "Calibration of the follower, ours or LeRobot's JSON; empty: the one that `hilrl calibrate` made.",
    ("arm.calibration_file",),
    may_change=True,
)
LEADER_CALIBRATION = Option(
    "leader_calibration",
    "",
    "Calibration of the leader arm, in the same way.",
    ("leader_arm.calibration_file",),
    may_change=True,
)
ROBOT = Option("robot", "so101", "Name of the robot: the ROS namespace of its nodes.")
MCAP = Option(
    "mcap",
    "",
    "Topics to record as MCAP, separated by commas; all: every one but raw images.",
    may_change=True,
)

OPTIONS = (
    Option("sim", True, "A simulated arm; false: the real one, at the follower's port, seen by two cameras."),
    Option(
        "task",
        "lift",
        "What to learn: lift the cube, or place it in the bin.",
        ("sim.task", "scripted_operator.task"),
        choices=("lift", "place"),
    ),
    Option(
        "seed",
        0,
        "Seed of scenes, operator and networks.",
        ("sim.seed", "scripted_operator.seed", "actor.seed", "learner.seed"),
        minimum=0,
    ),
    Option(
        "algorithm",
        "sac",
        "Learning algorithm, a name in the registry of hilrl_learning.",
        ("learner.algorithm",),
    ),
    Option(
        "duration_s",
        300.0,
        "Wall time to run for, demonstrations and pre-training included [s]; 0: unlimited.",
        ("learner.duration_s",),
        minimum=0.0,
        may_change=True,
    ),
    Option(
        "demonstrations",
        20,
        "Successful demonstrations to collect before the policy acts.",
        ("learner.demonstrations",),
        minimum=1,
    ),
    Option(
        "device",
        "cpu",
        "Where the learner computes.",
        ("learner.device",),
        choices=("cpu", "cuda"),
        may_change=True,
    ),
    Option(
        "operator",
        "scripted",
        "Who shows the task and intervenes: a scripted operator, or a human at one of the devices.",
        choices=("scripted", "human"),
    ),
    Option(
        "devices",
        "",
        "Devices to start, separated by commas: joy (a gamepad), leader (the leader arm), keyboard (the one "
        "plugged into this machine). The keyboard also works in a terminal of its own: `hilrl keyboard`.",
        may_change=True,
    ),
    FOLLOWER_PORT,
    FOLLOWER_CALIBRATION,
    Option(
        "leader_port",
        "/dev/so101_leader",
        "The leader arm's board, as the udev rule names it.",
        ("leader_arm.port",),
        may_change=True,
    ),
    LEADER_CALIBRATION,
    Option(
        "emulated",
        False,
        "Arms on emulated boards and cameras that show a test pattern: the real drivers, no hardware.",
    ),
    Option(
        "front_camera",
        "/dev/video0",
        "The real front camera: a device, its number, a video file or pattern.",
        ("camera_front.device",),
        may_change=True,
    ),
    Option(
        "wrist_camera",
        "/dev/video2",
        "The real wrist camera, in the same way.",
        ("camera_wrist.device",),
        may_change=True,
    ),
    Option(
        "reward",
        "sim",
        "Who says when the task is done: the simulator, a classifier of camera images (`hilrl reward`), a "
        "fixed rule, or the operator's buttons alone.",
        choices=("sim", "classifier", "rule", "operator"),
    ),
    Option(
        "reward_model",
        "",
        "Model of the reward classifier, as `hilrl reward train` wrote it.",
        ("reward_classifier.model_file",),
        may_change=True,
    ),
    Option(
        "reward_rule",
        "object_height",
        "What reward rule goes by: the simulated object's height, the width of the closed gripper, or the "
        "pose of the TCP.",
        ("reward_rule.rule",),
        choices=("object_height", "gripper_width", "ee_pose"),
    ),
    Option(
        "lockstep",
        True,
        "Simulate one control period per action, as fast as the machine allows; false: real time.",
        (
            "sim.lockstep",
            "ee_controller.lockstep",
            "actor.lockstep",
            "reward_classifier.lockstep",
        ),
    ),
    Option(
        "control_hz",
        10.0,
        "Control rate [Hz].",
        (
            "sim.control_hz",
            "ee_controller.control_hz",
            "intervention_mux.control_hz",
            "scripted_operator.control_hz",
            "actor.control_hz",
        ),
        minimum=1.0,
    ),
    Option("servo_lag_s", 0.0, "Delay of the simulated servos [s].", ("sim.servo_lag_s",), minimum=0.0),
    Option(
        "quantise",
        True,
        "Simulated servos read and take whole encoder ticks, as real ones do.",
        ("sim.quantise",),
    ),
    Option(
        "randomise_visuals",
        False,
        "Draw colours, light and camera poses anew for every episode.",
        ("sim.randomise_visuals",),
    ),
    Option(
        "learner",
        "local",
        "Start the learner here, or find it on another machine: `hilrl up learner` there.",
        choices=("local", "remote"),
    ),
    Option(
        "composed",
        False,
        "Crops, controller, mux and actor in one process: less work and delay between camera and arm, but a "
        "fault in one ends all.",
        may_change=True,
    ),
    Option("moveit", False, "Plan the way home with MoveIt, where that is installed."),
    Option(
        "rviz",
        False,
        "Show the arm, its workspace and its cameras in RViz, where that is installed.",
        may_change=True,
    ),
    MCAP,
    ROBOT,
    Option(
        "params_file",
        "",
        "A ROS parameter file laid over config/train.yaml (a real arm: config/arm.yaml); options and --set "
        "are laid over both.",
    ),
)

BY_NAME = {option.name: option for option in OPTIONS}

ARM_OPTIONS = (
    FOLLOWER_PORT,
    FOLLOWER_CALIBRATION,
    Option(
        "leader_port",
        "",
        "The leader's board, for example /dev/so101_leader; empty: there is no leader.",
        ("leader_arm.port",),
    ),
    LEADER_CALIBRATION,
    Option(
        "emulated", False, "Drive both arms on emulated boards: no hardware, no ports, no calibration files."
    ),
    MCAP,
    ROBOT,
    Option(
        "params_file",
        "",
        "A ROS parameter file laid over config/arm.yaml; options and --set are laid over both.",
    ),
)


def _named(names: str) -> tuple[Option, ...]:
    return tuple(BY_NAME[name] for name in names.split())


TELEOP_OPTIONS = _named(
    "sim task seed devices leader_port leader_calibration follower_port follower_calibration emulated "
    "front_camera wrist_camera control_hz servo_lag_s quantise randomise_visuals composed moveit rviz "
    "mcap robot params_file"
)
"""Of an arm that a person drives."""
A_PERSON_DRIVES = {"operator": "human", "lockstep": False, "reward": "operator"}
"""What the other options are then."""

LEARNER_OPTIONS = _named("task seed algorithm duration_s demonstrations device robot params_file")
"""Of a learner alone."""


def defaults(table: Sequence[Option] = OPTIONS) -> dict[str, Value]:
    """Every option at its default."""
    return {option.name: option.default for option in table}


def checked(values: Mapping[str, Any]) -> dict[str, Value]:
    """All options of a run: `values` over the defaults. Raises ValueError naming the option at fault."""
    resolved = _resolved(OPTIONS, values)
    if not resolved["sim"]:
        expect_fit_for_a_real_arm(resolved)
    elif resolved["emulated"] and "leader" not in resolved["devices"]:
        raise ValueError("emulated: a simulated arm has no board; add sim false, or devices leader")
    if resolved["operator"] == "human" and resolved["lockstep"]:
        raise ValueError("operator: a human needs real time; add lockstep false")
    if resolved["devices"] and resolved["operator"] != "human":
        raise ValueError("devices: a scripted operator has none; add operator human")
    if resolved["reward"] == "operator" and resolved["operator"] != "human":
        raise ValueError("reward: a scripted operator presses no buttons; add operator human")
    if resolved["reward"] == "classifier" and not resolved["reward_model"]:
        raise ValueError("reward_model: expected the file of a model for reward classifier, got none")
    return resolved


def checked_for_arm(values: Mapping[str, Any]) -> dict[str, Value]:
    """As `checked`, for the arms."""
    resolved = _resolved(ARM_OPTIONS, values)
    if not resolved["follower_port"]:
        raise ValueError("follower_port: expected a device, got none")
    expect_a_board_each(resolved)
    return resolved


def _resolved(table: Sequence[Option], values: Mapping[str, Any]) -> dict[str, Value]:
    by_name = {option.name: option for option in table}
    for name in values:
        if name not in by_name:
            raise ValueError(f"option {name!r}: unknown, expected one of {sorted(by_name)}")
    resolved = {**defaults(table), **{name: by_name[name].check(v) for name, v in values.items()}}
    if topics := resolved["mcap"]:
        chosen_topics(str(topics), "mcap")
    return resolved
