"""Many inputs at once: what hangs or is killed is listed, and the rest goes on.

Inputs are given to processes of this machine (`workers.py`) or to the nodes of a Ray cluster (`on_ray.py`),
which predict each as a command of its own would. One whose process dies (for want of memory, mostly) is tried
once more, one whose node is lost as often as Ray would try it. OUT/archive.csv says of each input whether it
is done, failed and why, or left; OUT/.NAME.failed.json keeps a failure, so that the same command passes over
it until it is told to try again.

Memory is bounded by the number of processes: each holds one model and the frames of one input (`predict.py`).
"""

from __future__ import annotations

import csv
import errno
import hashlib
import re
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from edgeio import Progress, UserError, cores, jobs, read_json, replacing, sha256_file, write_json
from edgepose.engines import Engine, ray_cluster
from edgepose.errors import EdgeposeError, UsageError
from edgepose.tracking.batch import (
    Bars,
    InputOutcome,
    PredictRequest,
    check_for_videos,
    check_out,
    settings_of,
)
from edgepose.tracking.on_ray import OnRay
from edgepose.tracking.sources import Source
from edgepose.tracking.tables import check_format
from edgepose.tracking.workers import MEMORY_HINT, DeadWorker, Ended, Pool, Processes, Setup, named

DONE, FAILED, LEFT = "done", "failed", "left"
_TRIES = 2  # of an input whose process died
_LOSSES = 4  # of nodes, by which an input is given up: one more than Ray would retry
_WRITE_EVERY_S = 5.0
_COLUMNS = ("input", "file", "state", "why", "frames", "skipped", "warnings", "mean_confidence", "seconds")


class FailedBefore(EdgeposeError):
    """An input that failed in an earlier run, with the same settings."""


@dataclass(frozen=True)
class Shard:
    """One of `count` equal parts of the inputs, from 1."""

    number: int = 1
    count: int = 1

    def of(self, sources: Sequence[Source]) -> tuple[Source, ...]:
        """This part of the inputs: by their order, so that all parts together are all of them, each once."""
        return tuple(sources[self.number - 1 :: self.count])

    @property
    def table(self) -> str:
        """The name of the table of this part."""
        return "archive.csv" if self.count == 1 else f"archive-{self.number}-of-{self.count}.csv"


def parse_shard(text: str) -> Shard:
    """`I/N`, with I from 1 to N; raises UsageError."""
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise UsageError(f"--shard {text} is no part of a whole", "write I/N with I from 1 to N, e.g. 2/8")
    return Shard(int(found[1]), int(found[2]))


@dataclass(frozen=True)
class ArchiveRequest:
    """How many inputs are predicted.

    Attributes:
        processes: inputs at once; None is one a core, and one for a checkpoint, which takes all cores.
            On a cluster it bounds what the nodes have room for.
        timeout_s: seconds without a frame after which an input is listed as failed.
        retry_failed: try again what failed in an earlier run with the same settings.
        shard: the part of the inputs to predict.
        engine: where inputs are predicted.
    """

    processes: int | None = None
    timeout_s: float = 300.0
    retry_failed: bool = False
    shard: Shard = field(default_factory=Shard)
    engine: Engine = field(default_factory=Engine)


def predict_archive(
    model: Path,
    sources: Sequence[Source],
    request: PredictRequest,
    archive: ArchiveRequest,
    out: Path,
    overwrite: bool,
    bars: Bars,
) -> list[InputOutcome]:
    """Predict inputs, several at once, and keep OUT/archive.csv; outcomes are in the order of the inputs.

    Raises:
        UserError: a wrong request, model or confidence file; nothing was predicted.
        OtherJob: another command works on the same part in the same folder.
        MissingPackage: Ray is not installed.
        EngineError: the engine cannot be reached, or is gone; what was done is kept and listed.
        OSError: the output cannot be written, the disk is full; what was done before is kept and listed.
    """
    check_format(request.format)
    settings_of(request)
    check_for_videos(request, sources)
    if not archive.timeout_s > 0:
        raise UsageError(f"--timeout {archive.timeout_s:g} is no time to wait", "give seconds")
    check_out(out)
    chosen = archive.shard.of(sources)
    if not archive.engine.is_local:  # nodes have other working folders
        model, out = model.absolute(), out.absolute()
        request = replace(request, confidence=request.confidence and request.confidence.absolute())
        chosen = tuple(map(_absolute, chosen))
    with jobs.locked(out, archive.shard.table):
        work = _Archive(model, chosen, request, archive, out, overwrite)
        with bars("predicting", "inputs") as progress:
            work.run(progress)
    return work.outcomes


