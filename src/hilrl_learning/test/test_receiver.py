"""Every step goes on exactly once and in order, however it came; the sender fills what is missing."""

import random

from hilrl_learning.receiver import AHEAD_KEPT, StepReceiver
from hilrl_learning.spool import Spool
from hilrl_learning.step_sender import BURST, SILENCE_S, STALL_S, WINDOW, StepSender


def numbers(steps) -> list[int]:
    return [step.sequence for step in steps]


def some_steps(stream, count: int) -> list:
    return list(stream.steps(count))


def test_steps_in_order_pass_at_once(stream):
    receiver = StepReceiver({})
    for step in some_steps(stream, 5):
        assert receiver.add(step) == [step]


def test_steps_in_any_order_with_doubles_come_out_once_and_in_order(stream):
    """Invariant 6."""
    steps = some_steps(stream, 60)
    for seed in range(5):
        generator = random.Random(seed)
        arriving = steps + generator.choices(steps, k=40)
        generator.shuffle(arriving)
        receiver = StepReceiver({})
        released = [step for arrived in arriving for step in receiver.add(arrived)]
        assert numbers(released) == list(range(1, 61))
        assert receiver.counts.duplicates == 40


def test_a_restarted_receiver_goes_on_behind_what_is_stored(stream):
    """Invariant 6."""
    receiver = StepReceiver({"arm": 3})
    released = [step for arrived in some_steps(stream, 6) for step in receiver.add(arrived)]
    assert numbers(released) == [4, 5, 6]


def test_actors_are_numbered_apart(stream):
    other = type(stream)(seed=1, actor_id="other")
    receiver = StepReceiver({})
    assert receiver.add(some_steps(stream, 2)[1]) == []
    assert numbers(receiver.add(some_steps(other, 1)[0])) == [1]
    assert set(receiver.actors) == {"arm", "other"}


def test_what_waits_for_a_missing_step_is_bounded(stream):
    steps = some_steps(stream, AHEAD_KEPT + 20)
    receiver = StepReceiver({})
    for step in steps[1:]:
        assert receiver.add(step) == []
    assert receiver.counts.refused == 19
    assert len(receiver.add(steps[0])) == AHEAD_KEPT + 1
    released = [step for arrived in steps for step in receiver.add(arrived)]
    assert numbers(released) == list(range(AHEAD_KEPT + 2, AHEAD_KEPT + 21))


class Sending:
    """A spool and its sender on a clock that the test sets."""

    def __init__(self, folder) -> None:
        self.spool = Spool(folder)
        self.sent: list[int] = []
        self.sender = StepSender(self.spool, lambda payload: self.sent.append(int(payload)))
        self.now_s = 0.0

    def step(self, count: int = 1) -> None:
        for _ in range(count):
            sequence = self.spool.last_sequence + 1
            payload = str(sequence).encode()
            self.spool.append(sequence, 1, payload)
            self.sender.appended(payload, self.now_s)

    def acknowledge(self, sequence: int) -> str:
        return self.sender.acknowledged(sequence, self.now_s)

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


def test_a_slow_learner_is_not_flooded(tmp_path):
    sending = Sending(tmp_path)
    sending.acknowledge(0)
    sending.step(WINDOW + 50)
    assert sending.sent == list(range(1, WINDOW + 1))
    sending.acknowledge(30)
    assert sending.pump_all() == list(range(WINDOW + 1, WINDOW + 31))
    assert sending.sender.lag == WINDOW + 20


def test_a_learner_that_lacks_what_is_gone_is_reported(tmp_path):
    sending = Sending(tmp_path)
    sending.spool.continue_from(100, 9)
    assert "another run_dir" in sending.acknowledge(40)
    assert sending.acknowledge(100) == ""
