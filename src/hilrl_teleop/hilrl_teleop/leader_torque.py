"""Asking the leader's driver for torque: the newest wish first, and calmly again where it is not met."""

AGAIN_S = 2.0
"""Between two requests of the same wish; a driver answers within milliseconds."""


class TorqueSwitch:
    """Which request to send when; answers to overtaken requests count for nothing."""

    def __init__(self) -> None:
        self.trouble = ""
        """Why the newest wish is not met, or an empty string."""
        self.number = 0
        """Of the newest request."""
        self._wish: tuple[bool, int] | None = None
        self._met = False
        self._asked_s = float("-inf")

    def request(self, wanted: bool | None, generation: int, now_s: float) -> bool | None:
        """What to ask the driver for now, or None.

        `wanted`: torque on, off, or whatever it is. A new `generation` is a new wish, also for the same.
        """
        if wanted is None:
            self._wish, self.trouble = None, ""
            return None
        wish = (wanted, generation)
        if wish != self._wish:
            self._wish, self._met = wish, False
        elif self._met or now_s - self._asked_s < AGAIN_S:
            return None
        else:
            self.trouble = self.trouble or f"no answer for {AGAIN_S:g} s"
        self._asked_s = now_s
        self.number += 1
        return wanted

    def on_answer(self, number: int, success: bool, message: str) -> bool:
        """Whether this says that there is torque, as is wanted now."""
        if number != self.number or self._wish is None:
            return False
        self._met, self.trouble = success, "" if success else message or "refused"
        return success and self._wish[0]

    def on_absence(self) -> None:
        """There is no such service."""
        self.trouble = "no such service"
