"""The documentation's Kotlin and Swift compute what the manifest says, and what this package does."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from snippets import computed, taylor_of

from edgepose.codec import Codec
from edgepose.geometry import letterbox
from edgepose.models.variants import NORMALISATIONS
from export.runtime import TensorSpec

DOCS = Path(__file__).parents[2] / "docs" / "bundle"
INPUT = (224, 192)  # height, width
LANGUAGES = ("kt", "swift")


def text(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_decoder_is_the_manifests(language: str) -> None:
    taylor, rng = taylor_of(text(f"Taylor.{language}")), np.random.default_rng(0)
    y, x = np.mgrid[:6, :9] + 0.5
    planes = [rng.normal(size=(6, 9)) for _ in range(40)]  # peaks on borders and in corners, saddles, none
    planes += [np.exp(-((x - a) ** 2 + (y - b) ** 2) / 1.2) for a, b in ((4.3, 2.9), (0.2, 5.8), (8.9, 0.1))]
    planes += [np.zeros((6, 9)), np.full((6, 9), -1.0), np.ones((6, 9))]
    maps = np.stack(planes, -1).astype(np.float32)
    points, confidence = Codec((48, 72), (6, 9), decoder="taylor").decode(maps[None])
    for k in range(maps.shape[-1]):
        plane = maps[..., k].ravel()
        found = taylor(9, 6, lambda i, plane=plane: float(plane[i]))  # type: ignore[misc]
        assert found[:2] == pytest.approx(points[0, k] / 8, abs=1e-4)
        assert found[2] == confidence[0, k]


def content(language: str, image: Any) -> tuple[int, int, int, int]:
    """Width, height, left and top of the scaled image, as Pose has them."""
    pose = text(f"Pose.{language}")
    sides: dict[str, Any] = {"image": image, "h": INPUT[0], "w": INPUT[1]}
    (fit,) = computed(pose, "let fit = (.+)" if language == "swift" else "val fit = (.+)", **sides)
    if language == "swift":
        cw, ch = (computed(pose, f"let {name} = (.+)", fit=fit, **sides)[0] for name in ("cw", "ch"))
        left, top = computed(pose, r"let left = (.+), top = (.+)", cw=cw, ch=ch, **sides)
    else:
        rule = r"listOf\(image\.width, image\.height\)\.map \{ (.+) \}"
        cw, ch = (computed(pose, rule, it=side, fit=fit)[0] for side in (image.width, image.height))
        left, top = computed(pose, r"val \(left, top\) = listOf\((.+), (.+)\)", cw=cw, ch=ch, **sides)
    return cw, ch, left, top


BACK = {
    "kt": r"Triple\((.+ / cw), (.+ / ch), top1\)",
    "swift": r"SIMD3\((.+ / Float\(cw\)),\n\s+(.+ / Float\(ch\)), p\.z\)",
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_images_are_placed_and_points_brought_back_as_here(language: str) -> None:
    sizes = [(480, 640), (640, 480), (224, 192), (100, 100), (3, 4000), (1, 1), (447, 384), (449, 383)]
    for height, width in sizes:
        image = SimpleNamespace(width=width, height=height)
        placed = letterbox((height, width), INPUT)
        cw, ch, left, top = content(language, image)
        assert ((ch, cw), (top, left)) == (placed.content, placed.offset)
        cell, p = (8.0, 7.0), SimpleNamespace(x=11.3, y=20.6)
        shown = {"image": image, "cw": cw, "ch": ch, "left": left, "top": top, "cell": cell}
        back = computed(text(f"Pose.{language}"), BACK[language], p=p, x=p.x, y=p.y, **shown)
        wanted = placed.to_image.apply(np.array([p.x * cell[0], p.y * cell[1]]))
        assert back == pytest.approx(wanted.tolist())


VALUE = {
    "kt": (r"\(canvas\.getPixel\(x, y\) shr \(16 - 8 \* c\) and 255\)", r"val value = (.+)"),
    "swift": (r"pixels\[\$0 / 3 \* 4 \+ \$0 % 3\]", r"let values = \(0\.\.<w \* h \* 3\)\.map \{ (.+) \}"),
}
STORED = {
    "kt": r"else input\.put\((\(.+\))\.toByte\(\)\)",
    "swift": r"let stored = values\.map \{ Int8\((.+)\) \}",
}
HELD = {
    "kt": r"else (\(output\.get\(it\) - oz\) \* os)",
    "swift": r"raw\.bindMemory\(.+\)\.map \{ (.+) \} \}",
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_pixels_become_the_tensor_and_outputs_numbers_as_here(language: str) -> None:
    pose, (pixel_of, value_rule) = text(f"Pose.{language}"), VALUE[language]
    pose, found = re.subn(pixel_of, "pixel", pose)  # reading one is the platform's
    assert found == 1
    used, spec = NORMALISATIONS["imagenet"], TensorSpec("", (1,), "int8", 0.017, -12)
    for c in range(3):
        for pixel in (0, 1, 127, 255):
            names = {"pixel": pixel, "a": used.scale, "b": used.offset, "c": c, "it": c}
            (value,) = computed(pose, value_rule, **names)
            wanted = used.apply(np.full((1, 1, 1, 3), pixel, np.uint8))[0, 0, 0, c]
            assert value == pytest.approx(wanted, abs=1e-5)
    for value in np.linspace(-3, 3, 41):
        scales = {"s": np.float32(spec.scale), "z": spec.zero_point, "os": spec.scale, "oz": spec.zero_point}
        (stored,) = computed(pose, STORED[language], value=np.float32(value), it=np.float32(value), **scales)
        assert stored == spec.quantise(np.array([value]))[0]
        held = {**scales, "it": stored, "output": SimpleNamespace(get=lambda i: i)}
        assert computed(pose, HELD[language], **held) == pytest.approx(spec.dequantise(np.array([stored])))
