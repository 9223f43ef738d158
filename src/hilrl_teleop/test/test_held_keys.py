"""A keyboard's kernel events to wishes: real structs through a real pipe, without ROS and without threads."""

import random

import numpy as np
import pytest
from evdev import ecodes
from keyboard_pipe import CODE, DOWN, DROPPED, REPEAT, SYN, UP, Keyboard, PipedDevice, key

from hilrl_ros.ee_action import Gripper
from hilrl_teleop.device_reader import events_within
from hilrl_teleop.held_keys import NEAR_S, STALL_S, HeldKeys
from hilrl_teleop.key_map import DEADMAN_CODES, GRIPPERS, KEY_OF_CODE, MOTIONS, REQUESTS
from hilrl_teleop.wish import GRIPPER_HOLD_S

PERIOD_S = 0.02


class Hands:
    """On a piped keyboard that is read every `PERIOD_S`."""

    def __init__(self, path):
        self.keyboard = Keyboard(path)
        self.device = PipedDevice(self.keyboard.path)
        self.keys = HeldKeys(CODE["HOLD"], speed=0.5)
        self.now_s = 100.0
        self.wait(PERIOD_S)

    def read(self):
        self.now_s += PERIOD_S
        self.keys.feed(events_within(self.device, 0.0), self.device.active_keys, self.now_s)
        return self

    def press(self, *names):
        self.keyboard.press(*names)
        return self.read()

    def release(self, *names):
        self.keyboard.release(*names)
        return self.read()

    def send(self, *events):
        self.keyboard.send(*events)
        return self.read()

    def wait(self, duration_s):
        for _ in range(round(duration_s / PERIOD_S)):
            self.read()
        return self

    def stand_still(self, duration_s):
        """This process, not the hands."""
        self.now_s += duration_s
        return self

    @property
    def wish(self):
        return self.keys.wish(self.now_s)

    @property
    def delta(self):
        return self.wish.delta.tolist()

    @property
    def moves(self):
        return bool(self.wish.delta.any())


@pytest.fixture
def hands(tmp_path):
    hands = Hands(tmp_path / "keyboard")
    yield hands
    hands.device.close()
    hands.keyboard.unplug()


@pytest.mark.parametrize("name", sorted(MOTIONS))
def test_each_motion_key_moves_its_axis_for_as_long_as_it_is_held(hands, name):
    axis, sign = MOTIONS[name]
    expected = np.zeros(5)
    expected[axis] = 0.5 * sign
    assert hands.press("HOLD", name).delta == expected.tolist() and hands.wish.engaged
    assert hands.wait(30.0).delta == expected.tolist(), "without a repeat"
    hands.release(name)
    assert not hands.moves and hands.wish.engaged


def test_the_codes_are_those_of_the_kernel():
    names = {" ": "SPACE", "\x7f": "BACKSPACE"}
    assert {key: ecodes.ecodes[f"KEY_{names.get(key, key.upper())}"] for key in KEY_OF_CODE.values()} == {
        key: code for code, key in KEY_OF_CODE.items()
    }
    called = {"right_ctrl": "RIGHTCTRL", "right_alt": "RIGHTALT", "right_shift": "RIGHTSHIFT"}
    called |= {"menu": "COMPOSE", "scroll_lock": "SCROLLLOCK"}
    assert {name: ecodes.ecodes[f"KEY_{called[name]}"] for name in DEADMAN_CODES} == DEADMAN_CODES


def test_every_key_of_the_map_has_a_code_and_no_dead_man_is_one_of_them():
    assert set(KEY_OF_CODE.values()) == {*MOTIONS, *GRIPPERS, *REQUESTS, " "}
    assert not DEADMAN_CODES.values() & KEY_OF_CODE.keys()


