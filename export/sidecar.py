"""The .json beside each .tflite: what the file is, how it was made, and the caller's own metadata."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from edgeio import deflated_bytes, sha256_file, write_json
from edgeio.records import read_record
from export.calibration import Calibration
from export.errors import ExportError
from export.inspect import ModelInfo, inspect
from export.runtime import TensorSpec

_HINT = "export the model again, so that both are of one piece"


@dataclass(frozen=True)
class Sidecar:
    """What stands in the .json.

    Attributes:
        sha256, size_bytes: of the .tflite that it belongs to.
        recipe: key of the recipe, or "unknown" for a file from elsewhere.
        input, outputs: as the runtime gives them, with scale and zero point.
        calibration: what set the ranges, or None.
        versions: of everything that had a hand in it.
        ops: operators by type.
        float_operators: float operators inside an integer model.
        metadata: the caller's own, opaque here.
        deflated_bytes: `size_bytes` after deflate.
    """

    schema_version: Literal[1] = field(default=1, kw_only=True)
    sha256: str
    size_bytes: int
    recipe: str
    input: TensorSpec
    outputs: tuple[TensorSpec, ...]
    calibration: Calibration | None
    versions: dict[str, str]
    ops: dict[str, int]
    float_operators: int
    metadata: Any
    deflated_bytes: int


def sidecar_path(model: str | os.PathLike[str]) -> Path:
    """Where a model's sidecar lies."""
    return Path(model).with_suffix(".json")


def describe(
    model: Path,
    recipe: str,
    metadata: Any,
    calibration: Calibration | None = None,
    versions: dict[str, str] | None = None,
    info: ModelInfo | None = None,
) -> Sidecar:
    """What is to be said of a .tflite file; opens it once in the runtime for its tensors' types."""
    from export.runtime import Session

    found = info or inspect(model)
    session = Session(model)
    return Sidecar(
        sha256=sha256_file(model),
        size_bytes=found.size_bytes,
        recipe=recipe,
        input=session.inputs[0],
        outputs=tuple(session.outputs),
        calibration=calibration,
        versions={session.runtime.name: session.runtime.version, **(versions or {})},
        ops=found.ops,
        float_operators=len(found.float_operators),
        metadata=metadata,
        deflated_bytes=deflated_bytes(model),
    )


def write_sidecar(model: str | os.PathLike[str], sidecar: Sidecar) -> Path:
    """Write it beside the model; returns its path."""
    path = sidecar_path(model)
    write_json(path, asdict(sidecar))
    return path


def read_sidecar(model: str | os.PathLike[str]) -> Sidecar:
    """Read a model's sidecar and check that it is this model's.

    Raises:
        ExportError: missing, not JSON, of another schema, or of a model with other bytes.
    """
    path = sidecar_path(model)
    if not path.exists():
        raise ExportError(f"{model} has no sidecar {path.name} beside it", _HINT)
    sidecar = read_record(Sidecar, path, _HINT, ExportError)
    if sidecar.sha256 != sha256_file(model):
        raise ExportError(f"{path} is of another model than {Path(model).name} (SHA-256 differs)", _HINT)
    return sidecar
