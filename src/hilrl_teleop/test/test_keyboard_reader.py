"""Looking for a keyboard and reading it in a thread: a pipe in its place, or a virtual one of the kernel."""

import os
import threading
import time
from contextlib import contextmanager

import evdev
import pytest
from keyboard_pipe import CODE, DOWN, DROPPED, POWER_BUTTON, Keyboard, PipedDevice, key

from hilrl_teleop import held_keys
from hilrl_teleop.input_events import EV_KEY
from hilrl_teleop.keyboard_reader import KeyboardReader


class Reading:
    """A reader in its thread, and what it said."""

    def __init__(self, reader, told):
        self.reader, self.told = reader, told
        self.thread = threading.Thread(target=reader.run, daemon=True)
        self.thread.start()

    def until(self, condition):
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, f"timed out; told {self.told}"
            time.sleep(0.005)

    @property
    def wish(self):
        return self.reader.wish(time.monotonic())

    @property
    def moves(self):
        return bool(self.wish.delta.any())

    def hold(self, keyboard, *names):
        """Until they count: not before the reader has seen the keyboard at rest."""
        deadline = time.monotonic() + 60
        while not self.moves:
            assert time.monotonic() < deadline, f"timed out; told {self.told}"
            keyboard.press("HOLD", *names)
            tried_s = time.monotonic()
            while not self.moves and time.monotonic() < tried_s + 1.0:
                time.sleep(0.005)
            if not self.moves:
                keyboard.release("HOLD", *names)
                time.sleep(0.3)


def reader_of(path, paths=list, open_device=PipedDevice, deadman_key="right_ctrl"):
    told = []
    reader = KeyboardReader(str(path), deadman_key, paths, open_device, lambda: None, told.append)
    reader.set_speed(0.5)
    return reader, told


@contextmanager
def reading(*arguments, **options):
    reading = Reading(*reader_of(*arguments, **options))
    try:
        yield reading
    finally:
        reading.reader.stop()
        reading.thread.join(10)
        assert not reading.thread.is_alive()


@pytest.fixture(autouse=True)
def never_stalls(monkeypatch):
    """A busy machine may keep this process waiting: that puts all keys up, and is not what is tested."""
    monkeypatch.setattr(held_keys, "STALL_S", 60.0)


@pytest.fixture
def keyboard(tmp_path):
    return Keyboard(tmp_path / "usb-kbd")


def test_held_keys_move_until_they_are_let_go(keyboard):
    with reading(keyboard.path) as r:
        r.hold(keyboard, "w", "a")
        r.until(lambda: r.wish.delta.tolist() == [0.5, 0.5, 0, 0, 0])
        keyboard.release("w", "a")
        r.until(lambda: not r.moves)
        assert r.told == [f"reading Piped keyboard at {keyboard.path}"] and r.reader.problem == ""


def test_unplugged_all_keys_are_up_and_plugged_in_again_they_must_be_pressed_anew(keyboard):
    with reading(keyboard.path) as r:
        r.hold(keyboard, "w")
        keyboard.unplug()
        r.until(lambda: not r.wish.engaged and not r.moves)
        r.until(lambda: "Piped keyboard is gone: No such device; waiting for a keyboard" in r.told)
        r.until(lambda: "No such file" in r.reader.problem)
        keyboard.tells_down("HOLD", "w")
        keyboard.plug_in()
        r.until(lambda: len(r.told) == 3)
        assert r.told[2] == r.told[0] and r.told[0].startswith("reading")
        time.sleep(0.5)
        keyboard.press("a")
        time.sleep(0.5)
        assert not r.wish.engaged and not r.moves, "held over the unplugging"
        keyboard.release("HOLD", "w", "a")
        r.hold(keyboard, "r")
        assert r.wish.delta.tolist() == [0, 0, 0.5, 0, 0] and r.reader.problem == ""


def test_whatever_ends_the_reading_all_keys_are_up(keyboard):
    class Broken(PipedDevice):
        def active_keys(self):
            raise OSError(5, "Input/output error")

    with reading(keyboard.path, open_device=Broken) as r:
        r.hold(keyboard, "w")
        keyboard.send(DROPPED, *key("r", DOWN))
        r.until(lambda: not r.wish.engaged and not r.moves)
        r.until(lambda: any("gone: Input/output error" in line for line in r.told))


