"""What all readers share: gathering records, and listing what was left out instead of failing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import numpy as np

from edgeio.text import decimal, read_text
from edgepose.data.files import alike
from edgepose.data.records import Dataset, LeftOut, PoseRecord
from edgepose.errors import BadDataset
from edgepose.keypoints import KeypointSet


class Skip(Exception):
    """One image cannot be taken; the text is `KIND` or `KIND: DETAIL`, and is counted by KIND."""


class Collector:
    """Gathers a data set's records in order and checks what every format has in common."""

    def __init__(self, format_key: str, root: Path, keypoints: KeypointSet) -> None:
        self.format_key, self.root, self.keypoints = format_key, root, keypoints
        self._records: dict[str, PoseRecord] = {}
        self._left_out: list[LeftOut] = []

    def add(self, record: PoseRecord, annotated: bool = True) -> None:
        """Take a record; `annotated` asks for at least one labelled keypoint.

        Raises:
            Skip: the id was taken before, a point is infinite, nothing is labelled, or there is no
                image file.
        """
        if record.id in self._records:
            raise Skip("annotated twice, the first annotation counts")
        if np.isinf(record.keypoints_px).any():
            raise Skip("infinite coordinates")
        if annotated and np.isnan(record.keypoints_px).any(axis=1).all():
            raise Skip("no labelled keypoint")
        if not record.image.is_file():
            raise Skip("the image file is missing")
        self._records[record.id] = record

    def leave_out(self, name: str, reason: str) -> None:
        self._left_out.append(LeftOut(name, reason))

    @contextmanager
    def listing(self, name: str) -> Iterator[None]:
        """A block that deals with one image: where it raises Skip, `name` is listed as left out."""
        try:
            yield
        except Skip as reason:
            self.leave_out(name, str(reason))

    def dataset(self) -> Dataset:
        """All that was gathered.

        Raises:
            BadDataset: nothing was; names the first thing left out.
        """
        if not self._records:
            first = next((f", the first: {e.name}: {e.reason}" for e in self._left_out), "")
            count = f"{len(self._left_out)} left out{first}"
            raise BadDataset(
                f"{self.root} has no usable image as {self.format_key} ({count})",
                "check that the data set is complete and that the path is its top folder",
            )
        return Dataset(
            f"{self.format_key}:{self.root}",
            self.format_key,
            self.root,
            self.keypoints,
            tuple(self._records.values()),
            tuple(self._left_out),
        )


def reason_kind(reason: str) -> str:
    """What a left-out entry is counted under."""
    return reason.partition(": ")[0]


def floats(cells: Sequence[str], where: str) -> list[float]:
    """Finite numbers out of text, with decimal points or commas.

    Raises:
        Skip: a cell is no finite number; says `where` and quotes it.
    """
    values = []
    for cell in cells:
        try:
            value = decimal(cell)
        except (AttributeError, ValueError):
            raise Skip(f"not a number: {where} has {str(cell)[:40]!r}") from None
        if not np.isfinite(value):
            raise Skip(f"NaN or infinite: {where} has {str(cell)[:40]!r}")
        values.append(value)
    return values


def point_rows(path: Path, columns: int) -> list[list[str]]:
    """A text file's rows of `columns` numbers each, for `numbers_of`.

    Raises:
        Skip: it is no text.
    """
    try:
        text = read_text(path)
    except (UnicodeDecodeError, OSError) as error:
        raise Skip(f"unreadable points: {path.name} ({error})") from None
    return [numbers_of(line, columns) for line in text.splitlines() if line.strip()]


def numbers_of(line: str, count: int) -> list[str]:
    """The numbers of a line, as text: separated by blanks, semicolons or commas, the decimals after points or
    commas. Where it does not hold `count` of them, what it does hold."""
    if ";" in line:
        return [part.strip() for part in line.split(";") if part.strip()]
    spaced = line.split()
    if len(spaced) > 1:
        return [part.removesuffix(",") for part in spaced if part != ","]
    parts = line.strip().split(",")
    if len(parts) == 2 * count:  # every other comma is a decimal one
        return [f"{whole},{rest}" for whole, rest in zip(parts[::2], parts[1::2], strict=True)]
    return parts


def file_inside(folder: Path, relative: str) -> Path:
    """A file that an annotation names, which may use either slash and either spelling of accents.

    Raises:
        Skip: the name leads out of the data set.
    """
    path = PurePosixPath(relative.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise Skip(f"the image path leaves the data set: {relative[:80]!r}")
    return alike(folder, Path(path))


def require(path: Path, format_key: str) -> Path:
    """`path`, which the format cannot do without; raises BadDataset where it is missing."""
    if not path.exists():
        raise BadDataset(
            f"{path} is missing, and {format_key} needs it",
            "check that the path is the data set's top folder, or name another format as FORMAT:PATH",
        )
    return path
