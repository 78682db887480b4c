"""predictions.npz: every predicted and annotated point of one scored model, for paired comparison."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from edgeio import replacing, sha256_file
from edgepose.errors import BadResults
from edgepose.results.results import PREDICTIONS_NAME, Results

PREDICTIONS_VERSION = 2
_RESCORE = "score the model again with `edgepose evaluate`"


@dataclass(frozen=True)
class Predictions:
    """Points of N images and K keypoints, in pixels of the original images.

    Attributes:
        ids: (N,) str, unique.
        videos: (N,) str: what each image belongs to.
        keypoints: (K,) str: names.
        predicted_px: (N, K, 2) float64, x and y.
        annotated_px: (N, K, 2) float64, x and y; NaN where not annotated.
        head_length_px: (N,) float64.
        confidence: (N, K) float64: the decoder's own.
        image_paths: (N,) str.
        columns: by name (N,) str, what the data set says of each image (setup, site, ...); empty where it
            says nothing.
    """

    ids: np.ndarray
    videos: np.ndarray
    keypoints: np.ndarray
    predicted_px: np.ndarray
    annotated_px: np.ndarray
    head_length_px: np.ndarray
    confidence: np.ndarray
    image_paths: np.ndarray
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: np.ndarray) -> Predictions:
        """The same keypoints for the images at `rows` (M,), in that order."""
        kept = {name: getattr(self, name) for name in _ARRAYS}
        by_image = {name: array if name == "keypoints" else array[rows] for name, array in kept.items()}
        return Predictions(**by_image, columns={name: text[rows] for name, text in self.columns.items()})


_ARRAYS = tuple(f.name for f in fields(Predictions) if f.name != "columns")


def save_predictions(path: Path, predictions: Predictions) -> str:
    """Write the file, whole or not at all.

    Returns:
        Its SHA-256, for `Results.predictions_sha256`.

    Raises:
        ValueError: shapes that do not belong together; a fault of the caller.
    """
    problem = _problem(predictions)
    if problem is not None:
        raise ValueError(problem)
    names = list(predictions.columns)
    arrays: dict[str, Any] = {name: getattr(predictions, name) for name in _ARRAYS}
    arrays["schema_version"] = np.array(PREDICTIONS_VERSION)
    arrays["column_names"] = np.array(names, dtype=str)
    arrays["columns"] = np.array([predictions.columns[name] for name in names], dtype=str).reshape(
        len(names), len(predictions)
    )
    with replacing(path) as temporary:
        np.savez_compressed(temporary, **arrays)
    return sha256_file(path)


def load_predictions(results_path: Path, results: Results) -> Predictions:
    """Read the predictions beside a results.json, and check that they are the ones it was made from.

    Raises:
        BadResults: missing, changed since, unreadable, or of other shapes.
    """
    path = results_path.with_name(PREDICTIONS_NAME)
    if not path.is_file():
        raise BadResults(f"{path} is missing beside {results_path.name}", f"copy it there, or {_RESCORE}")
    if sha256_file(path) != results.predictions_sha256:
        raise BadResults(f"{path} is not the file that {results_path.name} was made with", _RESCORE)
    predictions = _load(path)
    problem = _problem(predictions)
    if problem is None and tuple(predictions.keypoints) != results.data.scored_keypoints:
        problem = "its keypoints are not the scored keypoints of the results"
    if problem is None and len(predictions) != results.data.n_images:
        problem = f"it holds {len(predictions)} images and the results {results.data.n_images}"
    if problem is not None:
        raise BadResults(f"{path}: {problem}", _RESCORE)
    return predictions


def _load(path: Path) -> Predictions:
    try:
        with np.load(path, allow_pickle=False) as archive:
            version = int(archive["schema_version"])
            if version != PREDICTIONS_VERSION:
                raise BadResults(
                    f"{path} has schema version {version} and this edgepose reads {PREDICTIONS_VERSION}",
                    "upgrade edgepose" if version > PREDICTIONS_VERSION else _RESCORE,
                )
            columns = zip(archive["column_names"], archive["columns"], strict=True)
            return Predictions(
                **{name: archive[name] for name in _ARRAYS},
                columns={str(name): text for name, text in columns},
            )
    except (ValueError, TypeError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise BadResults(f"{path} cannot be read as predictions ({error})", _RESCORE) from None


def _problem(predictions: Predictions) -> str | None:
    """What is wrong with the shapes and kinds, or None."""
    n, k = predictions.ids.size, predictions.keypoints.size
    wanted = {
        "ids": ("U", (n,)),
        "videos": ("U", (n,)),
        "keypoints": ("U", (k,)),
        "predicted_px": ("f", (n, k, 2)),
        "annotated_px": ("f", (n, k, 2)),
        "head_length_px": ("f", (n,)),
        "confidence": ("f", (n, k)),
        "image_paths": ("U", (n,)),
    }
    for name, (kind, shape) in wanted.items():
        array = getattr(predictions, name)
        if array.dtype.kind != kind or array.shape != shape:
            return f"{name} is {array.dtype} {array.shape}, not {kind} {shape}"
    for name, text in predictions.columns.items():
        if text.dtype.kind != "U" or text.shape != (n,):
            return f"column {name} is {text.dtype} {text.shape}, not U {(n,)}"
    if np.unique(predictions.ids).size != n:
        return "an image id stands twice"
    return None
