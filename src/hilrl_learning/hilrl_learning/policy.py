"""The acting policy: preprocessor, encoder and acting head of one version of the weights."""

import numpy as np
import torch
from torch import nn

from hilrl_learning import encoders
from hilrl_learning.algorithms import registry
from hilrl_learning.data import DELTA_AXES, Action, Gripper, Observation
from hilrl_learning.preprocessor import Preprocessor
from hilrl_learning.weights import MAX_BYTES, PolicySpec, unpack

MAX_NUMBERS = MAX_BYTES // 2
"""In all networks of a policy: what a payload can hold as float16."""


class Policy:
    """Frozen networks of one version of the weights."""

    def __init__(self, spec: PolicySpec, tensors: dict[str, torch.Tensor], version: int) -> None:
        """Raises ValueError when the tensors do not fit the spec."""
        self._axes = [DELTA_AXES.index(axis) for axis in spec.action.axes]
        try:
            with torch.device("meta"):  # shapes without memory
                sketch = self._build(spec)
            numbers = sum(tensor.numel() for module in sketch for tensor in module.state_dict().values())
        except (OverflowError, RuntimeError, TypeError) as error:
            raise ValueError(f"weights: settings of {spec.algorithm!r} do not fit: {error}") from error
        if numbers > MAX_NUMBERS:
            raise ValueError(f"weights: expected networks of at most {MAX_NUMBERS} numbers, got {numbers}")
        self._preprocessor, self._encoder, self._head = self._build(spec)
        self.load(spec, tensors, version)

    def _build(self, spec: PolicySpec) -> tuple[Preprocessor, encoders.Encoder, nn.Module]:
        observation = spec.observation
        encoder = encoders.build(
            spec.encoder,
            len(observation.cameras),
            observation.image_size,
            spec.features_per_camera,
            spec.encoder_weights,
            pretrained=False,
        )
        features = encoder.size + len(observation.state_names)
        algorithm = registry.algorithm(spec.algorithm)
        head = algorithm.acting_head(algorithm.config_class(**spec.settings), features, len(self._axes))
        return Preprocessor(len(observation.state_names), encoder.frame_size), encoder, head

    def load(self, spec: PolicySpec, tensors: dict[str, torch.Tensor], version: int) -> None:
        """Take other weights of a spec that `is_alike`; much quicker than new networks.

        Raises ValueError when the tensors do not fit; what the networks then hold is not to be used.
        """
        self.version = version
        self.spec = spec
        parts = {"preprocessor": self._preprocessor, "encoder": self._encoder, "head": self._head}
        for prefix, module in parts.items():
            own = {k[len(prefix) + 1 :]: v for k, v in tensors.items() if k.startswith(prefix + ".")}
            try:
                module.load_state_dict(own)
            except RuntimeError as error:
                raise ValueError(f"weights: {prefix} does not fit: {error}") from error
            module.requires_grad_(False).eval()

    def act(self, observation: Observation, explore: bool) -> Action:
        """Choose an action: a sample when exploring, the mode otherwise.

        Raises ValueError when the observation is not of the policy's spec.
        """
        spec = self.spec.observation
        expected = (len(spec.cameras), *spec.image_size, 3)
        if observation.images.shape != expected:
            raise ValueError(f"images: expected shape {expected}, got {observation.images.shape}")
        if observation.state.shape != (len(spec.state_names),):
            raise ValueError(
                f"state: expected shape ({len(spec.state_names)},), got {observation.state.shape}"
            )
        with torch.inference_mode():
            frames = self._preprocessor.shrink(torch.from_numpy(observation.images).unsqueeze(0))
            embedding = self._encoder.encode(self._preprocessor.planes(frames))
            state = self._preprocessor.state(torch.from_numpy(observation.state)).unsqueeze(0)
            chosen, gripper = self._head.act(torch.cat((embedding, state), dim=-1), explore)
        delta = np.zeros(len(DELTA_AXES), np.float32)
        delta[self._axes] = chosen[0].numpy()
        return Action(delta=delta, gripper=Gripper(int(gripper[0])), policy_version=self.version)


def load_policy(payload: bytes, version: int) -> Policy:
    """The policy in a weights payload. Raises ValueError with the reason when it cannot be used."""
    tensors, spec = unpack(payload)
    return Policy(spec, tensors, version)