def _absolute(source: Source) -> Source:
    paths = tuple(path.absolute() for path in source.paths)
    return replace(source, paths=paths, root=source.root.absolute())


@dataclass
class _Task:
    source: Source
    key: str
    deaths: int = 0
    losses: int = 0


class _Archive:
    """The inputs of one command, on their way through a pool."""

    def __init__(
        self,
        model: Path,
        sources: Sequence[Source],
        request: PredictRequest,
        archive: ArchiveRequest,
        out: Path,
        overwrite: bool,
    ) -> None:
        self._archive, self._out, self._table = archive, out, out / archive.shard.table
        self._sources, self._found = sources, {s.name: InputOutcome(s, None) for s in sources}
        keys = _Keys(model, request)
        self._waiting: deque[_Task] = deque()
        self._under_way: dict[str, _Task] = {}
        for source in sources:
            task = _Task(source, keys.of(source))
            again = overwrite or archive.retry_failed
            before = None if again else _failed_before(self._failure(source), task.key)
            if before is None:
                self._waiting.append(task)
            else:
                self._found[source.name] = InputOutcome(source, None, before, before=True)
        self._setup = Setup(model, request, out, overwrite, archive.timeout_s)
        self._stopped: Exception | None = None
        self._written = -_WRITE_EVERY_S

    @property
    def outcomes(self) -> list[InputOutcome]:
        return [self._found[source.name] for source in self._sources]

    def run(self, progress: Progress) -> None:
        """Predict all; raises what stops all inputs, once those under way have ended."""
        try:
            if self._waiting:
                with self._pool() as pool:
                    self._predict(pool, progress)
        finally:
            self._write()
        if self._stopped is not None:
            raise self._stopped

    @contextmanager
    def _pool(self) -> Iterator[Pool]:
        asked, request = self._archive, self._setup.request
        if asked.engine.is_local:
            most = 1 if self._setup.model.suffix == ".safetensors" else max(cores() // request.threads, 1)
            processes = min(asked.processes or most, len(self._waiting))
            each = request.workers or max(cores() // request.threads // processes, 1)
            pool: Pool = Processes(self._with_workers(each), processes)
            try:
                yield pool
            finally:
                pool.end()
            return
        with ray_cluster(asked.engine) as cluster:
            lock = jobs.lock_path(self._out, self._table.name)
            pool = OnRay(cluster, self._with_workers(request.workers or 1), asked.processes, lock)
            try:
                yield pool
            finally:
                pool.end()

    def _with_workers(self, workers: int) -> Setup:
        return replace(self._setup, request=replace(self._setup.request, workers=workers))

    def _predict(self, pool: Pool, progress: Progress) -> None:
        while self._waiting or self._under_way:
            while self._waiting and pool.has_room():
                task = self._waiting.popleft()
                self._under_way[task.source.name] = task
                pool.give(task.source, again=task.losses > 0)
            if time.monotonic() - self._written > _WRITE_EVERY_S:
                self._write()
            progress(sum(_state(o) != LEFT for o in self._found.values()), len(self._found))
            for ended in pool.listen(_WRITE_EVERY_S):
                self._take(self._under_way.pop(ended.source.name), ended)

    def _take(self, task: _Task, ended: Ended) -> None:
        if ended.outcome is not None:
            self._note(task, replace(ended.outcome, source=task.source))
        elif ended.stop is not None:  # the same would come of every other input
            self._stop(ended.stop)
        elif ended.died is not None:
            task.deaths += 1
            what = f"{named(task.source)} ended its process {_TRIES} times, at last {ended.died}"
            self._again(task, task.deaths < _TRIES, DeadWorker(what, MEMORY_HINT))
        else:
            task.losses += 1
            what = f"{named(task.source)} was lost {_LOSSES} times, at last since {ended.lost}"
            self._again(task, task.losses < _LOSSES, DeadWorker(what, MEMORY_HINT))

    def _again(self, task: _Task, may: bool, error: DeadWorker) -> None:
        """Try an input again, last, when its neighbours may need less; or list it."""
        if not may:
            self._note(task, InputOutcome(task.source, None, error))
        elif self._stopped is None:
            self._waiting.append(task)

    def _note(self, task: _Task, outcome: InputOutcome) -> None:
        self._found[task.source.name] = outcome
        try:
            self._keep(task, outcome)
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                self._stop(error)

    def _stop(self, error: Exception) -> None:
        """Begin no other input, and raise this once those under way have ended."""
        self._stopped = self._stopped or error
        self._waiting.clear()

    def _keep(self, task: _Task, outcome: InputOutcome) -> None:
        path = self._failure(task.source)
        if _state(outcome) == FAILED and outcome.error is not None:
            error = outcome.error
            told = {"what": error.what, "hint": error.hint, "exit_code": error.exit_code}
            write_json(path, {"key": task.key, **told})
        else:
            path.unlink(missing_ok=True)

    def _failure(self, source: Source) -> Path:
        return self._out / f".{source.name}.failed.json"

    def _write(self) -> None:
        self._written = time.monotonic()
        try:
            _write_table(self._table, self.outcomes)
        except OSError as error:
            self._stop(error)


class _Keys:
    """What a failure depends on: settings, code, and the files by name, size and time."""

    def __init__(self, model: Path, request: PredictRequest) -> None:
        settings = {k: str(v) for k, v in asdict(request).items() if k not in ("threads", "workers")}
        model_sha256 = sha256_file(model) if model.is_file() else ""  # the processes say what is wrong
        self._all = repr((settings, model_sha256, jobs.code_sha256()))

    def of(self, source: Source) -> str:
        digest = hashlib.sha256(self._all.encode())
        for path in source.paths:
            with suppress(OSError):
                stat = path.stat()
                digest.update(f"{source.file_name(path)}\0{stat.st_size}\0{stat.st_mtime_ns}\0".encode())
        return digest.hexdigest()


def _failed_before(path: Path, key: str) -> FailedBefore | None:
    try:
        found = read_json(path, "")
        if found["key"] != key:
            return None
        error = FailedBefore(
            found["what"], f"{found['hint']}; it failed before: --retry-failed tries it again"
        )
        error.exit_code = int(found["exit_code"])
    except (UserError, OSError, KeyError, TypeError, ValueError):  # none, or a damaged one
        return None
    return error


def _state(outcome: InputOutcome) -> str:
    """What became of an input: another command's work on it is neither done nor failed."""
    if outcome.summary is not None:
        return DONE
    return LEFT if outcome.error is None or isinstance(outcome.error, jobs.OtherJob) else FAILED


def counts(outcomes: Sequence[InputOutcome]) -> dict[str, int]:
    """How many inputs are done, failed and left."""
    states = [_state(outcome) for outcome in outcomes]
    return {state: states.count(state) for state in (DONE, FAILED, LEFT)}


def _write_table(path: Path, outcomes: Sequence[InputOutcome]) -> None:
    """A row an input."""
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, _COLUMNS)
        writer.writeheader()
        writer.writerows(map(_row, outcomes))


def _row(outcome: InputOutcome) -> dict[str, Any]:
    source, error, summary = outcome.source, outcome.error, outcome.summary
    many = len(source.paths) > 1
    row: dict[str, Any] = {
        "input": source.name,
        "file": f"{len(source.paths)} images" if many else source.file_name(source.paths[0]),
        "state": _state(outcome),
        # Without this machine's folders: tables travel.
        "why": "" if error is None else str(error).replace(str(source.paths[0]), source.paths[0].name),
    }
    if summary is None:
        return row
    frames = summary["frames"]
    return row | {
        "frames": frames["predicted"],
        "skipped": len(summary["skipped"]),
        "warnings": " ".join(dict.fromkeys(entry["kind"] for entry in summary["warnings"])),
        "mean_confidence": frames["mean_confidence"],
        "seconds": summary["speed"]["wall_s"],
    }
