"""The keyboard's node, its own process, on a keyboard of this machine: a pipe in place of the device."""

import signal
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from keyboard_pipe import Keyboard
from typist import Typist, actions_of

from hilrl_interfaces.msg import EeAction
from hilrl_interfaces.srv import LabelEpisode
from hilrl_ros import qos

MAIN = "from hilrl_teleop.keyboard_teleop_node import main; main()"
WITH_A_PIPE = f"""
import sys, evdev
sys.path.insert(0, {str(Path(__file__).parent)!r})
from keyboard_pipe import PipedDevice
evdev.InputDevice = PipedDevice
{MAIN}
"""
STEADY = WITH_A_PIPE.replace(MAIN, f"from hilrl_teleop import held_keys; held_keys.STALL_S = 60.0; {MAIN}")
"""A node that a busy machine keeps waiting puts all keys up; this one does not."""
CTRL_C = "\x03"


@pytest.fixture
def keyboard(tmp_path):
    return Keyboard(tmp_path / "usb-kbd")


@pytest.fixture
def program():
    return STEADY


@pytest.fixture
def typist(namespace, keyboard, program):
    with closing(Typist(program, namespace, f"keys_from:={keyboard.path}")) as typist:
        yield typist


@pytest.fixture
def actions(probe, typist):
    """What the keyboard says, once both know of each other and the node has seen the keys at rest."""
    received = actions_of(typist, probe)
    probe.spin_until(lambda: "hands off" in typist.read())
    probe.spin_for(1.0)
    return received


def hold(probe, keyboard, actions, *names):
    """Press them until they count, and an action has just come. A node that was kept waiting lets go."""
    for _ in range(20):
        keyboard.press("HOLD", *names)
        probe.spin_for(0.5)
        heard = len(actions)
        with suppress(AssertionError):
            probe.spin_until(lambda before=heard: len(actions) > before, 2.0)
            if actions[-1].delta.any():
                return
        keyboard.release(*names, "HOLD")
        probe.spin_for(0.5)
    raise AssertionError("keys that are held have no effect")


def let_go(probe, actions):
    probe.spin_until(lambda: not actions[-1].engaged)
    count = len(actions)
    probe.spin_for(1.0)
    assert len(actions) == count and not actions[-1].delta.any(), "silent after it has let go"


def test_held_keys_move_together_until_they_are_let_go(probe, keyboard, typist, actions):
    keyboard.press("w", "a", "SHIFT", "c")
    keyboard.release("w", "a", "SHIFT", "c")
    probe.spin_for(0.5)
    assert actions == [], "typed in another window"
    hold(probe, keyboard, actions, "w", "a")
    probe.spin_until(lambda: actions[-1].delta.tolist() == [0.5, 0.5, 0, 0, 0])
    assert actions[-1].source == 1
    keyboard.release("a")
    probe.spin_until(lambda: actions[-1].delta.tolist() == [0.5, 0, 0, 0, 0])
    keyboard.release("w")
    probe.spin_until(lambda: actions[-1].engaged and not actions[-1].delta.any())
    keyboard.press("w")
    probe.spin_until(lambda: actions[-1].delta.any())
    keyboard.release("HOLD")
    let_go(probe, actions)


def test_labels_reach_the_actor_and_take_nothing_over(probe, keyboard, typist, actions):
    labels = []

    def on_label(request, response):
        labels.append(request.label)
        response.success = True
        return response

    probe.node.create_service(LabelEpisode, "actor/label", on_label)
    probe.meet("keyboard_teleop")
    keyboard.press("y")
    keyboard.release("y")
    probe.spin_for(0.5)
    assert labels == [], "typed in another window"
    for _ in range(20):
        # Again where the node has not seen the keys at rest yet.
        keyboard.press("HOLD", "n")
        keyboard.release("n", "HOLD")
        with suppress(AssertionError):
            probe.spin_until(lambda: labels, 2.0)
            break
    probe.spin_until(lambda: "failure noted" in typist.read())
    assert labels == [LabelEpisode.Request.FAILURE] and actions == []


