"""What a change is worth over several seeds: each arm minus the baseline, seeds taken together.

    python benchmarks/seeds.py SCORED-OF-A-SEED ... --baseline labels --out reports/distil-clinic/few-50

Each folder is one seed's and holds the rows that `edgepose evaluate` scored, named CASE-seedN-ARM. The same
images are scored in all; an interval draws the images' videos, each with all of its seeds, so it holds for
these seeds and other infants.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from edgeio import replacing, write_json
from edgepose.comparison.compare import Entry, read_entries
from edgepose.evaluation.bootstrap import paired_difference
from edgepose.evaluation.metrics import score

FIGURES = ("pckh@0.5", "pckh@0.2", "pckh@0.1")


@dataclass(frozen=True)
class Row:
    """An arm over all seeds, per cent; differences to the baseline in points, with their 95 % interval.

    Attributes:
        by_seed: the difference in each seed.
    """

    arm: str
    seeds: int
    images: int
    videos: int
    figures: dict[str, float]
    difference: dict[str, float]
    interval: dict[str, tuple[float, float] | None]
    by_seed: dict[str, tuple[float, ...]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("seeds", nargs="+", type=Path)
    parser.add_argument("--baseline", required=True, help="the arm that the others are held against")
    parser.add_argument("--out", type=Path, required=True, help="of the .json and the .md, without either")
    given = parser.parse_args()
    found = rows(given.seeds, given.baseline)
    write_json(
        given.out.with_suffix(".json"), {"baseline": given.baseline, "rows": [asdict(r) for r in found]}
    )
    with replacing(given.out.with_suffix(".md")) as temporary:
        temporary.write_text(table(found, given.baseline), encoding="utf-8")
    print(table(found, given.baseline), end="")


def rows(folders: list[Path], baseline: str) -> list[Row]:
    """A row for every arm that all folders have."""
    read = [_arms(folder) for folder in folders]
    first = read[0][baseline]
    videos, names = first.predictions.videos.tolist(), first.results.data.scored_keypoints
    found = []
    for arm in sorted(set.intersection(*(set(arms) for arms in read))):
        ours, theirs = ([arms[key].distances() for arms in read] for key in (arm, baseline))
        apart = paired_difference(np.concatenate(ours), np.concatenate(theirs), videos * len(read), names)
        each = [(_percent(a, names), _percent(b, names)) for a, b in zip(ours, theirs, strict=True)]
        bounds = {key: apart.overall[key].interval.bounds for key in FIGURES}
        found.append(
            Row(
                arm,
                len(read),
                len(videos),
                apart.n_videos,
                _percent(np.concatenate(ours), names),
                {key: 100 * apart.overall[key].value for key in FIGURES},
                {key: pair and (100 * pair[0], 100 * pair[1]) for key, pair in bounds.items()},
                {key: tuple(a[key] - b[key] for a, b in each) for key in FIGURES},
            )
        )
    return found


def _percent(distances: np.ndarray, names: tuple[str, ...]) -> dict[str, float]:
    figures = score(distances, names).figures
    return {key: 100 * figures[key].overall for key in FIGURES}


def _arms(folder: Path) -> dict[str, Entry]:
    """What was scored, by the arm."""
    return {entry.results.name.rpartition("-")[2]: entry for entry in read_entries([folder])}


def table(found: list[Row], baseline: str) -> str:
    """A row for every arm, in Markdown."""
    lines = [
        f"| arm | seeds | PCKh@0.5 / 0.2 / 0.1 | minus {baseline}, points [95 %] | by seed, at 0.2 |",
        "| --- | ---: | --- | --- | --- |",
    ]
    for row in found:
        figures = " / ".join(f"{row.figures[key]:.1f}" for key in FIGURES)
        apart = "; ".join(_said(row.difference[key], row.interval[key]) for key in FIGURES)
        seeds = ", ".join(f"{value:+.1f}" for value in row.by_seed["pckh@0.2"])
        same = row.arm == baseline
        lines.append(
            f"| {row.arm} | {row.seeds} | {figures} | {'' if same else apart} | {'' if same else seeds} |"
        )
    return "\n".join(lines) + "\n"


def _said(value: float, interval: tuple[float, float] | None) -> str:
    return f"{value:+.1f}" + ("" if interval is None else f" [{interval[0]:+.1f}, {interval[1]:+.1f}]")


if __name__ == "__main__":
    main()
