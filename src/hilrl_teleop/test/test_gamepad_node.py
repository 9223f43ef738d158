"""The gamepad's node as its own process, on a machine without a gamepad."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sensor_msgs.msg import Joy

from hilrl_interfaces.msg import EeAction
from hilrl_interfaces.srv import LabelEpisode
from hilrl_ros import qos

NODE = "hilrl_teleop.gamepad_node"
HERE = Path(__file__).parent
WITH_A_PAD = """
import sys, threading, types
sys.path.insert(0, {here!r})
from test_gamepad import SYN, PipedDevice, event
pad = PipedDevice()
sys.modules["evdev"] = types.SimpleNamespace(list_devices=lambda: [pad.path], InputDevice=lambda path: pad)

def play():
    with open({fifo!r}) as lines:
        for line in lines:
            pad.send(event(*map(int, line.split())), SYN)

threading.Thread(target=play, daemon=True).start()
from hilrl_teleop.gamepad_node import main
main()
"""
"""Recorded events in place of the hardware, played as they come through a pipe: type, code, value."""


def test_without_a_gamepad_it_says_so_once_waits_and_leaves_on_a_signal(probe, start_node):
    pytest.importorskip("evdev", reason="evdev is not installed")
    joys = []
    probe.node.create_subscription(Joy, "joy", joys.append, qos.EVENTS)
    process = start_node(NODE, "device_name:='no such pad'")
    probe.spin_until(lambda: "no gamepad whose name contains 'no such pad' is there yet" in process.log)
    probe.spin_for(2.5)
    assert process.log.count("no gamepad") == 1 and joys == []
    assert process.stop() == 0


def test_without_evdev_it_says_what_to_install_and_ends():
    hidden = "import sys; sys.modules['evdev'] = None; "
    run = subprocess.run(
        [sys.executable, "-c", f"{hidden}from {NODE} import main; main()"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 2
    assert run.stderr.startswith("error: evdev: expected the Python package") and run.stderr.count("\n") == 1
    assert "pip install evdev" in run.stderr


def test_from_the_kernels_events_to_an_action_and_a_label(probe, start_node, tmp_path):
    """Pad -> gamepad -> joy -> joy_teleop -> intervention/joy and actor/label, each its own process."""
    joys, actions, labels = [], [], []

    def on_label(request, response):
        labels.append(request.label)
        response.success = True
        return response

    probe.node.create_service(LabelEpisode, "actor/label", on_label)
    probe.node.create_subscription(Joy, "joy", joys.append, qos.EVENTS)
    probe.node.create_subscription(EeAction, "intervention/joy", actions.append, qos.ACTIONS)
    fifo, script = tmp_path / "events", tmp_path / "with_a_pad.py"
    os.mkfifo(fifo)
    script.write_text(WITH_A_PAD.format(here=str(HERE), fifo=str(fifo)))
    teleop = start_node("hilrl_teleop.joy_teleop_node", "joy_timeout_s:=5.0")
    start_node(script)
    with fifo.open("w", buffering=1) as play:
        probe.spin_until(lambda: len(joys) > 10 and probe.node.count_clients("actor/label"))
        probe.meet("joy_teleop")
        probe.spin_until(lambda: "joy is there" in teleop.log)
        probe.spin_for(1.0)  # a control counts once it was seen at rest for a while
        assert list(joys[-1].axes) == pytest.approx([0, 0, 1, 0, 0, 1, 0, 0], abs=1e-4)
        assert list(joys[-1].buttons) == [0] * 11 and joys[-1].header.frame_id == "joy"
        assert abs(joys[-1].header.stamp.sec - time.time()) < 60
        assert actions == []
        play.write("1 311 1\n")  # the dead-man, BTN_TR
        for value, share in ((-12_000, 0.366), (-32_768, 1.0)):
            play.write(f"3 1 {value}\n")  # the left stick forward, ABS_Y
            # One after the other: a stick that jumps there from its rest would have no effect.
            probe.spin_until(lambda share=share: joys[-1].axes[1] == pytest.approx(share, abs=1e-3))
            probe.until_taken_by("joy_teleop", qos.EVENTS.depth)
        probe.spin_until(lambda: actions and actions[-1].delta[0] == 0.5)
        play.write("1 308 1\n1 308 0\n")  # success, Y on the pad
        probe.spin_until(lambda: labels)
        play.write("1 311 0\n")
        probe.spin_until(lambda: not actions[-1].engaged)
        probe.spin_for(0.3)
        assert labels == [0]
