"""A table, and its JSON, of how far emulated devices put keypoints from where this machine puts them.

    python benchmarks/parity.py SCORED ... --out reports/on-device/parity

SCORED are folders that `edgepose evaluate --target` wrote; rows of several data sets stay apart. Distances
are of the keypoints that were scored there. Rows of an earlier table, --beside JSON, stay where no folder has
that data, file and device: so a table can be filled on several days and machines, and says on which.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from edgeio import read_json, replacing, write_json
from edgepose.evaluation.speed import processor

_HINT = "run edgepose evaluate --target desktop and --target emulated:CPU into one folder first"


@dataclass(frozen=True)
class Row:
    """A file on a device, beside the same file here.

    Attributes:
        identical: images whose outputs agree to the bit.
        largest_px, p99_px, median_px: of the distances between the two runs' keypoints, pixels of the images.
        below: share of keypoints that lie less than 0.1 px apart.
        above: how many lie more than 1 px apart.
        desktop: the processor that the device is held against: this machine's, where the runs were made too.
    """

    data: str
    file: str
    cpu: str
    images: int
    identical: int
    largest_px: float
    p99_px: float
    median_px: float
    below: float
    above: int
    desktop: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("scored", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="of the .json and the .md, without either")
    parser.add_argument("--beside", type=Path, help="an earlier table's .json, whose other rows stay")
    given = parser.parse_args()
    found = [row for folder in given.scored for row in rows(folder)]
    if given.beside is not None:
        found = merged(found, [Row(**row) for row in read_json(given.beside, _HINT)["rows"]])
    write_json(given.out.with_suffix(".json"), {"rows": [asdict(row) for row in found]})
    with replacing(given.out.with_suffix(".md")) as temporary:
        temporary.write_text(table(found), encoding="utf-8")
    print(table(found), end="")


def rows(folder: Path) -> list[Row]:
    """A row for every run on a device."""
    found = []
    for path in sorted(folder.glob("*@*/results.json")):
        told = read_json(path, _HINT)
        file, cpu = path.parent.name.rsplit("@", 1)
        apart = distances(folder / file, path.parent)
        parity = told["device"]["parity"]
        found.append(
            Row(
                folder.name,
                file,
                cpu,
                parity["n_images"],
                parity["identical"],
                float(apart.max()),
                float(np.percentile(apart, 99)),
                float(np.median(apart)),
                float((apart < 0.1).mean()),
                int((apart > 1).sum()),
                processor(),
            )
        )
    return found


def merged(found: list[Row], before: list[Row]) -> list[Row]:
    """All rows, the newer of two that are of the same data, file and device, in their order."""
    both = {(row.data, row.file, row.cpu): row for row in (*before, *found)}
    return [both[key] for key in sorted(both)]


def distances(here: Path, there: Path) -> np.ndarray:
    """Between the keypoints (N, K, 2) of two runs, pixels."""
    first, second = (np.load(place / "predictions.npz") for place in (here, there))
    assert np.array_equal(first["ids"], second["ids"]), f"{here} and {there} are of other images"
    return np.linalg.norm(first["predicted_px"][..., :2] - second["predicted_px"][..., :2], axis=-1)


def table(found: list[Row]) -> str:
    """A row for every file and device, in Markdown."""
    lines = [
        "| data | file | CPU | images the same to the bit | largest, px | 99 %, px | median, px "
        "| below 0.1 px, % | above 1 px | beside |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for row in found:
        distances = " | ".join(f"{px:.3g}" for px in (row.largest_px, row.p99_px, row.median_px))
        lines.append(
            f"| {row.data} | {row.file} | {row.cpu} | {row.identical} of {row.images} | {distances} "
            f"| {100 * row.below:.2f} | {row.above} | {row.desktop} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
