"""results.json: what one model scored on one data set, and all that the numbers depend on.

The dataclasses are the schema; `results.schema.json` beside this file is made of them for other languages. A
number that could not be measured is null, never 0. Shares (PCKh, AUC, taxonomy) are in percent, errors in
head lengths, as in the paper's tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, WithJsonSchema

from edgeio import write_json
from edgeio.records import Mismatch, Percent, Sha256, from_plain, read_record, to_plain
from edgepose.errors import BadResults
from edgepose.results.device_facts import DeviceFacts

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
        meaning: what it says, in a sentence.
    """

    key: str
    label: str
    computed: str
    unit: str
    digits: int
    meaning: str

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
        Metric("pckh@1.0", "PCKh@1.0", "pckh@1.0", "%", 1, "Percent of keypoints within 1.0 head lengths."),
        Metric("pckh@0.5", "PCKh@0.5", "pckh@0.5", "%", 1, "Percent of keypoints within 0.5 head lengths."),
        Metric("pckh@0.3", "PCKh@0.3", "pckh@0.3", "%", 1, "Percent of keypoints within 0.3 head lengths."),
        Metric("pckh@0.2", "PCKh@0.2", "pckh@0.2", "%", 1, "Percent of keypoints within 0.2 head lengths."),
        Metric("pckh@0.1", "PCKh@0.1", "pckh@0.1", "%", 1, "Percent of keypoints within 0.1 head lengths."),
        Metric(
            "me", "ME", "me", "head lengths", 4, "Mean distance; over all keypoints, the mean of their means."
        ),
        Metric("median", "Median error", "median_error", "head lengths", 4, "Median distance."),
        Metric("p95", "P95 error", "p95_error", "head lengths", 4, "95th percentile of the distances."),
        Metric(
            "pckh@human",
            "PCKh@Human^0.95",
            "pckh@human95",
            "%",
            1,
            "Percent within the 95th percentile of the keypoint's inter-rater spread; 95 is human level.",
        ),
    )
}
MetricKey = Annotated[str, WithJsonSchema({"enum": [*METRICS]})]
Scores = Annotated[
    Mapping[str, float | None],
    WithJsonSchema(
        {
            "type": "object",
            "properties": {
                m.key: {"description": m.meaning, "type": ["number", "null"], "minimum": 0}
                for m in METRICS.values()
            },
            "required": [*METRICS],
            "additionalProperties": False,
        }
    ),
]


@dataclass(frozen=True)
class ModelFacts:
    """The model that was scored. `kind` "checkpoint" is scored by Keras, "tflite" by a TFLite runtime.

    Sizes are of all files that it needs, a detector's too; `network` is null for a network of others.
    """

    path_name: str
    """File name, without its folder."""
    sha256: Sha256
    """SHA-256 of the model file."""
    kind: Literal["checkpoint", "tflite"]
    """Keras checkpoint or TensorFlow Lite file."""
    network: str | None
    """Key of the network, as in `edgepose models`; null where unknown."""
    network_name: str
    """Name of the network in words."""
    keypoints: str
    """Key of the keypoint set that the model predicts."""
    recipe: str | None
    """Key of the export recipe (fp32, fp16, weights-int8, dynamic, int8, int16x8); null for a checkpoint."""
    output: Literal["maps", "upscaled", "keypoints", "movenet", "blazepose"]
    """What the model gives: low-resolution maps, maps at input resolution, coordinates, or as a peer does."""
    input_size: tuple[PositiveInt, PositiveInt]
    """Height and width of the input, px."""
    size_bytes: NonNegativeInt
    """Size of the model file, bytes."""
    parameters: NonNegativeInt | None
    """All parameters, trainable or not."""
    flops: NonNegativeInt | None
    """Floating-point operations of one inference at batch 1, as TensorFlow's profiler counts."""
    ops: Mapping[str, PositiveInt]
    """Number of operators of the .tflite file by type; empty for a checkpoint."""
    float_operators: NonNegativeInt | None
    """Float operators inside an integer model; null where the model is not integer."""
    deflated_bytes: NonNegativeInt | None
    """Size of the model file after deflate (zlib, level 9), bytes; null where it was not measured."""
    flip: bool = field(default=False, kw_only=True)
    """Scored with the flip test: by the mean of what it gives for a picture and for its mirror image."""


