"""Kernel events to axes and buttons, and looking for a pad; a virtual one where the kernel gives one."""

import os
import random
import threading
import time
from collections import namedtuple
from contextlib import contextmanager
from itertools import groupby

import pytest

from hilrl_teleop.device_reader import LOOK_AGAIN_S
from hilrl_teleop.gamepad import Gamepad, Snapshot
from hilrl_teleop.gamepad_reader import GamepadReader
from hilrl_teleop.input_events import EV_ABS, EV_KEY, EV_SYN, SYN_DROPPED, SYN_REPORT

try:
    from evdev import AbsInfo, InputEvent
except ImportError:
    AbsInfo = namedtuple("AbsInfo", "value min max fuzz flat resolution")
    InputEvent = namedtuple("InputEvent", "sec usec type code value")

LX, LY, LT, RX, RY, RT, HAT_X, HAT_Y = 0, 1, 2, 3, 4, 5, 16, 17
STICK = AbsInfo(0, -32768, 32767, 16, 128, 0)
TRIGGER = AbsInfo(0, 0, 255, 0, 0, 0)
HAT = AbsInfo(0, -1, 1, 0, 0, 0)
# Of a wired Xbox pad, as the kernel's xpad driver reports it.
XBOX_AXES = {LX: STICK, LY: STICK, LT: TRIGGER, RX: STICK, RY: STICK, RT: TRIGGER, HAT_X: HAT, HAT_Y: HAT}
A, B, X, Y, TL, TR, SELECT, START, MODE, THUMB_L, THUMB_R = XBOX_BUTTONS = (
    304, 305, 307, 308, 310, 311, 314, 315, 316, 317, 318,
)  # fmt: skip


def event(type_, code, value):
    return InputEvent(1, 0, type_, code, value)


def key(code, value):
    return event(EV_KEY, code, value)


def axis(code, value):
    return event(EV_ABS, code, value)


SYN = event(EV_SYN, SYN_REPORT, 0)


def xbox(pressed=(), **values):
    axes = {code: info._replace(value=values.get(f"a{code}", 0)) for code, info in XBOX_AXES.items()}
    return Snapshot(axes, XBOX_BUTTONS, pressed)


def test_the_order_and_signs_are_those_of_joy_node():
    pad = Gamepad(xbox)
    assert pad.axes == pytest.approx([0, 0, 1, 0, 0, 1, 0, 0], abs=1e-4), "triggers rest at 1"
    assert pad.buttons == [0] * 11
    pad.feed([axis(LX, -32768), axis(LY, 32767), axis(LT, 255), axis(HAT_X, -1), axis(HAT_Y, 1), SYN])
    assert pad.axes == pytest.approx([1, -1, -1, 0, 0, 1, 1, -1], abs=1e-4)
    for index, code in enumerate(XBOX_BUTTONS):
        assert pad.feed([key(code, 1), SYN])[-1][1].index(1) == index
        pad.feed([key(code, 0), SYN])


def test_what_is_held_and_deflected_at_the_start_is_read_from_the_device():
    pad = Gamepad(lambda: xbox(pressed=[TR], a0=32767, a2=255))
    assert pad.buttons[5] == 1 and pad.axes[0] == -1.0 and pad.axes[2] == -1.0


def test_axes_that_do_not_begin_at_zero_and_odd_ones_stay_within_bounds():
    pad = Gamepad(
        lambda: Snapshot(
            {
                0: AbsInfo(128, 0, 255, 0, 15, 0),
                1: AbsInfo(300, 0, 255, 0, 0, 0),
                40: AbsInfo(5, 5, 5, 0, 0, 0),
            },
            [288],
            [],
        )
    )
    assert pad.axes == [pytest.approx(0.0, abs=0.01), -1.0, 0.0]


def test_half_a_hat_has_two_axes_and_low_codes_come_last():
    pad = Gamepad(lambda: Snapshot({0: STICK, 1: STICK, HAT_X: HAT}, [30, 310, 288], [30]))
    assert len(pad.axes) == 4 and pad.axes[3] == 0.0
    assert pad.buttons == [0, 0, 1]


def test_a_press_and_its_release_read_together_are_two_reports():
    reports = Gamepad(xbox).feed([key(Y, 1), SYN, key(Y, 0), SYN, axis(LX, 100), SYN])
    assert [buttons[3] for _, buttons in reports] == [1, 0]


