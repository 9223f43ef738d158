"""Frozen ResNets: the weights they take, those they refuse, and what stays frozen."""

import os
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from safetensors.torch import save, save_file
from torch import Tensor

from hilrl_learning.encoders.resnet import ARCHITECTURES, Backbone, ResNet, load_backbone

FRAME = (40, 70)

# Of `published` weights and `planes`: the length of every pixel's features in the second camera's map, and
# the number of parameters before the classifier. From timm 1.0.31 and, but for the first, torchvision 0.28.0.
EXPECTED = {
    "resnet10t": ([12.6215, 12.6464, 12.6143, 12.6518, 12.6726, 12.6014], 4_922_488),
    "resnet18": ([28.7635, 31.1217, 28.1573, 31.542, 35.5336, 34.2895], 11_176_512),
    "resnet34": ([28.7861, 28.9952, 28.4741, 29.0891, 30.3482, 30.0205], 21_284_672),
    "resnet50": ([387.247, 480.096, 405.321, 451.564, 536.798, 448.414], 23_508_032),
}


def published(name: str) -> dict[str, Tensor]:
    """Every tensor of a published file, each filled with a wave that depends on the tensor's name."""
    shapes = {key: tensor.shape for key, tensor in Backbone(name).state_dict().items()}
    shapes |= {"fc.weight": torch.Size((1000, 512)), "fc.bias": torch.Size((1000,))}
    tensors = {}
    for key, shape in shapes.items():
        phase = zlib.crc32(key.encode()) % 1000
        wave = torch.sin(torch.arange(shape.numel(), dtype=torch.float64) * 1.7 + phase).view(shape)
        if key.endswith("num_batches_tracked"):
            tensors[key] = torch.tensor(1)
        elif len(shape) > 1:
            tensors[key] = (wave * (2.0 / shape[1:].numel()) ** 0.5).float()
        elif key.endswith(("weight", "running_var")):
            tensors[key] = (1.0 + 0.3 * wave).float()
        else:
            tensors[key] = (0.1 * wave).float()
    return tensors


@pytest.fixture(scope="module")
def tensors() -> dict[str, Tensor]:
    return published("resnet10t")


@pytest.fixture(scope="module")
def weights(tensors, tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("weights") / "model.safetensors"
    save_file(tensors, path)
    return f"resnet10t:{path}"


@pytest.fixture
def planes() -> Tensor:
    wave = torch.sin(torch.arange(2 * 3 * FRAME[0] * FRAME[1], dtype=torch.float64) * 0.37)
    return wave.float().view(1, 2, 3, *FRAME)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_feature_maps_are_those_of_timm_and_torchvision(name, planes, tmp_path):
    save_file(published(name), tmp_path / "model.safetensors")
    encoder = ResNet(2, FRAME, 8, f"{name}:{tmp_path}/model.safetensors")
    maps = encoder.trunk(planes)
    assert maps.shape == (1, *encoder.cached_shape)
    expected, parameters = EXPECTED[name]
    assert maps[0, 1].norm(dim=0).flatten().tolist() == pytest.approx(expected, rel=2e-5)
    assert sum(parameter.numel() for parameter in encoder.backbone.parameters()) == parameters


@pytest.mark.parametrize("suffix", ["pth", "pt"])
def test_files_of_pytorch_load_too(suffix, tensors, weights, tmp_path):
    torch.save(tensors, tmp_path / f"model.{suffix}")
    loaded = load_backbone(f"resnet10t:{tmp_path}/model.{suffix}").state_dict()
    for key, tensor in load_backbone(weights).state_dict().items():
        assert torch.equal(loaded[key], tensor), key


def test_old_and_half_precision_files_load(tensors, tmp_path):
    kept = {key: tensor for key, tensor in tensors.items() if not key.endswith("num_batches_tracked")}
    save_file({key: tensor.half() for key, tensor in kept.items()}, tmp_path / "model.safetensors")
    loaded = load_backbone(f"resnet10t:{tmp_path}/model.safetensors")
    torch.testing.assert_close(loaded.bn1.weight, tensors["bn1.weight"], rtol=1e-3, atol=0.0)


@pytest.mark.parametrize("size", [(128, 128), (33, 65), (1, 32)])
def test_cached_shape_is_the_trunks(size, weights):
    encoder = ResNet(3, size, 8, weights)
    maps = encoder.trunk(torch.zeros(2, 3, 3, *size))
    assert maps.shape == (2, *encoder.cached_shape)
    assert encoder(maps).shape == (2, encoder.size) == (2, 24)
    assert encoder.frame_size == size


def test_encode_is_trunk_and_head(weights, planes):
    encoder = ResNet(2, FRAME, 8, weights).eval()
    assert torch.equal(encoder.encode(planes), encoder(encoder.trunk(planes)))


def test_cameras_share_the_trunk_but_not_the_head(weights, planes):
    encoder = ResNet(2, FRAME, 8, weights).eval()
    twice = encoder.trunk(planes[:, [0, 0]])
    torch.testing.assert_close(twice[:, 0], twice[:, 1])
    left, right = encoder(twice).split(8, dim=-1)
    assert not torch.allclose(left, right, atol=1e-2)


def test_the_critic_trains_the_heads_alone(weights, planes):
    encoder = ResNet(2, FRAME, 8, weights)
    trained = {id(parameter) for parameter in encoder.trainable()}
    assert trained == {id(parameter) for parameter in encoder.heads.parameters()}
    frozen = {key: tensor.clone() for key, tensor in encoder.backbone.state_dict().items()}
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=1e-2)
    encoder.encode(planes.requires_grad_()).square().sum().backward()
    optimizer.step()
    assert planes.grad is None
    for key, tensor in encoder.backbone.state_dict().items():
        assert torch.equal(tensor, frozen[key]), key
    for parameter in encoder.trainable():
        assert parameter.grad.abs().sum() > 0.0


