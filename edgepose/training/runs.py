"""A run's folder: what it was asked to do, its state, its checkpoints, its logs.

run.json             every setting, the data's hash, versions: what a resumed run is held to
state.safetensors    the state at the last saved step (see `checkpoints`)
last.safetensors     the network at that step
best.safetensors     the network after the epoch that scored best
log.csv              one row an epoch
tensorboard/         the same for TensorBoard, on demand
diverged.json        where the loss stopped being a number, if it did
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeio import read_json, replacing, write_json
from edgepose.errors import UsageError
from edgepose.frameworks import tensorflow
from edgepose.training.checkpoints import Row

SCHEMA_VERSION = 1


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


def claim(folder: RunFolder, binding: Mapping[str, Any], facts: Mapping[str, Any], resume: bool) -> None:
    """Begin a run in a folder, or check that a resumed run is the same.

    Args:
        binding: what decides the result: settings, data, backend. JSON.
        facts: what else the reader of run.json wants to know. JSON.
        resume: go on with the run that is there.

    Raises:
        UsageError: a run is there and `resume` is false, or none and it is true, or its settings differ.
    """
    exists = folder.description.exists()
    if exists and not resume:
        raise UsageError(
            f"{folder.path} holds a run", "add --resume to go on with it, or choose another --out"
        )
    if not exists and resume:
        raise UsageError(f"{folder.path} holds no run to resume", "leave --resume out, or check --out")
    if not exists:
        write_json(folder.description, {"schema_version": SCHEMA_VERSION, **binding, "facts": facts})
        return
    before = read_json(folder.description, "choose another --out")
    then, now = _flat({k: before.get(k) for k in binding}), _flat(binding)
    changed = [name for name in sorted({*then, *now}) if then.get(name) != now.get(name)]
    if changed:
        told = "; ".join(f"{name} was {then.get(name)!r} and is {now.get(name)!r}" for name in changed)
        raise UsageError(
            f"{folder.path} cannot resume with other settings: {told}",
            "use the old ones, or choose another --out",
        )


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    """Nested mappings as dotted names."""
    if not isinstance(value, Mapping):
        return {name: list(value) if isinstance(value, tuple) else value}
    found: dict[str, Any] = {}
    for key, inner in value.items():
        found |= _flat(inner, f"{name}.{key}" if name else key)
    return found


def write_log(path: Path, rows: tuple[Row, ...]) -> None:
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

    def write(self, row: Row) -> None:
        """One epoch's values."""
        values = [
            self._v1.Summary.Value(tag=name, simple_value=value)
            for name, value in row.items()
            if name != "epoch" and value is not None
        ]
        with self._v1.Graph().as_default():
            self._writer.add_summary(self._v1.Summary(value=values), int(row["epoch"] or 0))
        self._writer.flush()
