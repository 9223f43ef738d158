"""What each axis and button of a joystick is for, as a table of parameters; one block per kind of pad.

Indices are those of `sensor_msgs/Joy`, from 0; -1 is none.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from hilrl_ros.ee_action import Gripper
from hilrl_ros.parameters import Parameter
from hilrl_teleop.ee_action import AXES

NONE = -1
TAKEOVERS = ("deadman", "movement")
REQUEST_BUTTONS = ("success", "failure", "discard", "reset", "pause", "rerecord")
"""Of `episode_control.REQUESTS`; each has a button `<name>_button`."""


@dataclass(frozen=True)
class Layout:
    """One pad. The defaults are an Xbox pad as `joy_node` and our `gamepad` publish it."""

    axes: tuple[int, ...] = (1, 0, 4, 7, 3)
    """Index of the axis for x, y, z, pitch and roll."""
    speeds: tuple[float, ...] = (0.5, 0.5, 0.5, -0.5, -0.5)
    """Share of a full step at full deflection, each in [-1, 1]; negative turns the direction round."""
    hat_axes: tuple[int, ...] = (6, 7)
    """Axes that jump to 1 by design."""
    dead_zone: float = 0.1
    """Deflection that counts as none, in [0.01, 0.9]."""
    takeover: str = "deadman"
    deadman_button: int = 5
    engage_level: float = 0.3
    release_level: float = 0.15
    release_s: float = 1.0
    close_button: int = 0
    open_button: int = 1
    request_buttons: Mapping[str, int] = field(
        default_factory=lambda: dict(zip(REQUEST_BUTTONS, (3, 2, 6, 4, 7, 8), strict=True))
    )
    """Button by name of `REQUEST_BUTTONS`."""
    sparse_buttons: bool = False
    """A button that a message does not list is up."""

    @property
    def gripper_buttons(self) -> dict[Gripper, int]:
        """The jaws' buttons."""
        return {Gripper.CLOSE: self.close_button, Gripper.OPEN: self.open_button}

    def buttons(self) -> dict[str, int]:
        """Every button that does something, by the name of its parameter."""
        named = {
            "deadman_button": self.deadman_button,
            "close_button": self.close_button,
            "open_button": self.open_button,
            **{f"{name}_button": index for name, index in self.request_buttons.items()},
        }
        return {name: index for name, index in named.items() if index != NONE}

    def problem(self) -> str | None:
        """Why nobody could work with this layout, or None."""
        used = [index for index in self.axes if index != NONE]
        if not used:
            return (
                "axes: expected one that is not -1; take the pad's block from config/teleop.yaml or add one"
            )
        if len(set(used)) != len(used):
            return f"axes: expected no axis twice, got {list(self.axes)} for {', '.join(AXES)}"
        seen: dict[int, str] = {}
        for name, index in self.buttons().items():
            if index in seen:
                return f"{name}: expected a button of its own, got {index}, which is {seen[index]}"
            seen[index] = name
        if self.takeover == "deadman" and self.deadman_button == NONE:
            return "deadman_button: expected a button where takeover is deadman, got -1"
        if self.takeover == "movement" and self.engage_level <= self.release_level:
            return (
                f"engage_level: expected more than release_level, {self.release_level:g}, "
                f"got {self.engage_level:g}"
            )
        return None


XBOX = Layout()


def parameter_table(pad: str) -> tuple[Parameter, ...]:
    """The parameters of one pad, named `<pad>.<name>`. Only the pad "xbox" has a layout by default."""
    known = pad == "xbox"

    def index(name: str, default: int, description: str) -> Parameter:
        return Parameter(f"{pad}.{name}", default if known else NONE, description, NONE, 255)

    return (
        Parameter(
            f"{pad}.axes",
            list(XBOX.axes) if known else [NONE] * len(AXES),
            "axis for x, y, z, pitch, roll; -1: none",
            NONE,
            255,
            length=len(AXES),
        ),
        Parameter(
            f"{pad}.speeds",
            list(XBOX.speeds),
            "share of a full step at full deflection of x, y, z, pitch, roll; negative: the other way round",
            -1.0,
            1.0,
            length=len(AXES),
        ),
        Parameter(
            f"{pad}.hat_axes",
            list(XBOX.hat_axes) if known else [NONE],
            "axes that jump to 1 by design, as direction pads do; [-1]: none",
            NONE,
            255,
        ),
        Parameter(f"{pad}.dead_zone", XBOX.dead_zone, "deflection that counts as none", 0.01, 0.9),
        Parameter(
            f"{pad}.takeover",
            XBOX.takeover,
            "deadman: in control while deadman_button is held; movement: while an axis or the jaws are moved",
            choices=TAKEOVERS,
        ),
        index("deadman_button", XBOX.deadman_button, "in control while it is held; -1: none"),
        Parameter(f"{pad}.engage_level", XBOX.engage_level, "movement: takes over from here", 0.01, 1.0),
        Parameter(f"{pad}.release_level", XBOX.release_level, "movement: at rest below this", 0.0, 1.0),
        Parameter(
            f"{pad}.release_s", XBOX.release_s, "movement: lets go after so long at rest [s]", 0.1, 60.0
        ),
        index("close_button", XBOX.close_button, "closes the jaws; -1: none"),
        index("open_button", XBOX.open_button, "opens the jaws; -1: none"),
        *(
            index(f"{name}_button", XBOX.request_buttons[name], f"asks the actor: {name}; -1: none")
            for name in REQUEST_BUTTONS
        ),
        Parameter(
            f"{pad}.sparse_buttons", False, "a button that a message does not list is up, as with spacenav"
        ),
    )


def layout_from(pad: str, values: Mapping[str, Any]) -> Layout:
    """The layout that parameters of `parameter_table(pad)` tell."""
    at = {name.removeprefix(f"{pad}."): value for name, value in values.items()}
    plain = {f.name: at[f.name] for f in fields(Layout) if f.name in at}
    for name in ("axes", "speeds", "hat_axes"):
        plain[name] = tuple(plain[name])
    return Layout(**plain, request_buttons={name: at[f"{name}_button"] for name in REQUEST_BUTTONS})