@dataclass(frozen=True)
class DetectorFacts:
    """A model's own first stage, which finds the part of each image that the network sees."""

    path_name: str
    """File name, without its folder."""
    sha256: Sha256
    """SHA-256 of the detector's file."""
    size_bytes: NonNegativeInt
    """Size of the detector's file, which model.size_bytes holds too, bytes."""
    nobody_found: tuple[str, ...]
    """Ids of the scored images in which it found nobody: their keypoints count as missed."""


@dataclass(frozen=True)
class Excluded:
    """An image that was not scored, and why."""

    id: str
    """Id of the image."""
    reason: str
    """Why it was left out."""


@dataclass(frozen=True)
class DataFacts:
    """What it was scored on. Two results compare only where these agree."""

    name: str
    """Data set as the user named it, FORMAT:NAME, without a folder of the machine."""
    format: str
    """Key of the reader."""
    sha256: Sha256
    """SHA-256 over ids, videos, annotations and the bytes of the images."""
    split: str
    """train, val, test or all."""
    crop: Literal["none", "person", "found"]
    """Whole image (none), or cropped to the annotated person, or to where the network found one."""
    crop_margin: NonNegativeFloat | None
    """Margin around the person as a share of the person's box; null without a crop."""
    keypoints: str
    """Key of the data set's keypoint set."""
    scored_keypoints: tuple[str, ...]
    """Names of the keypoints scored: those that model and data set share."""
    near_matched: tuple[str, ...]
    """Names among them that are matched by a different definition."""
    n_images: NonNegativeInt
    """Images scored: the rows of predictions.npz."""
    n_keypoints: NonNegativeInt
    """Annotated keypoints scored."""
    n_videos: NonNegativeInt
    """Videos that the images belong to; an image without a video is its own."""
    excluded: tuple[Excluded, ...]
    """Images that were not scored."""
    head_length: str
    """How the head length of each image was had, in words."""
    turn: Literal["none", "upright", "found"]
    """Quarter turns: by the labelled trunk (upright), or as the network is surest (found)."""
    ruler: str
    """Key of what distances are divided by, as in `--ruler`."""


@dataclass(frozen=True)
class KeypointScores:
    """Scores of one keypoint; null where n is 0 or, for pckh@human, no human spread is defined."""

    n: NonNegativeInt
    """Annotated keypoints scored."""
    scores: Scores
    "Distances are from prediction to annotation, in head lengths of the image."


@dataclass(frozen=True)
class OverallScores:
    """Scores over all keypoints, the area under the PCKh curve, and 95 % intervals by metric."""

    n: NonNegativeInt
    """Annotated keypoints scored, all together."""
    scores: Scores
    "Distances are from prediction to annotation, in head lengths of the image."
    auc: Percent
    """Area under PCKh@t over t = 0 to 0.5 head lengths, as percent of the largest possible."""
    intervals: Mapping[MetricKey, tuple[float, float] | None]
    """95 % bootstrap interval by metric, in the metric's unit; null where it cannot be had (one video)."""


@dataclass(frozen=True)
class Agreement:
    """ICC of the model's mean errors with the human spread: value and 95 % interval (low, high)."""

    A1: tuple[float, float, float]
    """ICC(A,1), absolute agreement."""
    C1: tuple[float, float, float]
    """ICC(C,1), consistency."""


@dataclass(frozen=True)
class HumanSpreadRecord:
    """Inter-rater spread per keypoint, in head lengths, where it is defined."""

    source: str
    """Where the spread comes from: the paper's table or a raters' file."""
    spread: Mapping[str, NonNegativeFloat]
    """H by keypoint: mean distance of a rater from the raters' mean, head lengths."""
    spread_p95: Mapping[str, NonNegativeFloat]
    """H^0.95 by keypoint: 95th percentile of the same distances, head lengths."""


