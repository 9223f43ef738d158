"""From the bytes of a terminal to what a person wants, and back: one line of status.

A terminal tells of presses only, and repeats the last key while it is held: after about half a second, then
some 30 times per second. A key therefore counts as held for a moment after each byte.
"""

import re

import numpy as np

from hilrl_ros.ee_action import Gripper
from hilrl_teleop.ee_action import AXES
from hilrl_teleop.key_map import GRIPPERS, MOTIONS, REQUESTS, TOGGLE
from hilrl_teleop.wish import GRIPPER_HOLD_S, Wish

HOLD_S = 0.15
"""A key counts as held for so long after a byte: longer than a repeat period, also over SSH [s]."""
REPEAT_S = 0.8
"""The same key again within this time is the same press, held: terminals begin to repeat after up to so long
[s]. For keys that do something once."""

_ARROWS = {"A": "UP", "B": "DOWN", "C": "RIGHT", "D": "LEFT"}
# An escape sequence whole, the start of one at the end of what was read, or any one character.
_KEY = re.compile(r"\x1b[\[O][0-9;]*([A-Za-z~])|\x1b[\[O][0-9;]*$|\x1b$|(.)", re.DOTALL)


class Keyboard:
    """Keys in, wishes out. Times are wall time [s]."""

    def __init__(self, speed: float = 0.5, release_s: float = 1.0) -> None:
        """`speed`: share of a full step that a held key asks for. Without one for `release_s` it lets go."""
        self.speed = speed
        self.release_s = release_s
        self._rest = ""
        self._locked = False
        self._moved_s = float("-inf")
        self._held_s: dict[str, float] = {}
        self._newest_key, self._newest_s = "", float("-inf")

    def feed(self, data: bytes, now_s: float) -> list[str]:
        """Take in what was read; returns what is asked of the actor, of the values of `REQUESTS`."""
        requests = []
        for key in self._keys(data):
            is_repeat = key == self._newest_key and now_s - self._newest_s < REPEAT_S
            self._newest_key, self._newest_s = key, now_s
            if key in MOTIONS or key in GRIPPERS:
                self._held_s[key] = self._moved_s = now_s
            elif key == TOGGLE:
                # Letting go is never too soon; taking over again is, while the key may still be held.
                if self._is_engaged(now_s) or not is_repeat:
                    self._toggle(now_s)
            elif key in REQUESTS and not is_repeat:
                requests.append(REQUESTS[key])
        return requests

    def wish(self, now_s: float) -> Wish:
        """What is wanted at `now_s`."""
        delta = np.zeros(len(AXES), np.float32)
        gripper, newest_s = Gripper.STAY, float("-inf")
        for key, pressed_s in self._held_s.items():
            age_s = now_s - pressed_s
            if key in MOTIONS and age_s < HOLD_S:
                axis, sign = MOTIONS[key]
                delta[axis] += sign * self.speed
            elif key in GRIPPERS and age_s < GRIPPER_HOLD_S and pressed_s > newest_s:
                gripper, newest_s = GRIPPERS[key], pressed_s
        return Wish(self._is_engaged(now_s), np.clip(delta, -1, 1), gripper)

    def _is_engaged(self, now_s: float) -> bool:
        return self._locked or now_s - self._moved_s < self.release_s

    def _toggle(self, now_s: float) -> None:
        """Let go at once, or hold on until told otherwise."""
        self._locked = not self._is_engaged(now_s)
        self._moved_s = float("-inf")
        self._held_s.clear()

    def _keys(self, data: bytes) -> list[str]:
        """Whole keys; the start of an escape sequence waits for the rest of it."""
        text = self._rest + data.decode("ascii", "ignore")
        self._rest = ""
        keys = []
        for match in _KEY.finditer(text):
            letter, character = match.groups()
            if letter is not None:
                keys.append(_ARROWS.get(letter, ""))
            elif character is not None:
                keys.append(character.lower())
            else:
                self._rest = match.group()
        return keys


def status_line(
    wish: Wish,
    mux_state: str,
    tcp: tuple[float, float, float] | None,
    note: str,
    paused: bool = False,
) -> str:
    """One line on what is going on. `tcp` in metres."""
    held = ("ENGAGED" if wish.engaged else "hands off").ljust(9)
    motion = " ".join(f"{axis}{value:+.1f}" for axis, value in zip(AXES, wish.delta, strict=True) if value)
    position = "" if tcp is None else "tcp {:.3f} {:.3f} {:.3f} m".format(*tcp)
    jaws = wish.gripper.name.lower() if wish.gripper is not Gripper.STAY else ""
    pause = "PAUSED" if paused else ""
    # What must not be missed comes first: a narrow terminal cuts the end off.
    parts = [held, pause, f"arm: {mux_state or 'no mux'}", position, motion, jaws, note]
    return " | ".join(part for part in parts if part)
