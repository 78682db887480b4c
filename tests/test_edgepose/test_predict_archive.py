"""Many inputs in several processes: what is wrong with one costs no other, and nothing is done twice."""

from __future__ import annotations

import csv
import errno
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest
from blob_videos import MODEL, BlobFinder, disc, no_bar, write_video
from typer.testing import CliRunner

from edgeio import jobs
from edgeio.jobs import OtherJob
from edgepose.cli import app
from edgepose.cli import predict as cli_predict
from edgepose.errors import BadModel, UsageError
from edgepose.tracking import batch, workers
from edgepose.tracking.archive import ArchiveRequest, Shard, parse_shard, predict_archive
from edgepose.tracking.batch import InputOutcome, PredictRequest, predict_all
from edgepose.tracking.sources import Source, find_sources
from edgepose.tracking.workers import DeadWorker

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


@pytest.fixture(autouse=True)
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The processes get what is replaced here: no model but the finder of discs, no figures."""
    monkeypatch.setattr(workers, "_START", multiprocessing.get_context("fork"))
    monkeypatch.setattr(batch, "open_runner", lambda path, threads: BlobFinder(path))
    monkeypatch.setattr(batch, "draw_confidence", lambda *arguments: arguments[-1].write_bytes(b"figure"))


def clips(folder: Path, names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for i, name in enumerate(names):
        pictures = [disc((60, 80), [(30.0 + i + j, 30.0, 14.0)]) for j in range(4)]
        write_video(folder / f"{name}.mp4", pictures)
    return folder


def run(
    folder: Path, out: Path, overwrite: bool = False, fps: float | None = None, **asked
) -> list[InputOutcome]:
    asked = {"processes": 2, **asked}
    sources = find_sources([folder]).found
    request = PredictRequest(fps=fps)
    return predict_archive(MODEL, sources, request, ArchiveRequest(**asked), out, overwrite, no_bar)


def table(out: Path, name: str = "archive.csv") -> dict[str, dict[str, str]]:
    with (out / name).open(encoding="utf-8") as handle:
        return {row["input"]: row for row in csv.DictReader(handle)}


def states(out: Path, name: str = "archive.csv") -> str:
    return " ".join(f"{name}:{row['state']}" for name, row in table(out, name).items())


def on_input(monkeypatch: pytest.MonkeyPatch, wrong: dict) -> None:
    """Before an input of this name is predicted in its process, call something."""
    real = batch.predict_source

    def predict_source(estimator, source: Source, *rest):
        wrong.get(source.name, lambda: None)()
        return real(estimator, source, *rest)

    monkeypatch.setattr(batch, "predict_source", predict_source)


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_each_is_done_once_and_as_alone(tmp_path: Path) -> None:
    folder, out = clips(tmp_path / "in", "abcd"), tmp_path / "out"
    outcomes = run(folder, out)
    assert [(o.source.name, o.error, o.before) for o in outcomes] == [(n, None, False) for n in "abcd"]
    predict_all(MODEL, find_sources([folder]).found, PredictRequest(), tmp_path / "alone", False, no_bar)
    for name in "abcd":
        assert (out / f"{name}.csv").read_bytes() == (tmp_path / f"alone/{name}.csv").read_bytes()
    row = table(out)["b"]
    assert (row["file"], row["state"], row["why"], row["frames"], row["skipped"]) == (
        "b.mp4",
        "done",
        "",
        "4",
        "0",
    )
    assert 0 < float(row["mean_confidence"]) <= 1 and float(row["seconds"]) > 0
    before = {path.name: path.stat().st_mtime_ns for path in out.glob("?.csv")}
    assert all(o.before for o in run(folder, out))
    assert before == {path.name: path.stat().st_mtime_ns for path in out.glob("?.csv")}
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


def test_a_bad_video_is_passed_over_until_told(tmp_path: Path) -> None:
    folder, out = clips(tmp_path / "in", "ac"), tmp_path / "out"
    (folder / "b.mp4").write_text("no video" * 50)
    first = run(folder, out)
    assert states(out) == "a:done b:failed c:done" and not first[1].before
    assert (
        "is not a video that we read" in table(out)["b"]["why"]
        and str(tmp_path) not in table(out)["b"]["why"]
    )
    again = run(folder, out)[1]
    assert again.before and "--retry-failed" in str(again.error) and states(out) == "a:done b:failed c:done"
    assert not run(folder, out, retry_failed=True)[1].before
    clips(folder, "ab")  # another file is tried without being told, and what it was is forgotten
    (folder / "a.mp4").touch()
    assert run(folder, out)[1].summary is not None
    assert not list(out.glob(".*.failed.json"))


def test_a_video_that_hangs_is_listed_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, out = clips(tmp_path / "in", "abcd"), tmp_path / "out"
    on_input(monkeypatch, {"b": lambda: time.sleep(600)})
    started = time.monotonic()
    outcomes = run(folder, out, timeout_s=6.0)
    assert time.monotonic() - started < 300
    assert states(out) == "a:done b:failed c:done d:done"
    assert isinstance(outcomes[1].error, DeadWorker) and "gave no frame for 6 s" in str(outcomes[1].error)
    monkeypatch.undo()


def test_a_killed_worker_costs_its_video_one_more_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, out, mark = clips(tmp_path / "in", "abcd"), tmp_path / "out", tmp_path / "killed once"

    def once() -> None:
        if not mark.exists():
            mark.touch()
            killed()

    on_input(monkeypatch, {"b": once, "c": killed})
    outcomes = run(folder, out)
    assert states(out) == "a:done b:done c:failed d:done"
    assert "ended its process 2 times, at last by signal SIGKILL" in str(outcomes[2].error)
    assert mark.exists()


def test_a_process_that_cannot_even_begin_stops_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = clips(tmp_path / "in", "ab")
    monkeypatch.setattr(batch, "open_runner", lambda path, threads: killed())
    with pytest.raises(DeadWorker, match="before it had opened the model"):
        run(folder, tmp_path / "out")


def test_a_wrong_model_is_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: Path, threads: int) -> BlobFinder:
        raise BadModel("m.tflite is no model", "give another")

    monkeypatch.setattr(batch, "open_runner", refused)
    with pytest.raises(BadModel, match="is no model"):
        run(clips(tmp_path / "in", "abc"), tmp_path / "out")
    assert states(tmp_path / "out") == "a:left b:left c:left"


def test_a_full_disk_half_way_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, out = clips(tmp_path / "in", "abcd"), tmp_path / "out"

    def full() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(out / "c.csv"))

    with monkeypatch.context() as patch:
        on_input(patch, {"c": full})
        with pytest.raises(OSError, match="No space left"):
            run(folder, out, processes=1)
    assert states(out) == "a:done b:done c:left d:left", "it is no fault of the video's"
    outcomes = run(folder, out)
    assert [o.before for o in outcomes] == [True, True, False, False] and "left" not in states(out)


def test_two_runs_into_one_folder(tmp_path: Path) -> None:
    folder, out = clips(tmp_path / "in", "ab"), tmp_path / "out"
    with jobs.locked(out, "archive.csv"), pytest.raises(OtherJob, match="another command works in"):
        run(folder, out)
    with jobs.locked(out, "b"):  # a shard that is at the same input
        assert isinstance(run(folder, out)[1].error, OtherJob)
    assert states(out) == "a:done b:left" and not list(out.glob(".*.failed.json"))
    assert isinstance(run(folder, out, fps=10)[0].error, OtherJob), "other settings are refused"


def test_shards_are_the_whole_each_input_once(tmp_path: Path) -> None:
    folder, out = clips(tmp_path / "in", "abcde"), tmp_path / "out"
    for number in (1, 2, 3):
        run(folder, out, shard=Shard(number, 3))
    assert states(out, "archive-1-of-3.csv") == "a:done d:done"
    assert states(out, "archive-3-of-3.csv") == "c:done"
    assert all(o.before for o in run(folder, out)) and len(table(out)) == 5
    assert run(folder, out, shard=Shard(7, 9)) == []


@pytest.mark.parametrize("text", ["", "2", "0/3", "4/3", "1/0", "-1/3", "a/b", "1/3/5", "1.5/3"])
def test_shards_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="is no part of a whole"):
        parse_shard(text)


def test_the_command_tells_of_an_archive_in_a_few_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, out = clips(tmp_path / "in", "abcd"), tmp_path / "out"
    for name in "xyz":
        (folder / f"{name}.mp4").write_text("no video" * 50)
    monkeypatch.setattr(cli_predict, "_SHOWN", 2)
    words = f"predict {folder} --model m.tflite --out {out} --processes 2"
    asked = CliRunner().invoke(app, words.split())
    assert asked.exit_code == 1
    assert "4 inputs are done, 0 of them before" in asked.output
    assert "archive.csv: 4 done, 3 failed, 0 left" in asked.output
    assert "x.mp4 is not a video" in asked.output and "z.mp4" not in asked.output
    assert "error: 1 more failed" in asked.output
    part = CliRunner().invoke(app, [*words.split(), "--shard", "1/7"])
    assert part.exit_code == 0 and "archive-1-of-7.csv: 1 done, 0 failed, 0 left" in part.output


def test_a_timeout_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--timeout 0 is no time"):
        run(clips(tmp_path / "in", "ab"), tmp_path / "out", timeout_s=0)
