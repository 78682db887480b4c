"""A run's state at one step, in one file, so that a kill at any moment leaves a state that fits together.

The file holds everything that the next step depends on: weights, batch statistics, the states of the
dropout generators, the optimizer's variables, and how far the run has come. The network's own
checkpoints (`last`, `best`) and the log are derived from it and written again when a run resumes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgeio import replacing
from edgepose.errors import BadCheckpoint

SCHEMA_VERSION = 1
_KEY = "edgepose-training"
_HINT = "start the run again in another folder"

LogRow = dict[str, float | int | None]  # one epoch in the log


def row_text(row: LogRow) -> str:
    """An epoch in one line for a reader."""
    texts = (f"{name} {v:.5g}" if isinstance(v, float) else f"{name} {v}" for name, v in row.items())
    return ", ".join(texts)


@dataclass(frozen=True)
class TrainingProgress:
    """How far a run has come.

    Attributes:
        step: optimizer steps done.
        sums: of each loss over the steps of the unfinished epoch.
        seconds: spent training, over all sessions.
        rows: one an epoch that is finished.
        best_epoch: whose weights scored best; None before the first validation.
    """

    step: int = 0
    sums: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    rows: tuple[LogRow, ...] = ()
    best_epoch: int | None = None

    def plain(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> TrainingProgress:
        """Of what `plain` gave."""
        return cls(**{**plain, "rows": tuple(plain["rows"])})

    def after(self, losses: Mapping[str, float], seconds: float) -> TrainingProgress:
        """One step later."""
        sums = {name: self.sums.get(name, 0.0) + value for name, value in losses.items()}
        return replace(self, step=self.step + 1, sums=sums, seconds=self.seconds + seconds)

    def with_epoch(self, row: LogRow, is_best: bool) -> TrainingProgress:
        """With a finished epoch's row; the sums start again."""
        best = len(self.rows) if is_best else self.best_epoch
        return replace(self, sums={}, rows=(*self.rows, row), best_epoch=best)


def variables_by_name(model: Any, optimizer: Any) -> dict[str, Any]:
    """Every variable that the next step depends on, by a name that is the same in the next session."""
    groups = {"model": model.variables, "optimizer": optimizer.variables}
    return {f"{key}/{i}/{_path(v)}": v for key, found in groups.items() for i, v in enumerate(found)}


def _path(variable: Any) -> str:
    """Keras numbers the dropout generators of a process, so the second model's have other names."""
    return re.sub(r"seed_generator_\d+", "seed_generator", variable.path)


def save_state(path: Path, variables: Mapping[str, Any], progress: TrainingProgress) -> None:
    """Write a state, whole or not at all.

    Raises:
        FloatingPointError: a variable holds NaN or infinity; the file is left as it was.
    """
    from safetensors.numpy import save

    arrays = {name: np.array(v.numpy(), order="C") for name, v in variables.items()}
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise FloatingPointError(name)
    metadata = {"schema_version": SCHEMA_VERSION, **progress.plain()}
    with replacing(path) as temporary:
        temporary.write_bytes(save(arrays, {_KEY: json.dumps(metadata)}))


def read_state(path: Path, variables: Mapping[str, Any]) -> tuple[TrainingProgress, Mapping[str, np.ndarray]]:
    """A state, and the value of each variable in it.

    Raises:
        BadCheckpoint: damaged, of another schema, or of another model or optimizer.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            plain = json.loads((file.metadata() or {})[_KEY])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise BadCheckpoint(f"{path} is no readable training state ({error})", _HINT) from None
    if plain.pop("schema_version", None) != SCHEMA_VERSION:
        raise BadCheckpoint(f"{path} was written by another version of edgepose", _HINT)
    shapes = {name: tuple(v.shape) for name, v in variables.items()}
    if shapes != {name: array.shape for name, array in arrays.items()}:
        raise BadCheckpoint(f"{path} is the state of another network or optimizer", _HINT)
    return TrainingProgress.from_plain(plain), arrays
