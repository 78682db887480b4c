"""The fenced blocks of a Markdown page, and the commands in them.

Tests run what the pages say, and `docs/tutorial_pictures.py` does the tutorial, so both read the pages here.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_SHELL = ("", "bash", "console", "sh")
_FENCE = re.compile(r"^```(\w*)$")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        page: its file, from the top of the repository.
        line: of its first line of text, from 1.
        language: the word behind the fence, or "".
    """

    page: str
    line: int
    language: str
    text: str


@dataclass(frozen=True)
class Command:
    """A line that a reader may type.

    Attributes:
        words: as a shell would split it, without a comment; wildcards stand as they are.
    """

    page: str
    line: int
    words: tuple[str, ...]

    @property
    def text(self) -> str:
        """One spelling for the same command, however it is broken into lines."""
        return shlex.join(self.words)


def pages() -> list[str]:
    """README.md, the guide, the tutorial, and the other pages by name: a newcomer's order."""
    rest = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md"))
    first = ["README.md", "docs/guide.md", "docs/tutorial.md"]
    return [*first, *(name for name in rest if name not in first)]


def blocks(page: str) -> Iterator[Block]:
    """The fenced blocks of a page.

    Raises:
        ValueError: a block that does not end.
    """
    start: int | None = None
    language = ""
    text: list[str] = []
    for number, line in enumerate((ROOT / page).read_text(encoding="utf-8").splitlines(), 1):
        fence = _FENCE.match(line)
        if start is None and fence:
            start, language, text = number + 1, fence[1], []
        elif start is not None and fence:
            yield Block(page, start, language, "\n".join(text) + "\n")
            start = None
        elif start is not None:
            text.append(line)
    if start is not None:
        raise ValueError(f"{page}:{start}: a block without an end")


def commands(page: str, programs: Container[str] = ("edgepose",)) -> Iterator[Command]:
    """What a page's blocks tell the reader to run with these programs; a line that ends in \\ goes on."""
    for block in blocks(page):
        if block.language not in _SHELL:
            continue
        line = block.line
        for joined in block.text.replace("\\\n", "\0").splitlines():
            words = joined.replace("\0", " ").split(maxsplit=1)
            if words and words[0] in programs:
                yield Command(page, line, tuple(shlex.split(joined.replace("\0", " "), comments=True)))
            line += 1 + joined.count("\0")