def test_stopped_all_keys_are_up(keyboard):
    with reading(keyboard.path) as r:
        r.hold(keyboard, "w")
    assert not r.wish.engaged and not r.moves


def test_one_that_may_not_be_read_is_named_with_what_to_do():
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    expected = "keys_from: expected a keyboard that may be read, got /dev/input/event3, Permission denied"
    with pytest.raises(ValueError, match=expected) as error:
        reader_of("/dev/input/event3", open_device=refuse)[0].find()
    assert "group input" in str(error.value) and "usermod -aG input" in str(error.value)
    reader, _ = reader_of("auto", lambda: ["/dev/input/event3", "/dev/input/event4"], refuse)
    with pytest.raises(ValueError, match="none among 2 input devices; 2 may not be read: .*group input"):
        reader.find()


def test_what_is_no_keyboard_is_refused_by_name(tmp_path, keyboard):
    button = Keyboard(tmp_path / "button", POWER_BUTTON)
    with pytest.raises(ValueError, match=f"got {button.path}, Piped keyboard, which lacks some"):
        reader_of(button.path)[0].find()
    with pytest.raises(ValueError, match="got /dev/null"):
        reader_of("/dev/null", open_device=evdev.InputDevice)[0].find()
    with pytest.raises(ValueError, match=r"got .*nothing, No such file or directory"):
        reader_of(tmp_path / "nothing")[0].find()
    with pytest.raises(ValueError, match="arrows and menu, got .*deadman_key names another"):
        reader_of(keyboard.path, deadman_key="menu")[0].find()


def test_the_only_keyboard_is_found_and_of_two_one_must_be_named(tmp_path, keyboard):
    button, other = Keyboard(tmp_path / "button", POWER_BUTTON), str(tmp_path / "other")
    there, opened = [button.path, keyboard.path], []

    def open_device(path):
        opened.append(path)
        return PipedDevice(path)

    reader, _ = reader_of("auto", lambda: there, open_device)
    device = reader.find()
    assert device.path == keyboard.path
    device.close()
    Keyboard(other)
    there.append(other)
    with pytest.raises(ValueError, match="auto: expected one keyboard, got 2, .*other, .*usb-kbd; name one"):
        reader.find()
    opened.clear()
    with pytest.raises(ValueError, match="expected one keyboard, got 2"):
        reader.find()
    assert opened == [], "each is looked at once"
    there.remove(keyboard.path)
    reader.find().close()
    assert opened == [other]


def test_found_by_itself_it_comes_back_at_another_path(tmp_path, keyboard):
    there = [keyboard.path]
    with reading("auto", lambda: there) as r:
        r.hold(keyboard, "w")
        keyboard.unplug()
        there.clear()
        r.until(lambda: "none among 0 input devices" in r.reader.problem)
        again = Keyboard(tmp_path / "event9")
        there.append(again.path)
        r.until(lambda: r.told[-1] == f"reading Piped keyboard at {again.path}")
        r.hold(again, "a")
        assert r.wish.delta.tolist() == [0, 0.5, 0, 0, 0]


def test_a_virtual_keyboard_of_the_kernel_is_read():
    try:
        virtual = evdev.UInput({EV_KEY: list(CODE.values())}, name="hilrl virtual keyboard")
    except (evdev.UInputError, OSError) as error:
        pytest.skip(f"no virtual keyboard: /dev/uinput cannot be opened here: {error}")

    class Ours:
        """As the pipe's other end."""

        @staticmethod
        def press(*names):
            for name in names:
                virtual.write(EV_KEY, CODE[name], 1)
                virtual.syn()

        @staticmethod
        def release(*names):
            for name in names:
                virtual.write(EV_KEY, CODE[name], 0)
                virtual.syn()

    with virtual:
        path = virtual.device.path
        if not os.access(path, os.R_OK | os.W_OK):
            pytest.skip(f"no virtual keyboard: {path} cannot be read by this user")
        with reading(path, open_device=evdev.InputDevice) as r:
            r.hold(Ours, "w")
            Ours.release("w")
            r.until(lambda: r.wish.engaged and not r.moves)
            Ours.press("w")
            r.until(lambda: r.moves)
            virtual.close()
            r.until(lambda: not r.wish.engaged and not r.moves)
            r.until(lambda: any("hilrl virtual keyboard is gone" in line for line in r.told))
