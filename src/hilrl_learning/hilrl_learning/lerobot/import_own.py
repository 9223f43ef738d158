"""Episodes of a dataset that this system has recorded: exactly what the recorder was given."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hilrl_learning.data import DELTA_AXES, ObservationSpec, Source
from hilrl_learning.lerobot.features import (
    ACTION,
    ACTION_NAMES,
    DONE,
    POLICY_VERSION,
    REWARD,
    SOURCE,
    STATE,
    TRAINABLE,
    TRUNCATED,
    gripper_command,
)
from hilrl_learning.lerobot.import_steps import EpisodePlan
from hilrl_learning.lerobot.reader import LeRobotReader

COLUMNS = (STATE, ACTION, REWARD, DONE, TRUNCATED, SOURCE, POLICY_VERSION, TRAINABLE)


@dataclass(frozen=True)
class Motion:
    """What an action of a run means."""

    control_hz: float
    step_m: float
    """Length of a delta of 1 along x, y, z [m]."""
    step_rad: float
    """Angle of a delta of 1 of pitch or roll [rad]."""
    action_axes: tuple[str, ...]
    """What the policy moves."""


def is_own(reader: LeRobotReader) -> bool:
    """Whether a dataset was recorded by this system."""
    return isinstance(reader.info.get("hilrl"), dict)


class OwnEpisodes:
    """A dataset of ours, checked against a run."""

    def __init__(self, reader: LeRobotReader, observation: ObservationSpec, motion: Motion) -> None:
        """Raises ValueError naming the field of info.json that does not fit the run."""
        self._reader = reader
        self._motion = motion
        where = reader.path / "meta" / "info.json"
        for name in COLUMNS:
            if name not in reader.features:
                raise ValueError(f"{where}: features.{name}: missing")
        for name, wanted in ((STATE, observation.state_names), (ACTION, ACTION_NAMES)):
            names = reader.features[name].names
            if names != tuple(wanted):
                raise ValueError(
                    f"{where}: features.{name}.names: expected {list(wanted)}, got {list(names)}"
                )
        block: Mapping[str, object] = reader.info["hilrl"]
        for name in ("control_hz", "step_m", "step_rad"):
            recorded, wanted = block.get(name), getattr(motion, name)
            if not isinstance(recorded, (int, float)) or not np.isclose(recorded, wanted, rtol=1e-6):
                raise ValueError(f"{where}: hilrl.{name}: expected the run's {wanted}, got {recorded!r}")
        if reader.fps != motion.control_hz:
            raise ValueError(
                f"{where}: fps: expected the run's control_hz {motion.control_hz}, got {reader.fps}"
            )

    def __call__(self, episode: int) -> EpisodePlan:
        """Raises ValueError naming the episode and the column at fault."""
        columns = self._reader.episode(episode)
        where = f"episode {episode}"
        for name in (STATE, ACTION, REWARD):
            if not np.isfinite(columns[name]).all():
                raise ValueError(f"{where}: {name}: expected finite numbers")
        actions = columns[ACTION]
        if (np.abs(actions) > 1.0).any():
            raise ValueError(
                f"{where}: {ACTION}: expected numbers within [-1, 1], got {np.abs(actions).max()}"
            )
        for axis, name in enumerate(DELTA_AXES):
            if name not in self._motion.action_axes and actions[:, axis].any():
                raise ValueError(
                    f"{where}: {ACTION}: expected no motion of {name}, as the run's learner.action_axes are "
                    f"{list(self._motion.action_axes)}"
                )
        sources = columns[SOURCE]
        if not np.isin(sources, [int(source) for source in Source]).all():
            raise ValueError(f"{where}: {SOURCE}: expected 0 to {max(Source)}, got {sources.max()}")
        ends = np.flatnonzero(columns[DONE])
        if ends.tolist() != [len(actions) - 1]:
            raise ValueError(f"{where}: {DONE}: expected in the last row only, got rows {ends.tolist()}")
        terminated = not bool(columns[TRUNCATED][-1])
        trainable = columns[TRAINABLE].copy()
        # A dataset has no observation after the last action. The last one stands for it: nothing bootstraps
        # from it where the episode terminated, and where it was cut off its step is not trained on.
        trainable[-1] &= terminated
        count = len(actions)
        rows = np.append(np.arange(count), count - 1)
        return EpisodePlan(
            rows=rows,
            states=columns[STATE][rows].astype(np.float32),
            deltas=actions[:, :5].astype(np.float32),
            grippers=np.array([gripper_command(value) for value in actions[:, 5]], np.uint8),
            sources=sources.astype(np.uint8),
            policy_versions=columns[POLICY_VERSION].astype(np.uint64),
            rewards=columns[REWARD].astype(np.float32),
            trainable=trainable,
            terminated=terminated,
        )
