"""Augmentation: what each level does, and that its draws depend on seed, epoch and image only."""

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.transforms import v2

from biotune.randomness import words
from biotune.recipe import Recipe
from biotune.records import Preprocessing
from biotune.settings.sections import TrainingConfig
from biotune.training.augmentation import (
    TRIES,
    Augmented,
    _strong,
    augmentation,
    crops,
    make_change,
    movements,
    recoloured,
    warped,
)
from biotune.training.imbalance import shuffled
from biotune.training.optimiser import make_optimizer
from biotune.training.sources import PixelSource
from biotune.training.trainer import Plan, batches

PREPROCESSING = Preprocessing(32)
LEVELS = ("light", "standard", "strong")
QUICK = TrainingConfig(epochs=2, batch_size=8, limit_batch=False)


@pytest.fixture
def augmented(make_problem):
    """A maker of augmented sources over the small problem's images."""
    source = make_problem().source

    def make(level: str = "standard", seed: int = 1, epoch: int = 0) -> Augmented:
        return Augmented(source, make_change(level, 32, (0.485, 0.456, 0.406)), seed, epoch)

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


def moved(image: torch.Tensor, degrees: float, right: float, down: float) -> torch.Tensor:
    return warped(image[None], movements(*np.array([[degrees], [right], [down]])))[0].to(torch.uint8)


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


def crop_of(image: torch.Tensor, *tries: tuple[float, float], at=(0.5, 0.5), mirrored=False) -> torch.Tensor:
    rows = np.array([(*tries, *((0.0, 0.5),) * (TRIES - len(tries)))])
    return warped(image[None], crops(rows, np.array([at]), np.array([mirrored])))[0]


def test_a_crop_of_the_whole_area_is_the_image_and_its_mirror_image():
    """Equal sides, the middle of the ratios from 3:4 to 4:3."""
    assert torch.equal(crop_of(chart(), (1.0, 0.5)), chart().float())
    assert torch.equal(crop_of(chart(), (1.0, 0.5), mirrored=True), chart().flip(2).float())


@pytest.mark.parametrize("at", [(0.0, 0.0), (1.0, 1.0), (0.25, 0.75)])
def test_a_crop_is_enlarged_as_torchvision_does(at):
    """Area 0.61875 and ratio 0.99 / 0.625 of a side of 40 do not fit; 0.64 and equal sides are 32 of 40 pixels."""
    image = torch.randint(0, 256, (3, 40, 40), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    left, top = (int(8 * place) for place in at)
    expected = v2.functional.resized_crop(image.float(), top, left, 32, 32, [40, 40], antialias=False)
    found = crop_of(image, (0.1, 0.5), at=at)
    assert (found - expected)[:, 1:-1, 1:-1].abs().max() <= 0.5 + 1e-3
    assert torch.equal(found, crop_of(image, (0.99, 0.99), (0.1, 0.5), at=at))


def test_where_no_crop_fits_the_whole_image_is_taken():
    """Nearly the whole area at 3:4 is taller than the image."""
    assert torch.equal(crop_of(chart(), *((0.999, 0.0),) * TRIES, at=(0.0, 1.0)), chart().float())


def test_colours_change_as_torchvision_changes_them():
    """Of middling colours, which nothing clamps; not rounded in between."""
    image = torch.randint(90, 160, (2, 3, 16, 16), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    expected = image.double() / 255
    for name, factor in (("brightness", 1.1), ("contrast", 0.85), ("saturation", 1.2)):
        expected = getattr(v2.functional, f"adjust_{name}")(expected, factor)
    found = recoloured(image.float(), np.array([[1.1, 0.85, 1.2]] * 2))
    assert (found - 255 * expected).abs().max() <= 0.5 + 1e-3
    assert torch.equal(recoloured(image.float(), np.ones((2, 3))), image.float())
    assert torch.equal(
        recoloured(image.float(), np.array([[1.1, 0.85]] * 2)),
        recoloured(image.float(), np.array([[1.1, 0.85, 1.0]] * 2)),
    )


def test_colours_by_hand():
    """Of two pixels, 100 and 200 grey: doubled contrast about 150, halved brightness: 25 and 125."""
    image = torch.tensor([100.0, 200.0, 100.0, 200.0]).view(1, 1, 2, 2).expand(1, 3, 2, 2).clone()
    assert recoloured(image, np.array([[0.5, 2.0, 3.0]]))[0, 0].tolist() == [[25.0, 125.0]] * 2
    red = torch.tensor([200.0, 100.0, 50.0]).view(1, 3, 1, 1)  # grey 0.2989 200 + 0.587 100 + 0.114 50 = 124.18
    assert recoloured(red, np.array([[1.0, 1.0, 0.5]]))[0, :, 0, 0].tolist() == [162.0, 112.0, 87.0]


@pytest.mark.parametrize("level", ["light", "standard"])
def test_every_draw_of_a_level_is_used(level):
    """Areas, ratios, places, turns and colours: no two of a thousand images are changed alike."""
    seeds = words(1000, 0, "test")
    changed = make_change(level, 20, (0.5,) * 3)(chart().expand(1000, 3, 20, 20), seeds)
    assert len(torch.unique(changed.flatten(1), dim=0)) == 1000
    assert (changed.min(), changed.max()) == (0.0, 255.0)
    assert torch.equal(changed, changed.round())


@pytest.mark.parametrize(
    ("level", "flip", "mirrored"), [("light", True, 0), ("standard", False, 0), ("standard", True, 1)]
)
def test_only_what_may_mirror_does(level, flip, mirrored):
    """A ramp that rises to the right still does, in most images half as often where mirroring is allowed."""
    ramp = torch.arange(0, 224, 7, dtype=torch.uint8).expand(3, 32, 32)
    changed = make_change(level, 32, (0.5, 0.5, 0.5), flip)(ramp.expand(60, 3, 32, 32), words(60, 0, "test"))
    falls = [bool(image[:, :, 4].mean() > image[:, :, -5].mean()) for image in changed]
    assert sum(falls) in range(20 * mirrored, 40 * mirrored + 1)


def test_light_stays_close_to_the_image(augmented, make_problem):
    """Half of the largest turn, shift and jitter together keep a smooth image recognisable to a few grey levels."""
    ramp = torch.arange(32).add(torch.arange(32)[:, None]).mul(2).add(60).to(torch.uint8).expand(3, 32, 32)
    changed = make_change("light", 32, (0.5, 0.5, 0.5))(ramp.expand(40, 3, 32, 32), words(40, 0, "test"))
    distances = [(image - ramp).abs().mean().item() for image in changed]
    assert 1 < np.mean(distances) < 15


def test_strong_erases_with_the_mean_colour():
    """Of a white image nothing else turns into mean colour: every fourth loses 2 to 20 % of it."""
    white = torch.full((3, 64, 64), 255, dtype=torch.uint8)
    erasing = _strong(64, (0.2, 0.4, 0.6), flip=True).transforms[-1]
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
