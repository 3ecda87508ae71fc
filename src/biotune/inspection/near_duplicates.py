"""Whether two pictures show the same thing pixel for pixel, but for compression, size, brightness and a narrow crop."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 32
"""Side of a thumbnail, in pixels; one takes 3 KiB. The limits below were chosen for it."""

COARSE_SIDE = 16
"""Side of the grey pictures that candidates are ranked by."""

Floats = NDArray[np.floating[Any]]
Thumbnails = NDArray[np.uint8]

# The limits were chosen on the pairs that benchmarks/duplicates.py makes. What each of them costs and spares is
# measured by benchmarks/duplicate_limits.py; the table is in docs/check.md.

_TILES = 4
"""Tiles along each side, of 7 pixels, so that a changed part or another pen stroke stands out in one of them."""

_MARGIN = 2
"""Pixels at the border that are not compared: the largest shift moves what was never seen into them."""

_INNER = (slice(None), slice(_MARGIN, -_MARGIN), slice(_MARGIN, -_MARGIN))

_STEPS = 3
"""Steps of alignment: one loses 1 to 3 % of the copies (cropped ones); six find no more than three."""

_LARGEST_SCALING, _LARGEST_SHIFT = 0.1, 2.0
"""As a share, and in pixels of the thumbnail: what cutting up to 6 % off an edge does."""

_LEAST_CORRELATION = 0.9
"""At 0.8, a third more pairs of different skin patches pass; at 0.95, 1 to 2 % of the copies are lost."""

_LEAST_DETAIL_CORRELATION, _LEAST_DETAIL = 0.6, 0.1
"""Plain and smooth pictures have no details in common, so none can be a copy; looser ones let no more pairs pass."""

_NOISE_VARIANCE, _RELATIVE_VARIANCE = 2.0, 0.045
"""What encoding again adds: noise of 1.4 grey levels, and a part of the details. These decide: half of the first loses
3 to 7 % of the copies, double lets three times as many pairs of different skin patches pass."""

_LEAST_GAIN, _LARGEST_GAIN = 0.7, 1.4
"""Factor of brightness: its inverse is in the same range, and at 0.5, a third more pairs of different patches pass."""

_LARGEST_COLOUR_ERROR = 16.0
"""In grey levels, root mean square; tells other colours apart. At 8, 4 % of the copies of photos are lost."""

_GENEROUS = 4.0
"""How much looser the first check is than the last one; it only saves time, and at 2 it would still lose nothing."""

_DAMPING, _BRIGHTNESS_DAMPING = 0.01, 1e-3
"""Levenberg's damping of the alignment, as a share of the diagonal: a hundredth, since noise alone must not move a
picture; a tenth or a thousandth find the same copies. Gain and offset, which are always well determined, are damped a
thousand times less: as much as the rest, it would lose 2 to 11 % of the copies."""

_LEAST_FITTED_GAIN = 0.3
"""Below this the fitted gain says that the pictures are unlike, and would blow the step up; 0.1 and 0.6 do the same."""

_GREY = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""Luma of ITU-R BT.601, as Pillow converts to grey."""

_CONSTANT = 1e-3
"""Length below which a centred picture counts as constant: one grey level in one pixel has length 1."""


def _smoothing_matrix() -> Floats:
    """Return a binomial filter of 5 pixels with odd reflection at the border.

    A slope so goes on as a slope beyond the border, and has no details there.
    """
    padded = np.pad(np.eye(SIDE, dtype=np.float32), ((2, 2), (0, 0)), mode="reflect", reflect_type="odd")
    shifted = np.stack([padded[offset : offset + SIDE] for offset in range(5)])
    matrix: Floats = np.tensordot(np.array([1, 4, 6, 4, 1], dtype=np.float32) / 16, shifted, axes=1)
    return matrix


_SMOOTHING = _smoothing_matrix()


def thumbnail(image: Image.Image) -> Thumbnails:
    """Squash an RGB image to a thumbnail; shape (SIDE, SIDE, 3), uint8."""
    return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def coarse(thumbnails: Thumbnails) -> Thumbnails:
    """Return grey pictures of half the side, shape (n, COARSE_SIDE, COARSE_SIDE), uint8."""
    grey = thumbnails.astype(np.float32) @ _GREY
    halves = grey.reshape(len(grey), COARSE_SIDE, 2, COARSE_SIDE, 2).mean(axis=(2, 4))
    rounded: Thumbnails = np.round(halves).astype(np.uint8)
    return rounded


