"""The tables that the README, docs/results.md and the weights' card open with, of real_infants.sh's runs.

    python benchmarks/headline.py [RUNS]

RUNS holds upright/, found/, made-up/, home/, home-postures/ and choice/, whose figures go to
reports/real-infants/headline.json. Without RUNS the pages get the figures that are kept.

Limbs are the ten keypoints that all networks mark at the same places; a row that was not scored one way has
empty cells there. Home and home-postures count together, by groups of their infants: the card has them.
tests/test_headline.py holds the pages to the figures.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeio import read_json, replacing, write_json
from edgeio.records import from_plain, to_plain
from edgepose.comparison.compare import Entry, read_entries
from edgepose.evaluation.bootstrap import bootstrap_scores
from edgepose.evaluation.metrics import score
from edgepose.keypoints import KEYPOINT_GROUPS

ROOT = Path(__file__).parents[1]
KEPT = ROOT / "reports" / "real-infants" / "headline.json"
CARD = ROOT / "edgepose" / "weights" / "README.md"
RESULTS = ROOT / "docs" / "results.md"
PAGES = (ROOT / "README.md", RESULTS, CARD)
FIGURES = ("pckh@0.5", "pckh@0.2", "pckh@0.1")
_HINT = "run benchmarks/real_infants.sh first"

# By the name of its results, what a row is called; the tables' order.
ROWS = {
    "i-fp16-maps": "**I**, fp16",
    "rt-fp16-maps": "**RT**, fp16",
    "rt-int8-qat-maps": "**RT**, int8 (`qat`, 600 steps)",
    "rt-int8-ptq-maps": "**RT**, int8 (`quantize`)",
    "rt-lite-fp16-maps": "**RT Lite**, fp16",
    "rt-lite-int8-ptq-maps": "**RT Lite**, int8 (`quantize`)",
    "rt-lite-int8-qat-maps": "**RT Lite**, int8 (`qat`, 600 steps)",
    "rt-lite-int8-qat-maps-flip": "**RT Lite**, int8 (`qat`), `--flip`",
    "rt-int8-qat-maps-flip": "**RT**, int8 (`qat`), `--flip`",
    "i-fp16-maps-flip": "**I**, fp16, `--flip`",
    "movenet_singlepose_lightning_int8_4": "MoveNet Lightning, int8",
    "pose_landmark_lite-detected": "BlazePose lite, its detector",
    "pose_landmark_full-detected": "BlazePose full, its detector",
    "pose_landmark_heavy-detected": "BlazePose heavy, its detector",
}

# What the groups' table shows, and its groups: label, column of the data set, and its texts.
GROUPED = ("i-fp16-maps", "rt-int8-qat-maps", "rt-lite-int8-qat-maps")
_COVERED = "trousers|leggings|sleepsuit|pyjamas"
_TONES = ("very-light", "light", "medium-light", "medium", "medium-dark", "dark", "very-dark")
GROUPS = (
    ("all", "skin", ".*"),
    *((f"skin {tone.replace('-', ' ')}", "skin", tone) for tone in _TONES),
    ("legs covered", "clothing", f".*({_COVERED}).*"),
    ("legs bare", "clothing", f"(?!.*({_COVERED})).*"),
    ("no hand of an adult", "hands", "0"),
    ("hands of an adult", "hands", "[1-9]"),
    ("on the back, from above", "setup", "from-above"),
    ("on the back, from the side", "setup", "from-the-side"),
    ("on the back, from the foot end", "setup", "foot-end"),
    ("close up", "setup", ".*close-up"),
    ("curled up on the side", "setup", "on-the-side"),
    ("on the tummy", "setup", "prone-.*"),
    ("on all fours", "setup", "on-fours"),
    ("sitting", "setup", "sitting.*"),
    ("standing", "setup", "standing"),
)


@dataclass(frozen=True)
class View:
    """One row scored one way on SyRIP's test part.

    Attributes:
        supine, all: PCKh* at 0.5, 0.2 and 0.1, per cent of limbs, of supine infants and in all postures.
        supine_images, images: how many of them.
        oks_ap: per cent, over the keypoints that were scored.
    """

    supine: tuple[float, ...]
    all: tuple[float, ...]
    supine_images: int
    images: int
    oks_ap: float


@dataclass(frozen=True)
class MadeUp:
    """One row on made-up infants, all keypoints: PCKh at 0.5, 0.2 and 0.1, per cent, and ME, head lengths."""

    pckh: tuple[float, ...]
    me: float


@dataclass(frozen=True)
class Network:
    """A row; None where it was not scored that way."""

    name: str
    size_bytes: int
    upright: View | None
    found: View | None
    made_up: MadeUp | None


@dataclass(frozen=True)
class Group:
    """Some made-up infants at home; by row PCKh at 0.5, 0.2 and 0.1, per cent, the 95 % interval at 0.2."""

    label: str
    infants: int
    images: int
    pckh: dict[str, tuple[float, ...]]
    interval: dict[str, tuple[float, float] | None]


@dataclass(frozen=True)
class Headline:
    """All that is kept.

    Attributes:
        choice: PCKh at 0.5, 0.2 and 0.1, per cent, by `NETWORK-WEIGHTS`, on made-up infants at home that were
            drawn to choose weights by.
    """

    networks: tuple[Network, ...]
    groups: tuple[Group, ...]
    choice: dict[str, tuple[float, ...]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="?")
    given = parser.parse_args()
    if given.runs is not None:
        write_json(KEPT, to_plain(Headline(read(given.runs), groups(given.runs), choice(given.runs))))
    figures = kept()
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for table in tables(page, figures):
            text = put(text, table)
        with replacing(page) as temporary:
            temporary.write_text(text, encoding="utf-8")
    print(*tables(CARD, figures), sep="\n", end="")


def tables(page: Path, figures: Headline) -> tuple[str, ...]:
    """The tables of a page."""
    both = of_photographs(figures.networks), of_made_up(figures.networks)
    more = {CARD: lambda: (of_groups(figures.groups),), RESULTS: lambda: (of_choice(figures.choice),)}
    return (*both, *more[page]()) if page in more else both


def read(runs: Path) -> tuple[Network, ...]:
    """Every row of `ROWS` that was scored at least one way."""
    scored = {way: _scored(runs / way) for way in ("upright", "found", "made-up")}
    networks = []
    for name in ROWS:
        entries = [rows.get(name) for rows in scored.values()]
        if entry := next(filter(None, entries), None):
            upright, found = (view(way) if way else None for way in entries[:2])
            made_up = _made_up(entries[2]) if entries[2] else None
            networks.append(Network(name, entry.results.model.size_bytes, upright, found, made_up))
    return tuple(networks)


def _scored(folder: Path) -> dict[str, Entry]:
    return {entry.results.name: entry for entry in read_entries([folder])}


def view(entry: Entry) -> View:
    """The figures of one row's limbs."""
    names = [str(name) for name in entry.predictions.keypoints]
    limbs = [k for k, name in enumerate(names) if name.endswith(KEYPOINT_GROUPS["limbs"].parts)]
    distances = entry.distances()[:, limbs]
    supine = entry.predictions.columns["posture"] == "Supine"
    oks = entry.results.metrics.oks
    assert oks is not None and oks.ap is not None  # SyRIP has areas
    return View(_percent(distances[supine]), _percent(distances), int(supine.sum()), len(distances), oks.ap)


