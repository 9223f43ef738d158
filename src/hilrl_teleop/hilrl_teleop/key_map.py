"""What each key is for: one table, whether keys come from a terminal or from the kernel."""

from hilrl_ros.ee_action import Gripper

MOTIONS = {
    "w": (0, 1.0),
    "s": (0, -1.0),
    "a": (1, 1.0),
    "d": (1, -1.0),
    "r": (2, 1.0),
    "f": (2, -1.0),
    "t": (3, 1.0),
    "g": (3, -1.0),
    "q": (4, -1.0),
    "e": (4, 1.0),
    "UP": (0, 1.0),
    "DOWN": (0, -1.0),
    "LEFT": (1, 1.0),
    "RIGHT": (1, -1.0),
}
"""Key to axis and sign. As seen from behind the arm: x is forward, y is left."""
GRIPPERS = {"o": Gripper.OPEN, "c": Gripper.CLOSE}
REQUESTS = {
    "y": "success",
    "n": "failure",
    "\x7f": "discard",
    "x": "reset",
    "b": "rerecord",
    "p": "pause",
}
"""What each key asks of the actor; the values are `episode_control.REQUESTS`."""
TOGGLE = " "

HELP = (
    "w/s forward/back   a/d left/right   r/f up/down   t/g pitch down/up   q/e roll   o/c open/close jaws",
    "episode: y success   n failure   backspace discard   x reset, new scene   b re-record, same scene",
    "space engage/let go   p pause/continue   Ctrl-C quit",
)

DEADMAN_CODES = {"right_ctrl": 97, "right_alt": 100, "right_shift": 54, "menu": 127, "scroll_lock": 70}
"""Keys that may be held to be in control, and the kernel's codes for them."""

_ROWS = {16: "qwertyuiop", 30: "asdfghjkl", 44: "zxcvbnm"}
_CODES = {key: first + i for first, row in _ROWS.items() for i, key in enumerate(row)}
_CODES |= {TOGGLE: 57, "\x7f": 14, "UP": 103, "LEFT": 105, "RIGHT": 106, "DOWN": 108}
KEY_OF_CODE = {_CODES[key]: key for key in (*MOTIONS, *GRIPPERS, *REQUESTS, TOGGLE)}
"""By the kernel's code. It names places: a key is called by what a US keyboard shows there."""