def correlation(first: Floats | Thumbnails, second: Floats | Thumbnails) -> Floats:
    """Return Pearson's correlation of each pair of arrays, shape (n,); 0 where one of them is constant."""
    left, right = _standardised(first), _standardised(second)
    return _dot(left, right)


def same_picture(first: Thumbnails, second: Thumbnails) -> NDArray[np.bool_]:
    """Decide for each pair of thumbnails whether one is a copy of the other.

    One is shifted and scaled (each axis by itself, by at most 2 pixels and a tenth) so that it fits the other best, and
    made as bright. Then both are smoothed a little and lose what varies slowly, which leaves the details: smooth or
    plain pictures of the same shade have none in common. They are the same if

    * they correlate by at least 0.9, and their details by at least 0.6; these have a variance of at least 0.1;
    * the factor of brightness lies in [0.7, 1.4], and the rest differs by at most 16 grey levels (root mean square over
      all colours);
    * in each of 4 x 4 tiles the mean squared difference of the details, in grey levels, is at most 2 + 0.045 v, where v
      is the variance of the details there; so a part that was changed, or another pen stroke, tells them apart.

    Both are tried as the one that is moved, since a cut edge cannot be moved back into a picture.

    Args:
        first: shape (n, SIDE, SIDE, 3), n >= 1.
        second: shape (n, SIDE, SIDE, 3).

    Returns:
        One truth value per pair, shape (n,).

    Source: alignment by Lucas and Kanade (1981) with gain and offset; the limits were chosen on the pairs that
    ``benchmarks/duplicates.py`` makes, see docs/check.md.
    """
    left, right = first.astype(np.float32), second.astype(np.float32)
    same = np.zeros(len(left), dtype=np.bool_)
    possible = np.flatnonzero(_may_be_same(left @ _GREY, right @ _GREY))
    if len(possible):
        same[possible] = _same_when_moved(left[possible], right[possible])
    if len(rest := possible[~same[possible]]):
        same[rest] = _same_when_moved(right[rest], left[rest])
    return same


def _may_be_same(moving: Floats, fixed: Floats) -> NDArray[np.bool_]:
    """Rule out most pairs at a fraction of the cost: grey, one step of alignment, no tiles and a generous limit."""
    aligned = _resampled(moving[..., None], _placement(moving, fixed, 1))
    details, fixed_details = _details(aligned)[_INNER], _details(fixed[..., None])[_INNER]
    details = details * _gain(aligned[_INNER], fixed[..., None][_INNER])[:, None, None, None]
    difference = np.square(details - fixed_details).mean(axis=(1, 2, 3))
    limit = _NOISE_VARIANCE + _RELATIVE_VARIANCE * np.square(fixed_details).mean(axis=(1, 2, 3))
    possible: NDArray[np.bool_] = difference <= _GENEROUS * limit
    return possible


def _same_when_moved(moving: Floats, fixed: Floats) -> NDArray[np.bool_]:
    aligned = _resampled(moving, _placement(moving @ _GREY, fixed @ _GREY, _STEPS))
    gain = _gain(aligned[_INNER], fixed[_INNER])
    aligned *= gain[:, None, None, None]
    error = np.sqrt(np.mean((fixed[_INNER] - aligned[_INNER]) ** 2, axis=(1, 2, 3)))
    details, fixed_details = _details(aligned)[_INNER], _details(fixed)[_INNER]
    difference = _tile_means(np.square(details - fixed_details))
    variance = _tile_means((np.square(details) + np.square(fixed_details)) / 2)
    same: NDArray[np.bool_] = (
        (gain >= _LEAST_GAIN)
        & (gain <= _LARGEST_GAIN)
        & (error <= _LARGEST_COLOUR_ERROR)
        & (correlation(aligned[_INNER], fixed[_INNER]) >= _LEAST_CORRELATION)
        & (correlation(details, fixed_details) >= _LEAST_DETAIL_CORRELATION)
        & (variance.mean(axis=(1, 2)) >= _LEAST_DETAIL)
        & (difference <= _NOISE_VARIANCE + _RELATIVE_VARIANCE * variance).all(axis=(1, 2))
    )
    return same


def _gain(first: Floats, second: Floats) -> Floats:
    """Return the factor that brings the first closest to the second, shape (n,)."""
    left, right = first.reshape(len(first), -1), second.reshape(len(second), -1)
    return _dot(left, right) / np.maximum(_dot(left, left), 1)


def _dot(left: Floats, right: Floats) -> Floats:
    """Return the scalar product of each pair of rows, shape (n,)."""
    products: Floats = np.einsum("ki,ki->k", left, right)
    return products


