"""Calibration against an emulated arm: what is found, what is refused, and that nothing is left behind."""

import time
from collections.abc import Callable
from contextlib import suppress
from itertools import groupby

import pytest
from emulated_arm import Hand, memory, stops

from hilrl_hardware import bus as bus_module
from hilrl_hardware import registers as r
from hilrl_hardware import servo_calibration
from hilrl_hardware.bus import PortGone, ServoBus
from hilrl_hardware.calibration import SERVO_IDS
from hilrl_hardware.calibration_session import CalibrationSession
from hilrl_hardware.emulator.client import EmulatedBus
from hilrl_hardware.emulator.recording import Written
from hilrl_hardware.servo_calibration import NotRestored
from hilrl_ros.joints import JOINT_NAMES

PATIENCE_S = 20.0


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """How long a reply may take is tested elsewhere; a busy machine takes its time."""
    monkeypatch.setattr(bus_module, "REPLY_TIMEOUT_S", 0.2)


@pytest.fixture
def emulated(tmp_path):
    options = {"no_wire_time": True, "record": tmp_path / "record"}
    with EmulatedBus(tmp_path, "follower", **options) as emulated:
        yield emulated


@pytest.fixture
def bus(emulated):
    with ServoBus(emulated.port) as bus:
        yield bus


