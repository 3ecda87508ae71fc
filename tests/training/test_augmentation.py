"""Augmentation: what each level does, and that its draws depend on seed, epoch and image only."""

import numpy as np
import pytest
import torch
from torch import nn

from biotune.recipe import Recipe
from biotune.records import Preprocessing
from biotune.settings.sections import TrainingConfig
from biotune.training.augmentation import Augmented, augmentation, make_transform, moved
from biotune.training.imbalance import shuffled
from biotune.training.sources import PixelSource
from biotune.training.trainer import Plan, batches, make_optimizer

PREPROCESSING = Preprocessing(32)
LEVELS = ("light", "standard", "strong")
QUICK = TrainingConfig(epochs=2, batch_size=8, limit_batch=False)


@pytest.fixture
def augmented(make_problem):
    """A maker of augmented sources over the small problem's images."""
    source = make_problem().source

    def make(level: str = "standard", seed: int = 1, epoch: int = 0) -> Augmented:
        return Augmented(source, make_transform(level, 32, (0.485, 0.456, 0.406)), seed, epoch)

    return make


def rows(*indices: int) -> torch.Tensor:
    return torch.tensor(indices)


@pytest.mark.parametrize("level", LEVELS)
def test_an_image_looks_the_same_whatever_its_batch(augmented, level):
    alone = torch.cat([augmented(level).batch(rows(index)) for index in range(20)])
    together = augmented(level).batch(torch.arange(20))
    backwards = augmented(level).batch(torch.arange(59, -1, -1)).flip(0)[:20]
    assert torch.equal(alone, together)
    assert torch.equal(alone, backwards)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("change", [{"seed": 2}, {"epoch": 1}])
def test_another_seed_or_epoch_changes_every_other_image(augmented, level, change):
    """TrivialAugment leaves one image of fourteen alone, but not its crop."""
    first, other = augmented(level).batch(torch.arange(60)), augmented(level, **change).batch(torch.arange(60))
    assert (first != other).flatten(1).any(dim=1).all()


@pytest.mark.parametrize("level", LEVELS)
def test_an_image_drawn_again_in_an_epoch_looks_different_and_does_not_touch_others(augmented, level):
    source = augmented(level)
    first, again = source.batch(rows(3, 4)), source.batch(rows(3, 5))
    assert not torch.equal(first[0], again[0])
    assert torch.equal(again[1], augmented(level).batch(rows(5))[0])
    repeated = augmented(level).batch(rows(3, 3))
    assert torch.equal(repeated, torch.stack([first[0], again[0]]))


@pytest.mark.parametrize("level", LEVELS)
def test_the_global_random_state_is_left_alone(augmented, level):
    """So dropout draws the same with and without augmentation."""
    torch.manual_seed(5)
    before = torch.get_rng_state()
    augmented(level).batch(torch.arange(8))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("channels_last", [True, False])
def test_batches_have_the_network_s_kind_and_layout(make_problem, level, channels_last):
    problem = make_problem()
    source = PixelSource(problem.source.pixels, PREPROCESSING, channels_last=channels_last)
    plain, changed = (
        maker.batch(torch.arange(8)) for maker in (source, augmentation(source, PREPROCESSING, level, flip=True)(1, 0))
    )
    assert (plain.shape, plain.dtype, plain.stride()) == (changed.shape, changed.dtype, changed.stride())
    low, high = source.normalised(torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 3, 32, 32))
    assert (changed >= low.min()).all()
    assert (changed <= high.max()).all()


def chart(side: int = 20) -> torch.Tensor:
    return torch.arange(3 * side * side).remainder(251).view(3, side, side).to(torch.uint8)


def test_moving_by_nothing_changes_nothing():
    assert torch.equal(moved(chart(), 0.0, 0.0, 0.0), chart())


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_turning_by_quarters_is_counter_clockwise(quarters):
    assert torch.equal(moved(chart(), 90.0 * quarters, 0.0, 0.0), torch.rot90(chart(), quarters, (1, 2)))


