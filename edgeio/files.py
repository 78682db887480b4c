"""Files that land whole or not at all, and their hashes."""

from __future__ import annotations

import hashlib
import json
import os
import re
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgeio.errors import UserError
from edgeio.text import read_text


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path beside `path`, renamed to it when the block ends well and removed when not.

    The temporary name keeps the suffix, since many writers choose the format by it. The data is
    flushed to disk before the rename, so that a power cut leaves the old file or the new one.
    """
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary = final.with_name(f".{final.stem}.{os.getpid()}.partial{final.suffix}")
    try:
        yield temporary
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(final)
    finally:
        temporary.unlink(missing_ok=True)


def leftovers(folder: Path, names: Iterable[str]) -> Iterator[Path]:
    """What killed processes left half written of files, or folders, of these names in a folder.

    A process may be another machine's, so nothing tells whether it still writes: whoever asks has locked the
    names (`edgeio/jobs.py`).
    """
    finals = [Path(name) for name in names]
    files = (rf"{re.escape(f.stem)}\.\d+\.partial{re.escape(f.suffix)}" for f in finals)
    folders = (rf"{re.escape(f.name)}\.\d+\.partial" for f in finals)
    left = re.compile("|".join((*files, *folders)))
    for path in folder.glob(".*.partial*"):
        if left.fullmatch(path.name[1:]):
            yield path


def sha256_file(path: str | os.PathLike[str]) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with Path(path).open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def deflated_bytes(path: str | os.PathLike[str]) -> int:
    """A file's size after deflate (zlib, level 9), which is what an app store sends of it."""
    return len(zlib.compress(Path(path).read_bytes(), 9))


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write `value` as indented UTF-8 JSON, whole or not at all; NaN and infinities are refused."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: str | os.PathLike[str], hint: str, error: type[UserError] = UserError) -> Any:
    """Parse a JSON file, of UTF-8 or with a byte-order mark.

    Raises:
        UserError: of the kind `error`; the file is missing or is not JSON; says `hint`.
    """
    try:
        return json.loads(read_text(path))
    except FileNotFoundError:
        raise error(f"{path} does not exist", hint) from None
    except (ValueError, RecursionError) as damage:
        raise error(f"{path} is not valid JSON ({damage})", hint) from None
