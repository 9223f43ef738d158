"""The course of a training run: wait for demonstrations, pre-train, imitate, train, finish."""

import copy
import time
from dataclasses import asdict
from enum import IntEnum
from pathlib import Path

import numpy as np
import torch
from torch import nn

from hilrl_learning import encoders, training_state
from hilrl_learning.algorithms import registry
from hilrl_learning.data import ActionSpec, ObservationSpec, Source, Step
from hilrl_learning.data_mixer import DataMixer
from hilrl_learning.preprocessor import Preprocessor
from hilrl_learning.pretraining import EncoderPretraining, shown_episodes
from hilrl_learning.run_replay import open_replay, successful_demonstrations
from hilrl_learning.run_statistics import RunStatistics
from hilrl_learning.train_config import TrainConfig
from hilrl_learning.vision_cache import GROUP, VisionCache
from hilrl_learning.weights import PolicySpec, pack

SLICE_S = 0.05
"""Longest stretch of `Trainer.work`, so that nothing waits long for it."""
LATEST_ENCODING_S = 0.5
"""New steps wait no longer than this for a full group to be encoded with."""
IMITATION_SLICE = 10
"""Imitation updates per call of `work`."""


class Phase(IntEnum):
    """Where a run is; the values of `StepAck.PHASE_*`."""

    DEMONSTRATIONS = 0
    PRETRAINING = 1
    TRAINING = 2
    FINISHED = 3