@dataclass(frozen=True)
class PckhCurve:
    """PCKh over all keypoints, in percent, at thresholds t in head lengths."""

    t: tuple[NonNegativeFloat, ...]
    """Thresholds, head lengths, rising."""
    pckh: tuple[Percent, ...]
    """PCKh at each threshold, percent."""


@dataclass(frozen=True)
class BootstrapFacts:
    """How the 95 % intervals were made: whole units are drawn with replacement."""

    replicates: PositiveInt
    """Number of resamples."""
    seed: NonNegativeInt
    """Seed of the resampling."""
    unit: Literal["video"]
    """What is drawn with replacement, whole."""


@dataclass(frozen=True)
class Oks:
    """COCO's average precision and recall by object keypoint similarity (OKS), in percent."""

    ap: Percent
    """Mean precision over OKS 0.50 to 0.95."""
    ap50: Percent
    """Precision at OKS 0.50."""
    ap75: Percent
    """Precision at OKS 0.75."""
    ar: Percent
    """Mean recall over OKS 0.50 to 0.95."""
    n: NonNegativeInt
    """Persons."""
    keypoints: PositiveInt
    """How many of COCO's 17 were scored."""
    source: str
    """What computed it."""


@dataclass(frozen=True)
class Metrics:
    """All that says how well the model places keypoints."""

    per_keypoint: Mapping[str, KeypointScores]
    """Scores by keypoint, in the order of data.scored_keypoints."""
    overall: OverallScores
    icc: Agreement | None
    """null where fewer than two keypoints have a human spread."""
    taxonomy: Mapping[str, float]
    """Error taxonomy after Ruggero Ronchi & Perona (2017): percent of scored keypoints by kind of outcome."""
    human: HumanSpreadRecord | None
    """null where no scored keypoint has a human spread."""
    curve: PckhCurve
    bootstrap: BootstrapFacts
    oks: Oks | None
    """null where it was not asked for, or the keypoints do not allow it."""


@dataclass(frozen=True)
class Latency:
    """Milliseconds of one inference at batch 1, over `runs` runs after `warm_up` runs."""

    median: PositiveFloat
    """Median, ms."""
    p90: PositiveFloat
    """90th percentile, ms."""
    runs: PositiveInt
    """Runs timed."""
    warm_up: NonNegativeInt
    """Runs before the timed ones, not counted."""
    threads: PositiveInt
    """Threads of the runtime."""


@dataclass(frozen=True)
class Speed:
    """What the model costs on the processor named; `note` says what to beware of."""

    latency_ms: Latency
    letterbox_ms: NonNegativeFloat | None
    """Median time to letterbox and normalise one image, ms."""
    decode_ms: NonNegativeFloat | None
    """Median time to decode one output on the host, ms."""
    peak_memory_bytes: NonNegativeInt | None
    """Growth of the process's peak memory from before the model is opened to after its runs, bytes."""
    processor: str
    """The processor, in words."""
    note: str | None
    """What to beware of when reading these times."""


@dataclass(frozen=True)
class Results:
    """What one model scored on one data set, and all that the numbers depend on."""

    schema_version: Literal[1] = field(default=1, kw_only=True)
    """Version of this schema."""
    name: str
    """Unique row name: the model file's stem; of a run elsewhere with @ and the device's name."""
    created: str
    """When it was scored, ISO 8601."""
    edgepose: str
    """Version of edgepose that scored."""
    seed: NonNegativeInt
    """Seed of everything random in the scoring."""
    model: ModelFacts
    data: DataFacts
    decode: str
    """Key of the decoder that made coordinates of the model's output."""
    metrics: Metrics
    speed: Speed | None
    """null where it was not measured."""
    target: str
    """Where the model ran, as in `--target`."""
    runtime: Mapping[str, str]
    """name and version of what ran the model, and the versions of python, numpy and whatever else the numbers
    may depend on."""
    predictions_sha256: Sha256
    """SHA-256 of the predictions.npz beside this file."""
    device: DeviceFacts | None
    """Where the model ran, if not on this machine; null for the desktop."""
    detector: DetectorFacts | None
    """Of a model with a first stage of its own; null for others."""

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
    results = read_record(Results, path, _RESCORE, BadResults)
    try:
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
