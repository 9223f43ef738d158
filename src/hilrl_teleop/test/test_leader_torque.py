"""Asking the leader's driver for torque: once, calmly again, and off before anything else."""

from hilrl_teleop.leader_torque import AGAIN_S, TorqueSwitch


def test_torque_is_asked_for_once_and_calmly_again():
    switch = TorqueSwitch()
    assert switch.request(None, 0, 0.0) is None
    assert switch.request(True, 0, 0.0) is True
    assert [switch.request(True, 0, AGAIN_S * share) for share in (0.1, 0.5, 0.9)] == [None] * 3
    assert switch.request(True, 0, AGAIN_S) is True and "no answer" in switch.trouble
    assert (
        not switch.on_answer(switch.number, False, "gripper: too hot")
        and switch.trouble == "gripper: too hot"
    )
    assert switch.request(True, 0, 2 * AGAIN_S - 0.1) is None
    assert switch.request(True, 0, 2 * AGAIN_S) is True
    assert switch.on_answer(switch.number, True, "active") and switch.trouble == ""
    assert switch.request(True, 0, 99.0) is None


def test_torque_off_does_not_wait_for_the_answer_to_torque_on():
    switch = TorqueSwitch()
    assert switch.request(True, 0, 0.0) is True
    number = switch.number
    assert switch.request(False, 1, 0.01) is False
    assert not switch.on_answer(number, True, "active"), "overtaken"
    assert switch.request(False, 1, 0.1 + AGAIN_S) is False, "the newest wish was not answered"


def test_a_new_generation_asks_for_the_same_again():
    switch = TorqueSwitch()
    assert switch.request(True, 0, 0.0) is True
    assert switch.on_answer(switch.number, True, "")
    assert switch.request(True, 1, 0.1) is True
