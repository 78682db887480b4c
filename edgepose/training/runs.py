"""A run's folder: what it was asked to do, its state, its checkpoints, its logs.

run.json             every setting, the data's hash, versions: what the same command is held to
state.safetensors    the state at the last saved step (see `checkpoints`)
last.safetensors     the network at that step
best.safetensors     the network after the epoch that scored best
log.csv              one row an epoch
tensorboard/         the same for TensorBoard, on demand
diverged.json        where the loss stopped being a number, if it did
"""

from __future__ import annotations

import csv
import shutil
from dataclasses import dataclass
from pathlib import Path

from edgeio import replacing
from edgepose.errors import UsageError
from edgepose.frameworks import tensorflow
from edgepose.training.checkpoints import LogRow


@dataclass(frozen=True)
class RunFolder:
    """The files of a run."""

    path: Path

    @property
    def description(self) -> Path:
        return self.path / "run.json"

    @property
    def state(self) -> Path:
        return self.path / "state.safetensors"

    @property
    def last(self) -> Path:
        return self.path / "last.safetensors"

    @property
    def best(self) -> Path:
        return self.path / "best.safetensors"

    @property
    def log(self) -> Path:
        return self.path / "log.csv"

    @property
    def tensorboard(self) -> Path:
        return self.path / "tensorboard"

    @property
    def diverged(self) -> Path:
        return self.path / "diverged.json"

    @property
    def results(self) -> tuple[Path, ...]:
        return self.state, self.last, self.best, self.log, self.diverged

    def clear(self) -> None:
        """Remove what an earlier run left."""
        for path in (self.description, *self.results):
            path.unlink(missing_ok=True)
        shutil.rmtree(self.tensorboard, ignore_errors=True)


def write_log(path: Path, rows: tuple[LogRow, ...]) -> None:
    """All epochs as CSV; empty cells where a value is undefined."""
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, list(rows[0]) if rows else ["epoch"])
        writer.writeheader()
        writer.writerows(rows)


def check_tensorboard() -> None:
    """Raise UsageError where events cannot be written: only TensorFlow does, whatever Keras's backend."""
    try:
        tensorflow()
    except UsageError as error:
        raise UsageError(f"--tensorboard: {error.what}", f"leave it out, or {error.hint}") from None


class TensorBoard:
    """Event files for TensorBoard, by TensorFlow's old writer: the new one needs one more package."""

    def __init__(self, path: Path) -> None:
        self._v1 = tensorflow().compat.v1
        with self._v1.Graph().as_default():  # that writer works only where eager execution is off
            self._writer = self._v1.summary.FileWriter(str(path))

    def write(self, row: LogRow) -> None:
        """One epoch's values."""
        values = [
            self._v1.Summary.Value(tag=name, simple_value=value)
            for name, value in row.items()
            if name != "epoch" and value is not None
        ]
        with self._v1.Graph().as_default():
            self._writer.add_summary(self._v1.Summary(value=values), int(row["epoch"] or 0))
        self._writer.flush()
