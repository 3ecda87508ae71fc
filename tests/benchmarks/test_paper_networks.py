"""The papers' four networks, taught a little on one set and compared on another: nothing of them is left to the GPU."""

import pytest

import biotune
from benchmarks.paper import plan
from benchmarks.paper.measure import collect, measure
from benchmarks.paper.plan import SCALES, Scale, cells_of
from benchmarks.paper.tables import tables, to_markdown
from biotune.models import load_model

FULL = SCALES["full"].networks
COMPARED = "biotune,full,l2_sp,auto_rgn,lora"
SIZES = {"inception_v3": 75}  # the smallest that it takes, without its auxiliary head


@pytest.mark.slow
@pytest.mark.parametrize("network", FULL)
def test_the_papers_methods_train_the_papers_networks(network, tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "METHODS", {"paper": COMPARED})
    size = SIZES.get(network, 32)
    small = {"image_size": size, "train_images": 60, "validation_images": 20, "test_images": 40}
    taught = tmp_path / "taught"
    biotune.train(
        "mnist5000",
        out=taught,
        model=FULL[network],
        method="full",
        weights="random",
        epochs=1,
        seeds=1,
        threads=2,
        **small,
    )
    scale = Scale(
        networks={network: FULL[network]},
        data=("digits8",),
        compared=(),
        varied=(),
        varied_network=network,
        settings={
            "model": {"weights": str(taught / "model.safetensors"), "image_size": size, "keep_auxiliary": False},
            "data": {key: value for key, value in small.items() if key != "image_size"},
            "training": {"epochs": 2},
            "search": {"population": 3, "elites": 1, "generations": 1, "seeds": 1},
            "final": {"candidates": 1, "seeds": 1},
        },
    )
    cells = cells_of("table1", scale)
    measure(cells, scale, {"compute": {"threads": 2}}, tmp_path / "paper", lambda cell: cell.name)
    found = collect(cells, tmp_path / "paper", tmp_path / "results")
    methods = found[cells[0]].datasets[0].methods
    assert list(methods) == COMPARED.split(",")
    assert all(entry.test is not None and entry.test.get("accuracy").mean is not None for entry in methods.values())
    recipe = methods["biotune"].multipliers
    assert recipe is not None
    assert len(recipe) == len(load_model(FULL[network], 10, weights="random").partition)
    assert "digits8" in to_markdown(tables("table1", found))
