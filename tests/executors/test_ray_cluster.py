"""What the executor ray adds to the contract of executors: actors on a cluster, whose machines come and go."""

import contextlib
import signal
import socket
import threading
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

import clusters
import toys
from biotune.errors import InputError
from biotune.executors import (
    EXECUTORS,
    Hooks,
    RayCluster,
    Resources,
    Work,
    base,
    ray_cluster,
    ray_connection,
    ray_worker,
)
from biotune.executors.base import NotHereError


def work(build=toys.toy) -> Work:
    return Work(toys.toy(Hooks(), 0), lambda: build, lambda: toys.toy)


@contextlib.contextmanager
def ray(build=toys.toy, hooks=None, **resources):
    with contextlib.closing(RayCluster(work(build), Resources(**resources), hooks or Hooks())) as executor:
        yield executor


def test_a_cluster_of_its_own_is_closed_to_others_and_leaves_nothing(capfd):
    """It listens on the loopback interface alone, keeps what SIGTERM does, and ends with its processes and files."""
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    handler = signal.getsignal(signal.SIGTERM)
    with ray(workers=2) as executor:
        assert toys.run(executor, toys.TASKS) == toys.RESULTS
        assert signal.getsignal(signal.SIGTERM) is handler
        children = {process.pid for process in psutil.Process().children(recursive=True)} - before
        listening = [one for one in psutil.net_connections("inet") if one.status == "LISTEN" and one.pid in children]
        assert {one.laddr.ip.removeprefix("::ffff:") for one in listening} == {"127.0.0.1"}
        folder = Path(executor._connection._folder)
        assert folder.is_dir()
    assert {process.pid for process in psutil.Process().children(recursive=True)} <= before
    assert not folder.exists()
    assert capfd.readouterr() == ("", "")


@pytest.fixture(scope="module")
def cluster():
    with clusters.machines(1) as made:
        yield made


def test_a_training_over_which_workers_die_again_and_again_is_given_up(cluster, monkeypatch):
    monkeypatch.setattr(ray_cluster, "TRIES", 2)
    with ray(workers=1, address=cluster.address) as executor:
        executor.submit(replace(toys.TASKS[0], method="die"))
        task, result = executor.wait()
        assert (task.seed, result.outcome, result.fitness) == (3, "killed", 0.0)
        assert "died" in result.cause
        assert len(result.cause.splitlines()) == 1
        assert toys.run(executor, toys.TASKS) == toys.RESULTS


def test_a_worker_that_is_silent_for_too_long_is_replaced(cluster, monkeypatch):
    monkeypatch.setattr(base, "GRACE_S", 1.0)
    with ray(workers=1, address=cluster.address, seconds=1.0) as executor:
        executor.submit(replace(toys.TASKS[0], method="slow:600"))
        task, result = executor.wait()
        assert (task.seed, result.outcome) == (3, "timeout")
        assert 2.0 < result.seconds < 60.0
        assert toys.run(executor, toys.TASKS) == toys.RESULTS


def test_a_machine_that_is_lost_costs_only_what_it_was_doing(cluster):
    """The cluster goes on after all of this, too: the next tests use it."""
    machine, lost = cluster.add_node(num_cpus=1), []

    def lose(_task, _epoch) -> None:
        if not lost:
            lost.append(cluster.remove_node(machine, allow_graceful=False))

    tasks = [replace(toys.TASKS[0], seed=seed, method="slow:0.2") for seed in range(8)]
    with ray(hooks=Hooks(on_epoch=lose), workers=2, address=cluster.address) as executor:
        assert set(toys.run(executor, tasks)) == set(range(8))
    assert lost


@pytest.mark.slow
def test_a_training_goes_on_where_it_paused(cluster):
    """By the actor that may still hold it, if that one is free."""
    machine = cluster.add_node(num_cpus=1)
    with ray(workers=2, address=cluster.address) as executor:
        first = replace(toys.TASKS[0], last_epoch=1)
        for task in (first, toys.TASKS[1]):
            executor.submit(task)
        seconds = {task.key: result.seconds for task, result in (executor.wait(), executor.wait())}
        executor.submit(replace(toys.TASKS[0], first_epoch=1))
        assert executor.wait()[1].seconds == seconds[first.key]
    cluster.remove_node(machine)


def lacking(hooks: Hooks, number: int):
    raise NotHereError("the images are not here.")


def test_images_that_a_machine_lacks_are_sent(cluster):
    with ray(lacking, workers=1, address=cluster.address) as executor:
        assert toys.run(executor, toys.TASKS) == toys.RESULTS


