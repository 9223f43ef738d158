"""Who has the arm: the policy, or the first engaged operator in the order of priority."""

from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hilrl_ros.ee_action import Gripper, Source
from hilrl_teleop.ee_action import Action

LOCKSTEP_WAIT_S = 0.1
"""Wall time for which a tick waits for the devices that answer in lockstep [s]."""

REMEMBERED_TICKS = 8
"""Decisions kept for repeats. Few, so that a simulator that starts its clock anew meets none of them."""

EARLY_PERIODS = 0.25
"""How much of a control period a direct action may come early, so that jitter does not halve its rate."""


@dataclass
class _Input:
    action: Action | None = None
    heard_s: float = float("-inf")
    answered_ns: int | None = None
    """Stamp of the last message, a refused one included."""
    press: tuple[int, float | None] | None = None
    """Gripper command and goal that began since the last tick: one shorter than a tick must not be lost."""


class Arbitration:
    """Decides once per tick. The output is *the executed action*; nothing else sets its source.

    Times are wall time on one monotonic clock [s]; stamps only name ticks. The gripper command of the chosen
    input is passed as it is: an operator's STAY leaves the gripper, and no earlier command is said again.
    Only what was asked and taken back between two ticks is made up for in the second, once, and not after the
    operator has let go.
    """

    def __init__(
        self,
        devices: Sequence[str],
        lockstep_devices: Sequence[str] = (),
        timeout_s: float = 0.25,
        policy_timeout_s: float = 0.5,
        control_hz: float = 10.0,
    ) -> None:
        """`devices` in falling priority; `lockstep_devices`, a subset of them, are awaited at every tick."""
        if len(set(devices)) != len(devices):
            raise ValueError(f"devices: expected each name once, got {list(devices)}")
        if unknown := set(lockstep_devices) - set(devices):
            raise ValueError(
                f"lockstep_devices: expected some of {list(devices)}, got also {sorted(unknown)}"
            )
        self.timeout_s = timeout_s
        self.policy_timeout_s = policy_timeout_s
        self.control_hz = control_hz
        self.late: Counter[str] = Counter()
        """Ticks that went without a lockstep device, by device."""
        self._lockstep = frozenset(lockstep_devices)
        self._devices = {name: _Input() for name in devices}
        self._policy = _Input()
        self._policy_refusal: str | None = None
        self._pending: Action | None = None
        self._pending_since_s = 0.0
        self._served: OrderedDict[int, Action] = OrderedDict()
        self._last: Action | None = None
        self._last_s = float("-inf")
        self._next_direct_s = float("-inf")

    def prioritise(self, devices: Sequence[str]) -> None:
        """From the next tick on, in this falling priority. Raises ValueError for others than there are."""
        if reason := self.priority_problem(devices):
            raise ValueError(reason)
        self._devices = {name: self._devices[name] for name in devices}

    def priority_problem(self, devices: Sequence[str]) -> str | None:
        """Why these cannot be the priorities, or None."""
        if sorted(devices) == sorted(self._devices):
            return None
        return f"devices: expected {list(self._devices)} in any order, got {list(devices)}"

    def on_policy(self, action: Action, now_s: float) -> Action | None:
        """The executed action for this tick, or None while it waits for a lockstep device.

        Raises ValueError for an action that must not be executed; the policy is then silent.
        """
        if reason := action.problem():
            self._policy_refusal = f"policy_action {reason}"
            raise ValueError(self._policy_refusal)
        self._policy_refusal = None
        self._policy.heard_s = now_s
        if served := self._served.get(action.stamp_ns):
            return served
        if self._pending is None or self._pending.stamp_ns != action.stamp_ns:
            self._pending, self._pending_since_s = action, now_s
        return self._decide(now_s)

    def on_device(self, name: str, action: Action, now_s: float) -> Action | None:
        """The executed action that this message released, if any.

        Raises ValueError for an action that must not be executed; the device is then silent.
        """
        device = self._devices[name]
        device.answered_ns = action.stamp_ns
        if reason := action.problem():
            device.action = device.press = None
            raise ValueError(f"intervention/{name} {reason}")
        if name not in self._lockstep:
            device.press = self._press(device, action, now_s)
        device.action, device.heard_s = action, now_s
        if self._pending is not None:
            return self._decide(now_s)
        if now_s - self._policy.heard_s > self.policy_timeout_s:
            return self._pass_directly(name, action, now_s)
        return None

    def poll(self, now_s: float) -> Action | None:
        """The executed action of a tick that has waited long enough. Call it every few 10 ms."""
        return self._decide(now_s)

    def state(self, now_s: float) -> str:
        """Who has the arm, in words: "policy", "intervention: keyboard" or "holding: why"."""
        if self._last is not None and now_s - self._last_s <= self.policy_timeout_s:
            if self._last.source == Source.POLICY:
                return "policy"
            return f"{Source(self._last.source).name.lower()}: {self._last.device}"
        if self._policy_refusal:
            return f"holding: {self._policy_refusal}"
        return f"holding: no policy_action for {self.policy_timeout_s:g} s and no operator engaged"

    def _decide(self, now_s: float) -> Action | None:
        tick = self._pending
        if tick is None:
            return None
        missing = [name for name in self._lockstep if self._devices[name].answered_ns != tick.stamp_ns]
        if missing:
            if now_s - self._pending_since_s < LOCKSTEP_WAIT_S:
                return None
            self.late.update(missing)
        self._pending = None
        for name in self._devices:
            if action := self._engaged(name, tick.stamp_ns, now_s):
                return self._serve(self._operators(action, name, tick), now_s)
        return self._serve(replace(tick, source=Source.POLICY, device="policy", engaged=True), now_s)

    def _press(self, device: _Input, action: Action, now_s: float) -> tuple[int, float | None] | None:
        """What is asked of the gripper and not executed yet, with `action` as the device's next message."""
        if not action.engaged:
            return None
        if action.gripper == Gripper.STAY:
            return device.press
        asks, last = (action.gripper, action.gripper_goal), device.action
        holds_on = last is not None and last.engaged and now_s - device.heard_s <= self.timeout_s
        if holds_on and asks == (last.gripper, last.gripper_goal):
            return device.press  # said again, executed or not
        return asks

    def _engaged(self, name: str, stamp_ns: int, now_s: float) -> Action | None:
        """What the device says for this tick, or None where it has let go or is silent."""
        device = self._devices[name]
        if device.action is None or not device.action.engaged:
            return None
        if name in self._lockstep:
            fresh = device.action.stamp_ns == stamp_ns
        else:
            fresh = now_s - device.heard_s <= self.timeout_s
        return device.action if fresh else None

    def _pass_directly(self, name: str, action: Action, now_s: float) -> Action | None:
        """No policy: an operator drives alone, at the control rate, as each action moves one full step.

        Lockstep devices answer the ticks of a policy and have none here: a policy that is merely slow
        must not make a run differ from the next one with the same seed.
        """
        for candidate in self._devices:
            if candidate not in self._lockstep and self._engaged(candidate, action.stamp_ns, now_s):
                break
        else:
            return None
        if candidate != name:
            return None
        if served := self._served.get(action.stamp_ns):
            return served
        period_s = 1.0 / self.control_hz
        if now_s < self._next_direct_s - EARLY_PERIODS * period_s:
            return None
        self._next_direct_s = max(self._next_direct_s, now_s) + period_s
        return self._serve(self._operators(action, name, action), now_s)

    def _operators(self, action: Action, name: str, tick: Action) -> Action:
        """An operator's action for `tick`. Whoever is engaged intervenes, unless it says it demonstrates."""
        gripper, goal = action.gripper, action.gripper_goal
        if gripper == Gripper.STAY and (press := self._devices[name].press):
            gripper, goal = press
        demonstrates = action.source == Source.DEMONSTRATION
        return replace(
            action,
            stamp_ns=tick.stamp_ns,
            frame_id=tick.frame_id,
            gripper=gripper,
            gripper_goal=goal,
            source=Source.DEMONSTRATION if demonstrates else Source.INTERVENTION,
            device=name,
            engaged=True,
            policy_version=0,
        )

    def _serve(self, executed: Action, now_s: float) -> Action:
        for device in self._devices.values():
            device.press = None
        self._served[executed.stamp_ns] = executed
        if len(self._served) > REMEMBERED_TICKS:
            self._served.popitem(last=False)
        self._last, self._last_s = executed, now_s
        return executed
