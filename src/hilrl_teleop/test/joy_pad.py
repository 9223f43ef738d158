"""A person's hands on an Xbox pad, without ROS."""

from hilrl_teleop.joy import Joystick
from hilrl_teleop.joy_layout import XBOX, Layout

A, B, X, Y, LB, RB = range(6)
LX, LY, LT, RX, RY, RT, HAT_X, HAT_Y = range(8)
PERIOD_S = 0.05


class Pad:
    """Sampled every `PERIOD_S`."""

    def __init__(self, layout: Layout = XBOX, timeout_s: float = 0.3) -> None:
        self.joystick = Joystick(layout, timeout_s)
        self.now_s = 100.0
        self.stamp_ns = 0
        self.axes = [0.0] * 8
        self.axes[LT] = self.axes[RT] = 1.0
        self.down: set[int] = set()
        self.requests: list[str] = []

    def say(self, *down: int, times: int = 1, **axes: float) -> "Pad":
        """Buttons held now, and axes put somewhere."""
        self.down = set(down)
        for name, value in axes.items():
            self.axes[globals()[name.upper()]] = value
        for _ in range(times):
            self.now_s += PERIOD_S
            self.stamp_ns += 50_000_000
            self.send()
        return self

    def send(self) -> None:
        buttons = [int(index in self.down) for index in range(11)]
        self.requests += self.joystick.feed(self.axes, buttons, self.stamp_ns, self.now_s)

    def wait(self, duration_s: float) -> "Pad":
        """Without a message."""
        self.now_s += duration_s
        self.stamp_ns += int(duration_s * 1e9)
        return self

    def settle(self) -> "Pad":
        return self.say(times=6)

    @property
    def wish(self):
        return self.joystick.wish(self.now_s)

    @property
    def moves(self) -> bool:
        return self.wish.engaged and bool(self.wish.delta.any())
