"""Results beside each other: refused where they cannot be compared, and differences where they can.

`Comparison` holds every number that a report shows, and is written as compare.json; `compare.schema.json`
beside this file is made of it for other languages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import NonNegativeInt, WithJsonSchema

from edgeio.records import read_record
from edgepose.comparison.columns import column, grouped
from edgepose.comparison.common import on_common_keypoints
from edgepose.comparison.differences import Difference, difference, human_spread, paired_estimates
from edgepose.comparison.movement import FPS, Movement, movement
from edgepose.comparison.verdict import Verdict, verdict_on
from edgepose.data.human_spread import human_for
from edgepose.errors import BadResults
from edgepose.evaluation.bootstrap import Estimates
from edgepose.evaluation.metrics import finite_or_none, normalised_distances
from edgepose.evaluation.noninferiority import DEFAULT_MARGIN, Margin, NonInferiority, judge, margin
from edgepose.evaluation.subgroups import Subgroups
from edgepose.published import TABLE_1, PaperRow
from edgepose.results.predictions import Predictions, load_predictions
from edgepose.results.results import RESULTS_NAME, Results, read_results

COMPARISON_NAME = "compare.json"
WORST = 6  # frames a model
SAME_PX = 0.01  # what keypoints may lie apart and no score that a report shows tell

# What must agree before two rows may stand in one table, as the user would look it up in results.json.
_SAME: Mapping[str, Callable[[Results], Any]] = {
    "data.sha256": lambda r: r.data.sha256,
    "data.split": lambda r: r.data.split,
    "data.crop": lambda r: r.data.crop,
    "data.crop_margin": lambda r: r.data.crop_margin,
    "data.turn": lambda r: r.data.turn,
    "data.ruler": lambda r: r.data.ruler,
    "data.keypoints": lambda r: r.data.keypoints,
    "data.scored_keypoints": lambda r: r.data.scored_keypoints,
    "data.near_matched": lambda r: r.data.near_matched,
    "data.head_length": lambda r: r.data.head_length,
    "data.n_images": lambda r: r.data.n_images,
    "data.excluded": lambda r: sorted(e.id for e in r.data.excluded),
    "metrics.human": lambda r: r.metrics.human,
}


_OF_KEYPOINTS = ("data.scored_keypoints", "data.near_matched")
# Its schema is a file of its own.
ResultsRow = Annotated[Results, WithJsonSchema({"type": "object"})]


@dataclass(frozen=True)
class Entry:
    """One row: its results, and its predictions in the order of the first row's images."""

    path: Path
    results: Results
    predictions: Predictions

    def distances(self) -> np.ndarray:
        """(N, K) distances in head lengths; NaN where not annotated, +inf where no point was predicted."""
        return normalised_distances(
            self.predictions.predicted_px,
            self.predictions.annotated_px,
            self.predictions.head_length_px,
            allow_missing=True,
        )


@dataclass(frozen=True)
class WorstFrame:
    """A frame where a model did worst: mean distance over its annotated keypoints, head lengths."""

    id: str
    """The image."""
    n: NonNegativeInt
    """Annotated keypoints."""
    mean_error: float | None
    """Over them, head lengths; null where a prediction is missing."""


@dataclass(frozen=True)
class EquivalentRun:
    """A model that ran in several places and put every keypoint within 0.01 px of where it was elsewhere."""

    row: str
    """Name of the row that stands for it wherever keypoints alone count."""
    results: ResultsRow
    """Its own, as results.schema.json says."""


@dataclass(frozen=True)
class PaperPair:
    """A row of ours whose network is in Table 1."""

    name: str
    """Our row."""
    paper: PaperRow


@dataclass(frozen=True)
class Comparison:
    """Models held against a baseline on the same images: every number that report.md and report.html show."""

    schema_version: Literal[3] = field(default=3, kw_only=True)
    """Version of this schema."""
    title: str
    """Heading of the report."""
    edgepose: str
    """Version of edgepose that compared."""
    baseline: str
    """Row that the others are held against."""
    baseline_reason: str
    """Why that one."""
    overlays: str
    """How the worst frames are drawn: skeleton, full or none."""
    results: tuple[ResultsRow, ...]
    """The rows, each as results.schema.json says, in the order of the tables."""
    equivalent_runs: tuple[EquivalentRun, ...]
    """The same model files elsewhere, with the same keypoints: rows only of what a run costs."""
    margin: Margin | None
    """null where there is one row, or no human spread is known and none was given."""
    verdicts: tuple[Verdict, ...]
    """Each other row's, in words."""
    noninferiority: tuple[NonInferiority, ...]
    """Each other row against the margin."""
    differences: tuple[Difference, ...]
    """Each other row minus the baseline."""
    movement: Movement | None
    """null where there is one row."""
    subgroups: tuple[Subgroups, ...]
    """By each column asked for."""
    worst: Mapping[str, tuple[WorstFrame, ...]]
    """Worst frames by row, the worst first."""
    paper: tuple[PaperPair, ...]
    """Rows of ours that the paper has too."""

    @property
    def everywhere(self) -> tuple[Results, ...]:
        """All that was scored: model by model, this machine's first, then the devices by name."""
        found = [*self.results, *(f.results for f in self.equivalent_runs)]
        models = list(dict.fromkeys(map(_what, found)))
        return tuple(sorted(found, key=lambda r: (models.index(_what(r)), r.device is not None, r.place)))


