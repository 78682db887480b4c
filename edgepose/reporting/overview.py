"""The report's first screen: every model ranked by accuracy, what it costs, and the verdict on it.

The picture and the table of the first screen are both made from one `Overview`, so that a point of the one
carries the number of its row in the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from edgepose.comparison.compare import Comparison
from edgepose.evaluation.noninferiority import INFERIOR, NON_INFERIOR, UNDECIDED
from edgepose.reporting.document import FirstScreen, Picture, Table, Word
from edgepose.results import cells
from edgepose.results.results import METRICS, Results

# Between coarse and fine: on infants lying still PCKh@0.5 is near 100 % for every network.
PRINCIPAL = "pckh@0.2"
BASELINE, NO_VERDICT = "baseline", "no verdict"
TONES = {
    NON_INFERIOR: "green",
    UNDECIDED: "amber",
    INFERIOR: "red",
    BASELINE: "ink",
    NO_VERDICT: "grey",
}


@dataclass(frozen=True)
class DeviceCost:
    """What one inference costs in one place.

    Attributes:
        quantity: "Instructions" or "Latency".
        unit: millions, or ms.
        place: processor, runtime and threads; costs of different places share no axis.
        by_row: cost by row name, of the rows that ran there.
    """

    quantity: str
    unit: str
    place: str
    by_row: Mapping[str, float]

    @property
    def heading(self) -> str:
        """Of a column or an axis."""
        return f"{self.quantity}, {self.unit}"


@dataclass(frozen=True)
class RankedModel:
    """A row of the first screen's table, and a point of its picture.

    Attributes:
        number: 1 is the most accurate.
        outcome: the verdict's, `BASELINE` or `NO_VERDICT`.
        device_cost: as the table shows it; None where it was not measured in the place shown.
    """

    number: int
    results: Results
    outcome: str
    device_cost: float | None

    @property
    def score(self) -> float | None:
        """Percent; None where nothing was annotated."""
        return self.results.metrics.overall.scores[PRINCIPAL]

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 %, percent."""
        return self.results.metrics.overall.intervals.get(PRINCIPAL)

    @property
    def megabytes(self) -> float:
        """Of the model file, 10^6 bytes, as the table shows it."""
        return _rounded(self.results.model.size_bytes / 1e6, 2)


@dataclass(frozen=True)
class Overview:
    """The first screen's numbers: models by falling accuracy, of equals the smaller file first."""

    models: tuple[RankedModel, ...]
    device: DeviceCost | None


def overview_of(comparison: Comparison) -> Overview:
    """Rank the rows of a comparison, and find the place where most of them were timed or counted."""
    device = _device_cost(comparison)
    outcomes: dict[str, str] = {v.name: v.outcome for v in comparison.verdicts}
    if len(comparison.results) > 1:
        outcomes[comparison.baseline] = BASELINE

    def rank(row: Results) -> tuple[float, int]:
        score = row.metrics.overall.scores[PRINCIPAL]
        return (float("inf") if score is None else -score, row.model.size_bytes)

    return Overview(
        tuple(
            RankedModel(
                number,
                row,
                outcomes.get(row.name, NO_VERDICT),
                _rounded(device.by_row[row.name], 1) if device and row.name in device.by_row else None,
            )
            for number, row in enumerate(sorted(comparison.results, key=rank), start=1)
        ),
        device,
    )


def _rounded(cost: float, digits: int) -> float:
    """To `digits` decimals, or 3 where those would leave less than one figure; never 0.

    Rounded, files that differ by a few bytes are of one size, and none is on the Pareto front for that.
    """
    return max(round(cost, _decimals(cost, digits)), 0.001)


def _decimals(cost: float, digits: int) -> int:
    return digits if cost >= 10.0 ** (1 - digits) else 3


def pareto(cost: Sequence[float], score: Sequence[float]) -> list[int]:
    """Indices of the points that no other beats in one without losing in the other, by rising cost."""
    front: list[int] = []
    for i in sorted(range(len(cost)), key=lambda i: (cost[i], -score[i])):
        if not front or score[i] > score[front[-1]]:
            front.append(i)
    return front


def first_screen(comparison: Comparison, overview: Overview, pictures: Sequence[Picture]) -> FirstScreen:
    """The picture and the table, with one line above that says what was scored."""
    data, n = comparison.results[0].data, len(comparison.results)
    metric, device = METRICS[PRINCIPAL].label, overview.device
    facts = (
        f"{n} model{'' if n == 1 else 's'} on {data.n_images:,} image{'' if data.n_images == 1 else 's'} of "
        f"{data.n_videos:,} video{'' if data.n_videos == 1 else 's'} ({data.name}, split {data.split}). "
        "Research software, not a medical device."
    )
    if data.ruler != "head":
        facts += f" Distances are divided by another ruler than the head's length: {data.ruler}."
    note = f"In brackets: the 95 % interval of {metric}."
    if n > 1:
        note = f"By falling {metric}, in brackets its 95 % interval; the numbers are those of the picture."
    if device:
        note += f" {device.quantity}: of one inference on {device.place}."
        note += f" {cells.NONE}: not measured there." if len(device.by_row) < n else ""
    costs = ("File, MB", device.heading) if device else ("File, MB",)
    columns = ("No.", "Model", "Verdict", f"{metric}, %", *costs)
    rows = tuple(_row(model, with_cost=device is not None) for model in overview.models)
    return FirstScreen(facts, tuple(pictures), Table(columns, rows, names=1), note)


def _row(model: RankedModel, with_cost: bool) -> tuple[str | Word, ...]:
    row, cost = model.results, model.device_cost
    return (
        str(model.number),
        row.name,
        Word(model.outcome, TONES[model.outcome]),
        cells.overall(row, PRINCIPAL),
        cells.number(model.megabytes, _decimals(model.megabytes, 2)),
        *([cells.number(cost, _decimals(cost or 0.0, 1))] if with_cost else []),
    )


def _device_cost(comparison: Comparison) -> DeviceCost | None:
    """Of the places where runs were counted or timed, the one that most rows have; instructions go first."""
    counted: dict[str, dict[str, float]] = {}
    timed: dict[str, dict[str, float]] = {}
    for name, run in _runs(comparison):
        facts = run.device
        if facts is not None and facts.instructions is not None:
            place = f"{facts.processor}, {run.runtime['name']} {run.runtime['version']}"
            counted.setdefault(place, {}).setdefault(name, facts.instructions.per_inference / 1e6)
        if run.speed is not None:
            timed.setdefault(cells.conditions(run), {}).setdefault(name, run.speed.latency_ms.median)
    found = [DeviceCost("Instructions", "millions", place, costs) for place, costs in sorted(counted.items())]
    found += [DeviceCost("Latency", "ms", place, costs) for place, costs in sorted(timed.items())]
    return max(found, key=lambda cost: len(cost.by_row), default=None)


def _runs(comparison: Comparison) -> Iterator[tuple[str, Results]]:
    """Every run with the name of the row that stands for it."""
    yield from ((row.name, row) for row in comparison.results)
    yield from ((run.row, run.results) for run in comparison.equivalent_runs)
