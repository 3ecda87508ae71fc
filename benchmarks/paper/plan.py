"""Which comparisons each of the papers' tables is made of, at which size."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from biotune.comparison import ABLATIONS, Entry, ablation, parse_entries
from biotune.errors import InputError
from biotune.runs.comparisons import folder_names
from biotune.settings.config import RunConfig
from biotune.settings.reading import merged
from biotune.settings.resolve import resolve

Changes = Mapping[str, Mapping[str, Any]]
Part = Literal["methods", "networks", "data", "operators", "law", "budget"]

PARTS: Mapping[str, tuple[Part, ...]] = {
    "table1": ("methods",),
    "table2": ("methods",),
    "fig2": ("methods",),
    "table3": ("data",),
    "networks": ("methods", "networks"),
    "ablations": ("operators", "law", "budget"),
}
"""What is compared for each table: table1 is methods by data sets, table2 what BioTune's recipes train, fig2 these
recipes, table3 the share of the data in each generation, networks several of them by data sets."""

METHODS: Mapping[str, str] = {
    "paper": "biotune,full,linear_probe,probe,lp_ft,l1_sp,l2_sp,gradual_last_first,gradual_first_last,auto_rgn,lora",
    "standard": "biotune,full,probe,l1_sp,lora,mask_one_rate",
}
"""The methods by protocol: the papers' own; and, each with a sweep of its own, those that were best in their tables."""

OF_NETWORKS = "biotune,full,probe"


@dataclass(frozen=True)
class Cell:
    """One comparison: a network on a data set, by a protocol.

    Args:
        part: what is compared.
        protocol: the preset.
        network: its name in the scale.
        data: name of the data set in the scale.
    """

    part: Part
    protocol: str
    network: str
    data: str

    @property
    def name(self) -> str:
        """The name of its folder and of its result file."""
        return "-".join((self.part, self.protocol, self.network, self.data))


@dataclass(frozen=True)
class Scale:
    """How large everything is.

    Args:
        networks: name -> network, as for ``--model``; the first is that of tables 1 and 2 and of figure 2.
        data: data sets of tables 1 and 2 and figure 2.
        compared: those on which the further networks are compared.
        varied: those of table 3 and of the ablations.
        varied_network: the network of table 3 and of the ablations.
        settings: of all comparisons.
        by_protocol: protocol -> further settings.
        sources: name of a data set -> its folder or table, where the name is no source itself.
    """

    networks: Mapping[str, str]
    data: tuple[str, ...]
    compared: tuple[str, ...]
    varied: tuple[str, ...]
    varied_network: str
    settings: Changes = field(default_factory=dict)
    by_protocol: Mapping[str, Changes] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)

    def on(self, sources: Sequence[str]) -> "Scale":
        """Return the same scale on other data sets, names or paths, in all tables; itself without any."""
        names = tuple(folder_names(sources))
        if not names:
            return self
        paths = dict(zip(names, sources, strict=True))
        return replace(self, data=names, compared=names, varied=names, sources=paths)


SCALES: Mapping[str, Scale] = {
    "full": Scale(
        networks={
            "resnet50": "torchvision:resnet50",
            "densenet121": "torchvision:densenet121",
            "vgg19": "torchvision:vgg19",
            "inception_v3": "torchvision:inception_v3",
        },
        data=("mnist", "usps", "svhn", "cifar10", "stl10", "flowers102", "aircraft", "dtd", "isic2020"),
        compared=("usps", "flowers102", "dtd", "isic2020"),
        varied=("flowers102",),
        varied_network="resnet50",
    ),
    "offline": Scale(
        networks={
            "lite0": "tf_efficientnet_lite0",
            "lite1": "tf_efficientnet_lite1",
            "lite2": "tf_efficientnet_lite2",
            "squeezenet": "torchvision:squeezenet1_1",
        },
        data=(
            *("mnist5000", "usps_gpml", "mfeat_digits", "fashion_mnist"),
            *("skimage_photos", "ufoai_textures", "metal_surfaces", "dermo_patches"),
        ),
        compared=("mnist5000", "ufoai_textures", "dermo_patches"),
        varied=("mnist5000", "ufoai_textures"),
        varied_network="squeezenet",
        settings={
            "model": {"image_size": 64},
            "data": {"train_images": 160, "validation_images": 80, "test_images": 1000},
        },
        by_protocol={
            "paper": {
                "training": {"epochs": 15},
                "search": {"population": 6, "elites": 2, "generations": 4, "seeds": 1},
                "final": {"candidates": 3},
            }
        },
    ),
}
"""``full`` is the papers' data, networks and protocol; ``offline`` what two cores do without a network: 160 images of
real sets that packages bring, at 64 pixels, and a smaller search. Its ablations, of up to 400 trainings each, have the
network that costs least."""


def cells_of(table: str, scale: Scale) -> list[Cell]:
    """Return the comparisons that a table is made of, in its order."""
    first = next(iter(scale.networks))
    found: list[Cell] = []
    for part in PARTS[table]:
        if part == "networks":
            others = [name for name in scale.networks if name != first]
            found += [Cell(part, "standard", name, data) for name in others for data in scale.compared]
        elif table == "networks":
            found += [Cell(part, "standard", first, data) for data in scale.compared]
        elif part == "methods":
            found += [Cell(part, protocol, first, data) for protocol in METHODS for data in scale.data]
        else:
            found += [Cell(part, "standard", scale.varied_network, data) for data in scale.varied]
    return found


def config_of(cell: Cell, scale: Scale, changes: Changes) -> RunConfig:
    """Return the configuration of a comparison.

    Args:
        cell: the comparison.
        scale: its scale.
        changes: further settings, those of the machine: threads, workers, device, data root.

    Returns:
        The checked configuration.
    """
    own: dict[str, dict[str, Any]] = {
        "model": {"name": scale.networks[cell.network]},
        "data": {"source": scale.sources.get(cell.data, cell.data)},
        "final": {"baselines": ()},
    }
    if cell.part in ABLATIONS:
        own |= {"search": {"max_work": 0.0}}
    if cell.part == "data":
        own["data"] |= {"folds": 1}
    for more in (scale.settings, scale.by_protocol.get(cell.protocol, {}), changes):
        own = merged(own, more)
    return resolve(cell.protocol, own)


def entries_of(cell: Cell, config: RunConfig) -> tuple[Entry, ...]:
    """Return what is compared."""
    if cell.part in ABLATIONS:
        return ablation(cell.part, config.search.rungs)
    return parse_entries(METHODS[cell.protocol] if cell.part == "methods" else OF_NETWORKS)


def tables_named(names: Sequence[str]) -> tuple[str, ...]:
    """Return the tables of a command line, all for none; raise InputError for an unknown one."""
    if unknown := [name for name in names if name not in PARTS]:
        raise InputError(f"there is no table '{unknown[0]}'; choose from {', '.join(PARTS)}.")
    return tuple(names) or tuple(PARTS)


def scale_named(name: str) -> Scale:
    """Return a scale; raise InputError for an unknown one."""
    if name not in SCALES:
        raise InputError(f"there is no scale '{name}'; choose from {', '.join(SCALES)}.")
    return SCALES[name]


def only(cells: Sequence[Cell], text: str) -> list[Cell]:
    """Return the comparisons with a text in their names; raise InputError, with some names, where there is none."""
    found = [cell for cell in cells if text in cell.name]
    if not found:
        raise InputError(f"no comparison has '{text}' in its name; the first of {len(cells)} is {cells[0].name}.")
    return found