def test_nothing_counts_before_its_report_and_repeats_are_no_change():
    pad = Gamepad(xbox)
    assert pad.feed([key(Y, 1)]) == []
    assert len(pad.feed([SYN, key(Y, 2), SYN, key(Y, 1), SYN])) == 1


def test_after_dropped_events_the_device_is_asked():
    now = xbox()
    pad = Gamepad(lambda: now)
    pad.feed([key(TR, 1), SYN])
    now = xbox(a1=-32768)
    reports = pad.feed([event(EV_SYN, SYN_DROPPED, 0), key(A, 1), axis(LX, 999), SYN])
    assert reports == [(pad.axes, [0] * 11)], "the dead-man's release was among what was lost"
    assert pad.axes[1] == 1.0 and abs(pad.axes[0]) < 1e-4


def test_what_was_read_together_with_the_loss_is_older_than_the_answer_of_the_device():
    """Asked, the kernel throws away the release that it had not handed out yet."""
    pad = Gamepad(xbox)
    assert pad.feed([event(EV_SYN, SYN_DROPPED, 0), SYN, key(TR, 1), SYN, key(A, 1)]) == []
    assert pad.buttons == [0] * 11
    pad.feed([SYN, key(Y, 1), SYN])
    assert pad.buttons == [0, 0, 0, 1, *[0] * 7], "what comes later counts"


@pytest.mark.parametrize("seed", range(20))
def test_however_events_are_torn_apart_the_buttons_go_the_same_way(seed):
    rng = random.Random(seed)
    down, events, expected = set(), [], []
    for _ in range(100):
        code = rng.choice(XBOX_BUTTONS)
        down ^= {code}
        events += [key(code, int(code in down)), SYN]
        expected.append([int(code in down) for code in XBOX_BUTTONS])
    pad, got = Gamepad(xbox), []
    while events:
        count = rng.randint(1, 7)
        got += [buttons for _, buttons in pad.feed(events[:count])]
        events = events[count:]
    assert got == expected


@pytest.mark.parametrize(
    ("axes", "buttons", "is_pad"),
    [
        (XBOX_AXES, XBOX_BUTTONS, True),
        ({0: STICK, 1: STICK}, [288], True),
        ({0: STICK, 1: STICK}, [272, 330], False),  # a pad's touch pad
        (dict.fromkeys(range(6), STICK), [], False),  # its motion sensors
        ({}, [*range(1, 120)], False),  # a keyboard
        ({40: STICK}, [*range(1, 249)], False),  # one with a volume knob
    ],
)
def test_only_gamepads_are_taken_for_gamepads(axes, buttons, is_pad):
    assert Snapshot(axes, buttons, []).is_gamepad() is is_pad


class PipedDevice:
    """Hardware that is not here: recorded events through a real file descriptor, as the kernel gives them."""

    def __init__(self, name="Xbox pad", axes=XBOX_AXES, buttons=XBOX_BUTTONS):
        self.name, self.path = name, f"/dev/input/{name}"
        self._axes, self._buttons, self.pressed = axes, buttons, []
        self._read_fd, self._write_fd = os.pipe()
        self._events = []
        self.is_closed = self.is_gone = False

    def send(self, *events):
        self._events += events
        os.write(self._write_fd, b"!")

    def unplug(self):
        self.is_gone = True
        os.write(self._write_fd, b"!")

    def fileno(self):
        return self._read_fd

    def read(self):
        os.read(self._read_fd, 4096)
        if self.is_gone:
            raise OSError(19, "No such device")
        events, self._events = self._events, []
        return events

    def capabilities(self):
        return {EV_KEY: [*self._buttons], EV_ABS: [*self._axes.items()]}

    def absinfo(self, code):
        return self._axes[code]

    def active_keys(self):
        return self.pressed

    def close(self):
        self.is_closed = True


class Reading:
    """A reader in its thread, and what it said."""

    def __init__(self, paths, open_device, **options):
        self.published, self.told = [], []
        self.reader = GamepadReader(
            paths, open_device, lambda *joy: self.published.append(joy), self.told.append, **options
        )
        self.thread = threading.Thread(target=self.reader.run, daemon=True)
        self.thread.start()

    def until(self, condition):
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, f"timed out; told {self.told}"
            time.sleep(0.005)