def test_training_mode_does_not_reach_the_trunk(weights, planes):
    encoder = ResNet(2, FRAME, 8, weights)
    before = encoder.eval().trunk(planes)
    statistics = encoder.backbone.bn1.running_mean.clone()
    encoder.train()
    assert torch.equal(encoder.trunk(10.0 * planes), encoder.eval().trunk(10.0 * planes))
    assert torch.equal(encoder.train().trunk(planes), before)
    assert torch.equal(encoder.backbone.bn1.running_mean, statistics)
    assert encoder.heads[0].training  # dropout is the head's


def test_an_actor_needs_the_architecture_but_no_file(weights, planes):
    learning = ResNet(2, FRAME, 8, weights).eval()
    acting = ResNet(2, FRAME, 8, "timm/resnet10t.c3_in1k", pretrained=False).eval()
    acting.load_state_dict(learning.state_dict())
    assert torch.equal(acting.encode(planes), learning.encode(planes))


class Hub(BaseHTTPRequestHandler):
    """Serves one model of timm's, whose bytes are the server's `content`."""

    def do_GET(self) -> None:
        if self.path != "/timm/resnet10t.c3_in1k/resolve/main/model.safetensors":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.content)))
        self.end_headers()
        self.wfile.write(self.server.content)

    def log_message(self, *_args: object) -> None:
        """Nothing on stderr."""


@pytest.fixture
def hub(tensors, tmp_path, monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.content = save(tensors)
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()

    def stop() -> None:
        server.shutdown()
        thread.join()
        server.server_close()

    server.stop = stop
    yield server
    if thread.is_alive():
        stop()


def test_a_model_of_the_hub_is_fetched_once(hub, tensors):
    first = load_backbone("timm/resnet10t.c3_in1k")
    assert torch.equal(first.bn1.weight, tensors["bn1.weight"])
    hub.stop()
    again = load_backbone("timm/resnet10t.c3_in1k")
    assert torch.equal(again.bn1.weight, tensors["bn1.weight"])


def test_a_model_that_the_hub_lacks_is_refused_and_nothing_kept(hub, tmp_path):
    with pytest.raises(ValueError, match=r"cannot fetch http.*resnet18\.nothing.*404.*give its path"):
        load_backbone("timm/resnet18.nothing")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    "weights",
    ["", "resnet18", "resnet18:", "resnet1:/a.safetensors", "timm/vit_tiny.in1k", "/a/resnet18.pth"],
)
def test_weights_that_name_nothing_are_refused(weights):
    with pytest.raises(ValueError, match="expected 'ARCHITECTURE:FILE' as in .* or a model of timm's"):
        ResNet(2, FRAME, 8, weights)


class Intruder:
    """What a pickle can hold: a call."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_files_that_cannot_be_read_are_refused(tmp_path):
    def refused(name: str, match: str) -> None:
        with pytest.raises(ValueError, match=match) as refusal:
            load_backbone(f"resnet10t:{tmp_path / name}")
        assert name in str(refusal.value)

    refused("none.safetensors", "there is no file")
    for name in ("text.safetensors", "text.pth", "text.bin"):
        (tmp_path / name).write_text("not weights")
    refused("text.safetensors", "cannot read")
    refused("text.pth", "cannot read")
    refused("text.bin", r"expected a \.safetensors, \.pth or \.pt file")
    torch.save({"state_dict": {}, "epoch": 3}, tmp_path / "training.pth")
    refused("training.pth", "expected named tensors and nothing else")
    torch.save({"conv1.weight": Intruder(tmp_path / "called")}, tmp_path / "pickle.pt")
    refused("pickle.pt", "cannot read")
    assert not (tmp_path / "called").exists()


def without(tensors, key):
    del tensors[key]


def misshape(tensors, key):
    tensors[key] = tensors[key][:1]


def spoil(tensors, key):
    tensors[key].view(-1)[-1] = torch.inf


def rename(tensors, key):
    tensors["module." + key] = tensors.pop(key)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (without, r"1 tensors of .*: layer4\.0\.bn2\.bias is missing"),
        (misshape, r"1 tensors of .*: layer4\.0\.bn2\.bias has shape \(1,\), expected \(512,\)"),
        (spoil, r"1 tensors of .*: layer4\.0\.bn2\.bias is not finite"),
        (rename, r"2 tensors of .*bias is missing, module\.layer4\.0\.bn2\.bias is not known"),
    ],
)
def test_a_tensor_that_does_not_fit_is_named(change, match, tensors, tmp_path):
    changed = {key: tensor.clone() for key, tensor in tensors.items()}
    change(changed, "layer4.0.bn2.bias")
    save_file(changed, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=match):
        load_backbone(f"resnet10t:{tmp_path}/model.safetensors")


def test_another_architectures_file_is_refused(weights):
    with pytest.raises(ValueError, match="expected a resnet18 .* name the file's architecture"):
        load_backbone(weights.replace("resnet10t", "resnet18"))
