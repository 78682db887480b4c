"""Which files of a folder are data: one way for every reader, and for what is predicted.

Hidden files and folders are passed over, macOS's `._` files among them. Linked folders are searched like
others, each once, and never round in a circle.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from functools import lru_cache
from pathlib import Path

from edgeio.text import one_spelling


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
