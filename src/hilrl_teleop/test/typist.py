"""A node in a real pseudo-terminal, and who types there."""

import os
import pty
import select
import subprocess
import sys
import termios

from rclpy.qos import QoSProfile

from hilrl_interfaces.msg import EeAction


def actions_of(typist, probe):
    """All that the keyboard says from now on, once both know of each other."""
    received = []
    deep = QoSProfile(depth=100)
    probe.node.create_subscription(EeAction, "intervention/keyboard", received.append, deep)
    probe.spin_until(lambda: probe.node.count_publishers("intervention/keyboard"))
    probe.spin_until(lambda: "Ctrl-C quit" in typist.read())
    probe.meet("keyboard_teleop")
    return received


class Typist:
    """A person at a terminal that runs the node."""

    def __init__(self, program, namespace, *parameters):
        """`program`: Python. Parameters as "name:=value"."""
        settings = [word for parameter in parameters for word in ("-p", parameter)]
        self.master, self.slave = pty.openpty()
        self.found = termios.tcgetattr(self.slave)
        self.screen = b""
        self.process = subprocess.Popen(
            [sys.executable, "-c", program, "--ros-args", "-r", f"__ns:={namespace}", *settings],
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            preexec_fn=os.setsid,
        )

    def type(self, keys):
        os.write(self.master, keys.encode())

    def read(self):
        while select.select([self.master], [], [], 0)[0]:
            self.screen += os.read(self.master, 4096)
        return self.screen.decode()

    def is_terminal_as_found(self):
        return termios.tcgetattr(self.slave) == self.found

    def close(self):
        # Not killed: what is killed is still matched by the next test's publishers for a while.
        self.process.terminate()
        self.process.wait(60)
        os.close(self.master)
        os.close(self.slave)
