"""Settings of a run, whatever the algorithm."""

from dataclasses import dataclass, field

from hilrl_learning import encoders


def _setting(
    default: object,
    description: str,
    minimum: float | None = None,
    maximum: float | None = None,
    tunable: bool = False,
):
    """`tunable`: may change while the run goes on."""
    metadata = {"description": description, "minimum": minimum, "maximum": maximum, "tunable": tunable}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class TrainConfig:
    """Each field becomes a parameter of the learner."""

    algorithm: str = _setting("sac", "registry name of the algorithm")
    encoder: str = _setting("small_cnn", f"one of {', '.join(encoders.NAMES)}")
    encoder_weights: str = _setting(
        "", "where a pre-trained encoder's weights come from: a file or a hub name"
    )
    seed: int = _setting(0, "seed of networks and sampling", 0)
    device: str = _setting("cpu", "torch device of training, e.g. cpu, cuda")
    compile: bool = _setting(False, "compile the networks, a minute at the start; gains on a GPU only")
    bf16: bool = _setting(False, "matrix products of updates in bfloat16; for GPUs")
    threads: int = _setting(1, "torch threads while actors run", 1)
    pretraining_threads: int = _setting(2, "torch threads while actors wait for pre-training", 1)
    duration_s: float = _setting(
        300.0, "wall time of the run, demonstrations included; 0: unlimited [s]", 0.0
    )
    demonstrations: int = _setting(20, "successful demonstrations to wait for", 1)
    capacity: int = _setting(100_000, "observations the replay holds", 100)
    features_per_camera: int = _setting(64, "embedding size per camera", 1)
    crops: int = _setting(3, "shifted crops cached per frame", 1)
    pretraining_s: float = _setting(45.0, "time for the encoder's pre-training [s]", 0.0)
    pretraining_batch: int = _setting(64, "frames per pre-training batch", 1)
    colour_jitter: float = _setting(0.1, "random gain and offset of colours in pre-training", 0.0, 1.0)
    refresh_s: float = _setting(
        0.0,
        "time after which the encoder is trained again on all that people showed; 0: never [s]",
        0.0,
        tunable=True,
    )
    imitation_updates: int = _setting(1500, "behaviour cloning updates before training", 0)
    batch: int = _setting(128, "transitions per update, half from people", 2)
    n_step: int = _setting(3, "control steps a return reaches before it bootstraps", 1)
    discount: float = _setting(0.97, "discount per control step", 0.0, 1.0)
    max_updates_per_env_step: float = _setting(
        4.0, "bound on critic updates per stored step", 0.0, 1000.0, True
    )
    gripper_middle_rad: float = _setting(0.4, "gripper goals above this count as open [rad]", -3.2, 3.2)
    publish_hz: float = _setting(1.0, "rate of new policy versions [Hz]", 0.01, 1000.0, True)
    publish_half: bool = _setting(False, "send weights as float16: half the bytes")
    tracker: str = _setting("", "wandb or trackio, to send metrics there too; it must be installed")
    checkpoint_s: float = _setting(60.0, "time between checkpoints [s]", 1.0, tunable=True)
