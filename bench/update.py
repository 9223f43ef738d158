"""Gradient updates of SAC a second, sampling included, ours beside LeRobot's.

    . .venv/ros.sh && python bench/update.py [images] [state] [end_to_end] [--rounds 5]

images      two cameras of 128x128, each side with its default networks: theirs a frozen CNN that runs in
            every update, ours a frozen one whose output is cached with the frames
state       no images: 18 numbers of state through a trained layer to 256 features; critics, gripper critic
            and actor of two layers of 256; also as a share of the rate of matrix products meanwhile
end_to_end  two cameras of 128x128 through the same four convolutions, trained by the critic

One update of everything per batch, of 256 from a replay: ours in memory-mapped files, theirs in RAM. With
LEROBOT_PYTHON set to an interpreter that has LeRobot, its rounds run in between ours.
"""

import sys
import tempfile
import time
from functools import partial
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

import table
from hilrl_learning import encoders
from hilrl_learning.algorithms.sac import SACConfig
from hilrl_learning.data import ActionSpec, Gripper
from hilrl_learning.encoders.base import Encoder
from hilrl_learning.train_config import TrainConfig
from recording import STATE_SIZE, Learner, observation_spec

SIDE_PX = 128
LATENT = 256
"""Features per camera, and of the state, in LeRobot's networks."""
GEMM_SIZE = 256
GEMM_TRIALS = 2000


class StateEncoder(Encoder):
    """LeRobot's layer for the state, trained with the critic. What is `cached` is the state itself.

    Our networks see the plain state too: with this layer's output 256 features, as theirs are.
    """

    FEATURES = LATENT - STATE_SIZE

    def __init__(self) -> None:
        super().__init__(cameras=1, frame_size=(1, 1), size=self.FEATURES)
        self.cached_shape = (STATE_SIZE,)
        self.layer = nn.Sequential(
            nn.Linear(STATE_SIZE, self.FEATURES), nn.LayerNorm(self.FEATURES), nn.Tanh()
        )

    def forward(self, vision: Tensor) -> Tensor:
        """vision: (n, 18)."""
        return self.layer(vision)


def images(seconds: float, batch: int, stored: int) -> table.Result:
    """Our default encoder, frozen, its output read from the replay."""
    settings = TrainConfig()
    encoder = encoders.build(settings.encoder, 2, (SIDE_PX, SIDE_PX), settings.features_per_camera, "")
    encoder.requires_grad_(False)
    return _rate(encoder, seconds, batch, stored)


def end_to_end(seconds: float, batch: int, stored: int) -> table.Result:
    """Frames from the replay, shifted at random, through an encoder that the critic trains."""
    return _rate(encoders.build("end_to_end", 2, (SIDE_PX, SIDE_PX), LATENT, ""), seconds, batch, stored)


def _rate(encoder: Encoder, seconds: float, batch: int, stored: int) -> table.Result:
    with tempfile.TemporaryDirectory() as folder:
        learner = Learner(Path(folder), observation_spec(SIDE_PX), encoder, capacity=2 * stored, batch=batch)
        learner.fill(stored)
        return {"updates_per_s": table.calls_per_s(learner.training_step, seconds)}


def state(seconds: float, batch: int, stored: int) -> table.Result:
    """Critics, gripper critic and actor see as many features as theirs."""
    gemm = gemm_flops_per_s()
    with tempfile.TemporaryDirectory() as folder:
        spec = observation_spec(1, cameras=("unused",))
        learner = Learner(Path(folder), spec, StateEncoder(), capacity=2 * stored, batch=batch)
        learner.fill(stored)
        whole = table.calls_per_s(learner.training_step, seconds)
        ready = learner.mixer.sample()
        update = table.calls_per_s(lambda: learner.sac.update(ready), seconds)
    gemm = max(gemm, gemm_flops_per_s())
    flops = update_flops(batch, learner.sac.features)
    return {
        "updates_per_s": whole,
        "updates_without_sampling_per_s": update,
        "products_gflop": flops / 1e9,
        "gemm_gflop_per_s": gemm / 1e9,
        "share_of_gemm_percent": 100 * flops * whole / gemm,
        "share_without_sampling_percent": 100 * flops * update / gemm,
    }


