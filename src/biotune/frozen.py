"""How modules stay in evaluation mode, whatever a training loop does: the one place that decides it."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn


_PARALLEL = {"DataParallel", "DistributedDataParallel"}
"""Classes of ``torch.nn.parallel``."""


class Held:
    """Takes the place of a module's ``train``, so that no training loop changes its mode.

    A copy of the network keeps it: ``copy.deepcopy`` copies the module that it refers to along with it.

    Args:
        module: stays in the mode that it is in.
        with_children: True if everything below the module keeps its mode too; False if what is below follows the loop.
    """

    def __init__(self, module: "nn.Module", with_children: bool = True) -> None:
        self._module = module
        self._with_children = with_children

    def __call__(self, mode: bool = True) -> "nn.Module":
        """Change nothing of the module itself."""
        if not self._with_children:
            for child in self._module.children():
                child.train(mode)
        return self._module


def unwrapped(model: Any) -> Any:
    """Return the network inside ``DataParallel``, ``DistributedDataParallel`` and ``torch.compile``, or the network.

    They are recognised without torch, by which a recipe is not slowed.
    """
    while True:
        if hasattr(model, "_orig_mod"):
            model = model._orig_mod
        elif _PARALLEL & {kind.__name__ for kind in type(model).__mro__}:
            model = model.module
        else:
            return model


def hold(model: "nn.Module", whole: Iterable[str], shells: Iterable[str] = ()) -> None:
    """Put modules into evaluation mode until ``let_go``.

    Args:
        model: a network.
        whole: modules that are frozen with everything below them: no epoch has to walk through them.
        shells: modules of which only their own mode is kept: frozen ones that contain trained ones, and batch norms.
    """
    for name in whole:
        module = model.get_submodule(name).eval()
        module.__dict__["train"] = Held(module)
    for name in shells:
        module = model.get_submodule(name)
        module.training = False
        module.__dict__["train"] = Held(module, with_children=False)


def held(model: "nn.Module") -> tuple[str, ...]:
    """Return the names of the modules that are held now."""
    return tuple(name for name, module in model.named_modules() if isinstance(vars(module).get("train"), Held))


def with_statistics(model: "nn.Module") -> tuple[str, ...]:
    """Return the names of all modules that normalise by running statistics in evaluation mode: batch norms."""
    return tuple(n for n, module in model.named_modules() if getattr(module, "running_mean", None) is not None)


def let_go(model: "nn.Module") -> None:
    """Let every module of a network follow ``train()`` and ``eval()`` again."""
    for module in model.modules():
        if isinstance(vars(module).get("train"), Held):
            del module.__dict__["train"]
