"""A report as plain parts, so that Markdown and HTML say the same and each escapes in its own way.

All text is plain text: the renderers escape whatever their format would read as markup.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

_STARTS = tuple("+−–0123456789")  # of a number, or of the dash where there is none


@dataclass(frozen=True)
class Paragraph:
    """Running text."""

    text: str
    kind: str = "paragraph"


@dataclass(frozen=True)
class Word:
    """A coloured word: the tone never says what the word does not.

    Attributes:
        tone: key of `SYMBOLS`.
    """

    text: str
    tone: str

    @property
    def symbol(self) -> str:
        """The shape that goes with the colour, here and in the figures."""
        return SYMBOLS[self.tone]


# Shapes as the figures draw them, so that no tone is told by colour alone.
SYMBOLS = {"green": "●", "amber": "◆", "red": "✖", "ink": "★", "grey": "○"}
Cell = str | Word


@dataclass(frozen=True)
class Table:
    """Cells as text; the column `names` names the row."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    names: int = 0
    kind: str = "table"

    @property
    def numeric(self) -> tuple[bool, ...]:
        """By column: whether all its cells are numbers, which are set right; text is set left."""
        columns = list(zip(*self.rows, strict=True)) or [()] * len(self.columns)
        return tuple(
            i != self.names and all(isinstance(cell, str) and cell.startswith(_STARTS) for cell in column)
            for i, column in enumerate(columns)
        )


@dataclass(frozen=True)
class Picture:
    """A figure by its file name in figures/; `caption` serves as its alternative text too."""

    name: str
    caption: str
    kind: str = "picture"


@dataclass(frozen=True)
class Terms:
    """Terms and what they mean."""

    entries: tuple[tuple[str, str], ...]
    kind: str = "terms"


@dataclass(frozen=True)
class Commands:
    """Command lines."""

    lines: tuple[str, ...]
    kind: str = "commands"


@dataclass(frozen=True)
class VerdictBlock:
    """What is said of `name`, opened by a coloured word."""

    word: Word
    name: str
    text: str
    kind: str = "verdict"


Block = Paragraph | Table | Picture | Terms | Commands | VerdictBlock


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it; `folded` in HTML until a reader opens it."""

    heading: str
    blocks: tuple[Block, ...]
    folded: bool = False


@dataclass(frozen=True)
class FirstScreen:
    """What a reader sees before any sentence: a line of facts, pictures, and a table with a line under it."""

    facts: str
    pictures: tuple[Picture, ...]
    table: Table
    note: str


@dataclass(frozen=True)
class Document:
    """A whole report.

    Attributes:
        notice: stands under the first screen, or under the title where there is none.
        front: running text before the sections.
    """

    title: str
    notice: str
    front: tuple[Block, ...]
    sections: tuple[Section, ...]
    first: FirstScreen | None = None


def render_markdown(document: Document) -> str:
    """The report as Markdown; its figures are the files in figures/."""
    return _environment().get_template("report.md.j2").render(document=document)


def render_html(document: Document, pictures: Mapping[str, bytes]) -> str:
    """The report as one HTML file that loads nothing.

    Args:
        pictures: PNG bytes by file name.
    """
    encoded = {name: base64.b64encode(data).decode("ascii") for name, data in pictures.items()}
    return _environment().get_template("report.html.j2").render(document=document, pictures=encoded)


def markdown_cell(cell: Cell) -> str:
    """A table's cell as Markdown."""
    return escape_markdown(cell) if isinstance(cell, str) else f"{cell.symbol} {escape_markdown(cell.text)}"


def escape_markdown(text: str) -> str:
    """Plain text as Markdown that shows just that; it may stand in a table's cell."""
    one_line = " ".join(text.split())
    entities = one_line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    escaped = re.sub(r"([\\`*_\[\]|~#$])", r"\\\1", entities)
    # A colon after a scheme and www. would become links by themselves.
    return re.sub(r"(?i)\b(https?|ftp):(?=//)", r"\1&#58;", escaped).replace("www.", "www&#46;")


def unbroken(text: str) -> str:
    """Text whose brackets, which hold intervals, stay on one line."""
    return re.sub(r"\[[^\[\]]*\]", lambda found: found.group().replace(" ", "\u00a0"), text)


def fence(lines: Sequence[str]) -> str:
    """Backticks that no line can close."""
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    return "`" * max(3, longest + 1)


def _autoescape(template: str | None) -> bool:
    return template is not None and template.endswith(".html.j2")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("edgepose.reporting", ""),
        autoescape=_autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    filters: dict[str, Any] = {
        "md": escape_markdown,
        "cell": markdown_cell,
        "fence": fence,
        "unbroken": unbroken,
    }
    environment.filters.update(filters)
    return environment
