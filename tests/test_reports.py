"""The committed reports: made again from the numbers beside them, small, without a picture of a person."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from edgepose.comparison.compare import read_comparison
from edgepose.errors import BadResults
from edgepose.reporting.report import write_report

REPORTS = Path(__file__).parents[1] / "reports"
LARGEST_BYTES = 8 * 1024**2


@pytest.mark.parametrize(
    "name", ["default-weights", "compressed-vs-full-lspet/rt-lite", "authors-rt-lspet/whole"]
)
def test_a_report_is_made_again_from_its_numbers(name: str, tmp_path: Path) -> None:
    kept = REPORTS / name
    report = write_report(read_comparison(kept / "compare.json"), (), tmp_path)
    assert report.read_text(encoding="utf-8") == (kept / "report.md").read_text(encoding="utf-8")
    made = json.loads((tmp_path / "compare.json").read_text(encoding="utf-8"))
    assert made == json.loads((kept / "compare.json").read_text(encoding="utf-8"))
    figures = {path.name for path in (kept / "figures").iterdir()}
    assert figures == {path.name for path in (tmp_path / "figures").iterdir()}


def test_reports_are_small_and_hold_no_page_with_pictures_in_it() -> None:
    files = [path for path in REPORTS.rglob("*") if path.is_file()]
    kept = [path for path in files if path.name != "report.html" and path.suffix != ".npz"]
    assert sum(path.stat().st_size for path in kept) < LARGEST_BYTES
    assert not [path for path in kept if path.suffix in (".jpg", ".jpeg", ".html")]


@pytest.mark.parametrize("report", sorted(REPORTS.rglob("report.md")), ids=lambda p: str(p.parent.name))
def test_every_figure_of_a_report_is_there(report: Path) -> None:
    for figure in re.findall(r"\]\((figures/[^)]+)\)", report.read_text(encoding="utf-8")):
        assert (report.parent / figure).is_file(), figure


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema_version": 99}, "upgrade edgepose"),
        ({"schema_version": 1}, "compare the results themselves again"),
        ({"results": []}, None),
        ({"title": 7}, "title"),
        ({"differences": [{"name": "x"}]}, r"differences\[0\]"),
    ],
)
def test_numbers_of_another_kind_are_refused_by_name(change: dict, said: str | None, tmp_path: Path) -> None:
    plain = json.loads((REPORTS / "default-weights/compare.json").read_text(encoding="utf-8"))
    path = tmp_path / "compare.json"
    path.write_text(json.dumps({**plain, **change}), encoding="utf-8")
    if said is None:
        assert read_comparison(path).results == ()
        return
    with pytest.raises(BadResults, match=said) as refused:
        read_comparison(path)
    assert str(path) in str(refused.value) and "\n" not in str(refused.value)
