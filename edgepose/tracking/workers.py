"""Processes that predict inputs, the model open, and watched: what hangs is killed, what dies is told.

A process predicts one input after another by `batch.predict_input`, so that an input's outputs are those of a
command of its own. One whose input gives no frame for too long is killed: a decoder that hangs cannot be
stopped otherwise. On a Ray cluster each task watches one such process beside it (`on_ray.py`).
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Protocol

from edgeio import Progress, UserError, jobs
from edgepose.errors import EdgeposeError
from edgepose.tracking.batch import InputOutcome, PredictRequest, Run, open_run, predict_input, sweep
from edgepose.tracking.sources import Source

_BEAT_S = 0.5  # between two signs of life
_START = multiprocessing.get_context("spawn")  # a fork would copy the locks of other threads
MEMORY_HINT = "memory may have run out: give fewer --processes, and --retry-failed"


class DeadWorker(EdgeposeError):
    """A process that predicted an input was killed, or hung."""


@dataclass(frozen=True)
class Setup:
    """What all processes of a command are begun with.

    Attributes:
        timeout_s: seconds without a frame after which an input is given up.
        open_run: opens the model in a process.
        predict_input: predicts an input by what that opened.
    """

    model: Path
    request: PredictRequest
    out: Path
    overwrite: bool
    timeout_s: float
    open_run: Callable[..., Run] = open_run
    predict_input: Callable[[Run, Source], InputOutcome] = predict_input


@dataclass(frozen=True)
class Ended:
    """What became of an input that was given out; one of the four is there.

    Attributes:
        outcome: it is done, or failed.
        stop: what the same would come of for every other input.
        died: how its process died.
        lost: how its node was lost, which is no fault of the input's.
    """

    source: Source
    outcome: InputOutcome | None = None
    stop: Exception | None = None
    died: str | None = None
    lost: str | None = None


class Pool(Protocol):
    """What inputs are given to."""

    def has_room(self) -> bool:
        """Whether another input is to be given."""

    def give(self, source: Source, again: bool = False) -> None:
        """Begin an input; `again` where a node that had it was lost, and may still be at it."""

    def listen(self, seconds: float) -> list[Ended]:
        """What has ended; waits so long, or less, for the first."""

    def end(self) -> None:
        """End what is under way."""


class Processes:
    """A pool of processes of this machine."""

    def __init__(self, setup: Setup, most: int) -> None:
        self._setup, self._most = setup, most
        self._workers: list[_Worker] = []

    def has_room(self) -> bool:
        return sum(worker.source is not None for worker in self._workers) < self._most

    def give(self, source: Source, again: bool = False) -> None:
        idle = [worker for worker in self._workers if worker.source is None]
        if not idle:
            idle.append(_Worker(self._setup))
            self._workers.append(idle[0])
        idle.pop().give(source)

    def listen(self, seconds: float) -> list[Ended]:
        deadlines = [w.deadline for w in self._workers if w.deadline is not None]
        left = max(min([*deadlines, time.monotonic() + seconds]) - time.monotonic(), 0)
        ready = wait([worker.connection for worker in self._workers if worker.source], left)
        ended: list[Ended] = []
        for worker in list(self._workers):
            if worker.connection in ready:
                ended += self._hear(worker)
            elif worker.deadline is not None and time.monotonic() > worker.deadline:
                ended += self._hung(worker)
        return ended

    def end(self) -> None:
        for worker in list(self._workers):
            self._end(worker)

    def _hear(self, worker: _Worker) -> Sequence[Ended]:
        try:
            what, value = worker.connection.recv()
        except (EOFError, OSError):
            return self._died(worker)
        if what == "open":
            worker.is_open = True
        elif what == "watch":
            worker.deadline = time.monotonic() + self._setup.timeout_s if value else None
        elif worker.source is not None:
            source, worker.source, worker.deadline = worker.source, None, None
            if what == "outcome":
                return [Ended(source, outcome=value)]
            self._end(worker)
            return [Ended(source, stop=value)]
        return []

    def _died(self, worker: _Worker) -> Sequence[Ended]:
        source, was_open = worker.source, worker.is_open
        code = self._end(worker)
        how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        if source is None:
            return []
        if not was_open:
            what = f"a process ended {how} before it had opened the model"
            return [Ended(source, stop=DeadWorker(what, MEMORY_HINT))]
        return [Ended(source, died=how)]

    def _hung(self, worker: _Worker) -> Sequence[Ended]:
        source = worker.source
        self._end(worker)
        if source is None:
            return []
        error = DeadWorker(
            f"{named(source)} gave no frame for {self._setup.timeout_s:g} s",
            "convert it, or give a longer --timeout, and --retry-failed",
        )
        return [Ended(source, outcome=InputOutcome(source, None, error))]

    def _end(self, worker: _Worker) -> int:
        self._workers.remove(worker)
        code = worker.end()
        if worker.source is not None:
            name = worker.source.name
            with suppress(UserError, OSError), jobs.locked(self._setup.out, name):
                sweep(self._setup.out, name)
        return code


def named(source: Source) -> str:
    """An input, as an error names it."""
    return str(source.paths[0]) if len(source.paths) == 1 else source.name


class _Worker:
    """A process that predicts one input at a time, as its parent sees it."""

    def __init__(self, setup: Setup) -> None:
        self.connection, theirs = _START.Pipe()
        self.process = _START.Process(target=_work, args=(theirs, setup), daemon=True)
        self.process.start()
        theirs.close()
        self.source: Source | None = None
        self.deadline: float | None = None  # for its next sign of life
        self.is_open = False  # its model

    def give(self, source: Source) -> None:
        self.source, self.deadline = source, None
        with suppress(OSError):  # it died: found out when it is listened to
            self.connection.send(source)

    def end(self) -> int:
        """Kill it; its exit code, that of a signal negative."""
        self.connection.close()
        self.process.kill()
        self.process.join()
        return int(self.process.exitcode or 0)


# In a process of its own


def _work(connection: Connection, setup: Setup) -> None:
    """Predict what comes through the connection, until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's, which ends this process
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        try:
            run = setup.open_run(
                setup.model, setup.request, setup.out, setup.overwrite, _Watched(connection).bars
            )
        except (UserError, OSError) as error:
            connection.send(("stop", error))
            return
        connection.send(("open", None))
        while True:
            source = connection.recv()
            connection.send(_outcome(setup, run, source))


def _end_with_parent() -> None:
    """A parent that was killed cannot say so, and another may be told to predict the same input."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _outcome(setup: Setup, run: Run, source: Source) -> tuple[str, Any]:
    try:
        return "outcome", setup.predict_input(run, source)
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
