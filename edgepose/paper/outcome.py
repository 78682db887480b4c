"""results.json of an experiment: the paper's rows and ours, and all that ours depend on.

Units are those of `edgepose.results.results`: shares in percent, errors in head lengths. A number that the
paper does not print, or that was not measured, is null.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

SCHEMA_VERSION = 1
RESULTS_NAME = "results.json"
# Of `TableRow.curves`: quantiles of a distribution, in percent.
QUANTILES = tuple(range(0, 101, 5))

Interval = tuple[float, float]


@dataclass(frozen=True)
class TableRow:
    """One row of the table, or one line of the figure.

    Attributes:
        whose: "paper" for printed figures, "ours" for those measured here.
        network: its key; "raters" for humans.
        name: for a reader.
        arm: key of the training arm; empty for the plain way.
        values: by metric, or by keypoint.
        intervals: 95 %, by the same keys, where there are some.
        curves: by keypoint, the quantiles `QUANTILES` of the errors in head lengths.
    """

    whose: Literal["paper", "ours"]
    network: str
    name: str
    values: Mapping[str, float | None]
    arm: str = ""
    intervals: Mapping[str, Interval | None] = field(default_factory=dict)
    curves: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class SpreadRecord:
    """Inter-rater spread by keypoint, in head lengths."""

    source: str
    h: Mapping[str, float]
    h95: Mapping[str, float]


@dataclass(frozen=True)
class ExperimentData:
    """What ours were scored on."""

    name: str
    split: str
    sha256: str
    n_images: int
    n_videos: int
    scored_keypoints: tuple[str, ...]
    head_length: str
    images_left_out: int


@dataclass(frozen=True)
class RunResult:
    """One network of ours.

    Attributes:
        name: unique; OUT/EXPERIMENT/scored/NAME holds its own results.json.
        how: where it comes from.
        training: what a training here was asked to do; empty where there was none.
        sha256: of the model file.
        decode: key of the decoder.
        speed: conditions of the latency; None where it was not measured.
    """

    name: str
    network: str
    arm: str
    how: str
    training: Mapping[str, Any]
    sha256: str
    input_size: tuple[int, int]
    decode: str
    runtime: Mapping[str, str]
    speed: str | None


@dataclass(frozen=True)
class ExperimentOutcome:
    """The results.json of an experiment.

    Attributes:
        human: spread of raters by "paper" and, from a raters' file, "ours".
        notes: what a reader must know.
        command: that makes it, with file names for paths.
    """

    schema_version: int
    experiment: str
    title: str
    question: str
    scale: str
    scale_means: str
    paper: str
    edgepose: str
    created: str
    command: str
    seed: int
    data: ExperimentData
    human: Mapping[str, SpreadRecord]
    networks: tuple[RunResult, ...]
    rows: tuple[TableRow, ...]
    notes: tuple[str, ...]

    def rows_of(self, whose: str, network: str | None = None) -> tuple[TableRow, ...]:
        """Rows in their order."""
        return tuple(r for r in self.rows if r.whose == whose and network in (None, r.network))
