"""The line on the terminal: a terminal that takes nothing holds up neither the hand nor the end."""

import os
import pty
import select
import signal
from contextlib import closing

import pytest
from typist import Typist, actions_of

from hilrl_teleop.screen import Screen

MAIN = "from hilrl_teleop.keyboard_teleop_node import main; main()"
CTRL_S, CTRL_Q = "\x13", "\x11"


@pytest.fixture
def terminal():
    """(who looks at it, who draws on it)."""
    master, slave = pty.openpty()
    yield master, slave
    os.close(master)
    os.close(slave)


def seen(master):
    text = b""
    while select.select([master], [], [], 0.1)[0]:
        text += os.read(master, 4096)
    return text.decode()


def test_a_line_replaces_the_last_one_and_is_drawn_once(terminal):
    master, slave = terminal
    with closing(Screen(slave)) as screen:
        for _ in range(3):
            screen.show("arm: policy")
        screen.say("the keyboard is there")
        screen.show("arm: policy")
        line = "\rarm: policy\x1b[K"
        assert seen(master) == f"{line}\rthe keyboard is there\x1b[K\r\n{line}"


def test_a_terminal_that_nobody_reads_is_not_waited_for_and_shows_the_newest_line_when_it_is_read(terminal):
    master, slave = terminal
    with closing(Screen(slave)) as screen:
        for number in range(10_000):
            screen.show(f"line {number}")
        assert len(seen(master)) < 100_000, "it did fill up"
        screen.show("line 9999")
        assert seen(master).endswith("\rline 9999\x1b[K")


def test_a_file_that_is_no_terminal_is_written_to(tmp_path):
    with open(tmp_path / "out", "w") as out, closing(Screen(out.fileno())) as screen:
        screen.show("arm: policy")
    assert (tmp_path / "out").read_bytes() == b"\rarm: policy\x1b[K\n"


def test_keys_count_and_ctrl_c_ends_it_while_the_terminal_is_held_up(namespace, probe):
    with closing(Typist(MAIN, namespace)) as typist:
        actions = actions_of(typist, probe)
        typist.type(CTRL_S)
        probe.spin_for(0.2)
        shown = len(typist.read())
        typist.type(" ")
        probe.spin_until(lambda: len(actions) > 100)
        assert all(action.engaged for action in actions)
        assert len(typist.read()) == shown, "it was held up"
        typist.process.send_signal(signal.SIGINT)
        assert typist.process.wait(10) == 0
        assert typist.is_terminal_as_found()
