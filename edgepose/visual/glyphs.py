"""Names in pictures: what the fonts here cannot draw is spelt as an escape, never as an empty box."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from PIL import ImageFont

SHEET_SIZE = 11
_NO_CHARACTER = "\U0010fffd"  # for private use: no font has it
# Families with Chinese, Japanese and Korean; a figure takes those that are installed.
_WIDE = (
    *("Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans JP", "Noto Sans SC", "Noto Sans KR"),
    *("Source Han Sans", "WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "Droid Sans Fallback", "Unifont"),
    *("Hiragino Sans", "PingFang SC", "Apple SD Gothic Neo", "Yu Gothic", "Microsoft YaHei", "Malgun Gothic"),
)
FIGURE_FAMILY = "DejaVu Sans"


@cache
def families() -> tuple[str, ...]:
    """Font families for figures, the first that has a character draws it."""
    from matplotlib.font_manager import fontManager

    installed = {entry.name for entry in fontManager.ttflist}
    return (FIGURE_FAMILY, *(name for name in _WIDE if name in installed))


def in_figure(text: str) -> str:
    """`text` as matplotlib can draw it."""
    if text.isascii():
        return text
    return "".join(c if c == "\n" or ord(c) in _figures() else _escape(c) for c in text)


def in_sheet(text: str) -> str:
    """`text` as the font of contact sheets can draw it."""
    return "".join(c if _in_sheet_font(c) else _escape(c) for c in text)


@cache
def sheet_font() -> ImageFont.FreeTypeFont:
    """The font of contact sheets: that of the figures. Pillow's own has no accents."""
    from matplotlib import get_data_path

    return ImageFont.truetype(Path(get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), SHEET_SIZE)


def _escape(character: str) -> str:
    code = ord(character)
    return rf"\x{code:02x}" if code < 256 else rf"\u{code:04x}" if code < 65536 else rf"\U{code:08x}"


@cache
def _figures() -> frozenset[int]:
    """Code points that figures can show."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    paths = [findfont(FontProperties(family=name)) for name in families()]
    return frozenset().union(*(get_font(path).get_charmap() for path in paths))


@cache
def _in_sheet_font(character: str) -> bool:
    if character.isascii() or not character.isprintable():
        return character.isprintable()
    drawn, box = (bytes(sheet_font().getmask(c)) for c in (character, _NO_CHARACTER))
    return drawn != box