def _made_up(entry: Entry) -> MadeUp:
    scores = entry.results.metrics.overall.scores
    return MadeUp(tuple(_measured(scores[key]) for key in FIGURES), _measured(scores["me"]))


def _measured(figure: float | None) -> float:
    assert figure is not None  # every keypoint is annotated, and has a point
    return figure


def _percent(distances: np.ndarray) -> tuple[float, ...]:
    figures = score(distances, [str(k) for k in range(distances.shape[1])]).figures
    return tuple(100 * figures[key].overall for key in FIGURES)


def groups(runs: Path) -> tuple[Group, ...]:
    """The figures of made-up infants at home, by group; an infant is a video."""
    sets = [_scored(runs / folder) for folder in ("home", "home-postures")]
    entries = [rows[GROUPED[0]] for rows in sets]
    videos = np.concatenate([[f"{i} {v}" for v in e.predictions.videos] for i, e in enumerate(entries)])
    distances = {name: np.concatenate([rows[name].distances() for rows in sets]) for name in GROUPED}
    names = entries[0].results.data.scored_keypoints
    made = []
    for label, column, pattern in GROUPS:
        texts = np.concatenate([e.predictions.columns[column] for e in entries])
        chosen = np.array([re.fullmatch(pattern, text) is not None for text in texts])
        infants = videos[chosen].tolist()
        drawn = {name: bootstrap_scores(d[chosen], infants, names).overall for name, d in distances.items()}
        bounds = {name: found["pckh@0.2"].interval.bounds for name, found in drawn.items()}
        made.append(
            Group(
                label,
                len(set(infants)),
                len(infants),
                {name: tuple(100 * found[key].value for key in FIGURES) for name, found in drawn.items()},
                {name: pair and (100 * pair[0], 100 * pair[1]) for name, pair in bounds.items()},
            )
        )
    return tuple(made)


