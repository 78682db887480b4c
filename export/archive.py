"""One file for an app: parts in a zip archive, bound together by the hashes in its manifest.

An archive is canonical: manifest.json first, then the parts by name, stored, without dates. It is read
only if writing what was read gives the same bytes again, so no byte of it can differ unseen. What the
manifest says beside `schema_version` and `parts` is the caller's.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import stat
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, NonNegativeInt

from edgeio import replacing
from edgeio.records import Sha256, parse_record
from export.errors import ExportError
from export.zips import write_stored

MANIFEST = "manifest.json"
_MOST_BYTES = 512 * 2**20
_MOST_PARTS = 256
_MANIFEST_BYTES = 4 * 2**20
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)*")
_HINT = "get the bundle again from where it was made"


@dataclass(frozen=True)
class FilePart:
    """One file of the bundle."""

    sha256: Sha256
    """Of its bytes."""
    bytes: NonNegativeInt
    """Its length."""


@dataclass(frozen=True)
class _Listed:
    """Of a manifest, what is ours."""

    parts: Mapping[str, FilePart]
    schema_version: Literal[1] = 1
    __pydantic_config__ = ConfigDict(extra="ignore")


@dataclass(frozen=True)
class Bundle:
    """A bundle that was read and holds together.

    Attributes:
        sha256: of the whole file.
        manifest: parsed, with `schema_version` and `parts`.
        parts: name -> content, without the manifest.
    """

    sha256: str
    manifest: dict[str, Any]
    parts: dict[str, bytes]


def write_bundle(path: Path, parts: Mapping[str, bytes], manifest: Mapping[str, Any]) -> Bundle:
    """Write a bundle, whole or not at all; the same arguments give the same bytes.

    Args:
        parts: name -> content; names are lower case, with slashes for folders.
        manifest: JSON; `schema_version` and `parts` are added.

    Raises:
        ValueError: a name that `read_bundle` would refuse; a fault of the caller.
    """
    wrong = [name for name in parts if not _NAME.fullmatch(name) or name == MANIFEST]
    if wrong:
        raise ValueError(f"{wrong[0]!r} cannot be a part's name")
    listed = {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        for name, content in sorted(parts.items())
    }
    whole = {"schema_version": _Listed.schema_version, **manifest, "parts": listed}
    text = json.dumps(whole, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
    data = _archive(text.encode(), parts)
    with replacing(path) as temporary:
        temporary.write_bytes(data)
    return Bundle(hashlib.sha256(data).hexdigest(), json.loads(text), dict(parts))


def read_bundle(path: Path) -> Bundle:
    """Read a bundle and check every byte of it.

    Raises:
        ExportError: missing, too large, not a zip archive; a part's name that leads out of the archive; a
            link, a folder, or a part that is encrypted or compressed; a manifest that is missing, damaged,
            or of a newer schema; a part that is missing, extra or changed; bytes that belong to no part.
    """
    if not path.is_file():
        raise ExportError(f"{path} does not exist or is not a file", "check the path")
    if path.stat().st_size > _MOST_BYTES:
        raise ExportError(f"{path} is larger than {_MOST_BYTES // 2**20} MiB, so it is no bundle", _HINT)
    data = path.read_bytes()
    held = _unpacked(path, data)
    text = held.pop(MANIFEST, None)
    if text is None:
        raise ExportError(f"{path} has no {MANIFEST}", "give a bundle that `edgepose bundle` wrote")
    manifest, listed = _manifest(path, text)
    _check_parts(path, listed, held)
    if _archive(text, held) != data:
        raise ExportError(f"{path} has been packed again, or has bytes outside its parts", _HINT)
    return Bundle(hashlib.sha256(data).hexdigest(), manifest, held)


def _archive(manifest: bytes, parts: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    write_stored(stream, {MANIFEST: manifest, **dict(sorted(parts.items()))})
    return stream.getvalue()


def _unpacked(path: Path, data: bytes) -> dict[str, bytes]:
    """Name -> content, each name once and each part no larger than the archive."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            if len(entries) > _MOST_PARTS:
                raise ExportError(f"{path} has {len(entries)} parts, more than {_MOST_PARTS}", _HINT)
            found: dict[str, bytes] = {}
            for entry in entries:
                _check_entry(path, entry, found, len(data))
                try:
                    found[entry.filename] = archive.read(entry)
                except (zipfile.BadZipFile, EOFError) as error:
                    raise ExportError(
                        f"{path}: {_shown(entry.filename)} is damaged ({error})", _HINT
                    ) from None
            return found
    except ExportError:
        raise
    except Exception as error:  # the zip reader raises nearly anything on damaged bytes
        raise ExportError(f"{path} is not a zip archive, or damaged ({error})", _HINT) from None


def _check_entry(path: Path, entry: zipfile.ZipInfo, found: Mapping[str, bytes], limit: int) -> None:
    problem = None
    if not _NAME.fullmatch(entry.filename):
        problem = "is no name for a part: it might lead out of the archive"
    elif entry.filename in found:
        problem = "stands twice"
    elif not stat.S_ISREG(entry.external_attr >> 16):
        problem = "is no plain file"
    elif entry.flag_bits & 0x1:
        problem = "is encrypted"
    elif entry.compress_type != zipfile.ZIP_STORED:
        problem = "is compressed, which parts of a bundle are not"
    elif entry.file_size != entry.compress_size or entry.file_size > limit:
        problem = "says it is larger than the archive"
    if problem:
        raise ExportError(f"{path}: {_shown(entry.filename)} {problem}", _HINT)


def _manifest(path: Path, text: bytes) -> tuple[dict[str, Any], Mapping[str, FilePart]]:
    where = f"{path}: {MANIFEST}"
    if len(text) > _MANIFEST_BYTES:
        raise ExportError(f"{where} is larger than {_MANIFEST_BYTES // 2**20} MiB", _HINT)
    try:
        manifest = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ExportError(f"{where} is not valid JSON ({error})", _HINT) from None
    return manifest, parse_record(_Listed, manifest, where, _HINT, ExportError).parts


def _check_parts(path: Path, listed: Mapping[str, FilePart], held: Mapping[str, bytes]) -> None:
    for name in listed:
        if name not in held:
            raise ExportError(f"{path}: {_shown(name)} is missing", _HINT)
    for name, content in held.items():
        if name not in listed:
            raise ExportError(f"{path}: {_shown(name)} is in no manifest", _HINT)
        if len(content) != listed[name].bytes:
            raise ExportError(f"{path}: {_shown(name)} has another length than the manifest says", _HINT)
        if hashlib.sha256(content).hexdigest() != listed[name].sha256:
            raise ExportError(f"{path}: {_shown(name)} has changed (SHA-256 differs)", _HINT)


def _shown(name: str) -> str:
    """A name from a file that nobody vouches for."""
    return ascii(name)[1:-1][:80]
