"""Sizes after deflate: measured on the file, optional in results, shown beside the raw ones."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from typer.testing import CliRunner

from edgeio import deflated_bytes
from edgepose import cli
from edgepose.results import results as module

Scored = Callable[..., Path]

SCHEMA = json.loads(Path(module.__file__).with_name("results.schema.json").read_text(encoding="utf-8"))


def test_it_is_what_zlib_makes_of_the_file(tmp_path: Path) -> None:
    content = np.zeros(5000, np.uint8).tobytes() + np.random.default_rng(0).bytes(5000)
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    assert deflated_bytes(path) == len(zlib.compress(content, 9))
    assert 5000 < deflated_bytes(path) < 5100


def test_compare_shows_it_and_says_what_it_is(scored: Scored, tmp_path: Path) -> None:
    paths = [scored("full"), scored("pruned", model={"deflated_bytes": 411_000})]
    out = tmp_path / "report"
    done = CliRunner().invoke(cli.app, ["compare", *map(str, paths), "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "0.411" in done.stdout
    report = (out / "report.md").read_text(encoding="utf-8")
    assert "| Deflated, MB |" in report and "| 0.411 |" in report and "zlib, level 9" in report
