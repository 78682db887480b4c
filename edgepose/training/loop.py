"""The one training loop: steps, checkpoints, validation, logs, interruption, divergence.

What is trained and towards what is the caller's: distillation is another setup, not another loop.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from edgeio import write_json
from edgeio.ahead import ahead
from edgepose.errors import EdgeposeError
from edgepose.models.checkpoint import CheckpointInfo, save_checkpoint, weights_of
from edgepose.training.augmentation import Arrays
from edgepose.training.averaging import WeightAverage
from edgepose.training.checkpoints import LogRow, TrainingProgress, read_state, save_state, variables_by_name
from edgepose.training.constraints import NO_CONSTRAINTS, WeightConstraints
from edgepose.training.forecast import Forecast
from edgepose.training.hosts import (
    STOP_EVERY,
    any_of,
    arrays_from_first,
    assign,
    by_first,
    from_first,
    leave,
    process_count,
    process_index,
)
from edgepose.training.pipeline import Batch, Stream
from edgepose.training.runs import RunFolder, TensorBoard, write_log
from edgepose.training.steppers import Stepper, StepperSetup, make_stepper
from edgepose.training.validation import Validate, is_better


class Diverged(EdgeposeError):
    """Training whose loss or weights are no longer numbers."""


@dataclass(frozen=True)
class Listener:
    """Who is told of a run's progress.

    Attributes:
        step: done, in all: of the frames that are read at first, then of the steps.
        epoch: the row of each epoch that ends.
        say: remarks, such as which layers are new, and how long the run will take.
    """

    step: Callable[[int, int], None] = lambda done, total: None
    epoch: Callable[[LogRow], None] = lambda row: None
    say: Callable[[str], None] = lambda text: None


def heard(listener: Listener | None, hosts: str | None) -> Listener:
    """The listener, or one that nobody hears in the further of several processes (`hosts`)."""
    return listener if listener and (hosts is None or process_index() == 0) else Listener()


@dataclass(frozen=True)
class LoopSetup:
    """Everything a run needs.

    Attributes:
        stepper_setup: model, optimizer and what the graph computes.
        network: the model whose weights the checkpoints hold: the stepper's, or a part of it.
        info: what those weights belong to.
        stream: the batches.
        scalars: epoch -> what it sets in the graph, such as sigma.
        learning_rate: share of the steps done (0..1) -> learning rate.
        epochs, steps_per_epoch: length of the run.
        accumulate: parts of a batch.
        checkpoint_every: steps between saved states, besides every epoch's end.
        validate: scores of the network, or None for no validation and no `best`.
        folder: where the run lives.
        tensorboard: log for TensorBoard too.
        constraints: what is cut from the weights on the way; what every step keeps is in `stepper_setup`.
        average: of the network's weights, which is validated and kept in their place; None for themselves.
    """

    stepper_setup: StepperSetup
    network: Any
    info: CheckpointInfo
    stream: Stream
    scalars: Callable[[int], Mapping[str, float]]
    learning_rate: Callable[[float], float]
    epochs: int
    steps_per_epoch: int
    accumulate: int
    checkpoint_every: int
    validate: Validate | None
    folder: RunFolder
    tensorboard: bool = False
    constraints: WeightConstraints = NO_CONSTRAINTS
    average: WeightAverage | None = None

    @property
    def steps(self) -> int:
        return self.epochs * self.steps_per_epoch


def run(setup: LoopSetup, listener: Listener) -> TrainingProgress:
    """Train from the folder's state, or from the start, to the end.

    Raises:
        KeyboardInterrupt: asked to stop (Ctrl-C, SIGTERM); the state is saved first.
        Diverged: the loss is no longer a number; the last good checkpoint is kept.
    """
    session = _Session(setup, listener)
    with _stop_requests() as asked_to_stop:
        while len(session.progress.rows) < setup.epochs:
            session.train_epoch(asked_to_stop)
    return session.progress


@dataclass
class _Session:
    """A run in this process."""

    setup: LoopSetup
    listener: Listener
    stepper: Stepper = field(init=False)
    progress: TrainingProgress = field(init=False)
    _latest: Batch | None = field(init=False)

    def __post_init__(self) -> None:
        setup = self.setup
        self.stepper = make_stepper(setup.stepper_setup)
        self._writes = process_index() == 0
        self._variables = variables_by_name(setup.stepper_setup.model, setup.stepper_setup.optimizer)
        if setup.average:
            self._variables |= setup.average.by_name
        writes_board = setup.tensorboard and self._writes
        self._board = TensorBoard(setup.folder.tensorboard) if writes_board else None
        self.progress, self._latest = TrainingProgress(), None
        self._forecast = Forecast(self.listener.say)
        self._resume()

    def _resume(self) -> None:
        """Take over the saved state, if there is one, and where several train together process 0's values."""
        found = by_first(self._saved)
        plain = from_first(found[0].plain() if found else None)
        if plain is not None or process_count() > 1:
            arrays = found[1] if found else {name: v.numpy() for name, v in self._variables.items()}
            for name, value in arrays_from_first(arrays).items():
                assign(self._variables[name], value)
        self.stepper.push()
        if plain is not None:
            self.progress = TrainingProgress.from_plain(plain)
            self._write_derived()
            self.listener.say(self._resumed())

    def _saved(self) -> tuple[TrainingProgress, Mapping[str, np.ndarray]] | None:
        path = self.setup.folder.state
        return read_state(path, self._variables) if path.exists() else None

    def _resumed(self) -> str:
        setup, folder = self.setup, self.setup.folder.path
        if len(self.progress.rows) == setup.epochs:
            return f"the run in {folder} was finished before by the same job; --overwrite trains it anew"
        return f"going on with the run in {folder} from step {self.progress.step} of {setup.steps}"

    def train_epoch(self, asked_to_stop: threading.Event) -> None:
        """The rest of the current epoch, then its validation."""
        setup, epoch = self.setup, len(self.progress.rows)
        scalars, stop = setup.scalars(epoch), (epoch + 1) * setup.steps_per_epoch
        losses = _Losses(self._record, self._diverged)
        with closing(ahead(setup.stream.batches(self.progress.step, stop))) as batches:
            for batch in batches:
                self._latest = batch
                self._edit(batch.step)
                rate = setup.learning_rate(batch.step / setup.steps)
                losses.add(batch, self.stepper.step(batch.parts(setup.accumulate), scalars, rate))
                if setup.average:
                    self.stepper.average(setup.average.decay_at(batch.step))
                if self._must_stop(batch.step, asked_to_stop):
                    losses.settle()
                    self._save()
                    leave()
                    raise KeyboardInterrupt
                if (batch.step + 1) % setup.checkpoint_every == 0 and batch.step + 1 < stop:
                    losses.settle()
                    self._save()
        losses.settle()
        rate = setup.learning_rate((stop - 1) / setup.steps)
        self._end_epoch({"learning_rate": rate, "sigma": scalars["sigma"]})

    def _must_stop(self, step: int, asked: threading.Event) -> bool:
        """Whether a process was asked to stop; where several train together, all stop at the same step."""
        if process_count() == 1:
            return asked.is_set()
        return (step + 1) % STOP_EVERY == 0 and any_of(asked.is_set())

    def _edit(self, step: int) -> None:
        edit = self.setup.constraints.edits.get(step)
        if edit is not None:
            self.stepper.pull()
            edit()
            self.stepper.push()

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """The network is the average in the block, where one is kept."""
        average = self.setup.average
        if average is None:
            yield
            return
        self.stepper.pull()
        average.exchange()
        self.stepper.push()
        try:
            yield
        finally:
            average.exchange()
            self.stepper.push()

    def _end_epoch(self, settings: LogRow) -> None:
        setup, progress = self.setup, self.progress
        means = {name: total / setup.steps_per_epoch for name, total in progress.sums.items()}
        if setup.validate:
            self._save()  # so that a kill in a long validation costs no step, and NaN is told before it
        started = time.monotonic()
        with self._averaged():
            scores = setup.validate(self.stepper.predict) if setup.validate else {}
        seconds = progress.seconds + time.monotonic() - started
        row: LogRow = {"epoch": len(progress.rows), "step": progress.step, **settings, **means, **scores}
        row["seconds"] = round(seconds, 1)
        best = progress.best_epoch
        may_be_best = bool(scores) and len(progress.rows) >= setup.constraints.best_from
        is_best = may_be_best and (best is None or is_better(row, progress.rows[best]))
        self.progress = replace(progress, seconds=seconds).with_epoch(row, is_best)
        self._save()
        if self._board:
            self._board.write(row)
        self.listener.epoch(row)

    def _record(self, losses: Mapping[str, float], seconds: float) -> None:
        self.progress = self.progress.after(losses, seconds)
        self._forecast.step(seconds, self.setup.steps - self.progress.step)
        self.listener.step(self.progress.step, self.setup.steps)

    def _save(self) -> None:
        """The state first, then what is derived from it."""
        self.stepper.pull()
        if not self._writes:
            return
        try:
            save_state(self.setup.folder.state, self._variables, self.progress)
        except FloatingPointError as error:
            assert self._latest is not None  # a state that was loaded is finite
            self._diverged(self._latest, f"the weights ({error})")
        self._write_derived()

    def _write_derived(self) -> None:
        """Checkpoints of the network and the log, from the state that was just saved or loaded."""
        if not self._writes:
            return
        setup, progress = self.setup, self.progress
        with self._averaged():
            weights = weights_of(setup.network)
        save_checkpoint(setup.folder.last, weights, setup.info)
        ends_best = progress.best_epoch is not None and progress.best_epoch == len(progress.rows) - 1
        if ends_best and progress.step == len(progress.rows) * setup.steps_per_epoch:
            save_checkpoint(setup.folder.best, weights, setup.info)
        write_log(setup.folder.log, progress.rows)

    def _diverged(self, batch: Batch, what: str) -> NoReturn:
        setup = self.setup
        files = [str(setup.stream.frames.records[i].image) for i in batch.indices]
        epoch = batch.step // setup.steps_per_epoch
        if self._writes:
            told = {"step": batch.step, "epoch": epoch, "what": what, "files": files}
            write_json(setup.folder.diverged, told)
        more = f" and {len(files) - 3} more" if len(files) > 3 else ""
        kept = _kept(setup.folder.last)
        raise Diverged(
            f"step {batch.step} (epoch {epoch}) made {what} NaN or infinite on {', '.join(files[:3])}{more}, "
            f"listed in {setup.folder.diverged}",
            f"{kept}try a lower --learning-rate, or --precision float32",
        )


