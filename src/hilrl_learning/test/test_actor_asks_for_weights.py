"""When an actor asks the learner for weights that did not arrive."""

from contextlib import closing

from learner_peer import SPEC

from hilrl_learning.data import DELTA_AXES, ActionSpec
from hilrl_learning.policy_slot import ASK_AFTER_S, PolicySlot, Weights


def test_weights_are_asked_for_only_when_they_are_overdue():
    with closing(PolicySlot(SPEC, ActionSpec(DELTA_AXES))) as slot:
        assert not slot.should_ask(0, 10.0), "there are none yet"
        assert not slot.should_ask(3, 10.0) and not slot.should_ask(3, 10.0 + 0.9 * ASK_AFTER_S)
        assert slot.should_ask(3, 10.0 + ASK_AFTER_S)
        assert not slot.should_ask(3, 10.0 + 1.9 * ASK_AFTER_S), "once per while"
        assert slot.should_ask(3, 10.0 + 2.0 * ASK_AFTER_S)
        slot.offer(Weights(3, b"", b"whatever is in them"))
        assert not slot.should_ask(3, 20.0) and not slot.should_ask(3, 30.0), "they arrived"
        assert not slot.should_ask(4, 40.0), "others may still be under way"
        assert slot.should_ask(4, 40.0 + ASK_AFTER_S)
