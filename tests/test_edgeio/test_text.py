"""Text as programs write it."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from edgeio import read_json
from edgeio.text import csv_rows, decimal, one_spelling, read_text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_mark_says_the_encoding(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.json"
    mark = "\ufeff" if encoding.endswith(("le", "be")) else ""
    path.write_bytes((mark + '{"a": "\u00fc"}').encode(encoding))
    assert read_text(path) == '{"a": "\u00fc"}'
    assert read_json(path, "") == {"a": "\u00fc"}


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("a,b\n1,2\n", [["a", "b"], ["1", "2"]]),
        ("a;b\r\n1,5;2\r\n", [["a", "b"], ["1,5", "2"]]),
        ("a\tb\n1\t2\n", [["a", "b"], ["1", "2"]]),
        ('"a;x",b\n1,2\n', [["a;x", "b"], ["1", "2"]]),
        ("sep=;\na;b,c\n1;2\n", [["a", "b,c"], ["1", "2"]]),
        ("\na,b,,\n1,2,,\n,,,\n", [["a", "b"], ["1", "2"]]),
        ("a\n1\n", [["a"], ["1"]]),
        ("", []),
    ],
)
def test_rows(tmp_path: Path, text: str, rows: list[list[str]]) -> None:
    (tmp_path / "a.csv").write_text(text, newline="")
    assert [row for _, row in csv_rows(tmp_path / "a.csv")] == rows


def test_strict_quotes(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('a,b\n"1,2\n')
    with pytest.raises(csv.Error):
        csv_rows(tmp_path / "a.csv", strict=True)


def test_decimals() -> None:
    assert [decimal(t) for t in ("1.5", " 1,5 ", "-0,25", "3", "1e3")] == [1.5, 1.5, -0.25, 3, 1000]
    for text in ("", "1,2,3", "1.000,5", "x"):
        with pytest.raises(ValueError):
            decimal(text)


def test_one_spelling() -> None:
    assert one_spelling("zu\u0308ri") == one_spelling("z\u00fcri") == "z\u00fcri"