def read_comparison(path: Path) -> Comparison:
    """A comparison that was written as compare.json: every number of its report, without the predictions.

    Raises:
        BadResults: missing, damaged, or written by another version of edgepose.
    """
    return read_record(Comparison, path, "compare the results themselves again", BadResults)


def find_results(paths: Sequence[Path]) -> list[Path]:
    """The results files named, and those in the folders named, each once.

    Raises:
        BadResults: a path does not exist, or a folder holds no results.json.
    """
    found: dict[Path, Path] = {}
    for path in paths:
        if not path.exists():
            raise BadResults(f"{path} does not exist", "name a results.json, or a folder that holds some")
        inside = sorted(path.rglob(RESULTS_NAME)) if path.is_dir() else [path]
        if not inside:
            raise BadResults(
                f"{path} holds no {RESULTS_NAME}", "score a model with `edgepose evaluate` first"
            )
        for file in inside:
            found.setdefault(file.resolve(), file)
    return list(found.values())


def read_entries(paths: Sequence[Path], common: bool = False) -> tuple[Entry, ...]:
    """Read results and predictions, and refuse those that do not belong in one table.

    Args:
        common: score them anew on the keypoints that all of them have, instead of refusing those that were
            scored on different ones.

    Raises:
        BadResults: a file that cannot be read, a name that stands twice, or two results that differ in
            data, split, crop, keypoints or images.
    """
    results = [(path, read_results(path)) for path in find_results(paths)]
    if not results:
        raise BadResults("no results are named", "name a results.json, or a folder that holds some")
    _check_names(results)
    if common:
        scored = on_common_keypoints([(r, load_predictions(path, r)) for path, r in results])
        results = [(path, r) for (path, _), (r, _) in zip(results, scored, strict=True)]
    first_path, first = results[0]
    for path, other in results[1:]:
        _check_same(first_path, first, path, other)
    predictions = [p for _, p in scored] if common else [load_predictions(path, r) for path, r in results]
    entries = [Entry(path, r, p) for (path, r), p in zip(results, predictions, strict=True)]
    return tuple(_aligned(entries[0], entry) for entry in entries)


def compare(
    entries: Sequence[Entry],
    title: str,
    edgepose: str,
    overlays: str,
    baseline: str | None = None,
    margin_rule: str | None = None,
    by: Sequence[str] = (),
) -> Comparison:
    """Everything that the report shows, computed once.

    Args:
        entries: as `read_entries` gives them; `without_equivalent_runs` takes some out, which stay as
            `equivalent_runs`.
        title: heading of the report.
        edgepose: version that compares.
        overlays: key of `frames.OVERLAYS`.
        baseline: name of a row; by default the first unquantised one.
        margin_rule: see `edgepose.evaluation.noninferiority.margin`; by default `DEFAULT_MARGIN`, and no
            verdict where no human spread is known for the keypoints.
        by: columns of the data set to make subgroups of.

    Raises:
        BadResults: no row is called `baseline`, or a column cannot make subgroups.
        UnknownName: the data set has no such column.
        UsageError: the margin is none.
    """
    entries, equivalent_runs = without_equivalent_runs(entries, baseline)
    name, reason = choose_baseline([e.results for e in entries], baseline)
    distances = {e.results.name: e.distances() for e in entries}
    predictions = {e.results.name: e.predictions for e in entries}
    base = next(e for e in entries if e.results.name == name)
    names, facts = base.results.data.scored_keypoints, base.results.metrics.bootstrap
    allowed = _margin(base.results, margin_rule) if len(entries) > 1 else None
    subgroups = tuple(grouped(predictions, distances, name, wanted, facts) for wanted in dict.fromkeys(by))
    estimates = paired_estimates(base.results, base.predictions.videos.tolist(), distances)
    judged = _judged(estimates, distances, names, allowed)
    return Comparison(
        title=title,
        edgepose=edgepose,
        baseline=name,
        baseline_reason=reason,
        overlays=overlays,
        results=tuple(e.results for e in entries),
        equivalent_runs=equivalent_runs,
        margin=allowed,
        verdicts=tuple(verdict_on(found, name) for found in judged),
        noninferiority=judged,
        differences=tuple(difference(row, found, names) for row, found in estimates.items()),
        movement=movement(predictions, name, column(predictions, FPS), facts) if len(entries) > 1 else None,
        subgroups=subgroups,
        worst={e.results.name: worst_frames(e.predictions, distances[e.results.name]) for e in entries},
        paper=tuple(
            PaperPair(e.results.name, TABLE_1[e.results.model.network])
            for e in entries
            if e.results.model.network in TABLE_1
        ),
    )


