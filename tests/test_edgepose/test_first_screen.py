"""The report's first screen: a picture and a table, as text and, where Chromium is there, as laid out."""

from __future__ import annotations

import html
import itertools
import json
import math
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from android_harness.cost import Instructions
from edgepose.comparison.compare import Comparison, compare, read_entries
from edgepose.reporting.document import SYMBOLS, render_html, render_markdown, unbroken
from edgepose.reporting.figures import CURVES, curves_of, draw_device_cost, draw_differences, draw_size
from edgepose.reporting.overview import BASELINE, NO_VERDICT, TONES, overview_of
from edgepose.reporting.report import write_report
from edgepose.reporting.sections import build_document
from edgepose.results.device_facts import DeviceFacts, Parity
from edgepose.results.results import Latency
from edgepose.visual.style import figure_style

Scored = Callable[..., Path]
WIDTHS = (1280, 400)
COUNTS = (1, 8, 30)
HEIGHT = 800
RECIPES = ("fp32", "fp16", "dynamic", "int8", "int8-ptq", "int8-qat")
LONG = "a-model-whose-name-has-no-end-and_one_word_without_any_hyphen_in_it"


def compared(score_into: Scored, folder: Path, count: int) -> Comparison:
    """`count` models of falling accuracy and size, timed here; one has a name longer than a column."""
    paths = []
    for i in range(count):
        size = 4_000_000 // (1 + i % 6) + 9_000 * (i // 6)
        name = LONG if i == 5 else f"efficientpose-{i}-{RECIPES[i % 6]}-maps@cortex-a{50 + i}"
        model = {"recipe": RECIPES[i % 6], "size_bytes": size, "sha256": f"{i:064d}"}
        speed = {"latency_ms": Latency(10.0 + i, 12.0 + i, 30, 5, 1)}
        noise = 0.1 + 0.004 * i
        paths.append(score_into(folder, name, noise, images=40, model=model, speed=speed))
    return compare(read_entries(paths), "T", "0", "none")


@pytest.fixture(scope="module")
def comparisons(score_into: Scored, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Comparison]:
    return {n: compared(score_into, tmp_path_factory.mktemp(f"models-{n}"), n) for n in COUNTS}


@pytest.fixture(scope="module")
def pages(
    comparisons: dict[int, Comparison], tmp_path_factory: pytest.TempPathFactory
) -> dict[int, tuple[str, str]]:
    """HTML and Markdown by number of models."""
    found = {}
    for n, comparison in comparisons.items():
        out = tmp_path_factory.mktemp(f"report-{n}")
        markdown = write_report(comparison, (), out)
        found[n] = ((out / "report.html").read_text(encoding="utf-8"), markdown.read_text(encoding="utf-8"))
    return found


# What it says


def test_models_are_ranked_by_accuracy_with_their_verdict_and_cost(
    comparisons: dict[int, Comparison],
) -> None:
    overview = overview_of(comparisons[8])
    scores = [m.score for m in overview.models]
    assert scores == sorted(scores, key=lambda s: -(s or 0)) and scores[0] is not None
    assert [m.number for m in overview.models] == list(range(1, 9))
    verdicts = {v.name: v.outcome for v in comparisons[8].verdicts}
    assert len(verdicts) == 7
    for m in overview.models:
        name = m.results.name
        assert m.outcome == verdicts.get(name, BASELINE)
        assert m.device_cost == m.results.speed.latency_ms.median  # type: ignore[union-attr]
    assert set(TONES.values()) == set(SYMBOLS)
    assert len(set(SYMBOLS.values())) == len(SYMBOLS)  # never told by colour alone


def test_one_model_has_no_verdict_and_is_the_report_of_its_curve(
    comparisons: dict[int, Comparison], pages: dict[int, tuple[str, str]]
) -> None:
    (only,) = overview_of(comparisons[1]).models
    assert only.outcome == NO_VERDICT
    html_text, markdown = pages[1]
    assert re.findall(r"figures/([a-z-]+)\.png", markdown) == ["pckh-curves"]
    assert html_text.count("<img ") == 1


@pytest.mark.parametrize("count", COUNTS)
def test_picture_and_table_come_before_every_sentence(pages: dict[int, tuple[str, str]], count: int) -> None:
    page, markdown = pages[count]
    body = page[page.index("<body>") :]
    table = re.search(r"<table>.*?</table>", body, flags=re.S)
    assert table is not None
    rows = re.findall(r"<tr>.*?</tr>", table.group(), flags=re.S)[1:]
    words = [re.findall(r'class="word (\w+)".*?</span> ([a-z -]+)</span>', row) for row in rows]
    assert len(rows) == count and all(len(found) == 1 for found in words)
    assert all(TONES[text] == tone for ((tone, text),) in words)
    assert body.index("<img ") < table.start()
    for sentence in ("they are no basis for diagnosis", "held against", "What this does not show"):
        assert body.find(sentence) == -1 or body.index(sentence) > table.end(), sentence
    assert markdown.index("| No. | Model | Verdict |") < markdown.index("\n> Research software")
    pictures = markdown.index("](figures/")
    assert pictures < markdown.index("| No. | Model | Verdict |")
    folded = body[body.index("<details>") :]
    for heading in ("Accuracy", "How it was made"):
        assert f"<summary><h2>{heading}</h2></summary>" in folded
    assert page.count("<details>") == page.count("</details>") == page.count("<summary>")