def gemm_flops_per_s() -> float:
    """Of the fastest of many square float32 products, with the threads that updates have."""
    left, right = torch.randn(2, GEMM_SIZE, GEMM_SIZE)
    out, best_s = torch.empty(GEMM_SIZE, GEMM_SIZE), float("inf")
    for _ in range(GEMM_TRIALS):
        start = time.perf_counter()
        torch.mm(left, right, out=out)
        best_s = min(best_s, time.perf_counter() - start)
    return 2 * GEMM_SIZE**3 / best_s


def update_flops(batch: int, features: int) -> int:
    """Multiplications and additions of the matrix products that one update of everything needs.

    Per weight of a layer and row of the batch: 2 forward, 2 for the weight's gradient, 2 for the input's,
    which the first layer of a network needs only where something before it learns.
    """
    config, actions = SACConfig(), len(ActionSpec().axes)
    hidden = [config.hidden_units] * config.hidden_layers

    def weights(inputs: int, outputs: int) -> int:
        sizes = [inputs, *hidden, outputs]
        return sum(fan_in * fan_out for fan_in, fan_out in pairwise(sizes))

    encoder = STATE_SIZE * StateEncoder.FEATURES
    critics = config.critics * weights(features + actions, 1)
    gripper = weights(features, len(Gripper))
    actor = weights(features, 2 * actions)
    targets = encoder + actor + critics + 2 * gripper
    # Critics and gripper: forward and both gradients down to the encoder, which needs its weights' alone.
    critic_update = 2 * encoder + 3 * (critics + gripper)
    # Actor: forward and both gradients but the first layer's inputs'; through the critics to actions only.
    critic_first = config.critics * (features + actions) * hidden[0]
    to_actions = config.critics * actions * hidden[0]
    actor_update = 3 * actor - features * hidden[0] + 2 * critics - critic_first + to_actions
    return 2 * batch * (targets + critic_update + actor_update)


CASES = {
    # case: ours, the peer's, title
    "images": (images, "update_images", "two cameras 128x128, default networks"),
    "state": (state, "update_state", "state only, same networks"),
    "end_to_end": (end_to_end, "update_images_trainable", "two cameras 128x128, trained CNN"),
}
OURS_ALONE = {
    "updates_without_sampling_per_s": "updates without sampling [/s]",
    "products_gflop": "matrix products per update [GFLOP]",
    "gemm_gflop_per_s": f"{GEMM_SIZE}x{GEMM_SIZE}x{GEMM_SIZE} float32 product, best [GFLOP/s]",
    "share_of_gemm_percent": "updates as a share of that rate [%]",
    "share_without_sampling_percent": "... without sampling [%]",
}


def main() -> None:
    parser = table.parser(__doc__)
    parser.add_argument("cases", nargs="*", choices=[*CASES, []], help="default: all")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--stored", type=int, default=1000, help="steps in either replay")
    arguments = parser.parse_args()
    print(table.header(arguments.threads))
    options = {"seconds": arguments.seconds, "batch": arguments.batch, "stored": arguments.stored}
    for case in arguments.cases or CASES:
        _, theirs, title = CASES[case]
        ours, other = table.alternate(
            arguments.rounds,
            partial(table.own, __file__, case, arguments.threads, **options),
            partial(table.peer, theirs, arguments.threads, **options),
        )
        rows = [table.Row("updates [/s]", ours["updates_per_s"], other["updates_per_s"])]
        rows += [table.Row(text, ours[name]) for name, text in OURS_ALONE.items() if name in ours]
        table.show(f"SAC update, {title}, batch {arguments.batch}", rows)


if __name__ == "__main__":
    if "--alone" in sys.argv:
        table.run_alone({name: ours for name, (ours, _, _) in CASES.items()}, sys.argv)
    else:
        main()
