"""The process: one loop over the line, the control channel and the clock."""

import json
import os
import select
import time
from collections.abc import Callable

from hilrl_hardware.emulator.control import Control
from hilrl_hardware.emulator.faults import Faults
from hilrl_hardware.emulator.line import Line
from hilrl_hardware.emulator.protocol import FRAME_OVERHEAD, Request, RequestReader
from hilrl_hardware.emulator.responder import Responder

LOOK_S = 0.2
"""Longest between two looks at the joints, so that catching up stays cheap."""
CONTROL_BYTES = 65536


class Server:
    """Serves the line until told to end, or until whoever started it is gone."""

    def __init__(self, line: Line, responder: Responder, faults: Faults, control: Control) -> None:
        self._line = line
        self._responder = responder
        self._faults = faults
        self._control = control
        self._reader = RequestReader()
        self._parent = os.getppid()
        self._typed = bytearray()
        self._running = True

    def stop(self) -> None:
        """Leave `run` soon."""
        self._running = False

    def run(self, commands: int | None, answer: Callable[[str], None]) -> None:
        """Serve. `commands`: a file descriptor that JSON lines come from; where they end, the server ends."""
        looked_s = time.monotonic()
        while self._running:
            now_s = time.monotonic()
            due_s = self._line.flush(now_s) if self._line.plugged else None
            wait_s = LOOK_S if due_s is None else min(LOOK_S, max(0.0, due_s - now_s))
            watched = [self._line] if self._line.plugged else []
            ready, _, _ = select.select(watched + ([] if commands is None else [commands]), [], [], wait_s)
            if self._line in ready:
                self._serve(self._line.receive(), time.monotonic())
            if commands in ready:
                self._obey(commands, answer)
            if now_s - looked_s > LOOK_S:
                looked_s = now_s
                self._look(commands is not None)

    def _serve(self, data: bytes, now_s: float) -> None:
        baud_rate = self._line.baud_rate()
        for request in self._reader.feed(self._faults.damage_request(data), now_s):
            self._line.request(len(request.parameters) + FRAME_OVERHEAD, baud_rate, now_s)
            self._answer(request, baud_rate, now_s)

    def _answer(self, request: Request, baud_rate: int, now_s: float) -> None:
        """Replies reach the host in one piece, as from an adapter that collects them, unless one is late."""
        burst, late_s = b"", 0.0
        for reply in self._responder.answer(request, baud_rate, now_s):
            if reply.late_s:
                if burst:
                    self._line.send(burst, late_s)
                burst, late_s = b"", late_s + reply.late_s
            self._line.reply(len(reply.data), baud_rate, reply.pause_s)
            burst += reply.data
        if burst:
            self._line.send(burst, late_s)

    def _obey(self, commands: int, answer: Callable[[str], None]) -> None:
        data = os.read(commands, CONTROL_BYTES)
        if not data:
            self.stop()
        self._typed += data
        *lines, rest = self._typed.split(b"\n")
        self._typed = bytearray(rest)
        for line in lines:
            answer(json.dumps(self._control.obey(line.decode(), time.monotonic())))

    def _look(self, has_client: bool) -> None:
        for servo in self._responder.servos:
            servo.advance(time.monotonic())
        self._line.tidy()
        if has_client and os.getppid() != self._parent:
            self.stop()  # a fork of the client may keep the channel open beyond its death
