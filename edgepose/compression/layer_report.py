"""What each layer costs, as a table, a picture and JSON beside the model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgeio import read_json, write_json
from edgeio.records import Mismatch, from_plain
from edgepose.compression.sensitivity import PARTS, Cost
from edgepose.compression.suggest import Suggestion
from edgepose.errors import UsageError

SCHEMA_VERSION = 1
SHOWN = 30
_ANEW = "add --overwrite to make it anew"


def report_paths(model: Path) -> tuple[Path, Path]:
    """NAME-layers.json and NAME-layers.png beside NAME.tflite."""
    data = model.with_name(f"{model.stem}-layers.json")
    return data, data.with_name(f"{data.stem}.png")


def read_layer_report(model: Path) -> tuple[tuple[Cost, ...], tuple[Suggestion, ...]]:
    """What `write_layer_report` wrote; raises UsageError where it was altered."""
    path, _ = report_paths(model)
    found = read_json(path, _ANEW)
    try:
        costs, suggestions = found["costs"], found["suggestions"]
        return (
            tuple(from_plain(Cost, cost) for cost in costs),
            tuple(from_plain(Suggestion, each) for each in suggestions),
        )
    except (Mismatch, KeyError, TypeError) as error:
        raise UsageError(f"{path} is damaged ({error})", _ANEW) from None


def write_layer_report(
    model: Path, costs: Sequence[Cost], suggestions: Sequence[Suggestion]
) -> tuple[Path, Path]:
    """Write NAME-layers.json, every part, and NAME-layers.png, the dearest.

    Args:
        model: path of the .tflite that the costs are of.
        suggestions: which layers to keep in float.

    Returns:
        both paths.
    """
    data, picture = report_paths(model)
    report = {
        "schema_version": SCHEMA_VERSION,
        "model": model.name,
        "costs": [cost.to_json() for cost in costs],
        "suggestions": [each.to_json() for each in suggestions],
    }
    write_json(data, report)
    _draw(picture, costs[:SHOWN])
    return data, picture


def _draw(path: Path, costs: Sequence[Cost]) -> None:
    from edgepose.visual.style import COLOURS, figure_style, new_figure, save_figure

    with figure_style():
        figure = new_figure(9.0, 1.2 + 0.24 * len(costs))
        axes = figure.subplots()
        for part, colour in zip(PARTS, COLOURS, strict=False):
            rows = [i for i, cost in enumerate(costs) if cost.part == part]
            axes.barh(rows, [100 * costs[i].share for i in rows], color=colour, label=part)
        names = [f"{cost.layer}  {cost.part}" for cost in costs]
        axes.set_yticks(range(len(costs)), names, fontsize=7)
        axes.invert_yaxis()
        axes.set_xlabel("share of the noise in the maps, each part rounded alone, %")
        axes.legend(frameon=False, loc="lower right")
        save_figure(figure, path)
