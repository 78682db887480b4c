"""Many inputs in several processes: what hangs or is killed is listed, and the rest goes on.

Each process opens the model once and predicts one input after another by `batch.predict_input`, so that an
input's outputs are those of a command of its own. A process whose input gives no frame for too long is
killed: a decoder that hangs cannot be stopped otherwise. One that dies (for want of memory, mostly) costs its
input one more try. OUT/archive.csv says of each input whether it is done, failed and why, or left;
OUT/.NAME.failed.json keeps a failure, so that the same command passes over it until it is told to try again.

Memory is bounded by the number of processes: each holds one model and the frames of one input (`predict.py`).
"""

from __future__ import annotations

import csv
import errno
import hashlib
import multiprocessing
import re
import signal
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from edgeio import Progress, UserError, cores, jobs, read_json, replacing, sha256_file, write_json
from edgepose.errors import EdgeposeError, UsageError
from edgepose.tracking.batch import (
    Bars,
    InputOutcome,
    PredictRequest,
    Run,
    check_for_videos,
    check_out,
    open_run,
    predict_input,
    settings_of,
    sweep,
)
from edgepose.tracking.sources import Source
from edgepose.tracking.tables import check_format

DONE, FAILED, LEFT = "done", "failed", "left"
_TRIES = 2  # of an input whose process died
_BEAT_S = 0.5  # between two signs of life
_WRITE_EVERY_S = 5.0
_START = multiprocessing.get_context("spawn")  # a fork would copy the locks of other threads
_COLUMNS = ("input", "file", "state", "why", "frames", "skipped", "warnings", "mean_confidence", "seconds")


class DeadWorker(EdgeposeError):
    """A process that predicted an input was killed, or hung."""


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
        timeout_s: seconds without a frame after which an input is listed as failed.
        retry_failed: try again what failed in an earlier run with the same settings.
        shard: the part of the inputs to predict.
    """

    processes: int | None = None
    timeout_s: float = 300.0
    retry_failed: bool = False
    shard: Shard = field(default_factory=Shard)


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
        OSError: the output cannot be written, the disk is full; what was done before is kept and listed.
    """
    check_format(request.format)
    settings_of(request)
    check_for_videos(request, sources)
    if not archive.timeout_s > 0:
        raise UsageError(f"--timeout {archive.timeout_s:g} is no time to wait", "give seconds")
    check_out(out)
    chosen = archive.shard.of(sources)
    with jobs.locked(out, archive.shard.table):
        work = _Archive(model, chosen, request, archive, out, overwrite)
        with bars("predicting", "inputs") as progress:
            work.run(progress)
    return work.outcomes


@dataclass
class _Task:
    source: Source
    key: str
    tries: int = 0


class _Worker:
    """A process that predicts one input at a time, as its parent sees it."""

    def __init__(self, *arguments: Any) -> None:
        self.connection, theirs = _START.Pipe()
        self.process = _START.Process(target=_work, args=(theirs, *arguments), daemon=True)
        self.process.start()
        theirs.close()
        self.task: _Task | None = None
        self.deadline: float | None = None  # for its next sign of life
        self.is_open = False  # its model

    def give(self, task: _Task) -> None:
        self.task, self.deadline = task, None
        with suppress(OSError):  # it died: found out when it is listened to
            self.connection.send(task.source)

    def end(self) -> int:
        """Kill it; its exit code, that of a signal negative."""
        self.connection.close()
        self.process.kill()
        self.process.join()
        return int(self.process.exitcode or 0)