def test_a_shift_continues_the_edge():
    """5 % of 20 pixels are one, 10 % are two."""
    right, down = moved(chart(), 0.0, 0.05, 0.0), moved(chart(), 0.0, 0.0, 0.1)
    assert torch.equal(right[:, :, 1:], chart()[:, :, :-1])
    assert torch.equal(right[:, :, 0], chart()[:, :, 0])
    assert torch.equal(down[:, 2:], chart()[:, :-2])
    assert torch.equal(down[:, :2], chart()[:, :1].expand(3, 2, 20))


@pytest.mark.parametrize(
    ("level", "flip", "mirrored"), [("light", True, 0), ("standard", False, 0), ("standard", True, 1)]
)
def test_only_what_may_mirror_does(level, flip, mirrored):
    """A ramp that rises to the right still does, in most images half as often where mirroring is allowed."""
    ramp = torch.arange(0, 224, 7, dtype=torch.uint8).expand(3, 32, 32)
    transform = make_transform(level, 32, (0.5, 0.5, 0.5), flip)
    torch.manual_seed(0)
    falls = [
        bool(image[:, :, 4].float().mean() > image[:, :, -5].float().mean()) for image in map(transform, [ramp] * 60)
    ]
    assert sum(falls) in range(20 * mirrored, 40 * mirrored + 1)


def test_light_stays_close_to_the_image(augmented, make_problem):
    """Half of the largest turn, shift and jitter together keep a smooth image recognisable to a few grey levels."""
    ramp = torch.arange(32).add(torch.arange(32)[:, None]).mul(2).add(60).to(torch.uint8).expand(3, 32, 32)
    transform = make_transform("light", 32, (0.5, 0.5, 0.5))
    torch.manual_seed(0)
    distances = [(image.float() - ramp.float()).abs().mean().item() for image in map(transform, [ramp] * 40)]
    assert 1 < np.mean(distances) < 15


def test_strong_erases_with_the_mean_colour():
    """Of a white image nothing else turns into mean colour: every fourth loses 2 to 20 % of it."""
    white = torch.full((3, 64, 64), 255, dtype=torch.uint8)
    erasing = make_transform("strong", 64, (0.2, 0.4, 0.6)).transforms[-1]
    torch.manual_seed(0)
    colour = torch.tensor([51, 102, 153], dtype=torch.uint8)
    shares = np.array([(erasing(white) == colour[:, None, None]).all(dim=0).float().mean() for _ in range(200)])
    assert 30 <= (shares > 0).sum() <= 70
    assert ((shares[shares > 0] > 0.015) & (shares < 0.21)[shares > 0]).all()


def train(problem, level: str | None, config=QUICK):
    data = problem.data
    if level is not None:
        data = type(data)(
            data.source, data.labels, data.train, data.validation,
            augmentation(problem.source, PREPROCESSING, level, flip=True),
        )  # fmt: skip
    return problem.fit(config, Plan(seed=1, epochs=config.epochs), data=data)


def state_of(problem) -> dict[str, torch.Tensor]:
    return dict(problem.model.state_dict())


@pytest.mark.parametrize("level", LEVELS)
def test_augmented_trainings_repeat_to_the_bit_and_differ_from_plain_ones(make_problem, level):
    first, second, plain = make_problem(), make_problem(), make_problem()
    curves = [train(problem, kind).curve for problem, kind in ((first, level), (second, level), (plain, None))]
    assert curves[0] == curves[1] != curves[2]
    states = [state_of(problem) for problem in (first, second, plain)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not all(torch.equal(states[0][name], states[2][name]) for name in states[0])


def test_by_default_training_is_a_plain_loop_to_the_bit(make_problem):
    """Two epochs in plain PyTorch: order of the images, plain cross-entropy, Adam with the cosine factor."""
    problem, reference = make_problem(mask=lambda i, n: 1.0), make_problem(mask=lambda i, n: 1.0)
    train(problem, None)
    model, data = Recipe.release(reference.model), reference.data
    optimizer = make_optimizer(reference.recipe, model, QUICK)
    torch.manual_seed(1)
    for epoch, factor in enumerate((1.0, 0.5)):
        model.train()
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * factor
        for part in batches(shuffled(data.train, 1, epoch), 8):
            loss = nn.functional.cross_entropy(
                model(reference.source.batch(torch.from_numpy(part))), torch.from_numpy(data.labels[part])
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    expected, found = state_of(reference), state_of(problem)
    assert all(torch.equal(found[name], expected[name]) for name in expected)