@pytest.mark.parametrize("count", COUNTS)
def test_every_table_stands_in_a_box_that_scrolls_or_is_the_first(
    pages: dict[int, tuple[str, str]], count: int
) -> None:
    page = pages[count][0]
    boxes = re.findall(r'<p class="hint[^>]*>[^<]+</p>\s*<div class="scroll" tabindex="0"[^>]*><table>', page)
    assert page.count("<table>") == len(boxes) + 1
    first = page[page.index("<table>") : page.index("</table>")]
    cells = re.findall(r"<(?:td|th)[^>]*>", first[first.index("<tbody>") :])
    assert cells and all("data-label=" in cell for cell in cells)
    assert ".scroll { overflow-x: auto" in page


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb or #rgb (WCAG 2)."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_words_can_be_read_and_tones_differ_without_colour(pages: dict[int, tuple[str, str]]) -> None:
    style = pages[1][0]
    found = re.findall(r"\.(\w+) \{ background: (#\w+); color: (#\w+)", style)
    tones = {tone: (ground, ink) for tone, ground, ink in found if tone in SYMBOLS}
    assert set(tones) == set(SYMBOLS)
    assert all(contrast(ground, ink) >= 4.5 for ground, ink in tones.values())
    for one, other in itertools.combinations(("green", "amber", "red"), 2):
        assert contrast(tones[one][0], tones[other][0]) >= 1.4, (one, other)


def test_intervals_are_never_broken_between_lines() -> None:
    assert unbroken("+1.5 [−11.4, +14.1] worse") == "+1.5 [−11.4,\u00a0+14.1] worse"


# Pictures


def shown_numbers(figure: Any) -> list[int]:
    texts = [text.get_text() for text in figure.axes[0].texts]
    return sorted(int(text.partition(" ")[0]) for text in texts)


@pytest.mark.parametrize("count", [8, 30])
def test_every_point_carries_the_number_of_its_row(comparisons: dict[int, Comparison], count: int) -> None:
    overview = overview_of(comparisons[count])
    with figure_style():
        figures = draw_size(overview), draw_device_cost(overview)
    for figure in figures:
        axes = figure.axes[0]
        assert shown_numbers(figure) == list(range(1, count + 1))
        assert axes.get_xscale() == "log"
        assert len(axes.get_xticks()) >= 2
    # Where points are moved apart, they stay within three hundredths of the axis.
    low, high = figures[0].axes[0].get_xlim()
    sizes = {round(m.score or 0, 9): m.megabytes for m in overview.models}
    marks = [line for line in figures[0].axes[0].lines if len(line.get_xdata()) == 1]
    assert len(marks) == count
    for x, y in ((mark.get_xdata()[0], mark.get_ydata()[0]) for mark in marks):
        assert low < x < high
        assert abs(math.log(x / sizes[round(y, 9)])) < 0.03 * math.log(high / low)


def test_differences_have_a_row_for_every_model_but_the_baseline(comparisons: dict[int, Comparison]) -> None:
    comparison = comparisons[30]
    overview = overview_of(comparison)
    with figure_style():
        axes = draw_differences(comparison.noninferiority, overview).axes[0]
    names = [label.get_text().replace("\n", "") for label in axes.get_yticklabels()]
    baseline = comparison.baseline
    assert names == [f"{m.number} {m.results.name}" for m in overview.models if m.results.name != baseline]


def test_curves_are_few_and_the_baseline_is_one(comparisons: dict[int, Comparison]) -> None:
    few, many = (curves_of(overview_of(comparisons[n]), comparisons[n].baseline) for n in (8, 30))
    assert (len(few), len(many)) == (8, CURVES)
    assert comparisons[30].baseline in [row.name for row in many]


def test_cost_is_of_the_place_that_most_models_share(scored: Scored) -> None:
    def on(cpu: str, millions: int) -> dict[str, Any]:
        facts = DeviceFacts(
            cpu,
            "emulated",
            cpu,
            "qemu",
            None,
            1,
            1,
            "xnnpack",
            None,
            Instructions(millions * 10**6, {"vector": 1}, 0.0, 3),
            None,
            (),
            Parity("litert 2", 8, 8, 0.0, 0.0, 0.0, 0.0),
        )
        return {"device": facts, "target": f"emulated:{cpu}", "speed": None}

    here = [scored(name, 0.1 + i / 20, model={"sha256": str(i) * 64}) for i, name in enumerate("abc")]
    there = [
        scored(f"{name}@a53", 0.1 + i / 20, model={"sha256": str(i) * 64}, **on("a53", 100 + i))
        for i, name in enumerate("abc")
    ]
    alone = scored("a@a76", 0.1, model={"sha256": "0" * 64}, **on("a76", 90))
    overview = overview_of(compare(read_entries([*here, *there, alone]), "T", "0", "none"))
    assert overview.device is not None
    assert (overview.device.heading, overview.device.place) == (
        "Instructions, millions",
        "a53, ai-edge-litert 2.3.0",
    )
    assert {m.results.name: m.device_cost for m in overview.models} == {"a": 100.0, "b": 101.0, "c": 102.0}


