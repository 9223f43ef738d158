"""Every step goes on exactly once and in order, however it came; the sender fills what is missing."""

import random

import pytest

from hilrl_learning.data import Step
from hilrl_learning.receiver import AHEAD_KEPT, StepReceiver
from hilrl_learning.spool import Spool
from hilrl_learning.step_sender import BURST, SILENCE_S, STALL_S, WINDOW, StepSender


class Receiving:
    """A receiver and what it stored; `disk_is_full` has every store fail."""

    def __init__(self, received: dict[str, int] | None = None) -> None:
        self.stored: list[Step] = []
        self.disk_is_full = False
        self.receiver = StepReceiver(received or {}, self._store)

    def _store(self, step: Step) -> None:
        if self.disk_is_full:
            raise OSError("no space left on device")
        self.stored.append(step)

    def add(self, *steps: Step) -> list[int]:
        """Sequences of what is stored now that these came."""
        self.stored.clear()
        for step in steps:
            self.receiver.add(step)
        return [step.sequence for step in self.stored]


def some_steps(stream, count: int) -> list[Step]:
    return list(stream.steps(count))


def test_steps_in_order_pass_at_once(stream):
    receiving = Receiving()
    for step in some_steps(stream, 5):
        assert receiving.add(step) == [step.sequence]
        assert receiving.receiver.received == {"arm": step.sequence}


def test_steps_in_any_order_with_doubles_come_out_once_and_in_order(stream):
    """Invariant 6."""
    steps = some_steps(stream, 60)
    for seed in range(5):
        generator = random.Random(seed)
        arriving = steps + generator.choices(steps, k=40)
        generator.shuffle(arriving)
        receiving = Receiving()
        assert receiving.add(*arriving) == list(range(1, 61))
        assert receiving.receiver.counts.duplicates == 40


def test_a_restarted_receiver_goes_on_behind_what_is_stored(stream):
    """Invariant 6."""
    assert Receiving({"arm": 3}).add(*some_steps(stream, 6)) == [4, 5, 6]


def test_actors_are_numbered_apart(stream):
    other = type(stream)(seed=1, actor_id="other")
    receiving = Receiving()
    assert receiving.add(some_steps(stream, 2)[1]) == []
    assert receiving.add(some_steps(other, 1)[0]) == [1]
    assert receiving.receiver.received == {"arm": 0, "other": 1}


def test_a_gap_is_known_as_soon_as_something_comes_behind_it(stream):
    """Invariant 6: the learner asks for what it lacks."""
    steps = some_steps(stream, 10)
    receiving = Receiving()
    receiving.add(*steps[:3])
    assert receiving.receiver.lacking == {"arm": 0}
    receiving.add(steps[7], steps[5])
    assert receiving.receiver.lacking == {"arm": 2}, "4 and 5"
    receiving.add(steps[3])
    assert receiving.receiver.lacking == {"arm": 1}
    receiving.add(steps[4])
    assert receiving.receiver.lacking == {"arm": 1}, "then 7"
    receiving.add(steps[6])
    assert receiving.receiver.lacking == {"arm": 0} and receiving.receiver.received == {"arm": 8}


def test_a_step_that_could_not_be_stored_counts_as_one_that_did_not_come(stream):
    """Invariant 6."""
    steps = some_steps(stream, 6)
    receiving = Receiving()
    receiving.add(steps[0], steps[2], steps[3])
    receiving.disk_is_full = True
    with pytest.raises(OSError, match="no space left"):
        receiving.add(steps[1])
    assert (receiving.receiver.received, receiving.receiver.lacking) == ({"arm": 1}, {"arm": 1})
    receiving.disk_is_full = False
    assert receiving.add(*steps[1:]) == [2, 3, 4, 5, 6]


def test_what_waits_for_a_missing_step_is_bounded(stream):
    steps = some_steps(stream, AHEAD_KEPT + 20)
    receiving = Receiving()
    assert receiving.add(*steps[1:]) == []
    assert receiving.receiver.counts.refused == 19
    assert len(receiving.add(steps[0])) == AHEAD_KEPT + 1
    assert receiving.receiver.lacking == {"arm": 19}, "what was dropped is known to exist"
    assert receiving.add(*steps) == list(range(AHEAD_KEPT + 2, AHEAD_KEPT + 21))


