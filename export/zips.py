"""Zip archives whose bytes follow from their content: stored, in order, without dates."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from typing import BinaryIO

_DATE = (1980, 1, 1, 0, 0, 0)  # the oldest that the format knows
_REGULAR = 0o100644 << 16


def write_stored(stream: BinaryIO, files: Mapping[str, bytes]) -> None:
    """Write an archive at the stream's position; offsets count from the stream's beginning.

    Nothing is compressed, so the bytes do not depend on a compressor's version, and no reader can be
    made to unpack more than it was sent.
    """
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name, _DATE)
            info.create_system = 3  # Unix, whatever this machine is
            info.external_attr = _REGULAR
            archive.writestr(info, content)
