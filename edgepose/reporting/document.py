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


@dataclass(frozen=True)
class Paragraph:
    """Running text."""

    text: str
    kind: str = "paragraph"


@dataclass(frozen=True)
class Table:
    """Cells as text; the first column names the row."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    kind: str = "table"

    @property
    def numeric(self) -> tuple[bool, ...]:
        """By column: whether all its cells are numbers, which are set right; text is set left."""
        columns = list(zip(*self.rows, strict=True))[1:]
        return (False, *(all(cell[:1] in "+−–0123456789" for cell in column) for column in columns))


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
    """A verdict: its colour, "green", "amber" or "red", is written out as well as shown."""

    colour: str
    heading: str
    text: str
    kind: str = "verdict"


Block = Paragraph | Table | Picture | Terms | Commands | VerdictBlock


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it."""

    heading: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Document:
    """A whole report; `notice` stands under the title, and `front` is its first page."""

    title: str
    notice: str
    front: tuple[Block, ...]
    sections: tuple[Section, ...]


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


def escape_markdown(text: str) -> str:
    """Plain text as Markdown that shows just that; it may stand in a table's cell."""
    one_line = " ".join(text.split())
    entities = one_line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    escaped = re.sub(r"([\\`*_\[\]|~#$])", r"\\\1", entities)
    # A colon after a scheme and www. would become links by themselves.
    return re.sub(r"(?i)\b(https?|ftp):(?=//)", r"\1&#58;", escaped).replace("www.", "www&#46;")


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
    filters: dict[str, Any] = {"md": escape_markdown, "fence": fence}
    environment.filters.update(filters)
    return environment
