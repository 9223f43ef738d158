"""The replay of a run, as its settings want it."""

from pathlib import Path

from hilrl_learning import encoders
from hilrl_learning.data import ObservationSpec, Source
from hilrl_learning.replay import Replay
from hilrl_learning.train_config import TrainConfig


def open_replay(
    run_dir: Path,
    config: TrainConfig,
    observation: ObservationSpec,
    encoder: encoders.Encoder | None = None,
) -> Replay:
    """Open or create it. `encoder`: that of the run, where it is built already.

    Raises ValueError where the settings name no encoder, or the folder holds a replay of another layout.
    """
    if encoder is None:
        encoder = encoders.build(
            config.encoder,
            len(observation.cameras),
            observation.image_size,
            config.features_per_camera,
            config.encoder_weights,
            pretrained=False,
        )
    cached = encoder.cached_shape
    return Replay(
        run_dir / "replay",
        observation,
        None if cached is None else (config.crops, *cached),
        config.capacity,
    )


def successful_demonstrations(replay: Replay) -> int:
    """Complete episodes that a person did from start to end, and solved."""
    return sum(
        int(replay.terminated[episode[-2]] and replay.reward[episode[-2]] > 0)
        for episode in replay.episodes((Source.DEMONSTRATION,))
    )
