"""What a real arm needs of the options, and what it cannot do."""

from collections.abc import Mapping
from typing import Any


def expect_fit_for_a_real_arm(resolved: Mapping[str, Any]) -> None:
    """Raises ValueError, naming the option, for what only a simulated arm has."""
    got = {name: resolved[name] for name in ("operator", "lockstep", "reward")}
    if got["operator"] != "human" or got["lockstep"] or got["reward"] == "sim":
        text = ", ".join(f"{name} {str(value).lower()}" for name, value in got.items())
        raise ValueError(
            "sim: a real arm needs a person, real time and somebody who judges: operator human, lockstep "
            f"false, reward classifier, rule or operator; got {text}"
        )
    if (got["reward"], resolved["reward_rule"]) == ("rule", "object_height"):
        raise ValueError(
            "reward_rule: object_height is known of a simulated object only; for a real arm expected "
            "gripper_width or ee_pose"
        )
    for name in ("follower_port", "front_camera", "wrist_camera"):
        if not resolved[name]:
            raise ValueError(f"{name}: expected a device, got none")
    expect_a_board_each(resolved)


def expect_a_board_each(resolved: Mapping[str, Any]) -> None:
    """Raises ValueError where two arms are said to be at one port."""
    if resolved["follower_port"] == resolved["leader_port"]:
        raise ValueError(f"leader_port: {resolved['leader_port']} is the follower's; each arm has its board")
