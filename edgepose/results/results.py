"""results.json: what one model scored on one data set, and all that the numbers depend on.

The dataclasses are the schema, version 1; `results.schema.json` beside this file says the same as JSON
Schema, with a description and a unit for every field. A number that could not be measured is null,
never 0. Shares (PCKh, AUC, taxonomy) are in percent, errors in head lengths, as in the paper's tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from edgeio import UserError, read_json, write_json
from edgeio.records import Mismatch, from_plain, to_plain
from edgepose.errors import BadResults
from edgepose.results.device_facts import DeviceFacts

SCHEMA_VERSION = 1
RESULTS_NAME = "results.json"
PREDICTIONS_NAME = "predictions.npz"
AT = "@"  # between a model's name and the device's, in the name of a row
DESKTOP = "desktop"

_RESCORE = "score the model again with `edgepose evaluate`"


@dataclass(frozen=True)
class Metric:
    """One column of scores.

    Attributes:
        key: its name in results.json.
        label: its name in a report.
        computed: its name in `edgepose.evaluation.metrics`, which gives shares as 0..1.
        unit: "%" or "head lengths".
        digits: decimals in a report.
    """

    key: str
    label: str
    computed: str
    unit: str
    digits: int

    @property
    def scale(self) -> float:
        """Factor from what `metrics` computes to what results.json holds."""
        return 100.0 if self.unit == "%" else 1.0

    @property
    def higher_is_better(self) -> bool:
        """Shares are of keypoints found; lengths are errors."""
        return self.unit == "%"


METRICS = {
    m.key: m
    for m in (
        Metric("pckh@1.0", "PCKh@1.0", "pckh@1.0", "%", 1),
        Metric("pckh@0.5", "PCKh@0.5", "pckh@0.5", "%", 1),
        Metric("pckh@0.3", "PCKh@0.3", "pckh@0.3", "%", 1),
        Metric("pckh@0.2", "PCKh@0.2", "pckh@0.2", "%", 1),
        Metric("pckh@0.1", "PCKh@0.1", "pckh@0.1", "%", 1),
        Metric("me", "ME", "me", "head lengths", 4),
        Metric("median", "Median error", "median_error", "head lengths", 4),
        Metric("p95", "P95 error", "p95_error", "head lengths", 4),
        Metric("pckh@human", "PCKh@Human^0.95", "pckh@human95", "%", 1),
    )
}


@dataclass(frozen=True)
class ModelFacts:
    """The model that was scored. `kind` "checkpoint" is scored by Keras, "tflite" by a TFLite runtime.

    Sizes are of all files that it needs, a detector's too; `network` is null for a network of others.
    """

    path_name: str
    sha256: str
    kind: Literal["checkpoint", "tflite"]
    network: str | None
    network_name: str
    keypoints: str
    recipe: str | None
    output: Literal["maps", "upscaled", "keypoints", "movenet", "blazepose"]
    input_size: tuple[int, int]
    size_bytes: int
    parameters: int | None
    flops: int | None
    ops: Mapping[str, int]
    float_islands: int | None
    deflated_bytes: int | None = None  # absent from results of earlier versions


@dataclass(frozen=True)
class DetectorFacts:
    """A model's own first stage, which finds the part of each image that the network sees.

    Attributes:
        nobody_found: ids of the scored images in which it found nobody: their keypoints count as missed.
    """

    path_name: str
    sha256: str
    size_bytes: int
    nobody_found: tuple[str, ...]


@dataclass(frozen=True)
class Excluded:
    """An image that was not scored, and why."""

    id: str
    reason: str


@dataclass(frozen=True)
class DataFacts:
    """What it was scored on. Two results compare only where these agree."""

    name: str
    format: str
    sha256: str
    split: str
    crop: Literal["none", "person"]
    crop_margin: float | None
    keypoints: str
    scored_keypoints: tuple[str, ...]
    near_matched: tuple[str, ...]
    n_images: int
    n_keypoints: int
    n_videos: int
    excluded: tuple[Excluded, ...]
    head_length: str


@dataclass(frozen=True)
class KeypointScores:
    """Scores of one keypoint.

    Attributes:
        n: annotated keypoints that the scores are taken over.
        scores: every key of `METRICS`; null where n is 0 or no human spread is defined.
    """

    n: int
    scores: Mapping[str, float | None]


@dataclass(frozen=True)
class OverallScores:
    """Scores over all keypoints, the area under the PCKh curve, and 95 % intervals by metric."""

    n: int
    scores: Mapping[str, float | None]
    auc: float
    intervals: Mapping[str, tuple[float, float] | None]


@dataclass(frozen=True)
class Agreement:
    """ICC of the model's mean errors with the human spread: value and 95 % interval (low, high)."""

    A1: tuple[float, float, float]
    C1: tuple[float, float, float]


@dataclass(frozen=True)
class HumanSpread:
    """Inter-rater spread per keypoint, in head lengths, where it is defined."""

    source: str
    spread: Mapping[str, float]
    spread_p95: Mapping[str, float]


@dataclass(frozen=True)
class Curve:
    """PCKh over all keypoints, in percent, at thresholds t in head lengths."""

    t: tuple[float, ...]
    pckh: tuple[float, ...]


@dataclass(frozen=True)
class BootstrapFacts:
    """How the 95 % intervals were made: whole units are drawn with replacement."""

    replicates: int
    seed: int
    unit: Literal["video"]


