"""A model's operators as a flame graph: as wide as their instructions, the whole above its parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from edgeio import write_json
from edgeio.records import to_plain
from edgepose.evaluation.operator_cost import OperatorCost, OperatorCosts
from edgepose.visual.style import COLOURS, FAINT, INK, figure_style, new_figure, save_figure

_WIDTH, _ROW = 10.0, 0.42  # inches
_LABEL, _POINTS = 7.0, 5.0  # points: a label's size, and about how wide a letter of it is
_AROUND = "around operators"


@dataclass(frozen=True)
class _Box:
    """A stretch of one row of the figure.

    Attributes:
        kind: of its operators, where all are of one.
    """

    label: str
    instructions: int
    kind: str | None


def write_operators(costs: OperatorCosts, folder: Path) -> tuple[Path, Path]:
    """Write MODEL@CORE.json and .png into a folder, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{costs.model}@{costs.processor.lower()}"
    record, picture = folder / f"{name}.json", folder / f"{name}.png"
    write_json(record, to_plain(costs))
    with figure_style():
        save_figure(draw_operators(costs), picture)
    return record, picture


def by_kind(costs: OperatorCosts) -> Mapping[str, int]:
    """Instructions by kind of operator, the most first; with what lies around, they add up to the total."""
    return _summed(costs.operators, lambda op: op.kind)


def by_part(costs: OperatorCosts) -> Mapping[str, int]:
    """Instructions by part of the network, in the order of execution."""
    found = dict.fromkeys((op.part for op in costs.operators), 0)
    for op in costs.operators:
        found[op.part] += op.instructions
    return found


def draw_operators(costs: OperatorCosts) -> Figure:
    """Four rows: the whole, the network's parts in their order, kinds within a part, single operators with their
    share of the whole."""
    figure = new_figure(_WIDTH, 4 * _ROW + 1.7)
    axes = figure.subplots()
    inks = dict(zip(by_kind(costs), COLOURS * 4, strict=False))
    for row, boxes in enumerate(_rows(costs)):
        _draw_row(axes, 3 - row, boxes, inks, costs.instructions)
    axes.set(xlim=(0, costs.instructions / 1e6), ylim=(-0.1, 4))
    axes.set_yticks([3.45, 2.45, 1.45, 0.45], ["whole", "part", "kind", "operator"])
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("Instructions of one inference by one thread, millions")
    axes.set_title(
        f"{costs.model} on {costs.processor}: where {costs.instructions / 1e6:.1f} M instructions go"
    )
    named = [
        Patch(color=inks[kind], label=f"{kind} {share(count, costs)}")
        for kind, count in by_kind(costs).items()
    ]
    named.append(Patch(color=FAINT, label=f"{_AROUND} {share(costs.around, costs)}"))
    figure.legend(handles=named, loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    return figure


def _rows(costs: OperatorCosts) -> list[list[_Box]]:
    rows: list[list[_Box]] = [[_Box(costs.model, costs.instructions, None)], [], [], []]
    for part in by_part(costs):
        inside = [op for op in costs.operators if op.part == part]
        rows[1].append(_Box(part, sum(op.instructions for op in inside), None))
        order = list(_summed(inside, lambda op: op.kind))
        inside.sort(key=lambda op: (order.index(op.kind), -op.instructions))
        for kind, group in groupby(inside, lambda op: op.kind):
            ops = list(group)
            rows[2].append(_Box(kind, sum(op.instructions for op in ops), kind))
            rows[3].extend(_Box(share(op.instructions, costs), op.instructions, kind) for op in ops)
    for row in rows[1:]:
        row.append(_Box(_AROUND, costs.around, None))
    return rows


def _draw_row(axes: Axes, bottom: int, boxes: Sequence[_Box], inks: Mapping[str, str], total: int) -> None:
    left = 0.0
    for box in boxes:
        width = box.instructions / 1e6
        colour = inks[box.kind] if box.kind else FAINT
        points = 0.88 * _WIDTH * 72 * box.instructions / total
        line = 0.5 if points > 2 else 0.0  # else the lines would hide what they part
        axes.add_patch(
            Rectangle((left, bottom), width, 0.9, facecolor=colour, edgecolor="white", linewidth=line)
        )
        room = int(points / _POINTS)
        if room >= min(len(box.label), 4):
            text = box.label if len(box.label) <= room else box.label[: room - 1] + "…"
            ink = "white" if box.kind else INK
            axes.text(
                left + width / 2, bottom + 0.45, text, ha="center", va="center", fontsize=_LABEL, color=ink
            )
        left += width


def share(count: int, costs: OperatorCosts) -> str:
    """Of all instructions, in percent."""
    return f"{100 * count / costs.instructions:.1f} %"


def _summed(ops: Sequence[OperatorCost], key: Callable[[OperatorCost], str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for op in ops:
        found[key(op)] = found.get(key(op), 0) + op.instructions
    return dict(sorted(found.items(), key=lambda entry: -entry[1]))
