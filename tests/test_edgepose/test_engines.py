"""An archive, and many models, on a Ray cluster of several nodes: what goes wrong there costs nothing else.

The same bad inputs are given to the processes of one machine. The cluster is Ray's own for tests: nodes are
processes of this machine, on the loopback interface.
"""

from __future__ import annotations

import csv
import ipaddress
import os
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import archive_doubles as doubles
import pytest
from blob_videos import disc, no_bar, write_video
from typer.testing import CliRunner

from edgeio import UnknownName, cores, jobs, sha256_file
from edgeio.jobs import OtherJob
from edgepose import engines
from edgepose.cli import app
from edgepose.engines import Engine, EngineError, parse_engine, ray_cluster
from edgepose.errors import MissingPackage, UsageError
from edgepose.evaluation.evaluate import evaluate
from edgepose.evaluation.several import evaluate_on
from edgepose.evaluation.subject import Request
from edgepose.synthetic import synthesise
from edgepose.tracking import archive, batch
from edgepose.tracking.archive import ArchiveRequest, predict_archive
from edgepose.tracking.batch import InputOutcome, PredictRequest, predict_all
from edgepose.tracking.on_ray import OnRay
from edgepose.tracking.sources import find_sources
from edgepose.tracking.workers import Setup

ROOT = Path(__file__).parents[2]
WEIGHTS = ROOT / "edgepose" / "weights"
LOCAL = Engine()
NODE = {
    "num_cpus": 1,
    "include_dashboard": False,
    "node_ip_address": "127.0.0.1",
    "object_store_memory": 80 * 2**20,
}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Ray's cluster for tests, of one node; a test adds others."""
    if find_spec("ray") is None:  # imported only below: what it reads of the environment is set first
        pytest.skip("Ray is not installed (pip install 'edgepose[ray]')")
    with pytest.MonkeyPatch.context() as patch:
        # Its processes import what the tests put in place of a model.
        patch.setenv("PYTHONPATH", os.pathsep.join(map(str, (ROOT, ROOT / "tests" / "helpers"))))
        engines.own_ray()
        from ray.cluster_utils import Cluster

        try:
            started = Cluster(initialize_head=True, head_node_args=NODE)
        except Exception:  # it waits half a minute, which a machine that does other work may take
            started = Cluster(initialize_head=True, head_node_args=NODE)
        yield started
        started.shutdown()


@pytest.fixture
def ray_engine(cluster: Any) -> Engine:
    return parse_engine(f"ray:{cluster.address}")


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> Engine:
    """By the name that the test is given: processes of this machine, or the cluster."""
    return LOCAL if request.param == "local" else request.getfixturevalue("ray_engine")


both = pytest.mark.parametrize(
    "engine", ["local", pytest.param("ray", marks=pytest.mark.long)], indirect=True
)


@pytest.fixture(autouse=True)
def doubled(monkeypatch: pytest.MonkeyPatch) -> None:
    setup = partial(Setup, open_run=doubles.open_run, predict_input=doubles.predict_input)
    monkeypatch.setattr(archive, "Setup", setup)


