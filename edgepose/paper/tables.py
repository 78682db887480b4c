"""The tables of an experiment, in the paper's form; each row or column says whose it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from edgepose.keypoints import IN_MOTION_19
from edgepose.paper.outcome import QUANTILES, ExperimentOutcome, TableRow
from edgepose.paper.rows import PCKH, RATERS
from edgepose.reporting.document import Block, Table
from edgepose.results import cells
from edgepose.results.results import METRICS

_MEDIAN, _P95 = QUANTILES.index(50), QUANTILES.index(95)
_PCKH_DIGITS = 2  # the paper's
_PAPER_ARMS = {"": "", "table1": ", as in Table 1", "batch4": ", batch 4"}


def whose(outcome: ExperimentOutcome, row: TableRow) -> str:
    """What a row is called: it says at once whose it is and, of ours, at what scale."""
    if row.whose == "paper":
        return f"paper: {row.name}{_PAPER_ARMS[row.arm]}"
    return f"ours, {outcome.scale}: {row.name}{_batch(outcome, row)}"


def _batch(outcome: ExperimentOutcome, row: TableRow) -> str:
    """The batch of a row of ours, where that is what is compared."""
    if outcome.experiment != "table5":
        return ""
    (run_result,) = (
        run_result
        for run_result in outcome.networks
        if (run_result.network, run_result.arm) == (row.network, row.arm)
    )
    return f", batch {run_result.training['settings']['batch']}"


def _score_table(outcome: ExperimentOutcome, costs: bool = False) -> tuple[Block, ...]:
    extra = ("Parameters", "FLOPs", "Latency, ms") if costs else ()
    rows = []
    for row in outcome.rows:
        scores = [_pckh(row, key) for key in PCKH]
        counts = []
        if costs:
            counts = [cells.number(row.values[key], 0) for key in ("parameters", "flops")]
            counts.append(cells.number(row.values["latency_ms"], 2))
        rows.append((whose(outcome, row), *scores, cells.number(row.values["me"], 4), *counts))
    headings = tuple(cells.heading(key) for key in (*PCKH, "me"))
    return (Table(("Network", *headings, *extra), tuple(rows)),)


def _pckh(row: TableRow, key: str) -> str:
    return cells.number(row.values.get(key), _PCKH_DIGITS)


def _table1(outcome: ExperimentOutcome) -> tuple[Block, ...]:
    return _score_table(outcome, costs=True)


def _table2(outcome: ExperimentOutcome) -> tuple[Block, ...]:
    """As the paper has it, keypoints down and networks across; two columns where ours ran the network too."""
    columns: list[tuple[str, Mapping[str, float | None], int]] = []
    for owner, spread in outcome.human.items():
        label = "paper" if owner == "paper" else f"ours, {outcome.scale}"
        for name, table in (("H", spread.h), ("H^0.95", spread.h95)):
            columns.append((f"{label}: {name}, head lengths", {**table, "all": _mean(table)}, 4))
    columns += [(f"{whose(outcome, row)}, %", row.values, _PCKH_DIGITS) for row in outcome.rows]
    rows = tuple(
        (
            "all (mean)" if name == "all" else name.replace("_", " "),
            *(cells.number(values.get(name), digits) for _, values, digits in columns),
        )
        for name in (*IN_MOTION_19.names, "all")
    )
    return (Table(("PCKh@Human^0.95", *(heading for heading, _, _ in columns)), rows),)


def _mean(table: Mapping[str, float]) -> float:
    return sum(table.values()) / len(table)


def _table3(outcome: ExperimentOutcome) -> tuple[Block, ...]:
    rows = tuple((whose(outcome, row), *(_icc(row, key) for key in ("A1", "C1"))) for row in outcome.rows)
    return (Table(("Network", "ICC(A,1) [95 % interval]", "ICC(C,1) [95 % interval]"), rows),)


def _icc(row: TableRow, key: str) -> str:
    value, interval = row.values[key], row.intervals.get(key)
    return cells.NONE if value is None or interval is None else cells.triple((value, *interval))


def _fig4(outcome: ExperimentOutcome) -> tuple[Block, ...]:
    drawn = [row for row in outcome.rows if row.curves]
    (paper,) = outcome.rows_of("paper", RATERS)
    columns = ["Errors, head lengths", f"{whose(outcome, paper)}, P95 (H^0.95)"]
    for row in drawn:
        columns += [f"{whose(outcome, row)}, median", "P95"]
    rows = []
    for name in IN_MOTION_19.names:
        cell = [name.replace("_", " "), cells.number(paper.values.get(name), 4)]
        for row in drawn:
            curve = row.curves.get(name)
            cell += [cells.number(curve[i] if curve else None, 4) for i in (_MEDIAN, _P95)]
        rows.append(tuple(cell))
    return (Table(tuple(columns), tuple(rows)),)


def _fig5(outcome: ExperimentOutcome) -> tuple[Block, ...]:
    keys = ("pckh@0.5", "pckh@0.1", "me", "pckh@human")
    rows = []
    for row in outcome.rows:
        images = row.values["images"]
        start = "pretrained" if row.values["pretrained"] else "from nothing"
        owner = "paper" if row.whose == "paper" else f"ours, {outcome.scale}"
        scores = [
            cells.number(row.values.get(k), 4 if METRICS[k].unit != "%" else _PCKH_DIGITS) for k in keys
        ]
        rows.append((f"{owner}: {row.name}", cells.number(images, 0), start, *scores))
    headings = tuple(cells.heading(key) for key in keys)
    return (Table(("Network", "Training images", "Start", *headings), tuple(rows)),)


TABLES: Mapping[str, Callable[[ExperimentOutcome], tuple[Block, ...]]] = {
    "table1": _table1,
    "table2": _table2,
    "table3": _table3,
    "table5": _score_table,
    "table6": _score_table,
    "fig4": _fig4,
    "fig5": _fig5,
}
