"""Takes new weights in beside the control loop, and gives out only what may be used."""

import queue
import threading
from dataclasses import dataclass

from hilrl_learning.data import ActionSpec, ObservationSpec
from hilrl_learning.policy import Policy, load_policy
from hilrl_learning.weights import sha256

ASK_AFTER_S = 1.0
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
        """The policy that became usable since the last call, or None; and why weights were refused, or ''."""
        try:
            ready = self._ready.get_nowait()
        except queue.Empty:
            return None, ""
        return (None, ready) if isinstance(ready, str) else (ready, "")

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
        policy = load_policy(weights.payload, weights.version)
        check_spec(policy, self._observation, self._action)
        return policy


def check_spec(policy: Policy, observation: ObservationSpec, action: ActionSpec) -> None:
    """Raises ValueError when the policy was trained for other observations or actions."""
    for name, expected, got in (
        ("observation", observation, policy.spec.observation),
        ("action", action, policy.spec.action),
    ):
        if got != expected:
            raise ValueError(f"{name} spec: expected {expected}, got {got}")
