"""How many workers ``auto`` is, on machines that are only pretended."""

import psutil
import pytest
import torch

from biotune.errors import InputError
from biotune.executors import Resources
from biotune.runner import resources, setup
from biotune.runner.resources import num_workers, resources_of
from biotune.settings.compute import ComputeConfig
from biotune.settings.resolve import changes_of, resolve

GIB = 2**30


@pytest.fixture
def machine(monkeypatch):
    """A maker of a machine with so many cores, GPUs and GiB of memory."""

    def make(cores: int = 1, gpus: int = 0, memory: int = 1024) -> None:
        for module in (resources, setup):
            monkeypatch.setattr(module, "num_cores", lambda: cores)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
        found = psutil.virtual_memory()._replace(total=memory * GIB)
        monkeypatch.setattr(psutil, "virtual_memory", lambda: found)

    return make


@pytest.mark.parametrize(
    ("compute", "expected"),
    [
        ({"device": "cuda"}, 4),
        ({"device": "cuda:2"}, 1),
        ({"device": "cuda", "executor": "ray", "gpus_per_worker": 0.5}, 8),
        ({"device": "cuda", "executor": "ray", "gpus_per_worker": 0.4}, 8),
        ({"device": "cuda", "gpus_per_worker": 0.5}, 4),
        ({"device": "cpu"}, 8),
        ({"device": "cpu", "threads": 3}, 5),
        ({"device": "cpu", "threads": 64}, 1),
        ({"device": "cpu", "workers": 3}, 3),
        ({"device": "cuda", "devices_per_training": 2}, 2),
        ({"device": "cuda", "devices_per_training": 3}, 1),
        ({"device": "cpu", "devices_per_training": 4}, 4),
        ({"device": "cpu", "devices_per_training": 4, "threads": 8}, 2),
    ],
)
def test_auto_is_one_for_each_device(compute, expected, machine):
    """Of 16 cores and 4 GPUs, with 8 candidates at a time."""
    machine(cores=16, gpus=4)
    assert num_workers(ComputeConfig(**{"workers": "auto", **compute}), population=8) == expected


def test_auto_is_no_more_than_memory_has_room_for(machine):
    """2 GiB and recorded outputs of 2 GiB each, or of none."""
    machine(cores=16, memory=15)
    assert num_workers(ComputeConfig(workers="auto", device="cpu"), population=99) == 3
    assert num_workers(ComputeConfig(workers="auto", device="cpu", prefix_cache_mib=0), population=99) == 7
    shared = ComputeConfig(workers="auto", device="cpu", devices_per_training=2)
    assert num_workers(shared, population=99) == 1
    machine(cores=16, memory=1)
    assert num_workers(ComputeConfig(workers="auto", device="cpu"), population=99) == 1


def test_the_cores_are_divided_among_the_workers(machine):
    machine(cores=16)
    options = {"workers": "auto", "device": "cpu"}
    config = resolve("standard", changes_of(options))
    resolved = setup.with_device(config, None).compute
    assert (resolved.workers, resolved.threads) == (config.search.population, 16 // config.search.population)


def test_a_cluster_is_not_counted():
    compute = ComputeConfig(workers="auto", device="cpu", executor="ray", address="auto")
    with pytest.raises(InputError, match=r"^--workers auto counts the devices of this machine; for the Ray"):
        num_workers(compute, population=8)


def test_a_text_is_refused():
    with pytest.raises(InputError, match=r"^the number of workers 'many' cannot be read; give a number, such as"):
        changes_of({"workers": "many"})


def test_a_job_of_ray_finds_its_cluster(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert resources_of(ComputeConfig(device="cpu", executor="ray")).address == "10.0.0.1:6379"
    assert resources_of(ComputeConfig(device="cpu", executor="ray", address="auto")).address == "auto"
    assert resources_of(ComputeConfig(device="cpu")).address == ""


def test_an_address_needs_ray():
    with pytest.raises(
        InputError, match=r"^the address 'auto' is one of Ray: add --executor ray, or leave --address out"
    ):
        resources_of(ComputeConfig(device="cpu", workers=2, address="auto"))


def test_only_trainings_on_gpus_take_a_share_of_one():
    taken = {"workers": 2, "threads": 3, "gpus_per_worker": 0.25, "memory_per_worker": 1.5}
    on_gpus = resources_of(ComputeConfig(device="cuda", executor="ray", address="auto", **taken))
    assert on_gpus == Resources(workers=2, threads=3, gpus=0.25, address="auto", memory_bytes=3 * 2**29)
    assert resources_of(ComputeConfig(device="cpu", threads=1)).gpus == 0


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"executor": "ray"},
            r"^--devices-per-training 3 needs processes of this machine that work together, which --ex",
        ),
        ({"executor": "in_process"}, r"which --executor in_process does not have; leave --executor out\.$"),
        (
            {"device": "mps"},
            r"^--devices-per-training 3 works on several processors or GPUs, not on 'mps'; choose --dev",
        ),
        ({"device": "cuda:1"}, r"not on 'cuda:1'; choose --device cpu or cuda\.$"),
        ({"device": "cuda"}, r"^--devices-per-training 3 needs 3 GPUs, and this machine has 2; ask for at most 2\.$"),
        ({"micro_batch": 5}, r"^the micro-batch of 5 images is too small to be shared by 3 devices; give at least 6 "),
    ],
)
def test_what_several_devices_cannot_share_is_refused(changes, text, machine):
    machine(gpus=2)
    compute = ComputeConfig(**{"devices_per_training": 3, "device": "cpu", **changes})
    with pytest.raises(InputError, match=text):
        resources_of(compute)


def test_several_devices_on_one_machine(machine):
    machine(gpus=4)
    assert resources_of(ComputeConfig(device="cuda", devices_per_training=4)).devices == 4
    assert resources_of(ComputeConfig(device="cpu", devices_per_training=4, micro_batch=8)).devices == 4