@dataclass(frozen=True)
class Metrics:
    """All that says how well the model places keypoints."""

    per_keypoint: Mapping[str, KeypointScores]
    overall: OverallScores
    icc: Agreement | None
    taxonomy: Mapping[str, float]
    human: HumanSpread | None
    curve: Curve
    bootstrap: BootstrapFacts


@dataclass(frozen=True)
class Latency:
    """Milliseconds of one inference at batch 1, over `runs` runs after `warm_up` runs."""

    median: float
    p90: float
    runs: int
    warm_up: int
    threads: int


@dataclass(frozen=True)
class Speed:
    """What the model costs on the processor named; `note` says what to beware of."""

    latency_ms: Latency
    letterbox_ms: float | None
    decode_ms: float | None
    peak_memory_bytes: int | None
    processor: str
    note: str | None


@dataclass(frozen=True)
class Results:
    """One results.json.

    Attributes:
        name: unique row name, the model file's stem; of a run elsewhere with `AT` and the device's name.
        created: ISO 8601 time of scoring.
        edgepose: version of edgepose that scored.
        decode: key of the decoder.
        target: where the model ran ("desktop", ...).
        runtime: "name" and "version" of what ran the model, and versions of python, numpy, ... by name.
        predictions_sha256: hash of the predictions.npz beside it.
        device: of a run elsewhere than on this machine.
        detector: of a model with a first stage of its own.
    """

    schema_version: int
    name: str
    created: str
    edgepose: str
    seed: int
    model: ModelFacts
    data: DataFacts
    decode: str
    metrics: Metrics
    speed: Speed | None
    target: str
    runtime: Mapping[str, str]
    predictions_sha256: str
    device: DeviceFacts | None = None
    detector: DetectorFacts | None = None

    @property
    def model_name(self) -> str:
        """The row's name without the device's."""
        return self.name.rpartition(AT)[0] or self.name if self.device else self.name

    @property
    def place(self) -> str:
        """Where it ran: this machine, or the device's name, with its delegate where that is not the usual."""
        if self.device is None:
            return DESKTOP
        return self.name[len(self.model_name) + 1 :] or self.device.name


def read_results(path: Path) -> Results:
    """Read a results.json and check it, field by field.

    Raises:
        BadResults: it is missing, not JSON, of another schema version, or not as the schema says.
    """
    plain = _read_plain(path)
    version = plain.get("schema_version") if isinstance(plain, dict) else None
    if not isinstance(version, int) or isinstance(version, bool):
        raise BadResults(f"{path} has no schema_version, so it is no results file", _RESCORE)
    if version > SCHEMA_VERSION:
        raise BadResults(
            f"{path} has schema version {version} and this edgepose reads {SCHEMA_VERSION}",
            "upgrade edgepose",
        )
    if version != SCHEMA_VERSION:
        raise BadResults(f"{path} has schema version {version}, which was never released", _RESCORE)
    try:
        results = from_plain(Results, plain)
        check_consistent(results)
    except Mismatch as error:
        raise BadResults(f"{path}: {error}", _RESCORE) from None
    return results


def write_results(path: Path, results: Results) -> None:
    """Write a results.json, whole or not at all.

    Raises:
        Mismatch: the results do not say what the schema says; a fault of the caller, not of the user.
    """
    plain = to_plain(results)
    check_consistent(from_plain(Results, plain))
    write_json(path, plain)


def check_consistent(results: Results) -> None:
    """What types cannot say: the parts of one results file agree with each other; raises Mismatch."""
    metrics, scored = results.metrics, results.data.scored_keypoints
    if not results.name.strip():
        raise Mismatch("name is empty")
    for key in ("name", "version"):
        if key not in results.runtime:
            raise Mismatch(f"runtime.{key} is missing")
    if tuple(metrics.per_keypoint) != scored:
        raise Mismatch("metrics.per_keypoint does not list data.scored_keypoints in their order")
    for name, entry in metrics.per_keypoint.items():
        _check_metric_names(entry.scores, f"metrics.per_keypoint.{name}.scores")
    _check_metric_names(metrics.overall.scores, "metrics.overall.scores")
    for key in metrics.overall.intervals:
        if key not in METRICS:
            raise Mismatch(f"metrics.overall.intervals.{key} is not a known metric")
    if len(metrics.curve.t) != len(metrics.curve.pckh):
        raise Mismatch("metrics.curve.t and metrics.curve.pckh differ in length")
    counted = sum(entry.n for entry in metrics.per_keypoint.values())
    if not counted == metrics.overall.n == results.data.n_keypoints:
        raise Mismatch(
            f"data.n_keypoints is {results.data.n_keypoints}, metrics.overall.n {metrics.overall.n}, "
            f"and the keypoints add up to {counted}"
        )


def _check_metric_names(scores: Mapping[str, float | None], where: str) -> None:
    for key in METRICS:
        if key not in scores:
            raise Mismatch(f"{where}.{key} is missing")
    for key in scores:
        if key not in METRICS:
            raise Mismatch(f"{where}.{key} is not a known metric")


def _read_plain(path: Path) -> Any:
    try:
        return read_json(path, _RESCORE)
    except UserError as error:
        raise BadResults(error.what, error.hint) from None
