"""What an STS3215 does to a goal and reports of a joint."""

import numpy as np
import pytest

from hilrl_sim.servo import LOAD_STEP, MAX_SPEED, TICK_RAD, ServoBank

TIMESTEP_S = 0.004
LOWER, UPPER = -2 * np.ones(6), 2 * np.ones(6)


def bank(**options: object) -> ServoBank:
    return ServoBank(LOWER, UPPER, TIMESTEP_S, **options)


def setpoints(servos: ServoBank, substeps: int) -> np.ndarray:
    """Shape (substeps, 6)."""
    return np.array([servos.advance() for _ in range(substeps)])


def test_the_goal_is_rounded_to_a_tick() -> None:
    servos = bank()
    servos.command(np.full(6, 0.01))
    assert setpoints(servos, 10)[-1] == pytest.approx(np.full(6, 7 * TICK_RAD))


def test_measurements_are_rounded_to_what_the_registers_count() -> None:
    position, velocity, effort = bank().readout(np.full(6, 0.1), np.full(6, 0.2), np.full(6, 0.3))
    for values, step, true in (
        (position, TICK_RAD, 0.1),
        (velocity, TICK_RAD, 0.2),
        (effort, LOAD_STEP, 0.3),
    ):
        np.testing.assert_allclose(values / step, np.round(values / step), atol=1e-9)
        np.testing.assert_allclose(values, true, atol=step / 2)


def test_without_quantisation_numbers_pass_unchanged() -> None:
    servos = bank(quantise=False)
    servos.command(np.full(6, 0.0101))
    assert (setpoints(servos, 10)[-1] == 0.0101).all()
    assert (servos.readout(np.full(6, 0.1), np.zeros(6), np.zeros(6))[0] == 0.1).all()


def test_the_setpoint_ramps_at_the_commanded_speed() -> None:
    servos = bank(quantise=False)
    servos.command(np.ones(6), np.full(6, 0.5))
    track = setpoints(servos, 600)
    steps = np.diff(track, axis=0, prepend=0)
    assert steps.max() == pytest.approx(0.5 * TIMESTEP_S)
    assert (track[-1] == 1.0).all()
    assert track[249] == pytest.approx(0.5 * 250 * TIMESTEP_S)


def test_no_speed_and_too_much_speed_mean_the_servos_maximum() -> None:
    for speed in (None, np.zeros(6), np.full(6, 100.0)):
        servos = bank()
        servos.command(np.ones(6), speed)
        assert setpoints(servos, 1)[0] == pytest.approx(MAX_SPEED * TIMESTEP_S)


def test_a_speed_below_one_tick_per_second_is_not_taken_for_no_limit() -> None:
    servos = bank()
    servos.command(np.ones(6), np.full(6, 1e-5))
    assert setpoints(servos, 1)[0] == pytest.approx(TICK_RAD * TIMESTEP_S)


def test_lag_is_dead_time_and_changes_nothing_else() -> None:
    prompt, late = bank(), bank(lag_s=0.060)
    for servos in (prompt, late):
        servos.command(np.ones(6), np.full(6, 1.0))
    delay = round(0.060 / TIMESTEP_S)
    late_track = setpoints(late, 100 + delay)
    assert (late_track[:delay] == 0).all()
    np.testing.assert_array_equal(late_track[delay:], setpoints(prompt, 100))


def test_goals_on_their_way_keep_their_order_when_the_lag_exceeds_a_period() -> None:
    servos = bank(lag_s=0.25, quantise=False)
    track = []
    for goal in (0.1, 0.2, 0.3, 0.3, 0.3, 0.3):
        servos.command(np.full(6, goal))
        track.append(setpoints(servos, 25)[-1][0])
    assert track == pytest.approx([0, 0, 0.1, 0.2, 0.3, 0.3])


def test_a_goal_beyond_the_limit_stops_at_the_limit() -> None:
    servos = bank()
    servos.command(np.full(6, 3.0))
    assert (setpoints(servos, 500)[-1] == UPPER).all()


def test_hold_stops_where_the_setpoint_is_and_forgets_what_is_on_its_way() -> None:
    servos = bank(lag_s=0.02)
    servos.command(np.ones(6), np.full(6, 1.0))
    reached = setpoints(servos, 20)[-1]
    servos.command(-np.ones(6))
    servos.hold()
    assert (setpoints(servos, 50) == reached).all()


@pytest.mark.parametrize(
    ("goal", "speed", "message"),
    [
        (np.full(6, np.nan), None, "joint goal: expected finite numbers"),
        (np.zeros(5), None, "joint goal: expected 6 numbers"),
        (np.zeros(6), np.full(6, np.inf), "joint speed: expected finite numbers"),
        (np.zeros(6), np.full(6, -1.0), "joint speed: expected rad/s >= 0"),
    ],
)
def test_a_bad_command_is_refused_and_changes_nothing(goal, speed, message) -> None:
    servos = bank()
    with pytest.raises(ValueError, match=message):
        servos.command(goal, speed)
    assert (setpoints(servos, 20) == 0).all()