@contextmanager
def reading(paths, open_device, **options):
    reading = Reading(paths, open_device, **options)
    try:
        yield reading
    finally:
        reading.reader.stop()
        reading.thread.join(10)
        assert not reading.thread.is_alive()


class Ports:
    """Where devices are plugged in."""

    def __init__(self, *devices):
        self.there, self.opened = list(devices), []

    def paths(self):
        return [device.path for device in self.there]

    def open_device(self, path):
        self.opened.append(path)
        return next(device for device in self.there if device.path == path)

    def reading(self, **options):
        return reading(self.paths, self.open_device, **options)


def test_without_a_pad_it_says_so_once_and_reads_the_one_that_comes():
    keyboard = PipedDevice("Keyboard", {}, [30])
    ports = Ports(keyboard)
    with ports.reading(name="xbox") as r:
        r.until(lambda: r.told)
        time.sleep(2.2 * LOOK_AGAIN_S)
        assert len(r.told) == 1 and r.told[0].startswith("no gamepad whose name contains 'xbox' is there yet")
        assert r.published == []
        assert ports.opened == [keyboard.path] and keyboard.is_closed, "looked at once"
        wheel, pad = PipedDevice("Wheel"), PipedDevice("Microsoft Xbox pad")
        ports.there += [wheel, pad]
        r.until(lambda: len(r.published) >= 3)
        assert r.told[1] == "reading Microsoft Xbox pad at /dev/input/Microsoft Xbox pad"
        assert not pad.is_closed


def test_it_repeats_what_does_not_change_and_tells_a_button_at_once():
    pad = PipedDevice()
    with Ports(pad).reading(rate_hz=5.0) as r:
        r.until(lambda: len(r.published) >= 2)
        pad.send(key(Y, 1), SYN, key(Y, 0), SYN)
        r.until(lambda: any(buttons[3] for _, buttons in r.published) and not r.published[-1][1][3])
        assert [down for down, _ in groupby(buttons[3] for _, buttons in r.published)] == [0, 1, 0]
        pad.send(axis(LX, -32768), SYN)
        r.until(lambda: r.published[-1][0][0] == 1.0)


def test_unplugged_it_publishes_nothing_more_until_there_is_one_again():
    first, second = PipedDevice("first"), PipedDevice("second")
    ports = Ports(first)
    with ports.reading() as r:
        first.send(key(TR, 1), SYN)
        r.until(lambda: r.published and r.published[-1][1][5] == 1)
        ports.there.clear()
        first.unplug()
        r.until(lambda: "first is gone: No such device; waiting for a gamepad" in r.told)
        count = len(r.published)
        time.sleep(1.5 * LOOK_AGAIN_S)
        assert len(r.published) == count and first.is_closed
        assert r.published[-1][1][5] == 1, "no last word either: silence is what lets go"
        assert len(r.told) == 2, "once"
        ports.there.append(second)
        r.until(lambda: len(r.published) > count)
        assert r.published[-1][1] == [0] * 11, "what was held on the first is not held on the second"


def test_a_virtual_pad_of_the_kernel_is_read():
    evdev = pytest.importorskip("evdev", reason="evdev is not installed")
    events = {EV_ABS: list(XBOX_AXES.items()), EV_KEY: list(XBOX_BUTTONS)}
    try:
        virtual = evdev.UInput(events, name="hilrl virtual pad")
    except (evdev.UInputError, OSError) as error:
        pytest.skip(f"no virtual pad: /dev/uinput cannot be opened here: {error}")

    with virtual, reading(evdev.list_devices, evdev.InputDevice, name="hilrl virtual pad") as r:
        if not os.access(virtual.device.path, os.R_OK | os.W_OK):
            pytest.skip(f"no virtual pad: {virtual.device.path} cannot be read by this user")
        r.until(lambda: r.published)
        virtual.write(EV_KEY, Y, 1)
        virtual.write(EV_ABS, LY, -32768)
        virtual.syn()
        r.until(lambda: r.published[-1][1][3] == 1 and r.published[-1][0][1] == 1.0)
        virtual.write(EV_KEY, Y, 0)
        virtual.syn()
        r.until(lambda: r.published[-1][1][3] == 0)
        virtual.close()
        r.until(lambda: any("hilrl virtual pad is gone" in line for line in r.told))