class Trainer:
    """Owns replay, networks and the clock of a run.

    `add` and `received` may be called from any thread, the rest from one.
    """

    def __init__(
        self,
        config: TrainConfig,
        algorithm_config: object,
        observation: ObservationSpec,
        action: ActionSpec,
        run_dir: Path,
    ) -> None:
        """Raises ValueError where settings contradict each other or the run folder holds data of others."""
        self.config = config
        self.phase = Phase.DEMONSTRATIONS
        self.demonstrations = 0
        self.run_dir = run_dir
        self._observation, self._action = observation, action
        self._device = torch.device(config.device)
        torch.set_num_threads(config.threads)
        torch.manual_seed(config.seed)
        self.rng = np.random.default_rng(config.seed)
        self.generator = torch.Generator().manual_seed(config.seed)
        self.encoder = encoders.build(
            config.encoder,
            len(observation.cameras),
            observation.image_size,
            config.features_per_camera,
            config.encoder_weights,
        ).to(self._device)
        self.preprocessor = Preprocessor(len(observation.state_names), self.encoder.frame_size).to(
            self._device
        )
        self.algorithm = registry.algorithm(config.algorithm)(
            algorithm_config, self.encoder, len(observation.state_names), len(action.axes), self._device
        )
        if config.compile:
            self.algorithm.compile()
        self.replay = open_replay(run_dir, config, observation, self.encoder)
        self.cache = VisionCache(
            self.encoder, self.preprocessor, self.replay, config.crops, self.generator, self._device
        )
        self.mixer = DataMixer(
            self.replay,
            self.preprocessor,
            observation,
            action,
            batch=config.batch,
            window=self.algorithm.window,
            n_step=config.n_step,
            discount=config.discount,
            gripper_middle_rad=config.gripper_middle_rad,
            device=self._device,
            rng=self.rng,
            generator=self.generator,
        )
        self.statistics = RunStatistics(self.replay)
        self.imitation_updates = 0
        self.steps_before_training = 0
        self.version = 0
        self.elapsed_before_s = 0.0
        self._all_shown: dict[str, bool] = {}
        """Whether every step of the running episode was demonstrated, per actor."""
        self._pretraining: EncoderPretraining | None = None
        self._refreshed: encoders.Encoder | None = None
        """The copy that is trained while the encoder serves on."""
        self._started = time.monotonic()
        self._payload: bytes | None = None
        self._next_publish_s = self._next_checkpoint_s = self._next_encoding_s = 0.0
        self._next_refresh_s = 0.0
        self._is_turn_of_training = False
        self._publish_from = 0
        """Critic updates before which no policy is published."""
        self.env_steps = len(self.replay)
        self.demonstrations = successful_demonstrations(self.replay)
        if not self.encoder.pretrained_here:
            self.cache.renew(1)

    @property
    def critic_updates(self) -> int:
        """Gradient rounds so far."""
        return self.algorithm.critic_updates

    @property
    def online_steps(self) -> int:
        """Steps since training began."""
        return self.env_steps - self.steps_before_training

    @property
    def elapsed_s(self) -> float:
        """Wall time of the run over all its sessions."""
        return self.elapsed_before_s + time.monotonic() - self._started

    @property
    def time_left_s(self) -> float:
        """Until the run ends; -1 where it is unlimited."""
        return max(0.0, self.config.duration_s - self.elapsed_s) if self.config.duration_s else -1.0

    def received(self) -> dict[str, int]:
        """Highest sequence number stored, per actor."""
        return self.replay.received()

    def add(self, step: Step) -> None:
        """Store a step. Raises ValueError or OSError when it cannot be."""
        self.replay.add(step)
        self.env_steps += 1
        self.statistics.acted(step.action, self.critic_updates)
        shown = step.action.source == Source.DEMONSTRATION
        self._all_shown[step.actor_id] = shown and (
            step.index == 0 or self._all_shown.get(step.actor_id, False)
        )
        if step.terminated and step.reward > 0 and self._all_shown[step.actor_id]:
            self.demonstrations += 1

    def work(self) -> bool:
        """Do one bounded piece of what the phase asks for. False: there is nothing to do now."""
        if self.phase is Phase.FINISHED:
            return False
        if self.time_left_s == 0.0:
            self._finish()
        elif self._is_encoding_due():
            with self.statistics.timed("encode"):
                self.cache.work()
        elif self.phase is Phase.DEMONSTRATIONS:
            if self.demonstrations < self.config.demonstrations:
                return False
            self.phase = Phase.PRETRAINING  # known to actors before the work begins
        elif self.phase is Phase.PRETRAINING:
            self._pretrain()
        else:
            return self._train() or self.cache.waiting >= GROUP
        return True

    def acting_payload(self) -> tuple[int, bytes] | None:
        """Version and weights of the newest policy for actors, or None while there is none."""
        return None if self._payload is None else (self.version, self._payload)

    def stats(self) -> dict[str, float]:
        """Means of the losses and values since the last call, and what the run looks like."""
        online = self.online_steps if self.phase is Phase.TRAINING else 0
        return self.statistics.take(self.critic_updates, online)

    def save(self) -> Path:
        """Write a checkpoint and make it the latest. Raises OSError when it cannot be written."""
        with self.statistics.timed("save"):
            saved = training_state.save(self)
        self._next_checkpoint_s = self.elapsed_s + self.config.checkpoint_s
        return saved

    def restore(self) -> list[str]:
        """Continue from the newest good checkpoint. Returns why newer ones were refused."""
        found, refused = training_state.restore(self)
        if not found:
            return refused
        self._started = time.monotonic()
        # Training began once the imitation policy was kept; before that the run starts over with its data.
        has_trained = self.steps_before_training > 0
        if self.phase is not Phase.FINISHED or self.time_left_s != 0.0:
            self.phase = Phase.TRAINING if has_trained else Phase.DEMONSTRATIONS
        if has_trained:
            self._publish()
        else:
            self.imitation_updates = 0
        self._next_refresh_s = self.elapsed_s + self.config.refresh_s
        return refused

    def close(self) -> None:
        """Leave a run that can be resumed."""
        if self.phase is not Phase.FINISHED:
            self.save()

    def modules(self) -> dict[str, nn.Module]:
        """Everything with weights, by name."""
        return {"preprocessor": self.preprocessor, "encoder": self.encoder, **self.algorithm.modules()}

    def pack(self) -> bytes:
        """The acting part as a payload."""
        parts = {"preprocessor": self.preprocessor, "encoder": self.encoder, "head": self.algorithm.head()}
        tensors = {
            f"{prefix}.{name}": value
            for prefix, module in parts.items()
            for name, value in module.state_dict().items()
        }
        spec = PolicySpec(
            algorithm=self.config.algorithm,
            settings=asdict(self.algorithm.config),
            encoder=self.config.encoder,
            encoder_weights=self.config.encoder_weights,
            observation=self._observation,
            action=self._action,
            features_per_camera=self.config.features_per_camera,
            critic_updates=self.critic_updates,
        )
        try:
            return pack(tensors, spec, half=self.config.publish_half)
        except ValueError:  # beyond float16: the arm is to have them nevertheless
            return pack(tensors, spec)

    def _is_encoding_due(self) -> bool:
        """Before training everything is encoded at once, later whenever a group is full or has waited.

        Steps that come faster than they can be encoded take turns with training, else there would be none.
        """
        waiting, now_s = self.cache.waiting, self.elapsed_s
        if waiting == 0 or (waiting < GROUP and now_s < self._next_encoding_s):
            return False
        may_wait = self.phase is Phase.TRAINING and self.cache.owed == 0
        if may_wait and self._is_turn_of_training:
            self._is_turn_of_training = False
            return False
        self._is_turn_of_training = True
        self._next_encoding_s = now_s + LATEST_ENCODING_S
        return True

    def _pretrain(self) -> None:
        if self._pretraining is None and self.imitation_updates == 0:
            self.preprocessor.fit(
                self.replay.state[np.concatenate([e[:-1] for e in shown_episodes(self.replay)])]
            )
        if self.cache.version == 0:
            if self._train_encoder(self.encoder, self.config.pretraining_threads):
                self.cache.renew(1)
        elif self.cache.waiting:
            self.cache.work()
        elif self.imitation_updates < self.config.imitation_updates:
            for _ in range(IMITATION_SLICE):
                self.statistics.note(self.algorithm.imitate(self.mixer.sample_human()))
                self.imitation_updates += 1
        else:
            self._begin_training()

    def _train_encoder(self, encoder: encoders.Encoder, threads: int) -> bool:
        """A slice of its pre-training. True: it has come to its end."""
        if self._pretraining is None:
            torch.set_num_threads(threads)
            self._pretraining = EncoderPretraining(
                encoder,
                self.preprocessor,
                self.replay,
                self._observation,
                self._action,
                duration_s=self.config.pretraining_s,
                colour_jitter=self.config.colour_jitter,
                batch=self.config.pretraining_batch,
                seed=self.config.seed + self.cache.version,
                # A second time it is to learn what is new, not to become another one.
                learning_rate=1e-3 if self.cache.version == 0 else 1e-4,
            )
        losses = self._pretraining.work(SLICE_S)
        if losses is not None:
            self.statistics.note(losses)
            return False
        self._pretraining = None
        encoder.requires_grad_(False)
        torch.set_num_threads(self.config.threads)
        return True

    def _begin_training(self) -> None:
        """Keep the imitation policy for comparison, and let it act while the critics learn."""
        payload = self.pack()
        folder = self.run_dir / "checkpoints" / "bc"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "policy.safetensors").write_bytes(payload)
        self.algorithm.begin_training()
        self.steps_before_training = self.env_steps
        self.phase = Phase.TRAINING
        self._publish_from = self.algorithm.warm_up_updates()
        self._next_refresh_s = self.elapsed_s + self.config.refresh_s
        self._publish(payload)
        self.save()

    def _train(self) -> bool:
        if self._is_refreshing():
            return True
        bound = self.algorithm.warm_up_updates() + self.config.max_updates_per_env_step * self.online_steps
        if self.critic_updates >= bound:
            return False
        with self.statistics.timed("sample"):
            batch = self.mixer.sample()
        with self.statistics.timed("update"), self._precision():
            stats = self.algorithm.update(batch)
        self.statistics.note(stats)
        if self.critic_updates >= self._publish_from and self.elapsed_s >= self._next_publish_s:
            self._publish()
        if self.elapsed_s >= self._next_checkpoint_s:
            self.save()
        return True

    def _is_refreshing(self) -> bool:
        """Train a copy of the encoder on all that people showed, now and then, and change over to it."""
        wanted = self.config.refresh_s > 0.0 and self.encoder.pretrained_here
        if not wanted or self.elapsed_s < self._next_refresh_s:
            return False
        if self._refreshed is None:
            self._refreshed = copy.deepcopy(self.encoder).requires_grad_(True)
        with self.statistics.timed("refresh"):
            if self._train_encoder(self._refreshed, self.config.threads):
                self.encoder.load_state_dict(self._refreshed.state_dict())
                self._refreshed = None
                self.cache.renew(self.cache.version + 1)
                self._next_encoding_s = 0.0
                # Actor and critics were trained on other features: the policy that acts stays for a while.
                self._publish_from = self.critic_updates + self.algorithm.warm_up_updates()
                self._next_refresh_s = self.elapsed_s + self.config.refresh_s
        return True

    def _precision(self) -> torch.autocast:
        return torch.autocast(self._device.type, torch.bfloat16, enabled=self.config.bf16)

    def _finish(self) -> None:
        before = self.phase
        if before is Phase.TRAINING:
            self._publish()
        self.phase = Phase.FINISHED
        try:
            self.save()
        except OSError:
            self.phase = before  # a run has not ended before its end is on disk
            raise

    def _publish(self, payload: bytes | None = None) -> None:
        self.version += 1
        self._payload = payload or self.pack()
        self._next_publish_s = self.elapsed_s + 1.0 / self.config.publish_hz
        self.statistics.published(self.version, self.critic_updates)