def observe_until(session: CalibrationSession, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    session.observe()
    while not condition():
        assert time.monotonic() < deadline, f"silent: {session.silent}"
        session.observe()


def hand_on(session: CalibrationSession, emulated: EmulatedBus) -> Hand:
    """All joints are seen at every step: on a busy machine a reply is lost now and then."""
    return Hand(emulated, lambda: observe_until(session, lambda: not session.silent))


def moved_through(session: CalibrationSession, emulated: EmulatedBus, closed_end: int = 0) -> Hand:
    """Homed, swept, and the gripper's ends shown: closed at the lower (0) or upper (1) stop."""
    hand = hand_on(session, emulated)
    session.home()
    hand.sweeps()
    for end in (closed_end, 1 - closed_end):
        hand.moves("gripper", hand.ends("gripper")[end])
        session.mark_gripper(is_open=end != closed_end)
    return hand


def written(emulated: EmulatedBus) -> list[Written]:
    return [event for event in emulated.events() if isinstance(event, Written)]


def test_the_ranges_are_the_arms_stops_to_the_tick(emulated, bus):
    with CalibrationSession(bus, "follower") as session:
        moved_through(session, emulated)
        calibration = session.result()
    assert calibration.problems() == [] and calibration.role == "follower"
    for name, joint in calibration.joints.items():
        assert (joint.servo_id, joint.drive_mode, joint.reversed) == (SERVO_IDS[name], 0, False)
        if name == "wrist_roll":
            assert (joint.range_min, joint.range_max) == (0, 4095)
        else:
            found = (joint.range_min + joint.homing_offset, joint.range_max + joint.homing_offset)
            assert found == stops(emulated, name)


def test_what_is_committed_is_in_the_servos_also_after_a_power_cycle(emulated, bus):
    saved = []
    with CalibrationSession(bus, "follower") as session:
        moved_through(session, emulated)
        session.commit(session.result(), saved.append)
    (calibration,) = saved
    assert servo_calibration.verify(bus, calibration) == []
    emulated.fault("brownout")
    for servo_id in SERVO_IDS.values():
        bus.read(servo_id, r.LOCK)
    emulated.heal()
    assert servo_calibration.verify(bus, calibration) == []
    assert all(settings["Lock"] == 1 for settings in memory(emulated).values())


@pytest.mark.parametrize("reason", [None, KeyboardInterrupt, ValueError])
def test_leaving_without_commit_gives_the_servos_back_what_they_had(emulated, bus, reason):
    before = memory(emulated)
    with suppress(KeyboardInterrupt, ValueError), CalibrationSession(bus, "follower") as session:
        moved_through(session, emulated)
        assert memory(emulated) != before
        if reason:
            raise reason
    assert memory(emulated) == before


def test_a_calibration_that_cannot_be_saved_is_taken_out_of_the_servos_again(emulated, bus):
    before = memory(emulated)

    def save(calibration):
        assert servo_calibration.verify(bus, calibration) == []
        raise ValueError("disk full")

    with CalibrationSession(bus, "follower") as session:
        moved_through(session, emulated)
        with pytest.raises(ValueError, match="disk full"):
            session.commit(session.result(), save)
    assert memory(emulated) == before


def test_all_motors_are_limp_before_anything_else_is_written(emulated, bus):
    for servo_id in SERVO_IDS.values():
        bus.write(servo_id, r.TORQUE_ENABLE, 1)
    with CalibrationSession(bus, "follower") as session:
        session.home()
    # A write is repeated where its receipt is lost.
    writes = [write for write, _ in groupby((e.servo_id, e.address, e.data) for e in written(emulated))][6:]
    assert writes[:6] == [(servo_id, r.TORQUE_ENABLE.address, b"\x00") for servo_id in SERVO_IDS.values()]
    assert not any(address == r.TORQUE_ENABLE.address for _, address, _ in writes[6:])
    assert not any(servo["torque_enabled"] for servo in emulated.truth())


def test_an_arm_that_lacks_a_servo_is_refused_before_anything_is_written(emulated, bus):
    emulated.fault("absent", servo_id=4)
    with (
        pytest.raises(ValueError, match=r"no answer from wrist_flex \(4\)"),
        CalibrationSession(bus, "follower"),
    ):
        pass
    assert written(emulated) == []


def test_a_joint_homed_near_its_stop_is_caught_at_the_seam(emulated, bus):
    with CalibrationSession(bus, "follower") as session:
        hand = Hand(emulated, lambda: None)
        hand.moves("shoulder_pan", hand.ends("shoulder_pan")[0])
        session.home()
        hand.look = hand_on(session, emulated).look
        hand.sweeps()
        assert session.crossed_seam == ["shoulder_pan"]
        for end in (0, 1):
            hand.moves("gripper", hand.ends("gripper")[end])
            session.mark_gripper(is_open=bool(end))
        with pytest.raises(ValueError, match="shoulder_pan: crossed the seam"):
            session.commit(session.result(), lambda _: pytest.fail("saved"))
        hand.centres("shoulder_pan")
        session.home()
        hand.sweeps("shoulder_pan")
        assert session.crossed_seam == []


def test_a_joint_that_was_not_swept_far_enough_is_named(emulated, bus):
    with CalibrationSession(bus, "follower") as session:
        hand = hand_on(session, emulated)
        session.home()
        hand.sweeps("shoulder_pan", "shoulder_lift", "elbow_flex", "gripper")
        hand.moves("wrist_flex", hand.middle("wrist_flex") + 900)
        assert session.too_short == ["wrist_flex"]


@pytest.mark.parametrize("closed_end", [0, 1])
def test_the_grippers_polarity_is_what_the_hand_shows(emulated, bus, closed_end):
    with CalibrationSession(bus, "follower") as session:
        hand = moved_through(session, emulated, closed_end)
        assert session.gripper_problem is None
        calibration = session.result()
        closed, opened = (hand.ends("gripper")[end] for end in (closed_end, 1 - closed_end))
        for encoder, angle in ((closed, -0.174533), (opened, 1.74533)):
            hand.moves("gripper", encoder)
            ticks = [session.sweeps[name].position for name in JOINT_NAMES]
            assert calibration.to_radians(ticks)[-1] == pytest.approx(angle)
    assert calibration.joints["gripper"].drive_mode == closed_end


def test_a_gripper_shown_half_open_as_closed_is_refused(emulated, bus):
    with CalibrationSession(bus, "follower") as session:
        hand = moved_through(session, emulated)
        hand.centres("gripper")
        session.mark_gripper(is_open=False)
        assert "expected closed and open at least" in session.gripper_problem


def test_widths_make_a_map_and_one_that_shrinks_is_refused(emulated, bus):
    with CalibrationSession(bus, "follower") as session:
        hand = moved_through(session, emulated)
        hand.moves("gripper", hand.ends("gripper")[0])
        assert session.add_width(2.0) == 0.0
        hand.centres("gripper")
        with pytest.raises(
            ValueError, match=r"expected to grow as the gripper opens \(2 mm at 0 %\), got 1 mm at 50"
        ):
            session.add_width(1.0)
        assert session.add_width(55.0) == pytest.approx(50, abs=0.5)
        assert session.result().gripper_width_mm == ((0.0, 2.0), (50.0, 55.0))


def test_directions_are_seen_also_over_the_seam(emulated, bus):
    with CalibrationSession(bus, "follower") as session:
        hand = hand_on(session, emulated)
        session.home()
        middle = hand.middle("wrist_roll")
        for begin, end, direction in ((1500, 1780, 1), (1780, 1500, -1), (-100, 0, 0)):
            hand.moves("wrist_roll", middle + begin)
            before = session.sweeps["wrist_roll"].travel
            hand.moves("wrist_roll", middle + end)
            assert session.direction("wrist_roll", before) == direction


def test_a_full_turn_of_the_wrist_is_no_fault(emulated, bus):
    with CalibrationSession(bus, "follower") as session:
        session.home()
        sweep = session.sweeps["wrist_roll"]
        before = sweep.position
        for tick in (3000, 4000, 100, 1000, before):
            sweep.follow(tick)
        assert sweep.travel == 4096
        assert session.crossed_seam == []


def test_an_arm_in_multi_turn_mode_is_put_out_of_it_and_back_on_leaving(emulated, bus):
    for servo_id in SERVO_IDS.values():
        emulated.set(servo_id, r.PHASE, 0x1C)
    before = memory(emulated)
    with CalibrationSession(bus, "follower") as session:
        session.home()
        assert bus.read(3, r.PHASE) == 0x0C
    assert memory(emulated) == before


@pytest.mark.parametrize("encoder", [0, 4095])
def test_homing_works_at_both_ends_of_the_encoder(tmp_path, encoder):
    servos = [{"id": servo_id, "encoder": encoder} for servo_id in SERVO_IDS.values()]
    with (
        EmulatedBus(tmp_path, servos=servos) as emulated,
        ServoBus(emulated.port) as bus,
        CalibrationSession(bus, "follower") as session,
    ):
        session.home()
        assert {sweep.position for sweep in session.sweeps.values()} <= {2047, 2048}


def test_a_joint_that_does_not_answer_for_a_moment_is_told_and_keeps_its_range(emulated, bus):
    with CalibrationSession(bus, "follower") as session:
        session.home()
        emulated.fault("absent", servo_id=2)
        observe_until(session, lambda: session.silent == ["shoulder_lift"])
        emulated.heal()
        for _ in range(20):
            session.observe()
        observe_until(session, lambda: session.silent == [])
        assert session.crossed_seam == []


def test_a_plug_pulled_midway_is_told_with_what_the_servos_should_have(emulated, bus):
    session = CalibrationSession(bus, "follower")
    session.__enter__()
    session.home()
    emulated.unplug()
    with pytest.raises(PortGone) as pulled:
        session.observe()
    with pytest.raises(NotRestored, match=r"servo 1 .*Homing_Offset -312, .*--apply") as raised:
        session.__exit__(PortGone, pulled.value, None)
    assert raised.value.__cause__ is pulled.value
