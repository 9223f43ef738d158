"""The encoder that the critic trains, and the head that it shares with frozen ones."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hilrl_learning.encoders import EndToEnd
from hilrl_learning.encoders.end_to_end import SMALLEST_PX
from hilrl_learning.encoders.spatial import SpatialHead


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_spatial_head_weighs_every_pixel_of_every_channel(layout):
    head = SpatialHead(channels=5, height=3, width=4, features=6).eval()
    maps = torch.randn(7, 5, 3, 4).to(memory_format=layout)
    kernel = head.kernel.detach().view(5, head.EMBEDDINGS, 3, 4)
    sums = torch.einsum("nchw,cehw->nce", maps, kernel).reshape(7, -1)
    linear, norm = head.bottleneck[1], head.bottleneck[2]
    expected = torch.tanh(F.layer_norm(linear(sums), (6,), norm.weight, norm.bias))
    torch.testing.assert_close(head(maps), expected)


def test_spatial_head_has_the_gradient_of_its_differences():
    head = SpatialHead(channels=3, height=2, width=3, features=4).double().eval()
    maps = torch.randn(2, 3, 2, 3, dtype=torch.float64, requires_grad=True)
    names, parameters = zip(*head.named_parameters(), strict=True)

    def run(maps, *values):
        return torch.func.functional_call(head, dict(zip(names, values, strict=True)), (maps,))

    assert torch.autograd.gradcheck(run, (maps, *parameters))


def test_spatial_head_drops_only_while_it_trains():
    torch.manual_seed(0)
    head, maps = SpatialHead(8, 4, 4, 16), torch.randn(2, 8, 4, 4)
    assert not torch.equal(head.train()(maps), head(maps))
    assert torch.equal(head.eval()(maps), head(maps))


@pytest.mark.parametrize("size", [(128, 128), (SMALLEST_PX, SMALLEST_PX), (40, 71), (85, 53)])
@pytest.mark.parametrize("cameras", [1, 3])
def test_any_frame_gives_features_of_every_camera(size, cameras):
    encoder = EndToEnd(cameras, size, 8)
    assert encoder.cached_shape is None
    assert encoder.frame_size == size
    features = encoder.encode(torch.rand(2, cameras, 3, *size) * 2.0 - 1.0)
    assert features.shape == (2, encoder.size) == (2, 8 * cameras)
    assert features.abs().max() < 1.0


def test_frames_too_small_for_the_convolutions_are_refused():
    with pytest.raises(ValueError, match=r"at least 39 px a side, got \(64, 38\)"):
        EndToEnd(2, (64, SMALLEST_PX - 1), 8)


def convolve(planes: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Stride 2, no padding, ReLU: (channels, height, width) to (outputs, ...), pixel by pixel."""
    side = weight.shape[-1]
    height, width = ((extent - side) // 2 + 1 for extent in planes.shape[1:])
    out = np.empty((len(weight), height, width))
    for row, column in np.ndindex(height, width):
        patch = planes[:, 2 * row : 2 * row + side, 2 * column : 2 * column + side]
        out[:, row, column] = np.tensordot(weight, patch, 3) + bias
    return np.maximum(out, 0.0)


def test_features_are_those_of_convolutions_by_hand():
    encoder = EndToEnd(2, (40, 71), 4).eval()
    planes = torch.rand(1, 2, 3, 40, 71) * 2.0 - 1.0
    features = encoder(planes).detach()
    layers = [layer for layer in encoder.convolutions if isinstance(layer, torch.nn.Conv2d)]
    for camera, head in enumerate(encoder.heads):
        maps = planes[0, camera].double().numpy()
        for layer in layers:
            maps = convolve(maps, layer.weight.detach().numpy(), layer.bias.detach().numpy())
        expected = head(torch.from_numpy(maps).float().unsqueeze(0)).detach()
        torch.testing.assert_close(features[:, 4 * camera : 4 * camera + 4], expected, rtol=1e-4, atol=1e-5)


def test_the_critics_gradient_reaches_the_first_layer():
    encoder = EndToEnd(2, (64, 64), 8)
    planes = torch.rand(4, 2, 3, 64, 64) * 2.0 - 1.0
    encoder(planes).square().sum().backward()
    assert {id(parameter) for parameter in encoder.trainable()} == {id(p) for p in encoder.parameters()}
    for name, parameter in encoder.named_parameters():
        assert parameter.grad.abs().sum() > 0.0, name


def test_it_learns_where_something_is():
    torch.manual_seed(3)
    encoder, readout = EndToEnd(1, (48, 48), 16), torch.nn.Linear(16, 2)
    optimizer = torch.optim.Adam([*encoder.trainable(), *readout.parameters()], lr=1e-3)

    def squares(count):
        corner = torch.randint(0, 40, (count, 2))
        planes = torch.full((count, 1, 3, 48, 48), -1.0)
        for plane, (row, column) in zip(planes, corner, strict=True):
            plane[..., row : row + 8, column : column + 8] = 1.0
        return planes, corner / 20.0 - 1.0

    for _ in range(100):
        planes, place = squares(16)
        optimizer.zero_grad()
        F.mse_loss(readout(encoder(planes)), place).backward()
        optimizer.step()
    planes, place = squares(64)
    with torch.no_grad():
        error = (readout(encoder.eval()(planes)) - place).norm(dim=-1)
    assert error.median() < 0.2  # 4 px
