"""The multilayer perceptrons of actors and critics."""

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class EnsembleMLP(nn.Module):
    """`members` perceptrons of equal shape, evaluated as one batched product per layer.

    Every hidden layer is linear, LayerNorm, tanh (HIL-SERL, arXiv 2410.21845); LayerNorm bounds the
    extrapolation of a critic (RLPD, arXiv 2302.02948) and has no gain of its own, as the next layer has one.
    """

    def __init__(self, members: int, inputs: int, outputs: int, hidden: tuple[int, ...] = (256, 256)):
        super().__init__()
        sizes = (inputs, *hidden, outputs)
        self.weights = nn.ParameterList(
            nn.Parameter(_uniform_fan_in(members, fan_in, fan_out)) for fan_in, fan_out in pairwise(sizes)
        )
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(members, 1, size)) for size in sizes[1:])
        with torch.no_grad():
            self.weights[-1].mul_(0.1)  # start with outputs near zero

    def forward(self, x: Tensor) -> Tensor:
        """x: (batch, inputs), shared by all members. Returns (members, batch, outputs)."""
        members = self.weights[0].shape[0]
        x = x.unsqueeze(0).expand(members, *x.shape)
        last = len(self.weights) - 1
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias, x, weight)
            if layer < last:
                x = torch.tanh(F.layer_norm(x, x.shape[-1:]))
        return x


def _uniform_fan_in(members: int, fan_in: int, fan_out: int) -> Tensor:
    bound = math.sqrt(3.0 / fan_in)
    return torch.empty(members, fan_in, fan_out).uniform_(-bound, bound)


class GaussianActor(nn.Module):
    """Tanh-squashed diagonal Gaussian with state-dependent deviation."""

    LOG_STD_MIN, LOG_STD_MAX = -5.0, 1.0

    def __init__(self, inputs: int, actions: int, hidden: tuple[int, ...] = (256, 256)):
        super().__init__()
        self.trunk = EnsembleMLP(1, inputs, 2 * actions, hidden)
        with torch.no_grad():
            self.trunk.biases[-1][..., actions:] = -1.0

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """features: (batch, inputs). Returns mean and log deviation before squashing, (batch, actions)."""
        mean, log_std = self.trunk(features).squeeze(0).chunk(2, dim=-1)
        return mean, log_std.clamp(self.LOG_STD_MIN, self.LOG_STD_MAX)

    def sample(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns a reparameterised action in (-1, 1), its log probability (batch,) and the squashed mean."""
        mean, log_std = self(features)
        noise = torch.randn_like(mean)
        raw = mean + log_std.exp() * noise
        # log(1 - tanh(u)^2) in its stable form (SAC, arXiv 1801.01290, appendix C).
        log_squash = 2.0 * (math.log(2.0) - raw - F.softplus(-2.0 * raw))
        log_prob = (-0.5 * noise.square() - log_std - 0.5 * math.log(2.0 * math.pi) - log_squash).sum(-1)
        return torch.tanh(raw), log_prob, torch.tanh(mean)
