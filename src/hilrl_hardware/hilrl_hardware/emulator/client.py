"""A test's hold on the emulator: it runs in a process of its own, on a port that the test can open."""

import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Self

from hilrl_hardware.emulator import arm
from hilrl_hardware.emulator.main import PORT
from hilrl_hardware.emulator.recording import Event, read_events
from hilrl_hardware.registers import Register

END_S = 10.0


class EmulatedBus:
    """An arm, or single servos, on an emulated bus.

    `options` are those of `bus_emulator`, with underscores: servos=[{"id": 1}], record=path, seed=3.
    Its methods, which any thread may call, ask the process and raise RuntimeError with its reason where it
    refuses.
    """

    def __init__(self, folder: Path, role: str | None = None, **options: Any) -> None:
        self.port = str(folder / PORT)
        """A link to the pseudo-terminal; it stays the same when the port is plugged in anew."""
        self.role = role
        self._asking = Lock()
        self._record: Path | None = options.get("record")
        self._command = [sys.executable, "-m", "hilrl_hardware.emulator.main", "--control"]
        for name, value in {"folder": folder, "role": role, **options}.items():
            if value is None or value is False:
                continue
            self._command.append("--" + name.replace("_", "-"))
            if value is not True:
                self._command.append(str(value) if isinstance(value, str | Path) else json.dumps(value))

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        if not self._process.stdout.readline():
            raise RuntimeError(f"the emulator ended at once, with status {self._process.wait()}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            status = self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise
        finally:
            self._process.stdout.close()
        if status and kind is None:
            raise RuntimeError(f"the emulator ended with status {status}")

    @property
    def pid(self) -> int:
        """Of the emulator's process."""
        return self._process.pid

    def _ask(self, do: str, **arguments: Any) -> Any:
        with self._asking:
            self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the emulator has ended, with status {self._process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["result"]

    def calibration(self) -> dict[str, dict[str, int]]:
        """That the arm has, or would get where it is uncalibrated; as in LeRobot's file."""
        return arm.calibration(self.role)

    def set(self, servo_id: int, register: Register, value: int) -> None:
        """Change a servo's memory. A measurement (registers 56..70) stays so until `release`."""
        self._ask("set", servo_id=servo_id, register=register.name, value=value)

    def get(self, servo_id: int, register: Register) -> int:
        """A register as a host would read it."""
        return self._ask("get", servo_id=servo_id, register=register.name)

    def release(self, servo_id: int | None = None, register: Register | None = None) -> None:
        """Let measurements be true again: one, all of a servo, or all."""
        self._ask("release", servo_id=servo_id, register=register and register.name)

    def place(self, servo_id: int, tick: float) -> None:
        """A hand moves a joint to where its encoder, without homing offset, reads `tick`, and holds it there.

        Stops are stops; the motor is stronger than the hand.
        """
        self._ask("place", servo_id=servo_id, tick=tick)

    def let_go(self, servo_id: int | None = None) -> None:
        """The hand goes, and a joint without torque falls. A hand also goes when the motor is switched on."""
        self._ask("let_go", servo_id=servo_id)

    def fault(
        self,
        kind: str,
        servo_id: int | None = None,
        probability: float = 1.0,
        count: int | None = None,
        **detail: Any,
    ) -> None:
        """Make something go wrong, see `faults`: with one servo or with any, that often, that many times."""
        self._ask("fault", kind=kind, servo_id=servo_id, probability=probability, count=count, **detail)

    def heal(self) -> None:
        """End all faults."""
        self._ask("heal")

    def unplug(self) -> None:
        """Pull the USB plug: the port is gone, the servos keep their power."""
        self.fault("unplugged")

    def replug(self) -> None:
        """Another port under the same name."""
        self._ask("plug")

    def truth(self) -> list[dict[str, Any]]:
        """Each servo as it is.

        Keys: id, tick (Present_Position before it is rounded), encoder, speed [tick/s], goal, torque_enabled,
        torque_limit and torque (of stall), current_a, temperature_c, voltage_v, status, held, stuck.
        """
        return self._ask("truth")["servos"]

    def struck(self) -> dict[str, int]:
        """How often each kind of fault has struck."""
        return self._ask("truth")["struck"]

    def events(self) -> list[Event]:
        """What was recorded so far; needs the option `record`. Also after the context has ended."""
        if self._record is None:
            raise RuntimeError("record: expected a path among the options, got none")
        if self._process.poll() is None:
            self._ask("flush")
        return read_events(self._record)
