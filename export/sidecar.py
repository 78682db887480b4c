"""The .json beside each .tflite: what the file is, how it was made, and the caller's own metadata."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgeio import UserError, deflated_bytes, read_json, sha256_file, write_json
from export.calibration import Calibration
from export.errors import ExportError
from export.inspect import ModelInfo, inspect
from export.runtime import TensorSpec

SCHEMA_VERSION = 1
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
        deflated_bytes: `size_bytes` after deflate; None in sidecars from before it was told.
    """

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
    deflated_bytes: int | None = None


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
    write_json(path, {"schema_version": SCHEMA_VERSION, **asdict(sidecar)})
    return path


def read_sidecar(model: str | os.PathLike[str]) -> Sidecar:
    """Read a model's sidecar and check that it is this model's.

    Raises:
        ExportError: missing, not JSON, of another schema, or of a model with other bytes.
    """
    path = sidecar_path(model)
    if not path.exists():
        raise ExportError(f"{model} has no sidecar {path.name} beside it", _HINT)
    try:
        plain = read_json(path, _HINT)
    except UserError as error:
        raise ExportError(error.what, error.hint) from None
    version = plain.get("schema_version") if isinstance(plain, dict) else None
    if version != SCHEMA_VERSION:
        newer = isinstance(version, int) and version > SCHEMA_VERSION
        hint = "upgrade to a version that reads it" if newer else _HINT
        raise ExportError(f"{path} has schema version {version!r} and this one reads {SCHEMA_VERSION}", hint)
    if plain.get("sha256") != sha256_file(model):
        raise ExportError(f"{path} is of another model than {Path(model).name} (SHA-256 differs)", _HINT)
    return _parse(plain, path)


def _parse(plain: dict[str, Any], path: Path) -> Sidecar:
    try:
        calibration, told = plain["calibration"], plain.get("deflated_bytes")
        return Sidecar(
            sha256=str(plain["sha256"]),
            size_bytes=int(plain["size_bytes"]),
            recipe=str(plain["recipe"]),
            input=_spec(plain["input"]),
            outputs=tuple(_spec(output) for output in plain["outputs"]),
            calibration=Calibration(**calibration) if calibration else None,
            versions=dict(plain["versions"]),
            ops=dict(plain["ops"]),
            float_operators=int(plain["float_operators"]),
            metadata=plain["metadata"],
            deflated_bytes=None if told is None else int(told),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ExportError(f"{path} is not a sidecar ({type(error).__name__}: {error})", _HINT) from None


def _spec(plain: dict[str, Any]) -> TensorSpec:
    return TensorSpec(**{**plain, "shape": tuple(plain["shape"])})