def test_unplugged_it_lets_go_and_says_so_and_goes_on_when_it_is_back(probe, keyboard, typist, actions):
    said = []

    def on_diagnostics(message):
        said.extend(status.message for status in message.status)

    probe.node.create_subscription(DiagnosticArray, "/diagnostics", on_diagnostics, qos.EVENTS)
    hold(probe, keyboard, actions, "w")
    keyboard.unplug()
    let_go(probe, actions)
    probe.spin_until(lambda: "Piped keyboard is gone: No such device" in typist.read())
    probe.spin_until(lambda: "NO KEYBOARD" in typist.read())
    probe.spin_until(lambda: any("no keyboard is read: keys_from: expected" in message for message in said))
    shown = typist.read().count("reading Piped keyboard")
    keyboard.plug_in()
    probe.spin_until(lambda: typist.read().count("reading Piped keyboard") > shown)
    assert not actions[-1].engaged
    hold(probe, keyboard, actions, "r")
    probe.spin_until(lambda: actions[-1].delta.tolist() == [0, 0, 0.5, 0, 0])
    keyboard.release("r", "HOLD")
    let_go(probe, actions)


@pytest.mark.parametrize("program", [WITH_A_PIPE], ids=["as it is"])
def test_stopped_and_continued_it_does_not_go_on_with_what_was_held_then(probe, keyboard, typist, actions):
    hold(probe, keyboard, actions, "w")
    typist.process.send_signal(signal.SIGSTOP)
    probe.spin_for(1.0)
    keyboard.press("a", "y")
    before = len(actions)
    typist.process.send_signal(signal.SIGCONT)
    probe.spin_until(lambda: len(actions) > before)
    probe.spin_for(1.0)
    assert not any(action.engaged or action.delta.any() for action in actions[before:])
    assert "success" not in typist.read().split("Ctrl-C quit")[1], "asked for then"
    keyboard.release("w", "a", "y", "HOLD")
    hold(probe, keyboard, actions, "w")


def test_ctrl_c_ends_it_unless_that_is_the_dead_man_key_and_the_jaws(probe, keyboard, typist, actions):
    hold(probe, keyboard, actions, "w")
    keyboard.press("c")
    typist.type(CTRL_C)
    probe.spin_until(lambda: actions[-1].gripper == 1)
    keyboard.release("c")
    probe.spin_for(0.5)
    assert typist.process.poll() is None and not typist.is_terminal_as_found()
    keyboard.release("HOLD", "w")
    let_go(probe, actions)
    typist.type("w" + CTRL_C)
    probe.spin_until(lambda: typist.process.poll() is not None)
    assert typist.process.returncode == 0 and typist.is_terminal_as_found()
    assert not actions[-1].engaged
    assert "terminal is gone" not in typist.read()


def test_without_a_terminal_it_logs_what_it_would_show(probe, start_node, keyboard, tmp_path):
    actions = []
    probe.node.create_subscription(EeAction, "intervention/keyboard", actions.append, qos.EVENTS)
    script = tmp_path / "with_a_pipe.py"
    script.write_text(STEADY)
    node = start_node(script, f"keys_from:={keyboard.path}")
    probe.spin_until(lambda: f"reading Piped keyboard at {keyboard.path}" in node.log)
    probe.spin_until(lambda: probe.node.count_publishers("intervention/keyboard"))
    probe.meet("keyboard_teleop")
    probe.spin_for(1.0)
    hold(probe, keyboard, actions, "w")
    keyboard.press("y")
    probe.spin_until(lambda: "success: no actor is there to be told" in node.log)
    keyboard.release("y", "w", "HOLD")
    let_go(probe, actions)
    assert "ENGAGED" not in node.log
    assert node.stop() == 0


@pytest.mark.parametrize(
    ("prepare", "keys_from", "expected"),
    [
        ("", "usb", "keys_from: expected terminal, auto or the path of a keyboard, got 'usb'"),
        ("", "/dev/input/no-such-kbd", "keys_from: expected a keyboard such as /dev/input/by-id"),
        ("sys.modules['evdev'] = None", "auto", "evdev: expected the Python package to read keyboards with"),
        (
            "import evdev; evdev.InputDevice = denied",
            "/dev/input/event3",
            "keys_from: expected a keyboard that may be read, got /dev/input/event3, Permission denied; this "
            "user needs the group input",
        ),
    ],
)
def test_what_it_cannot_read_it_names_and_ends(prepare, keys_from, expected):
    denied = "def denied(*_): raise PermissionError(13, 'Permission denied')"
    program = f"import sys\n{denied}\n{prepare}\n{MAIN}"
    run = subprocess.run(
        [sys.executable, "-c", program, "--ros-args", "-p", f"keys_from:={keys_from}"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 2
    assert run.stderr.startswith(f"error: {expected}") and run.stderr.count("\n") == 1
