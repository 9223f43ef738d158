from dataclasses import replace

import numpy as np
import pytest
import torch

from hilrl_learning.preprocessor import Preprocessor
from hilrl_perception import reward_report
from hilrl_perception.reward_data import VETO
from hilrl_perception.reward_model import RewardNet, RewardSpec
from hilrl_perception.reward_training import (
    VETO_SHARE,
    BalancedFrames,
    TrainingSettings,
    augment,
    shrunk,
    split,
    train,
)

SMALL = TrainingSettings(features_per_camera=16, batch=8, most_updates=4, updates_per_check=2)


def many(episode_of, count=30):
    return [episode_of([False] * 3 + [i % 3 != 0] * 2, i) for i in range(count)]


@pytest.mark.parametrize("seed", range(20))
def test_no_episode_is_on_both_sides_of_the_split(episode_of, seed):
    episodes = many(episode_of)
    training, validation = split(episodes, 0.2, np.random.default_rng(seed))
    numbers = [{e.provenance["episode"] for e in side} for side in (training, validation)]
    assert not numbers[0] & numbers[1] and numbers[0] | numbers[1] == set(range(30))
    frames = [{frame.tobytes() for e in side for frame in e.frames} for side in (training, validation)]
    assert not frames[0] & frames[1]
    assert len(validation) == 6
    for side in (training, validation):
        assert {bool(e.labels.any()) for e in side} == {True, False}


def test_too_few_episodes_to_split_are_refused(episode_of, layout):
    with pytest.raises(ValueError, match="at least 2 episodes without success.*got 1"):
        train(layout, [episode_of([True], 0), episode_of([True], 1), episode_of([False], 2)], SMALL)
    with pytest.raises(ValueError, match="at least 2 episodes with success.*got 0"):
        train(layout, [episode_of([False], 0), episode_of([False], 1)], SMALL)


def test_batches_are_half_positive_whatever_there_is_of_each(episode_of):
    frames = BalancedFrames([episode_of([False] * 96 + [True] * 4, 0)])
    rng = np.random.default_rng(0)
    drawn = np.concatenate([frames.draw(64, rng) for _ in range(100)])
    for batch in drawn.reshape(100, 64):
        assert frames.labels[batch].sum() == 32
    assert set(drawn.tolist()) == set(range(100)), "every frame is seen"


def test_the_frame_in_which_a_success_is_given_up_teaches_nothing(episode_of):
    frames = BalancedFrames([episode_of([False, True, True, False, False], 0), episode_of([False], 1)])
    assert frames.counts.tolist() == [True, True, True, False, True, True]
    assert frames.negative.tolist() == [0, 4, 5] and frames.positive.tolist() == [1, 2]


def test_what_people_took_back_is_seen_more_often_than_it_occurs(episode_of):
    episodes = [episode_of([False] * 90 + [True] * 10, 0), episode_of([False] * 3, 1, source=VETO)]
    frames = BalancedFrames(episodes)
    batch = frames.draw(64, np.random.default_rng(0))
    assert frames.labels[batch].sum() == 32
    assert (batch >= 100).sum() == round(VETO_SHARE * 32)


def test_every_weight_is_trained_the_projections_of_the_encoder_included(trained):
    """LeRobot's classifier leaves its projections as they were drawn."""
    net = RewardNet(replace(trained.model.spec, threshold=0.5))
    small = torch.randint(0, 256, (4, 2, 64, 64, 3), dtype=torch.uint8)
    net.train()(small).square().sum().backward()
    untouched = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert untouched == []
    assert "encoder.cameras.0.project.weight" in dict(net.named_parameters())


def test_training_and_serving_share_one_preprocessor(trained, episode_of, monkeypatch):
    """Frames of training pass the very object that serves: change it, and both change."""
    net, episode = trained.model.net, episode_of([False, True], 99)
    assert isinstance(net.preprocessor, Preprocessor)
    calls = []
    plain = net.preprocessor.planes
    monkeypatch.setattr(net.preprocessor, "planes", lambda f: calls.append(f.clone()) or plain(f))
    trained.model.probability(episode.frames[0])
    with torch.inference_mode():
        net(shrunk(net, [episode])[:1])
    assert torch.equal(calls[0], calls[1])