def _kept(last: Path) -> str:
    return (
        f"{last} is the last good checkpoint: start from it with --init and another --out, "
        if last.exists()
        else ""
    )


class _Losses:
    """Reads the losses one step late, so that the device computes while the host waits for numbers."""

    def __init__(
        self,
        record: Callable[[Mapping[str, float], float], None],
        diverged: Callable[[Batch, str], None],
    ) -> None:
        self._record, self._diverged = record, diverged
        self._pending: tuple[Batch, list[Arrays]] | None = None
        self._since = time.monotonic()

    def add(self, batch: Batch, parts: list[Arrays]) -> None:
        """A step's losses, part by part, perhaps not computed yet."""
        self.settle()
        self._pending = batch, parts

    def settle(self) -> None:
        """Wait for the step before; tell who records it, or that it is not a number."""
        if self._pending is None:
            return
        batch, parts = self._pending
        self._pending = None
        values = {name: float(np.mean([part[name] for part in parts])) for name in sorted(parts[0])}
        if not all(math.isfinite(value) for value in values.values()):
            self._diverged(batch, "the loss")
        now = time.monotonic()
        self._record(values, now - self._since)
        self._since = now


@contextmanager
def _stop_requests() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C or SIGTERM sets; the second one acts as always."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked  # only the main thread may handle signals
        return
    watched = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in watched}

    def ask(number: int, frame: object) -> None:
        asked.set()
        for each in watched:
            signal.signal(each, before[each])

    for number in watched:
        signal.signal(number, ask)
    try:
        yield asked
    finally:
        for number in watched:
            signal.signal(number, before[number])
