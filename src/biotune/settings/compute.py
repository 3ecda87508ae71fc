"""The settings of where and how trainings are computed, and how many at a time."""

from typing import Annotated, Literal

from pydantic import Field

from biotune.executors import EXECUTORS
from biotune.settings.reading import read_duration, read_workers
from biotune.settings.sections import Amount, CountOrZero, Section
from biotune.settings.setting import RUN, WITH_REFINE, OneOf, Option, OrAuto, Setting


class ComputeConfig(Section):
    """Where and how trainings are computed; device, threads, precision and memory format are part of a result."""

    device: Annotated[
        str,
        Setting(
            "cpu, cuda, cuda:1, ..., or auto, which is resolved at the first call of a run", Option(RUN, WITH_REFINE)
        ),
    ] = "auto"
    threads: Annotated[
        int,
        Field(ge=0, le=512),
        Setting(
            "CPU threads of one training, part of its result; 0 shares the cores at the first call",
            Option(RUN, WITH_REFINE),
        ),
    ] = 0
    workers: Annotated[
        int,
        OrAuto(1, 512),
        Setting(
            "Trainings at a time, in processes; no result depends on it; auto is one for each GPU, or for each core as "
            "far as memory and candidates suffice",
            Option(RUN, read=read_workers, default="1"),
            may_change=True,
        ),
    ] = 1
    devices_per_training: Annotated[
        int,
        Field(ge=1, le=64),
        Setting(
            "Devices that share one training, with a process and a part of its threads each; part of its result",
            Option(RUN),
            "cluster.md#several-devices-for-one-training",
            later=True,
        ),
    ] = 1
    executor: Annotated[
        str,
        OneOf(EXECUTORS),
        Setting(
            "What runs the trainings; auto is the pool for more than one worker",
            Option(RUN),
            "cluster.md",
            may_change=True,
        ),
    ] = "auto"
    address: Annotated[
        str,
        Setting(
            "Of --executor ray: HOST:PORT of a cluster's head, or auto on one of its machines; without it, Ray is "
            "started on this one",
            Option(RUN, default="none"),
            "cluster.md",
            may_change=True,
        ),
    ] = ""
    gpus_per_worker: Annotated[
        float,
        Field(gt=0, le=1),
        Setting(
            "Of --executor ray on GPUs: the share of one that each worker takes",
            Option(RUN),
            "cluster.md",
            may_change=True,
        ),
    ] = 1.0
    memory_per_worker: Annotated[
        float,
        Field(ge=0, le=65536),
        Setting(
            "Of --executor ray: GiB of memory that each worker takes of its machine; 0 to find room by CPUs and GPUs "
            "alone",
            Option(RUN),
            "cluster.md",
            may_change=True,
        ),
    ] = 0.0
    training_timeout: Annotated[
        Amount,
        Setting(
            "Longest time that one training may take, then it has failed; as an option, for example, 30m or 1h30m, in "
            "config.toml seconds",
            Option(RUN, read=read_duration, default="none"),
            "protocol.md#trainings-that-fail",
            may_change=True,
        ),
    ] = 0.0
    precision: Annotated[
        Literal["auto", "float32", "bfloat16"],
        Setting(
            "Number format of trainings; auto is float32 on a CPU and, on a GPU, what is measured to be faster",
            Option(RUN),
        ),
    ] = "auto"
    micro_batch: Annotated[
        CountOrZero,
        Setting(
            "Images of a batch that go through the network at a time, their gradients added up; 0 for the whole batch "
            "or, on a GPU, as many as fit into its memory, found at the first call",
            Option(RUN),
            "protocol.md#memory",
            later=True,
        ),
    ] = 0
    memory_format: Annotated[
        Literal["channels_last", "contiguous"],
        Setting("Order of pixels in memory; try contiguous if training crashes", Option(RUN)),
    ] = "channels_last"
    prefix_cache_mib: Annotated[
        CountOrZero, Setting("Memory for the outputs of frozen blocks, in MiB; 0 for none", page="architecture.md")
    ] = 2048
