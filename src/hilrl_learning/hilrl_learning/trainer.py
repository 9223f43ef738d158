"""The course of a training run: wait for demonstrations, pre-train, imitate, train, finish."""

import time
from dataclasses import asdict, dataclass, field
from enum import IntEnum
from pathlib import Path

import numpy as np
import torch

from hilrl_learning import checkpoint
from hilrl_learning.algorithms import registry
from hilrl_learning.data import ActionSpec, Observation, ObservationSpec, Source, Step
from hilrl_learning.data_mixer import DataMixer
from hilrl_learning.encoder import Encoder, embed
from hilrl_learning.preprocessor import Preprocessor
from hilrl_learning.pretraining import EncoderPretraining
from hilrl_learning.replay import Replay
from hilrl_learning.weights import PolicySpec, pack

SLICE_S = 0.05
"""Longest stretch of `Trainer.work`, so that new steps never wait long."""


class Phase(IntEnum):
    """Where a run is; the values of `StepAck.PHASE_*`."""

    DEMONSTRATIONS = 0
    PRETRAINING = 1
    TRAINING = 2
    FINISHED = 3


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a run, whatever the algorithm; each becomes a parameter of the learner."""

    algorithm: str = field(default="sac", metadata={"description": "registry name of the algorithm"})
    seed: int = field(default=0, metadata={"description": "seed of networks and sampling"})
    device: str = field(default="cpu", metadata={"description": "torch device of training, e.g. cpu, cuda"})
    threads: int = field(default=1, metadata={"description": "torch threads while actors run", "minimum": 1})
    pretraining_threads: int = field(
        default=2, metadata={"description": "torch threads while actors wait for pre-training", "minimum": 1}
    )
    duration_s: float = field(
        default=300.0,
        metadata={
            "description": "wall time of the run, demonstrations included; 0: unlimited",
            "minimum": 0.0,
        },
    )
    demonstrations: int = field(
        default=20, metadata={"description": "successful demonstrations to wait for", "minimum": 1}
    )
    capacity: int = field(
        default=100_000, metadata={"description": "observations the replay holds", "minimum": 100}
    )
    features_per_camera: int = field(
        default=64, metadata={"description": "embedding size per camera", "minimum": 1}
    )
    crops: int = field(default=3, metadata={"description": "shifted crops cached per frame", "minimum": 1})
    pretraining_s: float = field(
        default=45.0, metadata={"description": "time for the encoder's pre-training", "minimum": 0.0}
    )
    pretraining_batch: int = field(
        default=64, metadata={"description": "frames per pre-training batch", "minimum": 1}
    )
    colour_jitter: float = field(
        default=0.1,
        metadata={
            "description": "random gain and offset of colours in pre-training",
            "minimum": 0.0,
            "maximum": 1.0,
        },
    )
    imitation_updates: int = field(
        default=1500, metadata={"description": "behaviour cloning updates before training", "minimum": 0}
    )
    batch: int = field(
        default=128, metadata={"description": "transitions per update, half from people", "minimum": 2}
    )
    n_step: int = field(
        default=3,
        metadata={"description": "control steps a return reaches before it bootstraps", "minimum": 1},
    )
    discount: float = field(
        default=0.97, metadata={"description": "discount per control step", "minimum": 0.0, "maximum": 1.0}
    )
    max_updates_per_env_step: float = field(
        default=4.0, metadata={"description": "bound on critic updates per stored step", "minimum": 0.0}
    )
    gripper_middle_rad: float = field(
        default=0.4, metadata={"description": "gripper goals above this count as open"}
    )
    publish_hz: float = field(
        default=1.0, metadata={"description": "rate of new policy versions", "minimum": 0.01}
    )
    checkpoint_s: float = field(
        default=60.0, metadata={"description": "time between checkpoints", "minimum": 1.0}
    )


class Trainer:
    """Owns replay, networks and the clock of a run. Used from one thread."""

    def __init__(
        self,
        config: TrainConfig,
        algorithm_config: object,
        observation: ObservationSpec,
        action: ActionSpec,
        run_dir: Path,
    ) -> None:
        """Raises ValueError where the run folder holds data of other settings."""
        self.config = config
        self.phase = Phase.DEMONSTRATIONS
        self.env_steps = 0
        self.demonstrations = 0
        self._all_shown: dict[str, bool] = {}
        """Whether every step of the running episode was demonstrated, per actor."""
        self._run_dir, self._observation, self._action = run_dir, observation, action
        self._device = torch.device(config.device)
        torch.set_num_threads(config.threads)
        torch.manual_seed(config.seed)
        self._rng = np.random.default_rng(config.seed)
        self._generator = torch.Generator().manual_seed(config.seed)
        self._preprocessor = Preprocessor(len(observation.state_names)).to(self._device)
        self._encoder = Encoder(len(observation.cameras), config.features_per_camera).to(self._device)
        features = self._encoder.size + len(observation.state_names)
        self.algorithm = registry.algorithm(config.algorithm)(
            algorithm_config, features, len(action.axes), self._device
        )
        self.replay = Replay(
            run_dir / "replay", observation, (config.crops, self._encoder.size), config.capacity
        )
        self._mixer = DataMixer(
            self.replay,
            self._preprocessor,
            observation,
            action,
            batch=config.batch,
            n_step=config.n_step,
            discount=config.discount,
            gripper_middle_rad=config.gripper_middle_rad,
            device=self._device,
            rng=self._rng,
        )
        self._pretraining: EncoderPretraining | None = None
        self._encoder_trained = False
        self._imitation_updates = 0
        self._steps_before_training = 0
        self._elapsed_before_s = 0.0
        self._started = time.monotonic()
        self._version = 0
        self._payload: bytes | None = None
        self._next_publish = 0.0
        self._next_checkpoint = 0.0
        self._sums: dict[str, torch.Tensor | float] = {}
        self._counts: dict[str, int] = {}
        self._count_stored()

    @property
    def critic_updates(self) -> int:
        """Gradient rounds so far."""
        return self.algorithm.critic_updates

    @property
    def elapsed_s(self) -> float:
        """Wall time of the run over all its sessions."""
        return self._elapsed_before_s + time.monotonic() - self._started

    @property
    def time_left_s(self) -> float:
        """Until the run ends; -1 where it is unlimited."""
        return max(0.0, self.config.duration_s - self.elapsed_s) if self.config.duration_s else -1.0

    def received(self) -> dict[str, int]:
        """Highest sequence number stored, per actor."""
        return self.replay.received()

    def add(self, step: Step) -> None:
        """Store a step with its cached embeddings."""
        embedding = self._embed(step.observation)
        final = None if step.final_observation is None else self._embed(step.final_observation)
        self.replay.add(step, embedding, final)
        self.env_steps += 1
        shown = step.action.source == Source.DEMONSTRATION
        self._all_shown[step.actor_id] = shown and (
            step.index == 0 or self._all_shown.get(step.actor_id, False)
        )
        if step.terminated and step.reward > 0 and self._all_shown[step.actor_id]:
            self.demonstrations += 1

    def work(self) -> bool:
        """Do one bounded piece of what the phase asks for. False: there is nothing to do now."""
        if self.phase is not Phase.FINISHED and self.time_left_s == 0.0:
            self._finish()
            return True
        if self.phase is Phase.DEMONSTRATIONS:
            if self.demonstrations < self.config.demonstrations:
                return False
            self.phase = Phase.PRETRAINING  # known to actors before the work begins
        elif self.phase is Phase.PRETRAINING:
            self._pretrain()
        elif self.phase is Phase.TRAINING:
            return self._train()
        return self.phase is not Phase.FINISHED

    def acting_payload(self) -> tuple[int, bytes] | None:
        """Version and weights of the newest policy for actors, or None while there is none."""
        return None if self._payload is None else (self._version, self._payload)

    def stats(self) -> dict[str, float]:
        """Means of the losses and values since the last call."""
        means = {name: float(total) / self._counts[name] for name, total in self._sums.items()}
        self._sums, self._counts = {}, {}
        return means

    def save(self) -> Path:
        """Write a checkpoint and make it the latest."""
        self.replay.flush()
        tensors = {
            f"{name}.{key}": value
            for name, module in self._modules().items()
            for key, value in module.state_dict().items()
        }
        for name, optimizer in self.algorithm.optimizers().items():
            tensors |= checkpoint.flatten_optimizer(name, optimizer)
        tensors["rng.torch"] = torch.get_rng_state()
        tensors["rng.crops"] = self._generator.get_state()
        state = {
            "phase": int(self.phase),
            "elapsed_s": self.elapsed_s,
            "critic_updates": self.algorithm.critic_updates,
            "actor_updates": self.algorithm.actor_updates,
            "imitation_updates": self._imitation_updates,
            "steps_before_training": self._steps_before_training,
            "version": self._version,
            "rng": self._rng.bit_generator.state,
            "config": asdict(self.config),
            "algorithm": asdict(self.algorithm.config),
        }
        folder = self._run_dir / "checkpoints"
        saved = checkpoint.save(folder, str(self._version), tensors, state, self._pack())
        checkpoint.mark_latest(folder, saved.name)
        self._next_checkpoint = self.elapsed_s + self.config.checkpoint_s
        return saved

    def restore(self) -> list[str]:
        """Continue from the newest good checkpoint. Returns why newer ones were refused."""
        found, refused = checkpoint.load_newest(self._run_dir / "checkpoints")
        if found is None:
            return refused
        for name, module in self._modules().items():
            own = {k[len(name) + 1 :]: v for k, v in found.tensors.items() if k.startswith(name + ".")}
            module.load_state_dict(own)
        for name, optimizer in self.algorithm.optimizers().items():
            checkpoint.restore_optimizer(name, optimizer, found.tensors)
        torch.set_rng_state(found.tensors["rng.torch"])
        self._generator.set_state(found.tensors["rng.crops"])
        state = found.state
        self._rng.bit_generator.state = state["rng"]
        self._elapsed_before_s = state["elapsed_s"]
        self._started = time.monotonic()
        self.algorithm.critic_updates = state["critic_updates"]
        self.algorithm.actor_updates = state["actor_updates"]
        self._imitation_updates = state["imitation_updates"]
        self._steps_before_training = state["steps_before_training"]
        self.phase = Phase(state["phase"])
        self._version = state["version"]
        # Training began once the imitation policy was kept; before that the run starts over with its data.
        self._encoder_trained = self._steps_before_training > 0
        if self.phase is not Phase.FINISHED or self.time_left_s != 0.0:
            self.phase = Phase.TRAINING if self._encoder_trained else Phase.DEMONSTRATIONS
        if self._encoder_trained:
            self._embed_missing()
            self._publish()
        else:
            self._imitation_updates = 0
        return refused

    def close(self) -> None:
        """Leave a run that can be resumed."""
        if self.phase is not Phase.FINISHED:
            self.save()

    def _modules(self) -> dict[str, torch.nn.Module]:
        return {
            "preprocessor": self._preprocessor,
            "encoder": self._encoder,
            **self.algorithm.modules(),
        }

    def _count_stored(self) -> None:
        replay = self.replay
        self.env_steps = len(replay)
        self.demonstrations = sum(
            int(replay.terminated[episode[-2]] and replay.reward[episode[-2]] > 0)
            for episode in replay.episodes((Source.DEMONSTRATION,))
        )

    def _embed(self, observation: Observation) -> np.ndarray:
        """Cached features; zeros as long as the encoder is not trained (all are embedded after that)."""
        if not self._encoder_trained:
            return np.zeros((self.config.crops, self._encoder.size), np.float16)
        return self._embed_images(observation.images[None])[0]

    def _embed_images(self, images: np.ndarray) -> np.ndarray:
        frames = torch.from_numpy(images).to(self._device)
        embedding = embed(self._encoder, self._preprocessor, frames, self.config.crops, self._generator)
        return embedding.half().cpu().numpy()

    def _embed_all(self) -> None:
        for slot in self.replay.slots():
            self.replay.embedding[slot] = self._embed_images(self.replay.images[slot][None])[0]

    def _embed_missing(self) -> None:
        """Embed what arrived between the last embedding and a restart."""
        for slot in self.replay.slots():
            if not self.replay.embedding[slot].any():
                self.replay.embedding[slot] = self._embed_images(self.replay.images[slot][None])[0]

    def _begin_pretraining(self) -> None:
        torch.set_num_threads(self.config.pretraining_threads)
        self._pretraining = EncoderPretraining(
            self._encoder,
            self._preprocessor,
            self.replay,
            self._observation,
            self._action,
            duration_s=self.config.pretraining_s,
            colour_jitter=self.config.colour_jitter,
            batch=self.config.pretraining_batch,
            seed=self.config.seed,
        )

    def _pretrain(self) -> None:
        if not self._encoder_trained:
            if self._pretraining is None:
                self._begin_pretraining()
            losses = self._pretraining.work(SLICE_S)
            if losses is not None:
                self._note(losses)
                return
            self._pretraining, self._encoder_trained = None, True
            torch.set_num_threads(self.config.threads)
            self._encoder.requires_grad_(False)
            self._embed_all()
            return
        if self._imitation_updates < self.config.imitation_updates:
            for _ in range(10):
                self._note(self.algorithm.imitate(self._mixer.sample_human()))
                self._imitation_updates += 1
            return
        self._begin_training()

    def _begin_training(self) -> None:
        """Keep the imitation policy for comparison, and let it act while the critics learn."""
        payload = self._pack()
        folder = self._run_dir / "checkpoints" / "bc"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "policy.safetensors").write_bytes(payload)
        self.algorithm.begin_training()
        self._steps_before_training = self.env_steps
        self.phase = Phase.TRAINING
        self._publish(payload)
        self.save()

    def _train(self) -> bool:
        warm_up = self.algorithm.warm_up_updates()
        online = self.env_steps - self._steps_before_training
        if self.critic_updates >= warm_up + self.config.max_updates_per_env_step * online:
            return False
        self._note(self.algorithm.update(self._mixer.sample()))
        if self.critic_updates >= warm_up and self.elapsed_s >= self._next_publish:
            self._publish()
        if self.elapsed_s >= self._next_checkpoint:
            self.save()
        return True

    def _finish(self) -> None:
        if self.phase is Phase.TRAINING:
            self._publish()
        self.phase = Phase.FINISHED
        self.save()

    def _publish(self, payload: bytes | None = None) -> None:
        self._version += 1
        self._payload = payload or self._pack()
        self._next_publish = self.elapsed_s + 1.0 / self.config.publish_hz

    def _pack(self) -> bytes:
        tensors = {
            f"{prefix}.{name}": value
            for prefix, module in (
                ("preprocessor", self._preprocessor),
                ("encoder", self._encoder),
                ("head", self.algorithm.head()),
            )
            for name, value in module.state_dict().items()
        }
        spec = PolicySpec(
            algorithm=self.config.algorithm,
            observation=self._observation,
            action=self._action,
            features_per_camera=self.config.features_per_camera,
            critic_updates=self.critic_updates,
        )
        return pack(tensors, spec)

    def _note(self, values: dict) -> None:
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
            self._counts[name] = self._counts.get(name, 0) + 1