def test_keys_held_together_move_together_and_each_stops_alone(hands):
    assert hands.press("HOLD", "w", "a", "r").delta == [0.5, 0.5, 0.5, 0, 0]
    assert hands.release("a").delta == [0.5, 0, 0.5, 0, 0]
    assert hands.press("s").delta == [0, 0, 0.5, 0, 0], "opposite ones cancel"
    assert hands.release("w").delta == [-0.5, 0, 0.5, 0, 0]


def test_what_is_typed_without_the_dead_man_key_does_nothing(hands):
    for name in KEY_OF_CODE.values():
        hands.press("SHIFT", name)
        assert not hands.wish.engaged and not hands.moves and hands.keys.take_requests() == []
        hands.release(name, "SHIFT")


def test_letting_the_dead_man_key_go_stops_and_hands_back_at_once(hands):
    hands.press("HOLD", "w", "c")
    hands.release("HOLD")
    assert not hands.wish.engaged and not hands.moves and hands.wish.gripper is Gripper.STAY
    hands.press("HOLD")
    assert not hands.wish.engaged and not hands.moves, "w is still down, but was not pressed under it"
    hands.release("w")
    assert hands.press("w").moves


def test_a_key_that_was_down_before_the_dead_man_key_does_not_count(hands):
    hands.press("w", "HOLD")
    assert not hands.wish.engaged and not hands.moves
    hands.send(*key("w", REPEAT))
    assert not hands.moves


def test_the_dead_man_key_alone_takes_nothing_over_space_does(hands):
    assert not hands.press("HOLD").wish.engaged
    assert hands.press(" ").wish.engaged and not hands.moves
    hands.press("w")
    hands.release(" ").press(" ")
    assert not hands.wish.engaged and not hands.moves
    hands.release(" ").press(" ")
    assert hands.wish.engaged and not hands.moves, "w was pressed before"


def test_repeats_are_no_presses(hands):
    hands.press("HOLD", "y", " ")
    for _ in range(50):
        hands.send(*key("y", REPEAT)).send(*key(" ", REPEAT)).send(*key("HOLD", REPEAT))
    assert hands.keys.take_requests() == ["success"] and hands.wish.engaged
    hands.release("HOLD")
    hands.send(*key("HOLD", REPEAT)).press("w")
    assert not hands.wish.engaged, "a repeat is no dead-man key that is held"


def test_each_request_is_made_once_per_press_and_takes_nothing_over(hands):
    hands.press("HOLD")
    for name, request in REQUESTS.items():
        hands.press(name)
        assert hands.keys.take_requests() == [request] and hands.keys.take_requests() == []
        hands.release(name).press(name)
        assert hands.keys.take_requests() == [request]
    assert not hands.wish.engaged


def test_a_tap_on_the_jaws_lasts_a_moment_and_the_newest_counts(hands):
    hands.press("HOLD", "c")
    assert hands.wish.engaged and hands.wish.gripper is Gripper.CLOSE
    assert hands.wait(5.0).wish.gripper is Gripper.CLOSE, "held"
    hands.press("o")
    assert hands.wish.gripper is Gripper.OPEN
    hands.release("o", "c")
    assert hands.wish.gripper is Gripper.OPEN
    assert hands.wait(GRIPPER_HOLD_S).wish.gripper is Gripper.STAY


def test_a_release_among_lost_events_is_learned_from_the_device(hands):
    hands.press("HOLD", "w", "a")
    hands.keyboard.tells_down("HOLD", "a")
    hands.send(DROPPED, *key("r", DOWN))
    assert hands.delta == [0, 0.5, 0, 0, 0], "w was let go, and of r no press was seen whole"
    hands.keyboard.tells_down("a", "r")
    hands.send(DROPPED, SYN)
    assert not hands.wish.engaged and not hands.moves, "nobody holds the dead-man key"
    hands.press("w")
    assert not hands.moves