def clips(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for i, name in enumerate(names):
        pictures = [disc((60, 80), [(30.0 + i + j, 30.0, 14.0)]) for j in range(4)]
        write_video(folder / f"{name}.mp4", pictures)
    return folder


def run(
    folder: Path, out: Path, engine: Engine, fps: float | None = None, **asked: Any
) -> list[InputOutcome]:
    model = folder.parent / "model.tflite"
    model.touch()
    request = ArchiveRequest(engine=engine, **{"processes": 2, **asked})
    return predict_archive(
        model, find_sources([folder]).found, PredictRequest(fps=fps), request, out, False, no_bar
    )


def rows(out: Path) -> dict[str, dict[str, str]]:
    with (out / "archive.csv").open(encoding="utf-8") as handle:
        return {row["input"]: row for row in csv.DictReader(handle)}


def states(out: Path) -> str:
    return " ".join(f"{name}:{row['state']}" for name, row in rows(out).items())


def hidden(out: Path) -> list[str]:
    return sorted(path.name for path in out.glob(".*"))


@both
def test_what_is_wrong_with_one_video_costs_no_other(tmp_path: Path, engine: Engine) -> None:
    names = ("a", "eats", "hangs", "killed", "once", "z")
    folder, out = clips(tmp_path / "in", *names), tmp_path / "out"
    (folder / "broken.mp4").write_text("no video" * 50)
    run(folder, out, engine, timeout_s=8.0)
    assert states(out) == "a:done broken:failed eats:failed hangs:failed killed:failed once:done z:done"
    why = {name: row["why"] for name, row in rows(out).items()}
    assert "memory ran out for eats" in why["eats"] and "gave no frame for 8 s" in why["hangs"]
    assert "killed.mp4 ended its process 2 times, at last by signal SIGKILL" in why["killed"]
    assert "is not a video that we read" in why["broken"] and str(tmp_path) not in why["broken"]
    begun = Counter(doubles.log(out, "begun"))
    assert begun == {"a": 1, "broken": 1, "eats": 1, "hangs": 1, "killed": 2, "once": 2, "z": 1}
    assert hidden(out) == [f".{name}.failed.json" for name in ("broken", "eats", "hangs", "killed")]


@pytest.mark.long
def test_a_full_disk_half_way_loses_nothing(tmp_path: Path, ray_engine: Engine) -> None:
    folder, out = clips(tmp_path / "in", *"ab", "full-c", *"xyz"), tmp_path / "out"
    (tmp_path / doubles.NO_SPACE).touch()
    with pytest.raises(OSError, match="No space left"):
        run(folder, out, ray_engine, processes=1)
    assert states(out) == "a:done b:done full-c:left x:left y:left z:left"
    (tmp_path / doubles.NO_SPACE).unlink()
    with jobs.locked(out, "z"):  # another command is at one of them
        outcomes = run(folder, out, ray_engine)
    assert [o.before for o in outcomes] == [True, True, False, False, False, False]
    assert sorted(doubles.log(out, "done")) == [*"ab", "full-c", *"xy"], "each once"
    assert states(out).endswith("y:done z:left") and isinstance(outcomes[-1].error, OtherJob)
    assert not hidden(out)


@pytest.mark.long
def test_a_node_killed_half_way(cluster: Any, ray_engine: Engine, tmp_path: Path, monkeypatch: Any) -> None:
    names = [f"stuck-{i:02d}" for i in range(10)]
    folder, out = clips(tmp_path / "in", *names), tmp_path / "out"
    node = cluster.add_node(**NODE)
    (tmp_path / doubles.DOOMED).write_text(str(node.all_processes["raylet"][0].process.pid))

    def kill() -> None:
        while not doubles.log(out, "stuck"):
            time.sleep(0.1)
        cluster.remove_node(node, allow_graceful=False)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    outcomes = run(folder, out, ray_engine, processes=None)
    killer.join(30)
    assert [(o.error, o.before) for o in outcomes] == [(None, False)] * len(names)
    assert sorted(doubles.log(out, "done")) == names, "each once"
    begun = Counter(doubles.log(out, "begun"))
    assert [name for name in names if begun[name] != 1] == doubles.log(out, "stuck"), (
        "and what was lost again"
    )
    assert {row["state"] for row in rows(out).values()} == {"done"} and not hidden(out)
    monkeypatch.setattr(batch, "open_runner", lambda path, threads: doubles.BlobFinder(path))
    monkeypatch.setattr(batch, "draw_confidence", lambda *arguments: arguments[-1].write_bytes(b"figure"))
    alone = tmp_path / "alone"
    predict_all(
        tmp_path / "model.tflite", find_sources([folder]).found, PredictRequest(), alone, False, no_bar
    )
    for name in names:
        assert (out / f"{name}.csv").read_bytes() == (alone / f"{name}.csv").read_bytes()


@pytest.mark.long
def test_many_models_are_scored_as_alone(tmp_path: Path, ray_engine: Engine) -> None:
    synthesise(tmp_path / "infants", 2, 1, 0, (240, 320), None)
    models = [WEIGHTS / "rt-lite.tflite", tmp_path / "broken.tflite", WEIGHTS / "rt.tflite"]
    models[1].write_text("no model" * 50)
    request = Request(f"in-motion:{tmp_path / 'infants'}", split="all", speed=False)
    out, told = tmp_path / "out", []
    for again in range(2):
        lite, broken, rt = evaluate_on(
            ray_engine, models, request, out, False, lambda done, total: None, told.append
        )
        assert "broken.tflite" in str(broken.error) and broken.results is None
        assert len(told) == 2 * again, "what is finished is said to be"
    for model, scored in ((models[0], lite), (models[2], rt)):
        alone, _ = evaluate(model, request, tmp_path / "alone")
        assert scored.results is not None and scored.path is not None
        assert scored.results.metrics == alone.metrics
        assert scored.results.predictions_sha256 == alone.predictions_sha256
        assert sha256_file(scored.path.with_name("predictions.npz")) == alone.predictions_sha256


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({}, "speed cannot be compared"),
        ({"speed": False, "target": "android"}, "--target android is at this"),
    ],
)
def test_what_would_be_wrong_on_a_cluster_is_refused(tmp_path: Path, change: dict, what: str) -> None:
    with pytest.raises(UsageError, match=what):
        evaluate_on(parse_engine("ray"), [], Request("d", **change), tmp_path, False, lambda *_: None, print)


