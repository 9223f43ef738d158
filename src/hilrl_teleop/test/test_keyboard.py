"""Key bytes to wishes, without a terminal."""

import numpy as np
import pytest

from hilrl_ros.ee_action import Gripper
from hilrl_teleop.episode_control import REQUESTS as ALL_REQUESTS
from hilrl_teleop.key_map import HELP, MOTIONS, REQUESTS
from hilrl_teleop.keyboard import HOLD_S, REPEAT_S, Keyboard, status_line


@pytest.fixture
def keyboard() -> Keyboard:
    return Keyboard(speed=0.5, release_s=1.0)


@pytest.mark.parametrize(
    ("key", "axis", "sign"),
    [
        ("w", 0, 1),
        ("s", 0, -1),
        ("a", 1, 1),
        ("d", 1, -1),
        ("r", 2, 1),
        ("f", 2, -1),
        ("t", 3, 1),
        ("g", 3, -1),
        ("e", 4, 1),
        ("q", 4, -1),
        ("\x1b[A", 0, 1),
        ("\x1b[B", 0, -1),
        ("\x1bOD", 1, 1),
        ("\x1bOC", 1, -1),
        ("W", 0, 1),
    ],
)
def test_each_motion_key_moves_its_axis(keyboard, key, axis, sign):
    assert keyboard.feed(key.encode(), 0.0) == []
    expected = np.zeros(5)
    expected[axis] = sign * 0.5
    wish = keyboard.wish(0.05)
    assert wish.engaged and wish.delta.tolist() == expected.tolist() and wish.gripper == Gripper.STAY


def test_every_key_is_in_the_help():
    assert all(f"{key}/" in HELP[0] or f"/{key}" in HELP[0] for key in MOTIONS if len(key) == 1)
    assert all(f" {key} " in " ".join(HELP) for key in REQUESTS if key != "\x7f")
    assert "backspace discard" in HELP[1]


def test_everything_that_can_be_asked_has_a_key():
    assert sorted(REQUESTS.values()) == sorted(ALL_REQUESTS)


def test_a_motion_key_engages_moves_for_a_moment_and_lets_go_later(keyboard):
    assert not keyboard.wish(0.0).engaged
    keyboard.feed(b"w", 1.0)
    assert keyboard.wish(1.0 + HOLD_S - 0.01).delta[0] == 0.5
    still = keyboard.wish(1.0 + HOLD_S + 0.01)
    assert still.engaged and not still.delta.any()
    assert keyboard.wish(1.99).engaged and not keyboard.wish(2.0).engaged


def test_a_repeating_key_keeps_moving(keyboard):
    for i in range(30):
        keyboard.feed(b"r", 0.04 * i)
        assert keyboard.wish(0.04 * i + 0.03).delta[2] == 0.5


def test_two_keys_at_once_move_both_axes_and_opposite_ones_cancel(keyboard):
    keyboard.feed(b"wa", 0.0)
    assert keyboard.wish(0.0).delta.tolist() == [0.5, 0.5, 0, 0, 0]
    keyboard.feed(b"s", 0.01)
    assert keyboard.wish(0.02).delta.tolist() == [0, 0.5, 0, 0, 0]


def test_the_gripper_stays_unless_asked(keyboard):
    keyboard.feed(b"w", 0.0)
    assert keyboard.wish(0.0).gripper == Gripper.STAY
    keyboard.feed(b"c", 0.1)
    assert keyboard.wish(0.2).gripper == Gripper.CLOSE
    keyboard.feed(b"o", 0.2)
    assert keyboard.wish(0.25).gripper == Gripper.OPEN
    assert keyboard.wish(0.6).gripper == Gripper.STAY


def test_space_holds_on_and_lets_go(keyboard):
    keyboard.feed(b" ", 0.0)
    held = keyboard.wish(100.0)
    assert held.engaged and not held.delta.any() and held.gripper == Gripper.STAY
    keyboard.feed(b"w", 100.0)
    assert keyboard.wish(200.0).engaged, "a motion does not end what space began"
    keyboard.feed(b" ", 200.0)
    assert not keyboard.wish(200.0).engaged


def test_space_lets_go_at_once_where_a_motion_key_engaged(keyboard):
    keyboard.feed(b"w", 0.0)
    keyboard.feed(b" ", 0.05)
    wish = keyboard.wish(0.06)
    assert not wish.engaged and not wish.delta.any()


def test_space_held_down_ends_with_hands_off(keyboard):
    keyboard.feed(b" ", 0.0)
    for i in range(31):
        keyboard.feed(b" ", 0.5 + 0.03 * i)
        assert not keyboard.wish(0.5 + 0.03 * i).engaged
    keyboard.feed(b" ", 1.4 + REPEAT_S + 0.01)
    assert keyboard.wish(2.3).engaged
    keyboard.feed(b" ", 2.4)
    assert not keyboard.wish(2.4).engaged, "letting go is never too soon"


def test_requests_are_reported_once_and_do_not_engage(keyboard):
    expected = ["success", "failure", "discard", "reset", "rerecord", "pause"]
    assert keyboard.feed(b"yn\x7fxbp", 0.0) == expected
    assert keyboard.feed(b"", 0.1) == [] and not keyboard.wish(0.1).engaged


@pytest.mark.parametrize("key", sorted(REQUESTS))
def test_a_key_that_is_held_down_asks_once(keyboard, key):
    asked = keyboard.feed(key.encode(), 0.0)
    for i in range(60):
        asked += keyboard.feed(key.encode(), 0.66 + 0.033 * i)
    assert asked == [REQUESTS[key]]
    assert keyboard.feed(key.encode(), 0.66 + 0.033 * 59 + REPEAT_S + 0.01) == asked, "pressed again"


def test_another_key_between_makes_it_another_press(keyboard):
    assert keyboard.feed(b"ywy", 0.0) == ["success", "success"]


def test_a_sequence_torn_by_the_network_is_one_key_and_unknown_ones_are_none(keyboard):
    keyboard.feed(b"\x1b", 0.0)
    keyboard.feed(b"[", 0.01)
    assert not keyboard.wish(0.01).engaged
    keyboard.feed(b"A", 0.02)
    assert keyboard.wish(0.02).delta[0] == 0.5
    other = Keyboard()
    other.feed(b"\x1b[15~\x1b[1;5D\x1b[Zz\xff\x00", 0.0)
    assert other.wish(0.0).delta.tolist() == [0, 0.5, 0, 0, 0], "ctrl-left is an arrow, the rest is nothing"


def test_the_status_says_who_has_the_arm(keyboard):
    keyboard.feed(b"wc", 0.0)
    line = status_line(keyboard.wish(0.0), "intervention: keyboard", (0.2, 0.0, 0.12), "success noted")
    assert line == (
        "ENGAGED   | arm: intervention: keyboard | tcp 0.200 0.000 0.120 m | x+0.5 | close | success noted"
    )


def test_the_status_says_that_the_actor_is_paused(keyboard):
    assert status_line(keyboard.wish(0.0), "policy", None, "", True) == "hands off | PAUSED | arm: policy"