def test_while_events_are_lost_all_keys_are_up(hands):
    hands.press("HOLD", "w")
    hands.keyboard.tells_down("HOLD", "w")
    hands.send(DROPPED)
    assert not hands.wish.engaged and not hands.moves
    hands.send((1, CODE["y"], DOWN))
    assert not hands.wish.engaged and hands.keys.take_requests() == []
    hands.send(SYN)
    assert hands.delta == [0.5, 0, 0, 0, 0], "the device says that both are still held"
    assert hands.keys.take_requests() == []


def test_a_press_that_was_read_with_a_loss_does_not_outlive_its_release(hands):
    """Asked for its keys, the kernel throws away the release that it had not handed out yet."""
    hands.press("HOLD")
    hands.keyboard.tells_down("HOLD")
    hands.send(DROPPED, SYN, *key("w", DOWN), *key("y", DOWN))
    assert not hands.moves and hands.keys.take_requests() == []


def test_after_this_process_stood_still_all_keys_are_up_until_they_are_pressed_anew(hands):
    hands.press("HOLD", "w").stand_still(STALL_S + 0.01)
    assert not hands.wish.engaged and not hands.moves, "before anything was read"
    hands.keyboard.press("y", "a")
    hands.keyboard.send(*key("w", REPEAT))
    hands.read()
    assert not hands.wish.engaged and not hands.moves
    assert hands.keys.take_requests() == [], "meant for then"
    hands.release("w", "a", "HOLD").wait(PERIOD_S)
    assert hands.press("HOLD", "w").moves


def test_a_request_is_forgotten_where_nobody_could_make_it_in_time(hands):
    hands.press("HOLD", "y").stand_still(STALL_S + 0.01)
    assert not hands.wish.engaged and hands.keys.take_requests() == []


def test_after_a_stall_old_news_is_skipped_however_many_reads_it_takes(hands):
    hands.stand_still(10.0)
    hands.keyboard.send(*key("HOLD", DOWN) * 50)
    hands.keyboard.press("w", "y")
    for _ in range(10):
        hands.read()
        assert not hands.wish.engaged and hands.keys.take_requests() == []


def test_all_up_is_all_up(hands):
    hands.press("HOLD", "w", "c", "y")
    hands.keys.all_up()
    assert not hands.wish.engaged and not hands.moves and hands.keys.take_requests() == []
    hands.wait(PERIOD_S)
    hands.press("a")
    assert not hands.wish.engaged, "the dead-man key too"


def test_the_dead_man_key_is_near_while_it_is_held_and_a_moment_longer(hands):
    assert not hands.keys.is_deadman_near(hands.now_s)
    assert hands.press("HOLD").wait(5.0).keys.is_deadman_near(hands.now_s)
    assert hands.release("HOLD").keys.is_deadman_near(hands.now_s)
    assert not hands.wait(NEAR_S + PERIOD_S).keys.is_deadman_near(hands.now_s)


@pytest.mark.parametrize("seed", range(10))
def test_however_events_are_torn_apart_only_held_keys_move(hands, seed):
    """Random typing in random pieces, against what a dead-man key and held keys mean."""
    rng = random.Random(seed)
    names = ["HOLD", "w", "s", "a", "d", "UP", "y", "SHIFT"]
    down, counts, events = set(), set(), []
    for _ in range(200):
        name = rng.choice(names)
        if name in down and rng.random() < 0.3:
            events += key(name, REPEAT)
            continue
        down ^= {name}
        events += key(name, DOWN if name in down else UP)
        counts = {held for held in counts if held in down} if "HOLD" in down else set()
        counts |= {name} if name in down and name in MOTIONS and "HOLD" in down else set()
        if len(events) > 20:
            while events:
                count = rng.randint(1, 7)
                hands.send(*events[:count])
                events = events[count:]
            expected = np.zeros(5)
            for held in counts:
                axis, sign = MOTIONS[held]
                expected[axis] += 0.5 * sign
            assert hands.delta == np.clip(expected, -1, 1).tolist()
