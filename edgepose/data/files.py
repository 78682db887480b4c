"""Which files of a folder are data: one way for every reader, and for what is predicted.

Hidden files and folders are passed over, macOS's `._` files among them. Linked folders are searched like
others, each once, and never round in a circle.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from edgeio.text import one_spelling

# A summary of `edgepose predict` begins with this key.
SUMMARY_MARK = "predict_version"
_HEAD_BYTES = 200


def is_hidden(path: Path) -> bool:
    """Whether a relative path is hidden, or lies in a folder that is."""
    return any(part.startswith(".") for part in path.parts)


def files_in(folder: Path, suffixes: Collection[str] = ()) -> list[Path]:
    """Files directly in a folder, by name; of certain suffixes, in small letters, where any are given."""
    found = (p for p in folder.iterdir() if not is_hidden(Path(p.name))) if folder.is_dir() else ()
    return sorted(p for p in found if _wanted(p, suffixes) and p.is_file())


def files_below(root: Path, suffixes: Collection[str] = ()) -> list[Path]:
    """Files in a folder and all folders below, linked ones too, by path."""
    return sorted(p for p in _walk(root) if _wanted(p, suffixes) and p.is_file())


def without_outputs(files: Iterable[Path]) -> list[Path]:
    """Files less what `edgepose predict` wrote among them: summaries, and all that these name."""
    found = list(files)
    own: set[Path] = set()
    for path in found:
        if path.suffix.lower() == ".json":
            own |= _outputs(path)
    return [p for p in found if p not in own and own.isdisjoint(p.parents)]


def _outputs(path: Path) -> set[Path]:
    """A summary, and the files and folders beside it that it names; nothing for other JSON."""
    try:
        with path.open("rb") as handle:
            if SUMMARY_MARK.encode() not in handle.read(_HEAD_BYTES):
                return set()
        summary = json.loads(path.read_bytes())
        names = [name for name in summary["outputs"].values() if isinstance(name, str)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return set()
    if SUMMARY_MARK not in summary:
        return set()
    return {path, *(path.with_name(name) for name in names if name and Path(name).name == name)}


def alike(folder: Path, relative: Path) -> Path:
    """The file of this name, or of the same name in the other spelling of its accents (NFC, NFD)."""
    path = folder
    for part in relative.parts:
        there = path / part
        if not there.exists() and path.is_dir():
            other = _spelt(path, path.stat().st_mtime_ns).get(one_spelling(part))
            there = there if other is None else path / other
        path = there
    return path


def _wanted(path: Path, suffixes: Collection[str]) -> bool:
    return not suffixes or path.suffix.lower() in suffixes


def _walk(root: Path) -> Iterator[Path]:
    """Every visible file; a linked folder that lies in `root`, or around it, is met without the link."""
    whole = root.resolve()
    seen: set[Path] = set()
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        try:
            entries = list(os.scandir(folder))
        except OSError:  # may not be read
            continue
        for entry in entries:
            if entry.name.startswith("."):
                continue
            path = folder / entry.name
            if not entry.is_dir():
                yield path
                continue
            if entry.is_symlink():
                real = path.resolve()
                if real in seen or real.is_relative_to(whole) or whole.is_relative_to(real):
                    continue
                seen.add(real)
            waiting.append(path)


@lru_cache(maxsize=64)
def _spelt(folder: Path, mtime_ns: int) -> dict[str, str]:
    """Names in a folder by their one spelling; `mtime_ns` makes a changed folder another."""
    return {one_spelling(name): name for name in os.listdir(folder)}  # noqa: PTH208