def choice(runs: Path) -> dict[str, tuple[float, ...]]:
    """The figures by which weights were chosen, of both sets together."""
    sets = [_scored(runs / "choice" / folder) for folder in ("home", "postures")]
    return {
        name: _percent(np.concatenate([rows[name].distances() for rows in sets])) for name in sorted(sets[0])
    }


def kept(path: Path = KEPT) -> Headline:
    """The figures that are kept."""
    return from_plain(Headline, read_json(path, _HINT))


def of_photographs(networks: Sequence[Network]) -> str:
    """SyRIP's test part, both ways, in Markdown."""
    some = next(way for network in networks for way in (network.upright, network.found) if way)
    lines = [
        f"| network | file, KB | by the labels, supine ({some.supine_images}) | all postures ({some.images}) "
        "| by itself, supine | all postures | OKS AP, by itself |",
        "| --- | ---: | --- | --- | --- | --- | ---: |",
    ]
    for network in networks:
        ways = (network.upright, network.found)
        if any(ways):
            cells = [cell for way in ways for cell in (("", "") if way is None else _cells(way))]
            cells.append(f"{network.found.oks_ap:.1f}" if network.found else "")
            lines.append(f"| {_head(network)} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def of_choice(found: Mapping[str, tuple[float, ...]]) -> str:
    """The weights that were to be chosen from, in Markdown."""
    kinds = ("before", "after", "mean")
    lines = [f"| drawn for the choice | {' | '.join(kinds)} |", "| --- | " + " | ".join(["---"] * 3) + " |"]
    for model, name in (("rt", "RT"), ("rt-lite", "RT Lite")):
        lines.append(f"| {name} | {' | '.join(_said(found[f'{model}-{kind}']) for kind in kinds)} |")
    return "\n".join([*lines, ""])


def of_groups(found: Sequence[Group]) -> str:
    """Made-up infants at home by group, in Markdown."""
    heads = " | ".join(ROWS[name] for name in GROUPED)
    lines = [
        f"| made-up infants at home | how many | {heads} |",
        "| --- | ---: | " + " | ".join(["---"] * len(GROUPED)) + " |",
    ]
    for group in found:
        cells = []
        for name in GROUPED:
            bounds = group.interval[name]
            between = f" [{bounds[0]:.1f}, {bounds[1]:.1f}]" if bounds else ""
            cells.append(f"{_said(group.pckh[name])}{between}")
        lines.append(f"| {group.label} | {group.infants} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def of_made_up(networks: Sequence[Network]) -> str:
    """Made-up infants, in Markdown."""
    lines = ["| network | file, KB | PCKh@0.5 / 0.2 / 0.1 | ME |", "| --- | ---: | --- | ---: |"]
    for network in networks:
        if network.made_up:
            lines.append(f"| {_head(network)} | {_said(network.made_up.pckh)} | {network.made_up.me:.3f} |")
    return "\n".join([*lines, ""])


def _cells(way: View) -> tuple[str, str]:
    return _said(way.supine), _said(way.all)


def _head(network: Network) -> str:
    return f"{ROWS[network.name]} | {network.size_bytes / 1000:,.0f}"


def _said(figures: tuple[float, ...]) -> str:
    return " / ".join(f"{value:.1f}" for value in figures)


def put(text: str, table: str) -> str:
    """A page with the table in place of the one that begins with the same two cells and has as many."""
    wanted = table.splitlines()
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if _alike(line, wanted[0]))
    end = next((i for i in range(start, len(lines)) if not lines[i].startswith("|")), len(lines))
    return "\n".join([*lines[:start], *wanted, *lines[end:], ""])


def _alike(line: str, header: str) -> bool:
    cells, others = (row.split("|") for row in (line, header))
    return len(cells) == len(others) and cells[1:3] == others[1:3]


if __name__ == "__main__":
    main()
