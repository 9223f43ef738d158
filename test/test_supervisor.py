"""How a node ended is known whenever it ends."""

import asyncio
import os
import signal
import sys

from circus.arbiter import Arbiter
from tornado.ioloop import IOLoop

from hilrl.supervisor import ReapingWatcher


def test_the_exit_status_of_one_that_ends_between_two_looks_of_circus_is_known():
    reaped = []

    def on_reaped(*_: object, exit_code: int, **__: object) -> None:
        reaped.append(exit_code)

    async def run() -> None:
        watcher = ReapingWatcher(
            "node",
            sys.executable,
            ["-I", "-S", "-c", "import time; time.sleep(60)"],
            respawn=False,
            hooks={"after_reap": (on_reaped, True)},
        )
        never = -1
        arbiter = Arbiter(
            [watcher], "inproc://test-c", "inproc://test-e", check_delay=never, loop=IOLoop.current()
        )
        await arbiter.start()
        (pid,) = watcher.processes
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # it has ended, and nobody has looked
        await watcher.manage_processes()
        assert not watcher.processes
        await arbiter.stop()

    asyncio.run(run())
    assert reaped == [-signal.SIGKILL]
