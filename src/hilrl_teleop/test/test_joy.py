"""A joystick's messages to wishes, without ROS."""

from dataclasses import replace

import pytest
from joy_pad import HAT_Y, LT, LX, LY, PERIOD_S, RB, RT, RX, A, B, Pad

from hilrl_ros.ee_action import Gripper
from hilrl_teleop.joy import Joystick
from hilrl_teleop.joy_layout import REQUEST_BUTTONS, XBOX, Layout
from hilrl_teleop.wish import GRIPPER_HOLD_S

MOVEMENT = replace(XBOX, takeover="movement", deadman_button=-1)


@pytest.fixture
def pad() -> Pad:
    """Seen at rest for long enough."""
    return Pad().settle()


def test_nothing_is_wanted_before_the_first_message_and_at_rest(pad):
    fresh = Pad().wish
    assert not fresh.engaged and not fresh.delta.any() and fresh.gripper is Gripper.STAY
    assert not pad.wish.engaged and pad.requests == []


@pytest.mark.parametrize(
    ("stick", "axis", "sign"),
    [("ly", 0, 1), ("lx", 1, 1), ("ry", 2, 1), ("hat_y", 3, -1), ("rx", 4, -1)],
)
def test_each_axis_moves_its_own_direction_at_its_speed(pad, stick, axis, sign):
    pad.say(RB).say(RB, **{stick: 0.4 if stick != "hat_y" else 1.0}).say(RB, **{stick: 1.0})
    expected = [0.0] * 5
    expected[axis] = sign * 0.5
    assert pad.wish.engaged and pad.wish.delta.tolist() == expected
    pad.say(RB, **{stick: -1.0})
    assert pad.wish.delta.tolist() == [-value for value in expected]


def test_motion_begins_at_zero_at_the_edge_of_the_dead_zone(pad):
    assert not pad.say(RB, ly=0.1).moves
    assert pad.say(RB, ly=0.1 + 1e-3).wish.delta[0] == pytest.approx(0.5 * 1e-3 / 0.9, rel=1e-3)
    assert pad.say(RB, ly=0.55).wish.delta[0] == pytest.approx(0.25)
    assert pad.say(RB, ly=-1.2).wish.delta[0] == -0.5, "beyond full deflection is full deflection"


def test_the_arm_moves_while_the_dead_man_is_held_and_stops_when_it_is_let_go(pad):
    assert not pad.say(ly=0.4).say(ly=1.0).wish.engaged
    assert pad.say(RB).moves
    pad.say()
    assert not pad.wish.engaged and not pad.wish.delta.any()


def test_silence_lets_go_and_a_held_dead_man_must_be_pressed_again(pad):
    pad.say(RB, ly=0.4).say(RB, ly=1.0)
    assert pad.wait(0.29).moves
    assert not pad.wait(0.02).wish.engaged
    assert not pad.say(RB, times=40).wish.engaged, "held all along"
    pad.say(ly=0.0, times=6)
    assert pad.say(RB).wish.engaged
    assert pad.say(RB, ly=0.4).moves


def test_a_gap_between_messages_counts_as_silence_also_where_nobody_looked(pad):
    pad.say(RB, ly=0.4)
    assert not pad.wait(0.5).say(RB).wish.engaged


def test_a_trigger_that_rests_at_one_does_not_move_the_arm():
    pad = Pad(replace(XBOX, axes=(LT, LX, RT, HAT_Y, RX))).settle()
    assert not pad.say(RB, times=20).moves
    for value in (0.6, 0.3, 0.04, -0.4, -1.0, -0.3, 0.02, 0.5, 1.0):
        assert not pad.say(RB, lt=value).moves, (
            "pressed and let go it passes the middle, and rests there never"
        )
    assert pad.say(RB, lx=0.3).wish.delta.tolist() == pytest.approx([0, 0.5 * 0.2 / 0.9, 0, 0, 0])


@pytest.mark.parametrize("rest", [1.0, 0.97, -1.0])
def test_a_trigger_that_is_reported_as_zero_until_touched_does_not_move_the_arm(rest):
    pad = Pad(replace(XBOX, axes=(LT, LX, RT, HAT_Y, RX))).say(lt=0.0, rt=0.0, times=10).say(RB)
    assert not pad.say(RB, lt=rest, times=30).moves
    assert pad.joystick.ignored_axes == [LT]
    assert not pad.say(RB, lt=rest * 0.5).say(RB, lt=0.0).say(RB, lt=rest * 0.6, times=10).moves


def test_a_stick_held_when_the_device_comes_counts_once_it_was_let_go():
    pad = Pad().say(ly=0.8, times=10)
    assert not pad.say(RB, times=10).moves
    assert not pad.say(RB, ly=0.0).say(RB, ly=0.3).moves, "a moment is not enough"
    assert not pad.say(RB, ly=0.0, times=6).moves
    assert pad.say(RB, ly=0.3).moves


def test_a_hat_may_jump_and_a_stick_may_once_it_has_moved(pad):
    assert pad.say(RB, hat_y=1.0).moves
    assert pad.say(RB, hat_y=0.0, ly=0.3).say(RB, ly=0.0).say(RB, ly=1.0).moves


