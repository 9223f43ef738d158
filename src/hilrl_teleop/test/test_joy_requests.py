"""A joystick's buttons: as many requests as presses, whatever becomes of the messages."""

import random

import pytest
from joy_pad import PERIOD_S, RB, A, Pad, Y

from hilrl_teleop.joy import SETTLE_S, Joystick
from hilrl_teleop.joy_layout import REQUEST_BUTTONS, XBOX


@pytest.fixture
def pad() -> Pad:
    """Seen at rest for long enough."""
    return Pad().settle()


@pytest.mark.parametrize("button", [RB, A, Y])
def test_a_button_that_is_down_when_the_device_comes_is_no_press(button):
    pad = Pad().say(button, times=40)
    assert pad.requests == [] and not pad.wish.engaged
    pad.say(times=6).say(button)
    assert pad.requests == (["success"] if button == Y else [])
    assert pad.wish.engaged == (button == RB)


def test_a_driver_that_says_a_moment_later_what_is_held_down_makes_no_press():
    pad = Pad().say().say(Y, RB, times=40)
    assert pad.requests == [] and not pad.wish.engaged


def test_a_reconnect_with_the_button_held_makes_no_second_event(pad):
    pad.say(Y, times=3)
    assert pad.requests == ["success"]
    pad.wait(2.0).say(Y, times=20).wait(2.0).say().say(Y, times=20)
    assert pad.requests == ["success"]


def test_another_device_at_once_counts_as_a_reconnect(pad):
    pad.say(RB, Y)
    pad.now_s += PERIOD_S
    assert pad.joystick.feed([0.0] * 8, [1] * 13, pad.stamp_ns + 1, pad.now_s) == []
    assert not pad.wish.engaged
    pad.say(RB, Y)
    assert pad.requests == ["success"] and not pad.wish.engaged


@pytest.mark.parametrize(("button", "name"), sorted((b, n) for n, b in XBOX.request_buttons.items()))
def test_each_request_comes_once_however_long_it_is_held(pad, button, name):
    pad.say(button, times=50).say(times=2).say(button)
    assert pad.requests == [name, name] and not pad.wish.engaged


def test_a_contact_that_bounces_makes_one_press(pad):
    pad.say(Y, RB)
    for _ in range(5):
        for pad.down in (set(), {Y, RB}):
            pad.now_s += 0.005
            pad.stamp_ns += 5_000_000
            pad.send()
    assert pad.requests == ["success"]
    assert pad.wish.engaged, "a dead-man holds whenever it is down"


def test_what_arrives_all_at_once_after_a_stall_was_not_done_at_once(pad):
    for pad.down in ({Y}, set(), {Y}, set(), {Y}):
        pad.stamp_ns += 60_000_000
        pad.send()
    assert pad.requests == ["success"] * 3


def test_a_message_that_arrives_twice_or_late_says_nothing(pad):
    pad.say(Y)
    pressed_ns = pad.stamp_ns
    pad.send()
    pad.say()
    released_ns = pad.stamp_ns
    pad.stamp_ns, pad.down = pressed_ns, {Y}
    pad.send()
    assert pad.requests == ["success"], "the press again, after its release"
    pad.stamp_ns, pad.down = released_ns, set()
    pad.say(Y)
    assert pad.requests == ["success", "success"], "a second real press"


def test_the_same_message_over_and_over_is_silence(pad):
    pad.say(RB, ly=0.4)
    for _ in range(8):
        pad.now_s += PERIOD_S
        pad.send()
    assert not pad.wish.engaged


def test_a_clock_that_was_set_back_is_another_device(pad):
    pad.say(RB, ly=0.4)
    pad.stamp_ns -= 3_600_000_000_000
    assert not pad.say(RB).wish.engaged
    assert pad.say(ly=0.0, times=6).say(RB).wish.engaged


def test_messages_without_a_stamp_are_taken_as_they_come(pad):
    joystick = Joystick(XBOX)
    at_rest, pressed = [0] * 11, [0, 0, 0, 1] + [0] * 7
    requests = []
    for i, buttons in enumerate([at_rest] * 6 + [pressed] * 3 + [at_rest] * 2 + [pressed]):
        requests += joystick.feed([0.0] * 8, buttons, 0, 0.05 * i)
    assert requests == ["success", "success"]


@pytest.mark.parametrize("seed", range(100))
def test_there_are_as_many_events_as_presses_whatever_comes_between(seed):
    """Duplicates, late copies, silences, another device, broken messages; and a tally kept beside it."""
    rng = random.Random(seed)
    pad = Pad()
    up_s = dict.fromkeys(XBOX.request_buttons.values(), 0.0)  # longest rest since the device came
    counted_down: set[int] = set()
    expected: dict[str, int] = dict.fromkeys(REQUEST_BUTTONS, 0)
    sent: list[tuple[int, set[int]]] = []
    seen: dict[int, float] = {}  # since when at rest

    def come_anew():
        up_s.update(dict.fromkeys(up_s, 0.0))
        counted_down.clear()
        seen.clear()

    last_s = pad.now_s
    for _ in range(400):
        what = rng.random()
        if what < 0.1 and sent:
            stamp_ns, down = rng.choice(sent[-5:])
            pad.requests += pad.joystick.feed(
                pad.axes, [int(i in down) for i in range(11)], stamp_ns, pad.now_s
            )
            continue
        if what < 0.13:
            pad.wait(rng.choice([0.1, 0.2, 0.5, 3.0]))
        elif what < 0.15:
            with pytest.raises(ValueError):
                pad.joystick.feed([float("nan")] * 8, [0] * 11, pad.stamp_ns + 1, pad.now_s)
            come_anew()
            sent.clear()
        down = set(pad.down)
        for button in XBOX.request_buttons.values():
            if rng.random() < 0.15:
                down ^= {button}
        pad.say(*down)
        if pad.now_s - last_s > pad.joystick.timeout_s:
            come_anew()
            sent.clear()
        last_s = pad.now_s
        sent.append((pad.stamp_ns, down))
        for name, button in XBOX.request_buttons.items():
            if button in seen:
                up_s[button] = max(up_s[button], pad.now_s - seen[button])
            if button in down:
                if button not in counted_down and up_s[button] >= SETTLE_S:
                    expected[name] += 1
                    counted_down.add(button)
                seen.pop(button, None)
            else:
                counted_down.discard(button)
                seen.setdefault(button, pad.now_s)
    assert {name: pad.requests.count(name) for name in REQUEST_BUTTONS} == expected
    assert sum(expected.values()) > 20
