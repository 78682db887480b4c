"""What `smaller_networks.sh` measured, side by side: a table, its JSON, and accuracy against instructions.

    python benchmarks/smaller_networks.py RUNS --out reports/smaller-networks

RUNS holds `cost.json` and `compared/VIEW/compare.json`; a view that was not scored (upright, found, made-up)
is left out.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from edgeio import read_json, replacing, write_json
from edgepose.reporting.overview import pareto
from edgepose.visual.style import COLOURS, INK, figure_style, label_points, new_figure, save_figure

_SUFFIX = "-int8-ptq-maps"
_CPU = "cortex-a76"
_HINT = "run benchmarks/smaller_networks.sh first"
_VIEWS = {"upright": "by the labels", "found": "by itself", "made-up": "made-up infants"}
_THRESHOLDS = ("0.5", "0.2", "0.1")


@dataclass(frozen=True)
class Network:
    """One network.

    Attributes:
        instructions: of one inference on one thread of a Cortex-A76.
        pckh: by view, PCKh at 0.5, 0.2 and 0.1, percent; of SyRIP's limbs by its stand-in for the head.
        supine: the same of SyRIP's supine infants alone.
    """

    name: str
    size_bytes: int
    instructions: int
    pckh: dict[str, tuple[float, ...]]
    supine: dict[str, tuple[float, ...]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    networks = sorted(read(given.runs), key=lambda network: network.instructions)
    fronts = {view: front(networks, view) for view in ("upright", "found")}
    write_json(given.out / "smaller.json", {"networks": [asdict(n) for n in networks], "fronts": fronts})
    with replacing(given.out / "smaller.md") as temporary:
        temporary.write_text(table(networks), encoding="utf-8")
    with figure_style():
        save_figure(draw(networks), given.out / "instructions.png")
    print(table(networks), end="")


def read(runs: Path) -> list[Network]:
    """All networks that were counted; one that a view did not score has no entry there."""
    costs = read_json(runs / "cost.json", _HINT)["models"]
    compared = {
        view: read_json(path, _HINT)
        for view in _VIEWS
        if (path := runs / "compared" / view / "compare.json").is_file()
    }
    return [
        Network(
            name,
            cost["size_bytes"],
            cost["cpus"][_CPU]["instructions"],
            {view: found for view, plain in compared.items() if (found := overall(plain, name))},
            {view: found for view, plain in compared.items() if (found := of_supine(plain, name))},
        )
        for name, cost in costs.items()
    ]


def overall(compared: dict[str, Any], name: str) -> tuple[float, ...] | None:
    for row in compared["results"]:
        if row["name"].removesuffix(_SUFFIX) == name:
            scores = row["metrics"]["overall"]["scores"]
            return tuple(scores[f"pckh@{threshold}"] for threshold in _THRESHOLDS)
    return None


def of_supine(compared: dict[str, Any], name: str) -> tuple[float, ...] | None:
    groups = (group for column in compared["subgroups"] or () for group in column["groups"])
    for score in (s for group in groups if group["value"] == "Supine" for s in group["scores"]):
        if score["name"].removesuffix(_SUFFIX) == name:
            return tuple(score[f"pckh_{threshold.replace('.', '_')}"] for threshold in _THRESHOLDS)
    return None


def front(networks: list[Network], view: str) -> list[str]:
    """Networks that no other beats in instructions without losing in PCKh*@0.1, by instructions."""
    scored = [n for n in networks if view in n.pckh]
    chosen = pareto([n.instructions for n in scored], [n.pckh[view][-1] for n in scored])
    return [scored[i].name for i in chosen]


def table(networks: list[Network]) -> str:
    views = [f"{words}, PCKh@0.5 / 0.2 / 0.1" for words in _VIEWS.values()]
    views.insert(1, "by the labels, supine")
    lines = [
        "| network | file, KB | millions of instructions | " + " | ".join(views) + " |",
        "| --- | ---: | ---: |" + " --- |" * len(views),
    ]
    for n in networks:
        cells = [n.pckh.get("upright"), n.supine.get("upright"), n.pckh.get("found"), n.pckh.get("made-up")]
        words = (" / ".join(f"{value:.1f}" for value in cell) if cell else "" for cell in cells)
        lines.append(
            f"| {n.name} | {n.size_bytes / 1000:.0f} | {n.instructions / 1e6:.1f} | {' | '.join(words)} |"
        )
    return "\n".join([*lines, ""])


def draw(networks: list[Network]) -> Figure:
    """PCKh*@0.1 of SyRIP's limbs in all postures against instructions, both ways; lines join the front."""
    figure = new_figure(7.0, 4.2)
    axes = figure.add_subplot()
    for colour, view, mark in zip(COLOURS, ("upright", "found"), "os", strict=False):
        points = {n.name: (n.instructions / 1e6, n.pckh[view][-1]) for n in networks if view in n.pckh}
        if not points:
            continue
        axes.plot(*zip(*points.values(), strict=True), mark, color=colour, label=_VIEWS[view])
        on_front = [points[name] for name in front(networks, view)]
        axes.plot(*zip(*on_front, strict=True), "-", color=colour)
    names = [n.name.removesuffix("_singlepose_lightning_int8_4") for n in networks]
    axes.set_xlabel("Millions of instructions on a Cortex-A76, one inference")
    axes.set_ylabel("PCKh*@0.1 of limbs, %")
    axes.legend(frameon=False, labelcolor=INK)
    places = [(n.instructions / 1e6, n.pckh["upright"][-1]) for n in networks]
    label_points(axes, places, names, [INK] * len(names))
    return figure


if __name__ == "__main__":
    main()