def test_the_jaws_stay_unless_asked_and_a_tap_is_not_missed(pad):
    assert pad.say(RB).wish.gripper is Gripper.STAY
    assert pad.say(RB, A).wish.gripper is Gripper.CLOSE
    assert pad.say(RB).wish.gripper is Gripper.CLOSE, "between two control ticks"
    assert pad.say(RB, times=int(GRIPPER_HOLD_S / PERIOD_S) + 1).wish.gripper is Gripper.STAY
    assert pad.say(RB, B, times=100).wish.gripper is Gripper.OPEN, "held"
    assert pad.say(RB, B, A).wish.gripper is Gripper.CLOSE, "the newer one"
    assert pad.say(RB, times=10).say(RB, A, B).wish.gripper is Gripper.STAY, "both at once"


def test_taking_over_never_moves_the_jaws(pad):
    pad.say(A)
    assert pad.wish.gripper is Gripper.STAY
    assert pad.say(A, RB, times=3).wish.gripper is Gripper.STAY, "pressed before the take-over"
    pad.say(RB).say(RB, A)
    assert pad.wish.gripper is Gripper.CLOSE
    assert pad.say().say(RB).wish.gripper is Gripper.STAY, "the tap ended with the take-over"


def test_movement_takes_over_and_lets_go_with_hysteresis():
    pad = Pad(MOVEMENT).settle()
    assert not pad.say(ly=0.29).wish.engaged
    assert pad.say(ly=0.31).moves
    assert pad.say(ly=0.16, times=60).wish.engaged, "between the levels it stays as it is"
    pad.say(ly=0.14)
    assert pad.say(times=19).wish.engaged, "at rest for less than release_s"
    assert not pad.say(times=2).wish.engaged
    assert not pad.say(ly=0.29).wish.engaged, "between the levels it stays as it is"
    assert pad.say(ly=0.4).wish.engaged


def test_movement_is_ended_by_time_alone_where_messages_stop_coming():
    pad = Pad(MOVEMENT, timeout_s=5.0).settle().say(ly=0.4)
    assert pad.wait(0.99).wish.engaged and not pad.wait(0.02).wish.engaged


def test_the_jaws_buttons_take_over_too_where_movement_does():
    pad = Pad(MOVEMENT).settle().say(A)
    assert pad.wish.engaged and pad.wish.gripper is Gripper.CLOSE
    assert pad.say(A, times=60).wish.engaged
    assert not pad.say(times=21).wish.engaged


def test_axes_that_are_not_used_do_not_take_over():
    pad = Pad(replace(MOVEMENT, axes=(LY, LX, -1, -1, -1))).settle()
    assert not pad.say(ry=0.4).say(ry=1.0, lt=-1.0).wish.engaged


def test_after_silence_a_held_stick_does_not_take_over():
    pad = Pad(MOVEMENT).settle().say(ly=0.4).say(ly=0.8)
    assert not pad.wait(0.4).wish.engaged
    assert not pad.say(times=40).wish.engaged
    assert pad.say(ly=0.0, times=6).say(ly=0.4).wish.engaged


@pytest.mark.parametrize(
    ("axes", "buttons", "message"),
    [
        ([0.0] * 7, [0] * 11, "joy axes: expected at least 8, as the layout uses axis 7, got 7"),
        ([], [], "joy axes: expected at least 8, as the layout uses axis 7, got 0"),
        ([0.0] * 8, [0] * 8, "joy buttons: expected at least 9, as the layout uses button 8, got 8"),
        ([0.0, float("nan")] + [0.0] * 6, [0] * 11, "joy axes[1]: expected a number in [-1, 1], got nan"),
        ([0.0] * 6 + [float("inf"), 0.0], [0] * 11, "joy axes[6]: expected a number in [-1, 1], got inf"),
    ],
)
def test_a_message_that_does_not_fit_names_index_and_count_and_lets_go(pad, axes, buttons, message):
    assert pad.say(RB, ly=0.4).moves
    with pytest.raises(ValueError) as caught:
        pad.joystick.feed(axes, buttons, pad.stamp_ns + 1, pad.now_s)
    assert str(caught.value) == message
    assert not pad.wish.engaged
    assert not pad.say(RB, times=20).wish.engaged, "the dead-man must be pressed again"


def test_a_3d_mouse_lists_buttons_only_while_they_change():
    layout = Layout(
        axes=(0, 1, 2, 4, 5),
        hat_axes=(-1,),
        takeover="movement",
        deadman_button=-1,
        close_button=0,
        open_button=1,
        request_buttons=dict.fromkeys(REQUEST_BUTTONS, -1),
        sparse_buttons=True,
    )
    joystick = Joystick(layout)
    for i in range(300):
        joystick.feed([0.0] * 6, [], 1 + i * 1_000_000, i * 0.001)
    joystick.feed([0.0] * 6, [0, 1], 300_000_001, 0.3)
    joystick.feed([0.0] * 6, [], 301_000_001, 0.301)
    wish = joystick.wish(0.4)
    assert wish.engaged and wish.gripper is Gripper.OPEN and not wish.delta.any()


def test_another_layout_lets_go(pad):
    pad.say(RB, ly=0.4)
    pad.joystick.use(replace(XBOX, speeds=(1.0,) * 5))
    assert not pad.wish.engaged
