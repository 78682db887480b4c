"""The tables that the pages open with, held to the figures that are kept, and made from scored runs."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edgepose.comparison.compare import Entry
from edgepose.models.pretrained import DEFAULT_WEIGHTS
from edgepose.results.predictions import Predictions

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


def test_pages_say_what_was_measured() -> None:
    import headline

    for page in headline.PAGES:
        text = page.read_text(encoding="utf-8")
        for table in headline.tables(page, headline.kept()):
            assert table in text, page


def test_default_weights_say_what_was_measured() -> None:
    import headline

    networks = {network.name: network for network in headline.kept().networks}
    for model, weights in DEFAULT_WEIGHTS.items():
        row = networks[f"{model}-fp16-maps"]
        assert row.upright is not None and row.made_up is not None
        for figures in (row.upright.all, row.made_up.pckh):
            assert "/".join(f"{value:.1f}" for value in figures) in weights.scores, model
        assert f"ME {row.made_up.me:.3f}" in weights.scores, model
        assert row.size_bytes == weights.tflite_path.stat().st_size, model
        if weights.int8_sha256:
            assert networks[f"{model}-int8-qat-maps"].size_bytes == weights.int8_path.stat().st_size, model


def test_limbs_alone_count_and_supine_infants_by_themselves() -> None:
    import headline

    names = np.array(["nose", "left_wrist", "right_knee"])
    annotated = np.zeros((3, 3, 2))
    predicted = annotated.copy()
    predicted[:, 0] = 1000.0  # a nose is no limb
    predicted[0, 1, 0] = 1.5  # 0.15 heads
    predicted[1, 2, 0] = np.nan  # nobody found: a miss
    text = np.array(["a", "b", "c"])
    predictions = Predictions(
        text,
        text,
        names,
        predicted,
        annotated,
        np.full(3, 10.0),
        np.ones((3, 3)),
        text,
        {"posture": np.array(["Supine", "Prone", "Supine"])},
    )
    results: Any = SimpleNamespace(metrics=SimpleNamespace(oks=SimpleNamespace(ap=61.5)))
    found = headline.view(Entry(Path("x"), results, predictions))
    np.testing.assert_allclose(found.all, [500 / 6, 500 / 6, 400 / 6])
    np.testing.assert_allclose(found.supine, [100, 100, 75])
    assert (found.supine_images, found.images, found.oks_ap) == (2, 3, 61.5)


def test_a_table_takes_the_place_of_its_like_alone() -> None:
    import headline

    text = "| a | b | c |\n| - | - | - |\n| 1 | 2 | 3 |\n\n| a | b |\n| 0 | 0 |\nend\n"
    put = headline.put(text, "| a | b |\n| 7 | 7 |\n| 8 | 8 |\n")
    assert put == text.replace("| 0 | 0 |", "| 7 | 7 |\n| 8 | 8 |")