def without_equivalent_runs(
    entries: Sequence[Entry], baseline: str | None
) -> tuple[tuple[Entry, ...], tuple[EquivalentRun, ...]]:
    """Set aside equivalent runs: of a file that ran in another place too, with the same keypoints.

    A row stands for those of the same file and decoder whose every keypoint lies within `SAME_PX` of its own;
    this machine's goes before a device's, and the baseline is never set aside.

    Args:
        entries: with their images in one order.
        baseline: name of a row, where one is asked for.
    """
    kept: list[Entry] = []
    equivalent_runs = []
    asked_first = sorted(entries, key=lambda e: (e.results.name != baseline, e.results.device is not None))
    for entry in asked_first:
        equivalent = next((k for k in kept if _same_end(k, entry)), None)
        if equivalent is None:
            kept.append(entry)
        else:
            equivalent_runs.append(EquivalentRun(equivalent.results.name, entry.results))
    order = [e.results.name for e in entries]
    return (
        tuple(sorted(kept, key=lambda e: order.index(e.results.name))),
        tuple(sorted(equivalent_runs, key=lambda f: order.index(f.results.name))),
    )


def _same_end(one: Entry, other: Entry) -> bool:
    here, there = one.results, other.results
    if _what(here) != _what(there) or here.place == there.place:
        return False
    points = one.predictions.predicted_px, other.predictions.predicted_px
    return np.allclose(*points, rtol=0, atol=SAME_PX, equal_nan=True)


def _what(results: Results) -> tuple[str, str, bool, str | None]:
    """What ran, wherever it did."""
    model = results.model
    return model.sha256, results.decode, model.flip, results.detector.sha256 if results.detector else None


def _margin(baseline: Results, rule: str | None) -> Margin | None:
    names, human = baseline.data.scored_keypoints, human_spread(baseline.metrics.human)
    if rule is None and human is None and human_for(names) is None:
        return None
    return margin(rule or DEFAULT_MARGIN, names, human)


def _judged(
    estimates: Mapping[str, Estimates],
    distances: Mapping[str, np.ndarray],
    names: Sequence[str],
    allowed: Margin | None,
) -> tuple[NonInferiority, ...]:
    if allowed is None:
        return ()
    return tuple(judge(row, found, distances[row], names, allowed) for row, found in estimates.items())


def choose_baseline(results: Sequence[Results], wanted: str | None) -> tuple[str, str]:
    """Name of the baseline, and why it was chosen; raises BadResults for an unknown one."""
    names = [r.name for r in results]
    if wanted is not None:
        if wanted not in names:
            raise BadResults(
                f"no results are called {wanted}", f"--baseline takes one of: {', '.join(names)}"
            )
        return wanted, "asked for with --baseline"
    for result in results:
        if result.model.kind == "checkpoint" or result.model.recipe == "fp32":
            return result.name, "the first that is not quantised"
    return names[0], "the first, since all are quantised"


def worst_frames(predictions: Predictions, distances: np.ndarray) -> tuple[WorstFrame, ...]:
    """The `WORST` frames with the largest mean distance, ties in the order of the data set.

    Args:
        distances: (N, K) head lengths; NaN where not annotated, +inf where no point was predicted.
    """
    counted = ~np.isnan(distances)
    n = counted.sum(axis=1)
    sums = np.where(counted, distances, 0.0).sum(axis=1)
    means = np.where(n > 0, sums / np.maximum(n, 1), -np.inf)
    order = np.argsort(-means, kind="stable")[:WORST]
    return tuple(
        WorstFrame(str(predictions.ids[i]), int(n[i]), finite_or_none(means[i])) for i in order if n[i] > 0
    )


def _check_names(results: Sequence[tuple[Path, Results]]) -> None:
    seen: dict[str, Path] = {}
    for path, result in results:
        if result.name in seen:
            raise BadResults(
                f"{seen[result.name]} and {path} are both called {result.name}",
                "leave one out, or score one of them from a model file with another name",
            )
        seen[result.name] = path


def _check_same(first_path: Path, first: Results, path: Path, other: Results) -> None:
    for name, value in _SAME.items():
        if value(first) != value(other):
            raise BadResults(
                f"{first_path} and {path} differ in {name} ({_short(value(first))}; {_short(value(other))})",
                "score them on the keypoints that all of them have, with --common"
                if name in _OF_KEYPOINTS
                else "compare only results of the same images, crop and keypoints",
            )


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _aligned(first: Entry, entry: Entry) -> Entry:
    """The entry with its images in the first entry's order; raises BadResults where they are not the same."""
    rows = {image: i for i, image in enumerate(entry.predictions.ids.tolist())}
    wanted = first.predictions.ids.tolist()
    missing = [image for image in wanted if image not in rows]
    hint = "score both models again on the same data"
    if missing:
        raise BadResults(f"{entry.path} has no prediction for image {missing[0]} of {first.path}", hint)
    taken = entry.predictions.take(np.array([rows[image] for image in wanted]))
    for name in ("annotated_px", "head_length_px"):
        ours, theirs = getattr(taken, name), getattr(first.predictions, name)
        if not np.array_equal(ours, theirs, equal_nan=True):
            raise BadResults(f"{first.path} and {entry.path} differ in predictions.{name}", hint)
    return Entry(entry.path, entry.results, taken)
