"""The ten-second model: logistic regression on the pooled features of the frozen network."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Annotated, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from biotune.methods.base import Examples, FineTuningMethod, MethodOptions
from biotune.methods.fixed import LinearProbe
from biotune.methods.logistic import PENALTIES, choose_c, fit_logistic
from biotune.recipe import Recipe

Indices = NDArray[np.int64]

ITERATIONS = 100
"""Steps of L-BFGS at each C, at most, where the classifier is not one linear layer."""

SLOPE, CHANGE = 1e-4, 1e-7
"""It ends where no derivative of the mean loss is larger, or a step changes it by less: scikit-learn's 1e-4, and what
float32 can tell."""


class ProbeOptions(MethodOptions):
    """Options of ``probe``."""

    rate: ClassVar[float] = 1.0  # type: ignore[misc]  # no option here: nothing is learnt at a rate
    c: Annotated[
        float, Field(ge=0, le=1e6, description="inverse strength of the penalty; 0 to choose it by cross-validation")
    ] = 0.0


class Probe(FineTuningMethod):
    """Logistic regression on the frozen network's pooled features: a usable model after one pass over the images.

    Features are what the classifier layer gets in evaluation mode. Where it is one linear layer, the fit is that of
    ``logistic.fit_logistic``; other classifiers (a convolution with pooling after it, two heads, a module of one's own)
    minimise the same with their own parameters, by L-BFGS through what follows the frozen layers. Of one convolution,
    C is chosen on features averaged over places, as if it were linear: a twelfth of the time for the same accuracy.

    Source: linear evaluation of features by L-BFGS, as in Kornblith et al. 2019 (CVPR) and Radford et al. 2021 (ICML).
    Departures: features are standardised; C by five-fold cross-validation on the training images, while they sweep it
    on a validation set; images are not augmented.
    """

    Options = ProbeOptions
    options: ProbeOptions
    is_solved = True

    def outline(self) -> Recipe:
        """Return the recipe of linear probing, so that both read the same recorded outputs."""
        return LinearProbe(self.network, self.options).outline()

    def solve(self, model: nn.Module, examples: Examples) -> float:
        """Fit the classifier."""
        layers = [model.get_submodule(name) for name in self.network.heads]
        features = pooled_features(layers, examples)
        if features is None:
            return solve_by_gradients(layers, examples, self.options.c)
        layer = layers[0]
        head = fit_logistic(
            features,
            examples.labels,
            len(layer.get_parameter("weight")),
            groups=examples.groups,
            weights=examples.weights,
            seed=examples.seed,
            c=self.options.c,
        )
        if isinstance(layer, nn.Conv2d):
            return solve_by_gradients(layers, examples, head.c)
        with torch.no_grad():
            layer.get_parameter("weight").copy_(torch.from_numpy(head.weight))
            layer.get_parameter("bias").copy_(torch.from_numpy(head.bias))
        return head.loss


def pooled_features(layers: Sequence[nn.Module], examples: Examples) -> NDArray[np.float32] | None:
    """Return what the classifier gets of every image, averaged over places, shape (n, num_features).

    Args:
        layers: the classifier layers.
        examples: the images.

    Returns:
        None unless there is one layer, called once: a convolution of all channels, or a linear one with a bias whose
        outputs are the logits themselves.
    """
    layer = layers[0]
    is_linear, is_convolution = type(layer) is nn.Linear, type(layer) is nn.Conv2d and layer.groups == 1
    if len(layers) != 1 or not (is_convolution or (is_linear and layer.bias is not None)):
        return None
    calls, rows = list[tuple[Tensor, Tensor]](), list[Tensor]()
    hook = layer.register_forward_hook(lambda _layer, inputs, output: calls.append((inputs[0], output)))
    try:
        for part in _batches(np.arange(len(examples.labels)), examples):
            calls.clear()
            with torch.no_grad():
                logits = examples.logits(part)
            if len(calls) != 1 or (is_linear and not torch.equal(calls[0][1].float(), logits.float())):
                return None
            inputs = calls[0][0].float()
            rows.append((inputs.mean((2, 3)) if is_convolution else inputs).cpu())
    finally:
        hook.remove()
    return torch.cat(rows).numpy()


def solve_by_gradients(layers: Sequence[nn.Module], examples: Examples, c: float) -> float:
    """Fit the parameters of any classifier by full-batch L-BFGS from where they stand, in place.

    Minimised is what ``fit_logistic`` minimises: the penalty measures the weights of each input channel in units of its
    standard deviation over the training images, and biases have none.

    Args:
        layers: the classifier layers.
        examples: the images.
        c: inverse strength of the penalty; 0 to choose it by cross-validation.

    Returns:
        The loss reached.
    """
    parameters = [parameter for layer in layers for parameter in layer.parameters()]
    start = [parameter.detach().clone() for parameter in parameters]
    scales = _scales(layers, examples)

    def begin() -> None:
        with torch.no_grad():
            for parameter, value in zip(parameters, start, strict=True):
                parameter.copy_(value)

    def path(train: Indices, held_out: Indices) -> NDArray[np.float64]:
        begin()
        losses = list[float]()
        for value in PENALTIES:
            _minimise(parameters, scales, examples, train, value)
            with torch.no_grad():
                losses.append(sum(float(_summed_loss(examples, part)) for part in _batches(held_out, examples)))
        return np.nan_to_num(losses, nan=np.inf)

    c = c or choose_c(examples.labels, examples.groups, examples.seed, path)
    begin()
    return _minimise(parameters, scales, examples, np.arange(len(examples.labels)), c)


def _minimise(
    parameters: Sequence[Tensor], scales: Sequence[Tensor | None], examples: Examples, rows: Indices, c: float
) -> float:
    """Minimise mean cross-entropy and penalty over some of the images; return what was reached."""
    optimizer = torch.optim.LBFGS(
        parameters, max_iter=ITERATIONS, tolerance_grad=SLOPE, tolerance_change=CHANGE, line_search_fn="strong_wolfe"
    )

    def objective() -> float:
        optimizer.zero_grad()
        pulls = [(p * scale).square().sum() for p, scale in zip(parameters, scales, strict=True) if scale is not None]
        total = _add(torch.stack(pulls).sum() / (2 * c * len(rows)))
        for part in _batches(rows, examples):
            total += _add(_summed_loss(examples, part) / len(rows))
        return total

    if not np.isfinite(first := objective()):  # the line search fails on such a loss
        return first
    optimizer.step(objective)  # type: ignore[no-untyped-call]
    return objective()


def _add(loss: Tensor) -> float:
    """Add the gradients of a part of the objective; return its value."""
    loss.backward()  # type: ignore[no-untyped-call]
    return float(loss.detach())


def _summed_loss(examples: Examples, rows: Indices) -> Tensor:
    """Return the summed cross-entropy of one batch, each image with its weight."""
    logits = examples.logits(rows)
    labels = torch.from_numpy(examples.labels[rows]).to(logits.device)
    weights = torch.from_numpy(examples.weights[rows]).to(logits)
    return (weights * functional.cross_entropy(logits, labels, reduction="none")).sum()


def _scales(layers: Sequence[nn.Module], examples: Examples) -> list[Tensor | None]:
    """Return what each parameter of the layers is measured with in the penalty, None for those of one dimension.

    That is the standard deviation of each input channel, in a shape that multiplies the parameter; 1 for a channel that
    never changes, and in a layer that is neither linear nor a convolution of all channels.
    """
    scales = list[Tensor | None]()
    for layer, spread in zip(layers, _spreads(layers, examples), strict=True):
        for parameter in layer.parameters():
            fits = parameter.ndim > 1 and parameter.shape[1] == len(spread)
            scale = spread.to(parameter).view(1, -1, *(1,) * (parameter.ndim - 2)) if fits else parameter.new_ones(1)
            scales.append(scale if parameter.ndim > 1 else None)
    return scales


def _spreads(layers: Sequence[nn.Module], examples: Examples) -> list[Tensor]:
    """Return the standard deviation of each input channel of the layers over all images and places, 1 in place of 0."""
    moments = [torch.zeros(3, 1, dtype=torch.float64) for _ in layers]

    def note(number: int, layer: nn.Module, given: Tensor) -> None:
        values = given.detach().movedim(-1 if isinstance(layer, nn.Linear) else 1, -1).flatten(0, -2).double().cpu()
        ones = torch.full_like(values[:1], len(values))
        moments[number] = moments[number] + torch.stack([ones[0], values.sum(0), values.square().sum(0)])

    with ExitStack() as stack:
        for number, layer in enumerate(layers):
            hook = layer.register_forward_hook(lambda own, inputs, _output, at=number: note(at, own, inputs[0]))
            stack.callback(hook.remove)
        for part in _batches(np.arange(len(examples.labels)), examples):
            with torch.no_grad():
                examples.logits(part)
    spreads = [(squares / count - (total / count) ** 2).clamp(min=0).sqrt() for count, total, squares in moments]
    return [torch.where(spread > 0, spread, 1.0) for spread in spreads]


def _batches(rows: Indices, examples: Examples) -> list[Indices]:
    return [rows[start : start + examples.batch_size] for start in range(0, len(rows), examples.batch_size)]