def test_it_says_what_there_is_no_room_for(cluster, monkeypatch):
    monkeypatch.setattr(ray_cluster, "SAY_AFTER_S", 0.0)
    said = []
    with ray(hooks=Hooks(say=said.append), workers=2, address=cluster.address) as executor:
        executor.submit(replace(toys.TASKS[0], method="slow:1"))
        executor.wait()
    assert said[0] == "Ray has started 0 of 2 workers; the others wait for room, 1 CPU for each."
    monkeypatch.setattr(ray_cluster, "START_S", 0.0)
    with ray(workers=1, threads=64, gpus=0.5, address=cluster.address) as executor:
        executor.submit(toys.TASKS[0])
        with pytest.raises(InputError, match=r"has no room for a worker, which takes 64 CPUs and 0\.5 GPU; ask"):
            executor.wait()


def test_a_worker_goes_where_there_is_memory(cluster, monkeypatch):
    """The only machine with two CPUs has 100 MiB."""
    monkeypatch.setattr(ray_cluster, "SAY_AFTER_S", 0.0)
    machine = cluster.add_node(num_cpus=2, memory=100 * 2**20)
    small = {"threads": 2, "memory_bytes": 64 * 2**20}
    with ray(workers=1, address=cluster.address, **small) as executor:
        assert toys.run(executor, toys.TASKS) == toys.RESULTS
    monkeypatch.setattr(ray_cluster, "START_S", 0.0)
    large = {"threads": 2, "memory_bytes": 2**30}
    with ray(workers=1, address=cluster.address, **large) as executor:
        executor.submit(toys.TASKS[0])
        with pytest.raises(InputError, match=r"no room for a worker, which takes 2 CPUs and 1 GiB of memory; ask for"):
            executor.wait()
    cluster.remove_node(machine)


def test_other_versions_are_refused(cluster, monkeypatch):
    monkeypatch.setattr(ray_worker, "version", lambda name: "1.2.3")
    with ray(workers=1, address=cluster.address) as executor:
        executor.submit(toys.TASKS[0])
        with pytest.raises(
            InputError, match=r"^the Ray worker on .* has torch .*, and this process has 1\.2\.3; install"
        ):
            executor.wait()


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("ray://head:10001", "^the address 'ray://head:10001' is one of Ray's client"),
        ("127.0.0.1:1", r"^no Ray cluster answers at '127\.0\.0\.1:1' \(--address\); give HOST:PORT"),
        ("head", "^no Ray cluster answers at 'head'"),
        ("127.0.0.1:99999", "^no Ray cluster answers at"),
    ],
)
def test_an_address_without_a_cluster_is_refused(address, text):
    with pytest.raises(InputError, match=text), ray(address=address) as executor:
        toys.run(executor, toys.TASKS)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.0 200 OK\r\n\r\n"])
def test_another_server_is_not_taken_for_a_cluster(answer, monkeypatch):
    monkeypatch.setattr(ray_connection, "CONNECT_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with server.accept()[0] as connection:
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        with (
            pytest.raises(InputError, match=r"^no Ray cluster answers at '127"),
            ray(address=f"127.0.0.1:{server.getsockname()[1]}") as executor,
        ):
            toys.run(executor, toys.TASKS)
        thread.join()


def test_what_ray_says_of_a_cluster_is_told(cluster, monkeypatch):
    """Its own checks, of versions and tokens, are made when it connects; SIGTERM does what it did before."""
    import ray as library

    def refuse(*_arguments, **_options) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise RuntimeError("Version mismatch:\n  Ray: 2.9.0.")

    handler = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(library, "init", refuse)
    text = f"^the Ray cluster at '{cluster.address}' cannot be used: Version mismatch: Ray: 2.9.0; give the address of "
    with pytest.raises(InputError, match=text), ray(address=cluster.address) as executor:
        toys.run(executor, toys.TASKS)
    with (
        pytest.raises(InputError, match=r"^Ray cannot be started on this machine: Version"),
        ray(workers=1) as executor,
    ):
        toys.run(executor, toys.TASKS)
    assert signal.getsignal(signal.SIGTERM) is handler


def test_it_says_what_is_not_installed(monkeypatch):
    monkeypatch.setattr(ray_connection.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        InputError, match=r"^the executor ray needs the package ray; install it: pip install 'biotune\[ray\]'\.$"
    ):
        EXECUTORS["ray"](work(), Resources(), Hooks())
