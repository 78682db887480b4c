"""Names in pictures."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from edgepose.visual import glyphs, style
from edgepose.visual.contact_sheet import fitting


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without fonts for Chinese, Japanese and Korean."""
    monkeypatch.setattr(glyphs, "_WIDE", ())
    for cached in (glyphs.families, glyphs._figures):
        cached.cache_clear()
    yield
    for cached in (glyphs.families, glyphs._figures):
        cached.cache_clear()


@pytest.mark.usefixtures("narrow")
def test_what_no_font_has_is_an_escape(tmp_path: Path) -> None:
    name = "S\u00e4ugling \u4e73\u5150\n\U0001f476"
    assert glyphs.in_figure(name) == "S\u00e4ugling \\u4e73\\u5150\n\\U0001f476"
    with style.figure_style():
        figure = style.new_figure(3, 2)
        figure.subplots().set_title(name)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            style.save_figure(figure, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_in_sheets() -> None:
    draw = ImageDraw.Draw(Image.new("RGB", (9, 9)))
    assert fitting(draw, "S\u00e4ugling \u4e73\x1b", 999) == "S\u00e4ugling \\u4e73\\x1b"
