"""The acting policy: preprocessor, encoder and acting head of one version of the weights."""

import numpy as np
import torch

from hilrl_learning import encoders
from hilrl_learning.algorithms import registry
from hilrl_learning.data import DELTA_AXES, Action, Gripper, Observation
from hilrl_learning.preprocessor import Preprocessor
from hilrl_learning.weights import PolicySpec, unpack


class Policy:
    """Frozen networks of one version of the weights."""

    def __init__(self, spec: PolicySpec, tensors: dict[str, torch.Tensor], version: int) -> None:
        """Raises ValueError when the tensors do not fit the spec."""
        self._axes = [DELTA_AXES.index(axis) for axis in spec.action.axes]
        observation = spec.observation
        self._encoder = encoders.build(
            spec.encoder,
            len(observation.cameras),
            observation.image_size,
            spec.features_per_camera,
            spec.encoder_weights,
            pretrained=False,
        )
        self._preprocessor = Preprocessor(len(observation.state_names), self._encoder.frame_size)
        features = self._encoder.size + len(observation.state_names)
        algorithm = registry.algorithm(spec.algorithm)
        try:
            settings = algorithm.config_class(**spec.settings)
        except TypeError as error:
            raise ValueError(f"weights: settings of {spec.algorithm!r} do not fit: {error}") from error
        self._head = algorithm.acting_head(settings, features, len(self._axes))
        self.load(spec, tensors, version)

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