class Sending:
    """A spool and its sender on a clock that the test sets."""

    def __init__(self, folder) -> None:
        self.spool = Spool(folder)
        self.sent: list[int] = []
        self.now_s = self.sending_s = 0.0
        self.sender = StepSender(self.spool, self._send, lambda: self.now_s)

    def _send(self, payload: bytes) -> None:
        self.sent.append(int(payload))
        self.now_s += self.sending_s

    def step(self, count: int = 1) -> None:
        for _ in range(count):
            sequence = self.spool.last_sequence + 1
            payload = str(sequence).encode()
            self.spool.append(sequence, 1, payload)
            self.sender.appended(payload, self.now_s)

    def acknowledge(self, sequence: int, lacking: int = 0) -> str:
        return self.sender.acknowledged(sequence, lacking, self.now_s)

    def pump_all(self) -> list[int]:
        self.sent.clear()
        while True:
            before = len(self.sent)
            self.sender.pump(self.now_s)
            assert len(self.sent) - before <= BURST
            if len(self.sent) == before:
                return list(self.sent)


def test_nothing_is_sent_before_a_learner_is_heard(tmp_path):
    sending = Sending(tmp_path)
    sending.step(3)
    sending.sender.pump(0.0)
    assert sending.sent == []
    sending.acknowledge(0)
    assert sending.pump_all() == [1, 2, 3]
    sending.step()
    assert sending.sent == [1, 2, 3, 4], "caught up: a new step leaves at once"


def test_after_the_learner_returned_it_gets_what_it_lacks_and_only_that(tmp_path):
    """Invariant 6."""
    sending = Sending(tmp_path)
    sending.acknowledge(0)
    sending.step(10)
    sending.acknowledge(6)
    sending.now_s += SILENCE_S + 1
    sending.step(5)
    assert sending.sent == list(range(1, 11)), "while it is silent, steps stay in the spool"
    sending.acknowledge(6)
    assert sending.pump_all() == list(range(7, 16))


def test_lost_steps_are_sent_again_when_receipts_stand_still(tmp_path):
    """Invariant 6."""
    sending = Sending(tmp_path)
    sending.acknowledge(0)
    sending.step(5)
    sending.acknowledge(2)
    while sending.now_s < STALL_S + 0.5:
        sending.now_s += 0.25
        sending.acknowledge(2)
    assert sending.pump_all() == [3, 4, 5]
    assert sending.pump_all() == [], "and then given time to arrive"


def test_a_gap_that_a_receipt_names_is_filled_at_once_and_nothing_else_is_sent_again(tmp_path):
    """Invariant 6."""
    sending = Sending(tmp_path)
    sending.acknowledge(0)
    sending.step(10)
    sending.acknowledge(4, lacking=2)
    assert sending.pump_all() == [5, 6]
    assert sending.pump_all() == [], "once per receipt"
    sending.acknowledge(5, lacking=1)
    sending.acknowledge(10)
    assert sending.pump_all() == [], "it came after all"


def test_a_slow_learner_is_not_flooded(tmp_path):
    sending = Sending(tmp_path)
    sending.acknowledge(0)
    sending.step(WINDOW + 50)
    assert sending.sent == list(range(1, WINDOW + 1))
    sending.acknowledge(30)
    assert sending.pump_all() == list(range(WINDOW + 1, WINDOW + 31))
    assert sending.sender.lag == WINDOW + 20


def test_a_network_that_takes_steps_slowly_does_not_hold_up_the_control_loop(tmp_path):
    sending = Sending(tmp_path)
    sending.step(BURST)
    sending.acknowledge(0)
    sending.sending_s = 0.15
    for count in (1, 2, 3):
        sending.sender.pump(sending.now_s)
        assert sending.sent == list(range(1, count + 1)), "one at a time"


def test_a_learner_that_lacks_what_is_gone_is_reported(tmp_path):
    sending = Sending(tmp_path)
    sending.spool.continue_from(100, 9)
    assert "another run_dir" in sending.acknowledge(40)
    assert sending.acknowledge(100) == ""


def test_steps_of_an_actor_that_lost_its_spool_are_kept_and_it_says_so(tmp_path):
    """Invariant 6."""
    sending = Sending(tmp_path)
    assert "another actor_id" in sending.acknowledge(40)
    sending.step(3)
    assert "another actor_id" in sending.acknowledge(40)
    assert [sending.spool.read(n) for n in (1, 2, 3)] == [b"1", b"2", b"3"]
