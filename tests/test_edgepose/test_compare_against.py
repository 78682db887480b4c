"""The comparison with a baseline as a report shows it: the first page, margins, movement and subgroups."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from edgepose.comparison import compare as comparing
from edgepose.comparison.compare import compare, read_entries
from edgepose.errors import BadResults, UsageError
from edgepose.evaluation.metrics import mean_error
from edgepose.evaluation.noninferiority import MIN_VIDEOS
from edgepose.reporting.report import write_report

Scored = Callable[..., Path]
SCHEMA = json.loads(Path(comparing.__file__).with_name("compare.schema.json").read_text(encoding="utf-8"))
VIDEOS, FRAMES = MIN_VIDEOS, 16
COLUMNS = {
    "setup": ["home"] * 160 + ["clinic"] * 160,
    "fps": ["25"] * 320,
}


@dataclass(frozen=True)
class Written:
    folder: Path
    numbers: dict[str, Any]
    html: str
    markdown: str


@pytest.fixture(scope="module")
def written(score_into: Scored, tmp_path_factory: pytest.TempPathFactory) -> Written:
    """A full model, one that is as good, and one that is worse; 20 videos of 16 frames."""
    folder = tmp_path_factory.mktemp("against")
    size: dict[str, Any] = {"images": VIDEOS * FRAMES, "frames": FRAMES, "columns": COLUMNS}
    paths = [
        score_into(folder, "full", 0.05, **size),
        score_into(folder, "small", 0.0501, model={"recipe": "fp16"}, **size),
        score_into(folder, "tiny", 0.15, model={"recipe": "int8"}, **size),
    ]
    entries = read_entries(paths)
    comparison = compare(entries, "T", "0.1.0", "none", by=["setup", "setup"])
    write_report(comparison, entries, folder / "out")
    numbers = json.loads((folder / "out/compare.json").read_text(encoding="utf-8"))
    html, markdown = ((folder / f"out/report.{k}").read_text(encoding="utf-8") for k in ("html", "md"))
    return Written(folder, numbers, html, markdown)


def test_compare_json_obeys_the_published_schema(written: Written) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(written.numbers, SCHEMA)
    assert written.numbers["movement"]["models"][0]["spectra"] is not None
    assert written.numbers["subgroups"]


def test_verdicts_open_the_report_by_word_and_colour(written: Written) -> None:
    small, tiny = written.numbers["verdicts"]
    assert (small["colour"], small["outcome"]) == ("green", "non-inferior")
    assert (tiny["colour"], tiny["outcome"]) == ("red", "inferior")
    word = '<span class="word {}"><span aria-hidden="true">{}</span> {}</span>'
    for said in (word.format("green", "●", "non-inferior"), word.format("red", "✖", "inferior")):
        assert f"{said}</td>" in written.html  # in the first table
        assert f"{said} <strong>" in written.html  # and in words
    assert "- ● non-inferior · **small.** As precise as full, within the margin" in written.markdown
    assert (
        "- ✖ inferior · **tiny.** Less precise than full by more than the margin at 19 of 19"
        in written.markdown
    )
    for text in (written.html, written.markdown):
        first = text.index("What was compared")
        for said in (
            "non-inferior",
            "inferior",
            "320 images of 20",
            "not a medical device",
            "not mean equal",
        ):
            assert text.index(said) < first, said
    assert "a diagnosis or a treatment" in written.markdown


def test_differences_by_keypoint_are_the_differences_of_the_scores(written: Written) -> None:
    full, _, tiny = written.numbers["results"]
    found = written.numbers["differences"][1]["per_keypoint"]
    judged = written.numbers["noninferiority"][1]["keypoints"]
    for name, scores in full["metrics"]["per_keypoint"].items():
        expected = tiny["metrics"]["per_keypoint"][name]["scores"]["me"] - scores["scores"]["me"]
        assert found[name]["me"]["value"] == pytest.approx(expected)
        assert judged[name]["difference"] == pytest.approx(expected)
        assert judged[name]["interval"] == found[name]["me"]["interval"]
        assert judged[name]["n_frames"] == scores["n"]
        assert judged[name]["n_videos"] == VIDEOS


def test_movement_is_measured_in_seconds(written: Written) -> None:
    found = written.numbers["movement"]
    assert (found["n_videos"], found["n_frames"], found["fps"], found["skipped"]) == (20, 320, 25.0, {})
    entries = read_entries([written.folder / "full/results.json", written.folder / "tiny/results.json"])
    points = [e.predictions.predicted_px.reshape(20, 16, 19, 2) for e in entries]
    heads = np.median(entries[0].predictions.head_length_px.reshape(20, 16), axis=1)
    velocity = [25 * np.diff(p, axis=1) / heads[:, None, None, None] for p in points]
    error = np.linalg.norm(velocity[1] - velocity[0], axis=-1).reshape(-1, 19)
    error[0, 7] = np.nan  # the keypoint that is not annotated in the first frame
    tiny = {(m["key"], m["against"]): m for m in found["models"][1]["measures"]}
    assert tiny["velocity_error", "baseline"]["model"] == pytest.approx(mean_error(error).overall)
    assert tiny["velocity_error", "baseline"]["unit"] == "head lengths/s"
    assert tiny["velocity_error", "baseline"]["n"] == 20 * 15 * 19 - 1
    assert "25 frames a second, from the data set's column fps" in written.markdown
    assert "Trembling of the points" in written.markdown


def test_subgroups_add_up_and_stand_in_the_report_once(written: Written) -> None:
    (found,) = written.numbers["subgroups"]
    assert [g["value"] for g in found["groups"]] == ["clinic", "home"]
    assert [g["n_videos"] for g in found["groups"]] == [10, 10]
    total = written.numbers["results"][0]["metrics"]["overall"]["n"]
    assert sum(g["n_keypoints"] for g in found["groups"]) == total
    assert "--by setup" in written.markdown
    assert "--margin human:0.1" in written.markdown


def test_results_without_movement_say_why(scored: Scored) -> None:
    entries = read_entries([scored("a"), scored("b")])
    found = compare(entries, "T", "0", "none")
    assert found.movement is not None
    assert found.movement.models == ()
    assert found.movement.skipped == {"fewer than 16 consecutive frames": 4}
    assert found.verdicts[0].text.startswith("Not decided: 4 videos are too few")


def test_one_row_is_held_against_nothing(scored: Scored) -> None:
    found = compare(read_entries([scored("a")]), "T", "0", "none")
    assert (found.margin, found.movement, found.verdicts, found.noninferiority) == (None, None, (), ())


def test_one_video_gives_no_interval_and_no_verdict(scored: Scored) -> None:
    found = compare(read_entries([scored("a", images=2), scored("b", 0.2, images=2)]), "T", "0", "none")
    judged = found.noninferiority[0]
    assert judged.mean.interval is None
    assert judged.mean.reason == "one video: nothing to resample"
    assert found.verdicts[0].colour == "amber"
    assert "1 video is too few" in found.verdicts[0].text


def test_margins_in_head_lengths_and_nonsense(scored: Scored) -> None:
    entries = read_entries([scored("a"), scored("b")])
    found = compare(entries, "T", "0", "none", margin_rule="0.03").margin
    assert found is not None
    assert set(found.head_lengths.values()) == {0.03}
    with pytest.raises(UsageError, match="'wide' is no margin"):
        compare(entries, "T", "0", "none", margin_rule="wide")


def test_keypoints_without_any_yardstick_have_no_verdict(
    scored: Scored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparing, "human_for", lambda names: None)
    paths = [scored("a"), scored("b")]
    entries = [
        dataclasses.replace(
            e,
            results=dataclasses.replace(
                e.results, metrics=dataclasses.replace(e.results.metrics, human=None, icc=None)
            ),
        )
        for e in read_entries(paths)
    ]
    found = compare(entries, "T", "0", "none")
    assert (found.margin, found.verdicts) == (None, ())
    assert found.differences


def test_command_takes_margin_and_columns(
    written: Written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from edgepose.cli import main

    def run(*words: str) -> int:
        folders = [str(written.folder / name) for name in ("full", "small")]
        monkeypatch.setattr(
            sys, "argv", ["edgepose", "compare", *folders, "--out", str(tmp_path / "out"), *words]
        )
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0)

    assert run("--by", "sex") == 2
    assert "unknown column 'sex'; known: setup, fps" in capsys.readouterr().err
    assert run("--margin", "-1") == 2
    assert "is no margin" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert run("--margin", "0.02", "--overlays", "none") == 0
    assert "GREEN small: non-inferior" in capsys.readouterr().out


def test_runs_of_different_frames_are_refused(scored: Scored) -> None:
    with pytest.raises(BadResults, match=r"data\.n_images"):
        read_entries([scored("a"), scored("b", images=6)])
