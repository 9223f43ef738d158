"""A keyboard that is not here: the kernel's structs through a real file descriptor, read by evdev itself."""

import errno
import os
import struct
from pathlib import Path

from evdev.eventio import EventIO

from hilrl_teleop.input_events import EV_KEY, EV_SYN, SYN_DROPPED, SYN_REPORT
from hilrl_teleop.key_map import DEADMAN_CODES, KEY_OF_CODE

INPUT_EVENT = struct.Struct("@llHHi")
"""struct input_event of linux/input.h: seconds, microseconds, type, code, value."""
CODE = {key: code for code, key in KEY_OF_CODE.items()} | {"HOLD": DEADMAN_CODES["right_ctrl"], "SHIFT": 42}
UP, DOWN, REPEAT = 0, 1, 2
DROPPED = (EV_SYN, SYN_DROPPED, 0)
SYN = (EV_SYN, SYN_REPORT, 0)
POWER_BUTTON = [116]


def key(name, value):
    """Of `CODE`, with its report's end."""
    return [(EV_KEY, CODE[name], value), SYN]


class PipedDevice(EventIO):
    """In place of `evdev.InputDevice`: opened and read as it is; two files answer for the ioctls."""

    def __init__(self, path):
        self.fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self.path, self.name = path, "Piped keyboard"

    def read(self):
        events = list(super().read())
        if not events:  # end of file is how a pipe says it
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        return events

    def capabilities(self):
        return {EV_KEY: numbers(self.path, "codes")}

    def active_keys(self):
        return numbers(self.path, "down")

    def close(self):
        os.close(self.fd)


class Keyboard:
    """The other end of the device at `path`, plugged in."""

    def __init__(self, path, codes=()):
        self.path = str(path)
        codes = codes or CODE.values()
        Path(f"{path}.codes").write_text(" ".join(map(str, codes)))
        self.tells_down()
        self.plug_in()

    def plug_in(self):
        os.mkfifo(self.path)
        self._fd = os.open(self.path, os.O_RDWR)

    def unplug(self):
        os.unlink(self.path)
        os.close(self._fd)

    def tells_down(self, *names):
        """What EVIOCGKEY answers from now on."""
        Path(f"{self.path}.down").write_text(" ".join(str(CODE[name]) for name in names))

    def send(self, *events):
        """In one piece, as the kernel hands them out."""
        os.write(self._fd, b"".join(INPUT_EVENT.pack(1, 0, *event) for event in events))

    def press(self, *names):
        for name in names:
            self.send(*key(name, DOWN))

    def release(self, *names):
        for name in names:
            self.send(*key(name, UP))


def numbers(path, kind):
    return [int(word) for word in Path(f"{path}.{kind}").read_text().split()]