def _standardised(pictures: Floats | Thumbnails) -> Floats:
    """Return rows of mean 0 and length 1; zeros where a picture is constant."""
    rows: Floats = pictures.reshape(len(pictures), -1).astype(np.float32)
    rows -= rows.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    standardised: Floats = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > _CONSTANT)
    return standardised


def _placement(moving: Floats, fixed: Floats, steps: int) -> Floats:
    """Return scaling and shift along x, then along y, that lay grey moving pictures over fixed ones, shape (n, 4)."""
    placement: Floats = np.zeros((len(moving), 4), dtype=np.float32)
    limits = np.array([_LARGEST_SCALING, _LARGEST_SHIFT] * 2, dtype=np.float32)
    moved = moving
    for step in range(steps):
        if step:
            moved = _resampled(moving[..., None], placement)[..., 0]
        change = _better_placement(moved, fixed)
        placement = np.clip(placement + np.clip(change, -limits / 2, limits / 2), -limits, limits)
    return placement


def _better_placement(moving: Floats, fixed: Floats) -> Floats:
    """Return the change of scaling and shift that a linear fit asks for, shape (n, 4); gain and offset are fitted too.

    The fit is damped where a picture says little about a direction (along a straight edge, say).
    """
    along = _positions() / SIDE
    slope_y, slope_x = np.gradient(moving, axis=1), np.gradient(moving, axis=2)
    columns = (slope_x * along, slope_x, slope_y * along[:, None], slope_y, moving, np.ones_like(moving))
    design = np.stack([column[_INNER] for column in columns], axis=-1).reshape(len(moving), -1, 6)
    normal = design.transpose(0, 2, 1) @ design
    diagonal = np.einsum("kii->ki", normal)
    strength = np.array([1, 1, 1, 1, _BRIGHTNESS_DAMPING, _BRIGHTNESS_DAMPING], dtype=np.float32)
    damping = (_DAMPING * diagonal + 1) * strength  # at least 1, for plain pictures
    normal[:, range(6), range(6)] += damping
    target = design.transpose(0, 2, 1) @ fixed[_INNER].reshape(len(fixed), -1, 1)
    solution = np.linalg.solve(normal, target)[..., 0]
    gain = np.where(np.abs(solution[:, 4:5]) > _LEAST_FITTED_GAIN, solution[:, 4:5], 1)
    change: Floats = solution[:, :4] / gain / np.array([SIDE, 1, SIDE, 1], dtype=np.float32)
    return change


def _positions() -> Floats:
    return np.arange(SIDE, dtype=np.float32) - (SIDE - 1) / 2


def _resampled(pictures: Floats, placement: Floats) -> Floats:
    """Sample pictures, shape (n, SIDE, SIDE, c), bilinearly at scaled and shifted places."""
    across, down = (_interpolation(placement[:, 2 * axis], placement[:, 2 * axis + 1]) for axis in (0, 1))
    count, channels = len(pictures), pictures.shape[-1]
    rows = down @ pictures.reshape(count, SIDE, SIDE * channels)
    sampled: Floats = across[:, None] @ rows.reshape(count, SIDE, SIDE, channels)
    return sampled


def _interpolation(scaling: Floats, shift: Floats) -> Floats:
    """Return the weights of linear interpolation along one axis, shape (n, SIDE, SIDE)."""
    places = (1 + scaling[:, None]) * _positions() + shift[:, None] + (SIDE - 1) / 2
    inside = np.clip(places, 0, SIDE - 1)[..., None]
    weights: Floats = np.maximum(0, 1 - np.abs(inside - np.arange(SIDE, dtype=np.float32)))
    return weights


def _details(pictures: Floats) -> Floats:
    """Return what is neither finer than about two pixels nor coarser than about six."""
    once = _filtered(pictures, _SMOOTHING)
    return once - _filtered(once, _SMOOTHING @ _SMOOTHING)


def _filtered(pictures: Floats, matrix: Floats) -> Floats:
    """Apply a filter, given as a matrix (SIDE, SIDE), along both axes of pictures (n, SIDE, SIDE, c)."""
    count, channels = len(pictures), pictures.shape[-1]
    rows = matrix @ pictures.reshape(count, SIDE, SIDE * channels)
    filtered: Floats = matrix @ rows.reshape(count, SIDE, SIDE, channels)
    return filtered


def _tile_means(values: Floats) -> Floats:
    """Return the mean of each tile, shape (n, 4, 4)."""
    tile = (SIDE - 2 * _MARGIN) // _TILES
    means: Floats = values.reshape(len(values), _TILES, tile, _TILES, tile, -1).mean(axis=(2, 4, 5))
    return means
