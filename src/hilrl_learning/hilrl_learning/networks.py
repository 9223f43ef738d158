"""The multilayer perceptrons of actors and critics."""

import math
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class EnsembleMLP(nn.Module):
    """`members` perceptrons of equal shape, evaluated as one batched product per layer.

    Every hidden layer is linear, LayerNorm, tanh (HIL-SERL, arXiv 2410.21845); LayerNorm bounds the
    extrapolation of a critic (RLPD, arXiv 2302.02948) and has no gain of its own, as the next layer has one.
    """

    def __init__(
        self, members: int, inputs: int, outputs: int, hidden: tuple[int, ...], extra: int = 0
    ) -> None:
        """`extra`: further inputs that come apart from the others, such as a critic's action."""
        super().__init__()
        sizes = (inputs, *hidden)
        self.weights = nn.ParameterList(
            nn.Parameter(_uniform_fan_in(members, fan_in, fan_out, extra if layer == 0 else 0))
            for layer, (fan_in, fan_out) in enumerate(pairwise(sizes))
        )
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(members, 1, size)) for size in hidden)
        if extra:
            self.extra = nn.Parameter(_uniform_fan_in(members, extra, sizes[1], inputs))
        # Few outputs: a CPU needs a fifth of the time for their products with the other operand transposed.
        # Small, to start with outputs near zero.
        last = _uniform_fan_in(members, sizes[-1], outputs).transpose(1, 2).contiguous()
        self.last_weight = nn.Parameter(0.1 * last)
        self.last_bias = nn.Parameter(torch.zeros(members, outputs, 1))

    def forward(self, x: Tensor, extra: Tensor | None = None, members: Tensor | None = None) -> Tensor:
        """x: (batch, inputs) and extra: (batch, extra), shared by all members.

        `members`: indices of those to evaluate, None: all. Returns (members, batch, outputs).
        """

        def own(parameter: Tensor) -> Tensor:
            return parameter if members is None else parameter[members]

        first, *weights = map(own, self.weights)
        first_bias, *biases = map(own, self.biases)
        x = torch.baddbmm(first_bias, x.expand(len(first), *x.shape), first)
        if extra is not None:
            # Apart from x, so that only what is asked for is differentiated: of a critic under its actor,
            # the actions alone.
            x = torch.baddbmm(x, extra.expand(len(first), *extra.shape), own(self.extra))
        for weight, bias in zip(weights, biases, strict=True):
            x = torch.baddbmm(bias, normalised_tanh(x), weight)
        x = normalised_tanh(x).transpose(1, 2)
        # Values and losses are float32 whatever the products are.
        return torch.baddbmm(own(self.last_bias), own(self.last_weight), x).transpose(1, 2).float()


def normalised_tanh(x: Tensor) -> Tensor:
    """tanh of the LayerNorm of x: (..., n), which has no gain or bias of its own."""
    if x.is_cuda or torch.compiler.is_compiling():
        return torch.tanh(F.layer_norm(x, x.shape[-1:]))
    return _NormalisedTanh.apply(x)


class _NormalisedTanh(torch.autograd.Function):
    """The same in half a CPU's time: tanh x = 2 sigmoid 2x - 1, and torch's sigmoid is six times its tanh."""

    EPSILON = 1e-5

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        size = x.shape[-1:]
        twice, minus_one = x.new_full(size, 2.0), x.new_full((), -1.0)
        y, mean, deviation = torch.native_layer_norm(x, size, twice, None, _NormalisedTanh.EPSILON)
        y = torch.add(minus_one, y.sigmoid_(), alpha=2.0, out=y)
        ctx.save_for_backward(x, y, mean, deviation)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        x, y, mean, deviation = ctx.saved_tensors
        gradient = torch.ops.aten.tanh_backward(gradient, y)
        return torch.ops.aten.native_layer_norm_backward(
            gradient, x, x.shape[-1:], mean, deviation, None, None, [True, False, False]
        )[0]


def _uniform_fan_in(members: int, fan_in: int, fan_out: int, others: int = 0) -> Tensor:
    """Weights of a layer that has `others` further inputs."""
    bound = math.sqrt(3.0 / (fan_in + others))
    return torch.empty(members, fan_in, fan_out).uniform_(-bound, bound)


class GaussianActor(nn.Module):
    """Tanh-squashed diagonal Gaussian with state-dependent deviation."""

    LOG_STD_MIN, LOG_STD_MAX = -5.0, 1.0

    def __init__(self, inputs: int, actions: int, hidden: tuple[int, ...]):
        super().__init__()
        self.trunk = EnsembleMLP(1, inputs, 2 * actions, hidden)
        with torch.no_grad():
            self.trunk.last_bias[:, actions:] = -1.0

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
