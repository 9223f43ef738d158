"""Takes new weights in beside the control loop, and gives out only what may be used."""

import queue
import threading
from dataclasses import dataclass

from hilrl_learning.data import ActionSpec, ObservationSpec
from hilrl_learning.policy import Policy
from hilrl_learning.weights import PolicySpec, sha256, unpack

ASK_AFTER_S = 0.5
"""A version that the heartbeat names and that did not arrive within this time is asked for."""


@dataclass(frozen=True)
class Weights:
    """As they arrived."""

    version: int
    checksum: bytes
    payload: bytes


class PolicySlot:
    """The newest policy that was whole, fitting and finite. A worker thread checks and builds it."""

    def __init__(self, observation: ObservationSpec, action: ActionSpec) -> None:
        self._observation, self._action = observation, action
        self._arrived: queue.SimpleQueue[Weights | None] = queue.SimpleQueue()
        self._ready: queue.SimpleQueue[Policy | str] = queue.SimpleQueue()
        self._given: Policy | None = None
        self._spare: Policy | None = None
        """Was given out before the one that is now."""
        self._seen_version = 0
        self._missing_version = 0
        self._missing_since_s = 0.0
        self._thread = threading.Thread(target=self._work, name="policy_slot", daemon=True)
        self._thread.start()

    def offer(self, weights: Weights) -> None:
        """New weights came; returns at once."""
        self._seen_version = weights.version
        self._arrived.put(weights)

    def take(self) -> tuple[Policy | None, str]:
        """The policy that became usable since the last call, or None; and why weights were refused, or ''.

        The one that was given out before must not be used any more: the next weights go into its networks.
        """
        try:
            ready = self._ready.get_nowait()
        except queue.Empty:
            return None, ""
        if isinstance(ready, str):
            return None, ready
        self._spare, self._given = self._given, ready
        return ready, ""

    def should_ask(self, wanted_version: int, now_s: float) -> bool:
        """Whether to ask the learner to publish again; at most once per `ASK_AFTER_S`."""
        if wanted_version in (0, self._seen_version):
            self._missing_version = 0
            return False
        if wanted_version != self._missing_version:
            self._missing_version, self._missing_since_s = wanted_version, now_s
            return False
        if now_s - self._missing_since_s < ASK_AFTER_S:
            return False
        self._missing_since_s = now_s
        return True

    def close(self) -> None:
        """Stop the worker."""
        self._arrived.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (weights := self._newest()) is not None:
            try:
                self._ready.put(self.build(weights))
            except ValueError as error:
                self._ready.put(f"policy version {weights.version}: refused, the old one stays: {error}")

    def _newest(self) -> Weights | None:
        weights = self._arrived.get()
        while weights is not None:
            try:
                weights = self._arrived.get_nowait()
            except queue.Empty:
                break
        return weights

    def build(self, weights: Weights) -> Policy:
        """Raises ValueError with the reason when the weights cannot be used here."""
        if sha256(weights.payload) != weights.checksum:
            raise ValueError("sha256: the payload is not the one that was sent")
        tensors, spec = unpack(weights.payload)
        check_spec(spec, self._observation, self._action)
        spare, self._spare = self._spare, None
        if spare is None or not spec.is_alike(spare.spec):
            return Policy(spec, tensors, weights.version)
        spare.load(spec, tensors, weights.version)
        return spare


def check_spec(spec: PolicySpec, observation: ObservationSpec, action: ActionSpec) -> None:
    """Raises ValueError when the policy was trained for other observations or actions."""
    for name, expected, got in (
        ("observation", observation, spec.observation),
        ("action", action, spec.action),
    ):
        if got != expected:
            raise ValueError(f"{name} spec: expected {expected}, got {got}")