def test_it_learns_to_tell_the_frames_apart(trained, episode_of):
    held_out = [episode_of([False] * 6 + [i % 2 == 0] * 4, 1000 + i) for i in range(10)]
    evaluation = reward_report.evaluate(trained.model, held_out)
    assert evaluation.raw.false_positives == 0 and evaluation.raw.recall > 0.9
    assert evaluation.per_episode.true_positives == 5 and evaluation.per_episode.false_positives == 0
    assert trained.choice.reached and trained.model.spec.threshold == trained.choice.threshold


def test_the_threshold_is_one_of_what_is_asked_later(trained):
    """Chosen on the answers that serving gives, so the frame that decided it is above it, bit for bit."""
    served = np.concatenate([trained.model.probabilities(e.frames) for e in trained.validation])
    assert trained.model.spec.threshold in served


def test_the_weights_kept_are_those_of_the_best_check(trained):
    assert min(loss for _, _, loss in trained.losses) == pytest.approx(_validation_loss(trained), abs=1e-6)


def _validation_loss(trained):
    p = np.concatenate([trained.model.probabilities(e.frames) for e in trained.validation])
    labels = np.concatenate([e.labels for e in trained.validation])
    return 0.5 * (-np.log(p[labels]).mean() - np.log1p(-p[~labels]).mean())


def test_the_same_seed_gives_the_same_classifier(episode_of, layout):
    first, second = (train(layout, many(episode_of, 12), SMALL) for _ in range(2))
    for name, tensor in first.model.net.state_dict().items():
        assert torch.equal(tensor, second.model.net.state_dict()[name]), name


def test_augmentation_changes_pixels_and_nothing_else(episode_of):
    frames = torch.from_numpy(episode_of([True, False], 0).frames)
    generator = torch.Generator().manual_seed(0)
    changed = augment(frames, TrainingSettings(), generator)
    assert changed.shape == frames.shape and changed.dtype == torch.uint8
    assert not torch.equal(changed, frames)
    still = augment(frames, TrainingSettings(jitter=0.0, noise=0.0), generator)
    # A shift alone keeps the colours of the middle.
    assert set(still[0, 0, 20:40].unique().tolist()) <= set(frames[0, 0].unique().tolist())


def test_the_report_says_what_it_was_made_from_and_shows_the_worst_mistakes(tmp_path, trained, episode_of):
    episodes = [episode_of([False] * 6 + [True] * 4, 50), episode_of([False] * 10, 51)]
    files = reward_report.write(tmp_path, reward_report.evaluate(trained.model, episodes), note="x")
    assert {f.name for f in files} == {"report.json", "confusion.png", "precision_recall.png"}
    # Frames called negative that show success: all of them are false positives.
    wrong = [replace(episode_of([True] * 5, 52), labels=np.zeros(5, bool)), episodes[0]]
    evaluation = reward_report.evaluate(trained.model, wrong)
    worst = reward_report.worst_false_positives(evaluation)
    assert worst == sorted(worst, key=lambda i: -evaluation.probabilities[i])
    assert set(worst) <= set(range(5)) and len(worst) >= 4
    files = reward_report.write(tmp_path, evaluation)
    assert (tmp_path / "false_positives.png") in files and all(f.stat().st_size > 500 for f in files)


def test_a_spec_that_cannot_be_is_refused():
    good = {"cameras": ("front",), "image_size": (64, 64)}
    for field, value, message in (
        ("cameras", (), "cameras: expected at least one"),
        ("threshold", 0.0, r"threshold: expected within \(0, 1\], got 0.0"),
        ("k", 4, "k, n: expected 1 <= k <= n, got k=4 and n=3"),
        ("encoder", "resnet", "encoder: expected one of"),
        ("image_size", (4, 64), "image_size: expected height and width >= 8 px"),
    ):
        with pytest.raises(ValueError, match=message):
            RewardSpec(**{**good, field: value})