class _Archive:
    """The inputs of one command, on their way through the processes."""

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
        for source in sources:
            task = _Task(source, keys.of(source))
            again = overwrite or archive.retry_failed
            before = None if again else _failed_before(self._failure(source), task.key)
            if before is None:
                self._waiting.append(task)
            else:
                self._found[source.name] = InputOutcome(source, None, before, before=True)
        most = 1 if model.suffix == ".safetensors" else max(cores() // request.threads, 1)
        self._processes = min(archive.processes or most, len(self._waiting))
        each = request.workers or max(cores() // request.threads // max(self._processes, 1), 1)
        self._arguments = (model, replace(request, workers=each), out, overwrite)
        self._workers: list[_Worker] = []
        self._stopped: Exception | None = None
        self._written = -_WRITE_EVERY_S

    @property
    def outcomes(self) -> list[InputOutcome]:
        return [self._found[source.name] for source in self._sources]

    def run(self, progress: Progress) -> None:
        """Predict all; raises what stops all inputs, once those under way have ended."""
        try:
            while self._waiting or any(worker.task for worker in self._workers):
                self._hand_out()
                if time.monotonic() - self._written > _WRITE_EVERY_S:
                    self._write()
                progress(sum(_state(o) != LEFT for o in self._found.values()), len(self._found))
                self._listen()
        finally:
            for worker in list(self._workers):
                self._end(worker)
            self._write()
        if self._stopped is not None:
            raise self._stopped

    def _hand_out(self) -> None:
        idle = [worker for worker in self._workers if worker.task is None]
        while self._waiting:
            if not idle and len(self._workers) < self._processes:
                idle.append(_Worker(*self._arguments))
                self._workers.append(idle[0])
            if not idle:
                return
            idle.pop().give(self._waiting.popleft())

    def _listen(self) -> None:
        """Wait for the next thing that any process says, or fails to say in time."""
        deadlines = [w.deadline for w in self._workers if w.deadline is not None]
        left = max(min([*deadlines, time.monotonic() + _WRITE_EVERY_S]) - time.monotonic(), 0)
        ready = wait([worker.connection for worker in self._workers if worker.task], left)
        for worker in list(self._workers):
            if worker.connection in ready:
                self._hear(worker)
            elif worker.deadline is not None and time.monotonic() > worker.deadline:
                self._hung(worker)

    def _hear(self, worker: _Worker) -> None:
        try:
            what, value = worker.connection.recv()
        except (EOFError, OSError):
            self._died(worker)
            return
        if what == "open":
            worker.is_open = True
        elif what == "watch":
            worker.deadline = time.monotonic() + self._archive.timeout_s if value else None
        elif what == "outcome" and worker.task is not None:
            self._note(worker.task, value)
            worker.task = worker.deadline = None
        else:  # the same would come of every other input
            self._stop(value)
            self._end(worker)

    def _died(self, worker: _Worker) -> None:
        task, was_open = worker.task, worker.is_open
        code = self._end(worker)
        how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        hint = "memory may have run out: give fewer --processes, and --retry-failed"
        if not was_open:
            self._stop(DeadWorker(f"a process ended {how} before it had opened the model", hint))
        elif task is not None and task.tries + 1 < _TRIES:
            task.tries += 1
            if self._stopped is None:
                self._waiting.append(task)  # last, when its neighbours may need less
        elif task is not None:
            what = f"{_named(task.source)} ended its process {_TRIES} times, at last {how}"
            self._note(task, InputOutcome(task.source, None, DeadWorker(what, hint)))

    def _hung(self, worker: _Worker) -> None:
        task = worker.task
        self._end(worker)
        if task is not None:
            error = DeadWorker(
                f"{_named(task.source)} gave no frame for {self._archive.timeout_s:g} s",
                "convert it, or give a longer --timeout, and --retry-failed",
            )
            self._note(task, InputOutcome(task.source, None, error))

    def _end(self, worker: _Worker) -> int:
        self._workers.remove(worker)
        code = worker.end()
        if worker.task is not None:
            sweep(self._out, worker.task.source.name)
        return code

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


def _named(source: Source) -> str:
    return str(source.paths[0]) if len(source.paths) == 1 else source.name


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


# In a process of its own


def _work(connection: Connection, model: Path, request: PredictRequest, out: Path, overwrite: bool) -> None:
    """Predict what comes through the connection, until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's, which ends this process
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        try:
            run = open_run(model, request, out, overwrite, _Watched(connection).bars)
        except (UserError, OSError) as error:
            connection.send(("stop", error))
            return
        connection.send(("open", None))
        while True:
            source = connection.recv()
            connection.send(_outcome(run, source))


def _outcome(run: Run, source: Source) -> tuple[str, Any]:
    try:
        return "outcome", predict_input(run, source)
    except (BrokenPipeError, ConnectionResetError):
        raise
    except OSError as error:  # of the disk
        return "stop", error
    except MemoryError:
        hint = "give fewer --processes or --workers, and --retry-failed"
        return "outcome", InputOutcome(source, None, DeadWorker(f"memory ran out for {source.name}", hint))


class _Watched:
    """Bars that nobody sees, and by which the parent knows that frames come."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._last = connection, 0.0

    @contextmanager
    def bars(self, title: str, unit: str) -> Iterator[Progress]:
        self._tell(True)
        try:
            yield self._beat
        finally:
            self._tell(False)

    def _beat(self, done: int, total: int) -> None:
        if time.monotonic() - self._last > _BEAT_S:
            self._tell(True)

    def _tell(self, watch: bool) -> None:
        self._last = time.monotonic()
        self._connection.send(("watch", watch))
