"""Text as programs write it: byte-order marks, semicolons, decimal commas, two spellings of accents."""

from __future__ import annotations

import codecs
import csv
import io
import os
import re
import unicodedata
from pathlib import Path

_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_DELIMITERS = (",", ";", "\t")  # European spreadsheets write semicolons, "Unicode text" has tabs


def read_text(path: str | os.PathLike[str]) -> str:
    """A file's text: UTF-8, or what its byte-order mark says.

    Raises:
        UnicodeDecodeError: it is neither.
    """
    data = Path(path).read_bytes()
    return data.decode(next((name for mark, name in _MARKS.items() if data.startswith(mark)), "utf-8"))


def csv_rows(path: str | os.PathLike[str], strict: bool = False) -> list[tuple[int, list[str]]]:
    """(line number, cells) of every row that says something, the header among them.

    Cells are separated as the header's are: by commas, semicolons or tabs, or as a first line `sep=;` says.
    Columns without a name or a cell, which spreadsheets leave at the end, are left out.

    Args:
        strict: refuse quotes that are not closed or stand inside a cell.

    Raises:
        UnicodeDecodeError, csv.Error: it is no text in a known encoding, or no CSV.
    """
    text = read_text(path)
    first = next((line for line in text.splitlines() if line.strip()), "")
    said = re.fullmatch(r'"?sep=(.)"?', first.strip("\r\n"))
    delimiter = said[1] if said else _delimiter(first)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=strict)
    rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    rows = rows[1:] if said else rows
    width = max((len(_trimmed(row)) for _, row in rows), default=0)
    return [(line, row[:width]) for line, row in rows]


def decimal(text: str) -> float:
    """A number, whose decimals may follow a comma; raises ValueError."""
    text = text.strip()
    return float(text.replace(",", ".") if text.count(",") == 1 and "." not in text else text)


def one_spelling(name: str) -> str:
    """A file's name as text that every program can write: of the two forms in which systems spell accents the
    one (NFC), and bytes that are no UTF-8 as escapes, such as \\xe9."""
    try:
        name.encode()
    except UnicodeEncodeError:  # Python stands such bytes in for by surrogates
        name = os.fsencode(name).decode("utf-8", "backslashreplace")
    return unicodedata.normalize("NFC", name)


def _delimiter(header: str) -> str:
    bare = re.sub(r'"[^"]*"', "", header)
    return max(_DELIMITERS, key=bare.count)


def _trimmed(row: list[str]) -> list[str]:
    end = len(row)
    while end and not row[end - 1].strip():
        end -= 1
    return row[:end]