@pytest.mark.long
def test_what_no_node_has_room_for(ray_engine: Engine) -> None:
    with ray_cluster(ray_engine) as cluster:
        assert {*cluster.node_cpus()} == {1.0}
        with pytest.raises(UsageError, match=r"a task of 9 CPUs fits no node .* give fewer --threads"):
            cluster.tasks(print, 9)


@pytest.mark.long
def test_nodes_of_another_edgepose_or_without_the_storage(
    tmp_path: Path, ray_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, out = clips(tmp_path / "in", *"ab"), tmp_path / "out"
    with monkeypatch.context() as patch, pytest.raises(EngineError, match=r"node .* has another edgepose"):
        patch.setattr(engines.jobs, "code_sha256", lambda: "0" * 64)
        run(folder, out, ray_engine)
    elsewhere = lambda *rest: OnRay(*rest[:3], tmp_path / "elsewhere")  # noqa: E731
    monkeypatch.setattr(archive, "OnRay", elsewhere)
    with pytest.raises(EngineError, match=r"node .* does not see .*elsewhere.*mount the storage"):
        run(folder, out, ray_engine)
    assert states(out) == "a:left b:left" and not hidden(out)


@pytest.mark.long
def test_a_ray_of_ones_own_is_seen_by_nobody() -> None:
    if find_spec("ray") is None:
        pytest.skip("Ray is not installed (pip install 'edgepose[ray]')")
    engines.own_ray()
    with ray_cluster(parse_engine("ray")) as cluster:
        import ray

        assert sum(cluster.node_cpus()) == cores()
        folder = Path(ray._private.worker._global_node.get_temp_dir_path()).parent
        assert folder.stat().st_mode & 0o077 == 0
        heard = listening(processes_with(str(folder)))
        assert heard and all(address.is_loopback for address in heard)
        assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0" and not ray._private.worker._global_node.webui_url
    assert not folder.exists() and not processes_with(str(folder))


def processes_with(text: str) -> list[Path]:
    """Folders in /proc of processes whose command line has it."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if text.encode() in (path / "cmdline").read_bytes():
                found.append(path)
    return found


def listening(processes: list[Path]) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """The addresses at which processes of this machine wait for connections."""
    sockets = set()
    for process in processes:
        for descriptor in (process / "fd").iterdir():
            with suppress(OSError):
                sockets.add(str(descriptor.readlink()))
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A" and f"socket:[{words[9]}]" in sockets:
                number = bytes.fromhex(words[1].split(":")[0])
                parts = [number[i : i + 4][::-1] for i in range(0, len(number), 4)]  # of four bytes, swapped
                address = ipaddress.ip_address(b"".join(parts))
                found.append(getattr(address, "ipv4_mapped", None) or address)
    return found


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("local", ""),
        ("ray", ""),
        ("ray:auto", "auto"),
        ("ray:head-1", "head-1:6379"),
        ("ray:10.0.0.1:1234", "10.0.0.1:1234"),
        ("ray://head.local", "ray://head.local:10001"),
        ("ray://[::1]:9", "ray://[::1]:9"),
    ],
)
def test_ways_to_name_an_engine(text: str, address: str) -> None:
    assert parse_engine(text).address == address
    assert parse_engine(text).is_local == (text == "local")
    assert parse_engine(str(parse_engine(text))) == parse_engine(text)


@pytest.mark.parametrize(
    "text", ["", "rya", "Ray", "ray:", "ray://", "dask://head", "ray://head:1/x", "ray:a:b"]
)
def test_engines_that_are_none(text: str) -> None:
    with pytest.raises(UnknownName, match="known: local, ray, ray:auto"):
        parse_engine(text)


@pytest.mark.parametrize("text", ["ray:head:0", "ray://head:65536"])
def test_ports_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="no port from 1 to 65535"):
        parse_engine(text)


@pytest.mark.parametrize("scheme", ["ray:", "ray://"])
def test_an_engine_that_is_not_there(tmp_path: Path, scheme: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        text = f"{scheme}127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(EngineError, match=rf"--engine {text} cannot be reached \(.*refused\)"):
            run(clips(tmp_path / "in", *"ab"), tmp_path / "out", parse_engine(text))
    assert states(tmp_path / "out") == "a:left b:left" and not hidden(tmp_path / "out")


def test_without_ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingPackage, match=r"needs ray, which .*pip install 'edgepose\[ray\]'"):
        run(clips(tmp_path / "in", *"ab"), tmp_path / "out", parse_engine("ray"))


def test_an_engine_is_of_several_inputs(tmp_path: Path) -> None:
    words = ["predict", str(clips(tmp_path / "in", "a") / "a.mp4"), "--model", "m.tflite", "--engine", "ray"]
    refused = CliRunner().invoke(app, words).exception
    assert str(refused).startswith("--engine has no effect on one input")