def test_a_report_without_any_score_still_has_its_table(scored: Scored) -> None:
    import dataclasses

    entry = read_entries([scored("a", speed=None)])[0].results
    overall = dataclasses.replace(entry.metrics.overall, scores=dict.fromkeys(entry.metrics.overall.scores))
    bare = dataclasses.replace(entry.metrics, overall=overall)
    paths = [scored(name, metrics=bare, speed=None, model={"sha256": name * 64}) for name in "bc"]
    comparison = compare(read_entries(paths), "T", "0", "none")
    document = build_document(comparison, [])
    assert document.first is not None
    assert [row[0] for row in document.first.table.rows] == ["1", "2"]
    assert "| 1 | b |" in render_markdown(document)
    assert "<table>" in render_html(document, {})


# As Chromium lays it out

_PROBE = """
<!DOCTYPE html><meta charset="utf-8"><body>%s<script>
function probe(frame) {
  const page = frame.contentDocument, view = frame.contentWindow;
  const first = page.querySelector(".first"), table = first.querySelector("table");
  const fold = { picture: first.querySelector("img").getBoundingClientRect().top,
                 row: table.querySelector("tbody tr").getBoundingClientRect().bottom };
  for (const details of page.querySelectorAll("details")) details.open = true;
  const boxes = [...page.querySelectorAll(".scroll")].map(box => {
    const hint = box.parentElement.querySelector(".hint");
    return { scrolls: box.scrollWidth > box.clientWidth, hint: view.getComputedStyle(hint).visibility,
             right: box.getBoundingClientRect().right };
  });
  return { width: view.innerWidth, scrollWidth: page.documentElement.scrollWidth, fold, boxes,
           table: table.getBoundingClientRect().right, tables: page.querySelectorAll("table").length };
}
addEventListener("load", () => {
  const frames = [...document.querySelectorAll("iframe")];
  frames.forEach(probe);  // opens what is folded
  requestAnimationFrame(() => requestAnimationFrame(() => {
    const found = Object.fromEntries(frames.map(frame => [frame.id, probe(frame)]));
    document.body.textContent = "FOUND" + JSON.stringify(found) + "END";
  }));
});
</script>
"""


def laid_out(browser: str, pages: dict[int, tuple[str, str]], folder: Path) -> dict[str, Any]:
    """What a page's boxes measure, by "COUNT-WIDTH"; every page stands in a frame of its width."""
    frames = [
        f'<iframe id="{n}-{width}" style="border:0;width:{width}px;height:{HEIGHT}px" '
        f'srcdoc="{html.escape(page, quote=True)}"></iframe>'
        for n, (page, _) in pages.items()
        for width in WIDTHS
    ]
    probe = folder / "probe.html"
    probe.write_text(_PROBE % "".join(frames), encoding="utf-8")
    words = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    words += ["--window-size=1400,1000", "--virtual-time-budget=20000", "--dump-dom", probe.as_uri()]
    finished = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    found = re.search(r"FOUND(\{.*\})END", finished.stdout)
    assert found is not None, finished.stderr[-2000:]
    measured: dict[str, Any] = json.loads(html.unescape(found.group(1)))
    return measured


def test_nothing_runs_off_the_page_in_a_browser(pages: dict[int, tuple[str, str]], tmp_path: Path) -> None:
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    browser = next((path for name in names if (path := shutil.which(name))), None)
    if browser is None:
        pytest.skip(f"none of {', '.join(names)} is installed")
    measured = laid_out(browser, pages, tmp_path)
    assert set(measured) == {f"{n}-{width}" for n in COUNTS for width in WIDTHS}
    for which, found in measured.items():
        width = found["width"]
        assert width == int(which.partition("-")[2])
        assert found["scrollWidth"] <= width, which
        assert found["table"] <= width, which  # the first table wraps, and never scrolls
        assert found["tables"] == len(found["boxes"]) + 1
        for box in found["boxes"]:
            assert box["right"] <= width, which
            assert box["hint"] == ("visible" if box["scrolls"] else "hidden"), which
    for count in COUNTS:
        wide = measured[f"{count}-1280"]["fold"]
        assert 0 < wide["picture"] < wide["row"] + HEIGHT / 2 < HEIGHT  # both are seen without scrolling
        assert measured[f"{count}-400"]["fold"]["picture"] < HEIGHT / 2
    assert any(box["scrolls"] for box in measured["30-1280"]["boxes"])
    assert not any(box["scrolls"] for box in measured["1-1280"]["boxes"][:1])
