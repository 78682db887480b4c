"""Comparing results: refusals, differences, and reports that travel safely."""

from __future__ import annotations

import dataclasses
import io
import json
import re
import sys
from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from edgeio import UnknownName
from edgepose.comparison import compare as comparing
from edgepose.comparison.compare import Entry, compare, find_results, read_entries, worst_frames
from edgepose.comparison.differences import verdict
from edgepose.errors import BadResults
from edgepose.reporting import report as reporting
from edgepose.reporting.document import escape_markdown, fence
from edgepose.reporting.figures import pareto
from edgepose.reporting.report import check_overlays, write_report
from edgepose.reporting.worst_frames import draw_worst
from edgepose.results.cells import signed
from edgepose.results.results import METRICS
from edgepose.visual.style import spread

Scored = Callable[..., Path]
HOSTILE = "<script>alert(1)</script>|$x_1$ `rm`"


def report(paths: list[Path], out: Path, overlays: str = "skeleton", title: str = "T") -> dict[str, Any]:
    entries = read_entries(paths)
    write_report(compare(entries, title, "0.1.0", overlays), entries, out)
    found: dict[str, Any] = json.loads((out / "compare.json").read_text(encoding="utf-8"))
    return found


class Page(HTMLParser):
    """Collects tags with their attributes, and the text of every table row."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.rows: list[list[str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


# Finding and refusing


def test_files_and_folders_are_found_once_in_the_order_given(scored: Scored, tmp_path: Path) -> None:
    b, a = scored("b"), scored("a")
    folder = tmp_path / "scored"
    assert find_results([folder]) == [a, b]
    assert find_results([b, folder, a]) == [b, a]


def test_missing_paths_and_empty_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadResults, match=r"nowhere does not exist"):
        find_results([tmp_path / "nowhere"])
    with pytest.raises(BadResults, match=r"holds no results\.json"):
        find_results([tmp_path])
    with pytest.raises(BadResults, match="no results are named"):
        read_entries([])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sha256", "d" * 64),
        ("split", "val"),
        ("crop", "person"),
        ("crop_margin", 0.2),
        ("keypoints", "lsp-14"),
        ("near_matched", ("nose",)),
        ("head_length", "another"),
        ("excluded", ()),
    ],
)
def test_results_of_different_data_are_refused(scored: Scored, field: str, value: Any) -> None:
    first, other = scored("a"), scored("b", data={field: value})
    with pytest.raises(BadResults) as caught:
        read_entries([first, other])
    said = str(caught.value)
    assert f"differ in data.{field}" in said
    assert str(first) in said
    assert str(other) in said


def test_results_of_other_images_are_refused(scored: Scored) -> None:
    with pytest.raises(BadResults, match=r"data\.n_images"):
        read_entries([scored("a"), scored("b", images=6)])


def test_human_spread_of_other_raters_is_refused(scored: Scored) -> None:
    first = scored("a")
    metrics = read_entries([first])[0].results.metrics
    assert metrics.human is not None
    raters = dataclasses.replace(metrics.human, source="our raters")
    with pytest.raises(BadResults, match=r"metrics\.human"):
        read_entries([first, scored("b", metrics=dataclasses.replace(metrics, human=raters))])


def test_the_same_name_twice_is_refused(scored: Scored, score_into: Scored, tmp_path: Path) -> None:
    with pytest.raises(BadResults, match="are both called a"):
        read_entries([scored("a"), score_into(tmp_path / "again", "a")])


def test_images_are_matched_by_id_not_by_order(scored: Scored) -> None:
    first, second = (read_entries([scored(name)])[0] for name in "ab")
    order = np.random.default_rng(0).permutation(len(second.predictions))
    shuffled = Entry(second.path, second.results, second.predictions.take(order))
    aligned = comparing._aligned(first, shuffled)
    assert aligned.predictions.ids.tolist() == first.predictions.ids.tolist()
    assert np.array_equal(aligned.distances(), first.distances(), equal_nan=True)
    moved = dataclasses.replace(shuffled.predictions, annotated_px=shuffled.predictions.annotated_px + 1)
    with pytest.raises(BadResults, match=r"predictions\.annotated_px"):
        comparing._aligned(first, Entry(second.path, second.results, moved))
    renamed = dataclasses.replace(shuffled.predictions, ids=np.char.add("x", shuffled.predictions.ids))
    with pytest.raises(BadResults, match=r"no prediction for image v0_000\.jpg"):
        comparing._aligned(first, Entry(second.path, second.results, renamed))


def test_unknown_overlays_and_baselines_are_refused(scored: Scored) -> None:
    with pytest.raises(UnknownName, match="known: skeleton, full, none"):
        check_overlays("photo")
    with pytest.raises(BadResults, match="takes one of: a"):
        compare(read_entries([scored("a")]), "T", "0.1.0", "none", baseline="z")


# Numbers


def test_baseline_is_the_first_that_is_not_quantised(scored: Scored) -> None:
    int8, fp32 = scored("a", model={"recipe": "int8"}), scored("b")
    checkpoint = scored("c", model={"recipe": None, "kind": "checkpoint"})
    assert compare(read_entries([int8, fp32, checkpoint]), "T", "0", "none").baseline == "b"
    assert compare(read_entries([int8, checkpoint]), "T", "0", "none").baseline == "c"
    assert compare(read_entries([int8]), "T", "0", "none").baseline == "a"
    assert compare(read_entries([int8, fp32]), "T", "0", "none", "a").baseline == "a"


def test_differences_are_the_scores_difference_with_an_interval_around_it(scored: Scored) -> None:
    entries = read_entries([scored("good", 0.05), scored("bad", 0.3), scored("twin", 0.05)])
    found = {d.name: d for d in compare(entries, "T", "0", "none").differences}
    assert list(found) == ["bad", "twin"]
    good, bad = (e.results.metrics.overall.scores for e in entries[:2])
    for key, metric in found["bad"].metrics.items():
        expected = bad[key] - good[key]  # type: ignore[operator]
        assert metric.value == pytest.approx(expected, abs=1e-9), key
        assert metric.interval is not None
        assert metric.interval[0] <= expected <= metric.interval[1]
    assert found["bad"].metrics["me"].value > 0.2  # type: ignore[operator]
    assert found["bad"].metrics["me"].verdict.startswith("worse")
    assert found["bad"].metrics["pckh@0.1"].verdict.startswith("worse")
    assert found["bad"].metrics["pckh@human"].value < -50  # type: ignore[operator]
    assert found["twin"].metrics["me"].verdict.startswith("same score")
    assert found["bad"].n_videos == 4


def test_one_video_gives_no_interval(scored: Scored) -> None:
    entries = read_entries([scored("a", images=2), scored("b", 0.3, images=2)])
    difference = compare(entries, "T", "0", "none").differences[0].metrics["me"]
    assert difference.value is not None
    assert difference.interval is None
    assert difference.verdict == "no interval"


@pytest.mark.parametrize(
    ("key", "interval", "said"),
    [
        ("pckh@0.5", (0.1, 2.0), "better"),
        ("pckh@0.5", (-2.0, -0.1), "worse"),
        ("me", (0.1, 2.0), "worse"),
        ("me", (-2.0, -0.1), "better"),
        ("me", (-0.1, 0.1), "undecided"),
        ("me", (0.0, 0.1), "undecided"),
        ("me", (0.0, 0.0), "same score"),
        ("me", None, "no interval"),
    ],
)
def test_verdicts(key: str, interval: tuple[float, float] | None, said: str) -> None:
    assert verdict(METRICS[key], interval).startswith(said)


def test_worst_frames_are_ordered_by_mean_error(scored: Scored) -> None:
    predictions = read_entries([scored("a")])[0].predictions
    distances = np.full((8, 19), 0.1)
    distances[5] = np.nan
    distances[3, :] = 0.4
    distances[6, :10], distances[6, 10:] = 0.6, np.nan
    distances[1, 4] = np.inf
    found = worst_frames(predictions, distances)
    assert [f.id for f in found][:3] == [predictions.ids[i] for i in (1, 6, 3)]
    assert [f.n for f in found][:3] == [19, 10, 19]
    assert found[0].mean_error is None
    assert found[1].mean_error == pytest.approx(0.6)
    assert len(found) == 6
    assert predictions.ids[5] not in [f.id for f in found]


def test_pareto_front() -> None:
    assert pareto([1, 2, 3, 4], [10, 30, 20, 40]) == [0, 1, 3]
    assert pareto([1, 1, 2], [10, 20, 20]) == [1]
    assert pareto([5], [1]) == [0]
    assert pareto([], []) == []


def test_spread_keeps_order_and_gap() -> None:
    placed = spread([50.0, 50.0, 51.0, 10.0], 5.0)
    assert placed[3] == 10.0
    assert placed[2] > placed[0] > placed[1]  # equal values: the first stays above
    assert np.diff(sorted(placed)).min() >= 5.0 - 1e-9
    assert np.mean(placed[:3]) == pytest.approx(151 / 3)


def test_signed_numbers() -> None:
    assert [signed(v, 1) for v in (1.25, -1.25, 0.0, -0.04, None)] == ["+1.2", "−1.2", "0.0", "0.0", "–"]


# Reports


@dataclasses.dataclass(frozen=True)
class Written:
    """A report of three models, one of them with a hostile name, into a folder that an older report used."""

    paths: list[Path]
    out: Path
    numbers: dict[str, Any]
    html: str
    markdown: str


@pytest.fixture(scope="module")
def written(score_into: Scored, tmp_path_factory: pytest.TempPathFactory) -> Written:
    folder = tmp_path_factory.mktemp("compare")
    paths = [
        score_into(folder, "good", 0.05),
        score_into(folder, "bad", 0.3, model={"recipe": "int8", "size_bytes": 779_216}),
        score_into(folder, HOSTILE, 0.2, speed={"processor": "Other CPU"}),
    ]
    out = folder / "out"
    (out / "figures").mkdir(parents=True)
    for name in ("worst-09-photo.png", "forest-09-old.png", "mine.png"):
        (out / "figures" / name).write_bytes(b"")
    numbers = report(paths, out, title=HOSTILE)
    html, markdown = ((out / f"report.{kind}").read_text(encoding="utf-8") for kind in ("html", "md"))
    return Written(paths, out, numbers, html, markdown)


def test_report_shows_the_numbers_of_the_results(written: Written) -> None:
    found, rows = written.numbers, Page(written.html).rows
    for row in found["results"]:
        overall = row["metrics"]["overall"]
        shown = next(r for r in rows if r[0] == row["name"])
        assert shown[1:6] == [f"{overall['scores'][f'pckh@{t}']:.1f}" for t in (1.0, 0.5, 0.3, 0.2, 0.1)]
        assert shown[-1] == str(overall["n"])
    difference = found["differences"][0]["metrics"]["me"]
    low, high = difference["interval"]
    cell = f"{difference['value']:+.4f} [{low:+.4f}, {high:+.4f}] worse"
    assert any(cell in r for r in rows)
    assert ["paper: rt", "99.96", "99.69", "98.15", "92.15", "58.71", "0.1022"] in [r[:7] for r in rows]
    assert ["the image is truncated", "1", "v9_000.jpg"] in rows
    timed = next(r for r in rows if r[0] == "good" and "Made-up CPU, 2 cores" in r)
    assert timed[1:4] == ["12.50", "13.75", "30 (5)"]
    assert "ai-edge-litert 2.3.0" in timed
    for text in (written.html, written.markdown):
        assert "not a medical device" in text
        assert "The data differ" in text
        assert "0.779" in text
        assert "edgepose evaluate good.tflite" in text


def test_times_of_different_machines_share_no_figure(written: Written) -> None:
    assert len(list((written.out / "figures").glob("accuracy-latency-*.png"))) == 2


def test_figures_of_an_older_report_go_and_others_stay(written: Written) -> None:
    left = {path.name for path in (written.out / "figures").iterdir()}
    assert not left & {"worst-09-photo.png", "forest-09-old.png"}
    assert "mine.png" in left


def test_markdown_tables_have_as_many_cells_in_every_row(written: Written) -> None:
    widths: set[int] = set()
    for line in [*written.markdown.splitlines(), ""]:
        if line.startswith("|"):
            widths.add(len(re.findall(r"(?<!\\)\|", line)))
        else:
            assert len(widths) <= 1
            widths = set()


def test_html_loads_nothing_and_runs_nothing(written: Written) -> None:
    page = Page(written.html)
    assert not page.open
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "link", "iframe", "object", "embed", "form", "base"}
    for tag, attributes in page.tags:
        assert not any(name.startswith("on") for name in attributes), tag
        assert (attributes.get("src") or "data:image/png;base64,").startswith("data:image/png;base64,")
        assert (attributes.get("href") or "#").startswith("#")
    assert not re.search(r"https?://|url\(|@import", written.html)
    assert HOSTILE in [r[0] for r in page.rows]
    pictures = {path.name for path in (written.out / "figures").iterdir()} - {"mine.png"}
    assert sum(tag == "img" for tag, _ in page.tags) == len(pictures) == 2 + 2 + 1 + 2 + 3
    assert all(re.fullmatch(r"[A-Za-z0-9.-]+", name) for name in pictures)


def test_markdown_holds_no_markup_of_a_name(written: Written) -> None:
    outside_code = re.sub(r"^(`{3,})sh$.*?^\1$", "", written.markdown, flags=re.M | re.S)
    assert "<" not in outside_code
    assert "evaluate" not in outside_code


def test_the_same_results_give_the_same_bytes(written: Written, tmp_path: Path) -> None:
    report(written.paths, tmp_path, title=HOSTILE)
    files = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    assert len(files) == 3 + 10
    for file in files:
        assert (written.out / file).read_bytes() == (tmp_path / file).read_bytes(), file


def test_nothing_of_this_machine_is_in_the_report(written: Written) -> None:
    for text in (written.html, written.markdown, json.dumps(written.numbers)):
        assert str(written.out.parent) not in text


def test_markdown_escapes_markup_and_links() -> None:
    assert escape_markdown("a|b_c <i>\n&") == r"a\|b\_c &lt;i&gt; &amp;"
    assert "http://" not in escape_markdown("see http://x.example")
    assert fence(["a ```` b"]) == "`````"
    assert fence(["plain"]) == "```"


def test_skeletons_hold_no_image_and_full_overlays_do(scored: Scored, tmp_path: Path) -> None:
    entry = read_entries([scored("a", images=2)])[0]
    frames = worst_frames(entry.predictions, entry.distances())
    path = tmp_path / "photo.png"
    Image.new("RGB", (400, 400), (250, 0, 250)).save(path)
    predictions = dataclasses.replace(entry.predictions, image_paths=np.array([str(path)] * 2))
    with_images = Entry(entry.path, entry.results, predictions)
    assert _magenta(draw_worst(with_images, frames, "full")) > 0.2
    assert _magenta(draw_worst(with_images, frames, "skeleton")) == 0
    with pytest.raises(BadResults, match=r"v0_00\d\.jpg does not exist; .*--overlays skeleton"):
        draw_worst(entry, frames, "full")


def _magenta(figure: Figure) -> float:
    figure.savefig(buffer := io.BytesIO(), format="png")
    return float((np.asarray(Image.open(buffer).convert("RGB")) == (250, 0, 250)).all(-1).mean())


def test_report_of_one_untimed_model_with_no_human_spread(scored: Scored, tmp_path: Path) -> None:
    metrics = read_entries([scored("a")])[0].results.metrics
    nothing = {key: None if key == "pckh@human" else v for key, v in metrics.overall.scores.items()}
    bare = dataclasses.replace(
        metrics, human=None, icc=None, overall=dataclasses.replace(metrics.overall, scores=nothing)
    )
    path = scored("b", metrics=bare, speed=None, model={"network": None, "flops": None, "parameters": None})
    found = report([path], tmp_path / "out", "none")
    assert found["differences"] == []
    markdown = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "not timed" in markdown
    assert "Beside the paper" not in markdown
    assert "Differences" not in markdown
    assert not list((tmp_path / "out" / "figures").glob("accuracy-latency*"))


# Command line


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    from edgepose.cli import main

    monkeypatch.setattr(sys, "argv", ["edgepose", "compare", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_command_writes_the_report_and_prints_its_path(
    scored: Scored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scored("a")
    scored("b", 0.3)
    out = tmp_path / "out"
    words = (str(tmp_path / "scored"), "--out", str(out), "--overlays", "none", "--baseline", "b")
    assert run(monkeypatch, *words) == 0
    assert str(out / "report.md") in capsys.readouterr().out.replace("\n", "")
    assert run(monkeypatch, *words, "--json") == 0
    assert json.loads(capsys.readouterr().out)["baseline"] == "b"


def test_command_refuses_in_one_line(
    scored: Scored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other = scored("b", data={"split": "val"})
    words = (str(scored("a")), str(other), "--out", str(tmp_path / "out"))
    assert run(monkeypatch, *words) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert "data.split" in captured.err
    assert not (tmp_path / "out").exists()
    assert run(monkeypatch, *words, "--overlays", "photo") == 2


def test_only_the_baseline_and_the_worst_models_have_their_worst_frames_drawn(
    scored: Scored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[str] = []

    def noted(figures: Mapping[str, Figure], folder: Path) -> None:
        drawn.extend(name.split("-")[2] for name in sorted(figures) if name.startswith("worst-"))
        folder.mkdir(parents=True)
        for name in figures:
            (folder / name).touch()

    monkeypatch.setattr(reporting, "_write_figures", noted)  # drawing them all takes seconds
    noise = {f"m{i}": 0.05 * (i + 1) for i in range(9)}
    entries = read_entries([scored(name, noise=value) for name, value in noise.items()])
    comparison = compare(entries, "Many", "0", "skeleton", "m0")
    write_report(comparison, entries, tmp_path / "out")
    assert drawn == ["m0.png", "m4.png", "m5.png", "m6.png", "m7.png", "m8.png"]
    assert set(comparison.worst) == set(noise)
