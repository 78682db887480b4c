"""`edgepose raters`: what it says of raters, human.json and its way into `edgepose evaluate`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from edgeio import UnknownName, write_json
from edgeio.records import to_plain
from edgepose.cli import app
from edgepose.data.human_spread import IN_MOTION_HUMAN, read_human
from edgepose.data.records import Dataset
from edgepose.errors import BadDataset
from edgepose.evaluation.raters import human_spread, read_raters, spread
from edgepose.evaluation.subject import _human
from edgepose.keypoints import IN_MOTION_19, LSP_14
from edgepose.reporting.rater_report import FRAME_FACTOR, HumanFile, describe, draw_raters
from edgepose.synthetic.raters import write_raters

HEADER = "image,rater,keypoint,x,y\n"
HEAD = "".join(f"{{image}},{r},head_top,{{x}},0\n{{image}},{r},upper_neck,0,0\n" for r in ("al", "bo", "cy"))


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten raters on forty frames, whose spread is the paper's."""
    path = tmp_path_factory.mktemp("raters") / "raters.csv"
    rng = np.random.default_rng(0)
    poses = rng.uniform(50, 250, (40, 19, 2))
    write_raters(path, [f"f{i}.jpg" for i in range(40)], poses, rng)
    return path


def write(folder: Path, text: str) -> Path:
    path = folder / "raters.csv"
    path.write_text(HEADER + text, encoding="utf-8")
    return path


def three(*images: str) -> str:
    """Three raters who agree on a head of 10 px."""
    return "".join(HEAD.format(image=image, x=10) for image in images)


def run(*words: object) -> Any:
    return CliRunner().invoke(app, ["raters", *map(str, words)], catch_exceptions=True)


def described(path: Path) -> HumanFile:
    return describe(read_raters(path, IN_MOTION_19), "0" * 64)[0]


def test_the_published_spread_comes_out(published: Path, tmp_path: Path) -> None:
    done = run(published, "--out", tmp_path)
    assert done.exit_code == 0, done.output
    assert "all (mean)" in done.output and "rater-10" in done.output
    found = human_spread(tmp_path / "human.json", IN_MOTION_19)
    np.testing.assert_allclose(found.h, IN_MOTION_HUMAN.h, atol=1e-4)
    np.testing.assert_allclose(found.h95, IN_MOTION_HUMAN.h95, rtol=0.12)
    assert found == spread(read_raters(published, IN_MOTION_19)), "the file says what the raters say"
    assert (tmp_path / "figures/raters.png").stat().st_size > 10_000


def test_json_is_the_file_and_nothing_is_written_unasked(published: Path, tmp_path: Path) -> None:
    done = run(published, "--json")
    plain = json.loads(done.stdout)
    assert plain["per_keypoint"]["nose"]["n"] == 400 and plain["overall"]["n"] == 19 * 400
    assert plain["unit"] == "head lengths" and len(plain["sha256"]) == 64
    assert plain == to_plain(described(published)) | {"sha256": plain["sha256"]}
    assert str(published.parent) not in done.stdout and [p.name for p in published.parent.iterdir()] == [
        "raters.csv"
    ]
    run(published, "--out", tmp_path, "--json")
    assert json.loads((tmp_path / "human.json").read_text(encoding="utf-8")) == plain


def test_who_leans_and_who_stands_out(tmp_path: Path) -> None:
    text = three(*"abcd")
    for image in "abcd":
        text += f"{image},al,nose,0,0\n{image},bo,nose,0,0\n{image},cy,nose,3,0\n"
    found = described(write(tmp_path, text))
    assert found.raters["cy"].keypoint_bias["nose"] == pytest.approx((0.2, 0))
    assert found.raters["al"].keypoint_bias["nose"] == pytest.approx((-0.1, 0))
    assert found.raters["cy"].bias == pytest.approx((0.2 / 3, 0)), "the mean over three keypoints"
    assert [name for name, rater in found.raters.items() if rater.stands_out] == ["cy"]
    assert found.outliers == () and found.frames == ()


def test_outliers_by_rater_and_frame(tmp_path: Path) -> None:
    text = three(*"abcd")
    for image in "abcd":
        text += "".join(f"{image},{rater},nose,{2 * i},0\n" for i, rater in enumerate(("al", "bo", "cy")))
    path = write(tmp_path, text.replace("c,cy,nose,4,0", "c,cy,nose,60,0"))
    found = described(path)
    assert [(o.rater, o.image, o.keypoint) for o in found.outliers] == [("cy", "c", "nose")]
    assert {name: rater.outliers for name, rater in found.raters.items()} == {"al": 0, "bo": 0, "cy": 1}
    assert [(f.image, f.outliers) for f in found.frames] == [("c", 1)]
    others = (0.2 + 0 + 0.2) / 9  # three keypoints of three raters, of whom two are off at the nose
    assert found.frames[0].mean_distance > FRAME_FACTOR * others
    assert any("which count all the same: 1" in note for note in found.notes)
    done = run(path)
    assert "outlier: cy on c, nose" in done.output and "disagreement on c" in done.output


def test_a_lone_frame_and_two_raters_are_told(tmp_path: Path) -> None:
    text = "".join(line for line in three("a").splitlines(keepends=True) if ",cy," not in line)
    found = described(write(tmp_path, text + "a,al,nose,0,0\na,bo,nose,6,0\n"))
    assert found.per_keypoint["nose"].h == pytest.approx(0.3)
    assert not any(rater.stands_out for rater in found.raters.values())
    told = "\n".join(found.notes)
    for words in ("one image only", "two raters are equally far", "rests on fewer than 20", "left_ankle"):
        assert words in told


def test_raters_who_agree_wholly_can_be_drawn(tmp_path: Path) -> None:
    raters = read_raters(write(tmp_path, three("a", "b")), IN_MOTION_19)
    found, report = describe(raters, "0" * 64)
    assert found.overall.h == found.overall.h95 == 0
    assert len(draw_raters(raters, report).axes) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,al,nose,1,2\n", r"has 1 rater\(s\)"),
        ("", r"has 0 rater\(s\)"),
        ("a,al,nose,nan,2\na,bo,nose,1,2\n", "line 2: x is 'nan', not a number"),
        ("a,al,nose,1,2\na,bo,nose,1,2\n", "no image has a head length"),
    ],
)
def test_bad_files(tmp_path: Path, text: str, message: str) -> None:
    done = run(write(tmp_path, text), "--out", tmp_path / "out")
    assert done.exception is not None
    with pytest.raises(BadDataset, match=message):
        raise done.exception
    assert not (tmp_path / "out").exists()


def test_a_missing_column_is_one_line_and_exit_1(tmp_path: Path) -> None:
    path = tmp_path / "raters.csv"
    path.write_text("image,rater,keypoint,x\na,al,nose,1\n", encoding="utf-8")
    words = [sys.executable, "-m", "edgepose", "raters", str(path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 1 and done.stdout == ""
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("edgepose ")]
    assert line.startswith("error: ") and "has the columns image,rater,keypoint,x; give" in line


def test_other_keypoint_sets(tmp_path: Path) -> None:
    path = write(tmp_path, three("a") + "a,al,left_hip,1,2\na,bo,left_hip,1,2\n")
    assert isinstance(run(path).exception, UnknownName)
    done = run(path, "--keypoints", "lsp-14", "--json")
    assert set(json.loads(done.stdout)["per_keypoint"]) == {"head_top", "upper_neck", "left_hip"}
    assert "mpii-16" in str(run(path, "--keypoints", "lsp").exception)


GOOD = {"schema_version": 1, "source": "ours", "per_keypoint": {"nose": {"h": 0.1, "h95": 0.2}}}


class TestHumanFile:
    def test_thresholds_alone_will_do(self, tmp_path: Path) -> None:
        write_json(tmp_path / "human.json", GOOD)
        found = read_human(tmp_path / "human.json", IN_MOTION_19)
        assert (found.names, found.h, found.h95, found.source) == (("nose",), (0.1,), (0.2,), "ours")

    def test_evaluate_takes_it_and_the_csv_alike(self, published: Path, tmp_path: Path) -> None:
        run(published, "--out", tmp_path)
        infants = Dataset("in-motion:x", "in-motion", tmp_path, IN_MOTION_19, ())
        ours = _human(infants, tmp_path / "human.json")
        assert ours == _human(infants, published) and ours != _human(infants, None)
        assert _human(infants, None) == IN_MOTION_HUMAN

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"schema_version": 2}, r"human\.json has schema version 2 .* reads 1; upgrade edgepose"),
            ({"per_keypoint": {}}, r"human\.json names no keypoint"),
            ({"source": None}, r"human\.json: source is None, not text"),
            ({"per_keypoint": {"nose": {"h": 0.1}}}, "per_keypoint.nose.h95 is missing"),
            ({"per_keypoint": {"nose": {"h": "x", "h95": 1}}}, "per_keypoint.nose.h is 'x', not a finite"),
            (
                {"per_keypoint": {"nose": {"h": -0.1, "h95": 1}}},
                "nose.h is -0.1, not at least 0",
            ),
            ({"per_keypoint": {"nose": 1}}, "per_keypoint.nose is 1, not an object"),
        ],
    )
    def test_what_is_wrong_is_told(self, tmp_path: Path, change: dict[str, Any], message: str) -> None:
        write_json(tmp_path / "human.json", {**GOOD, **change})
        with pytest.raises(BadDataset, match=message):
            read_human(tmp_path / "human.json", IN_MOTION_19)

    def test_keypoints_that_the_set_lacks(self, tmp_path: Path) -> None:
        write_json(tmp_path / "human.json", GOOD)
        with pytest.raises(UnknownName, match=r"human\.json 'nose'"):
            read_human(tmp_path / "human.json", LSP_14)

    def test_no_json(self, tmp_path: Path) -> None:
        path = tmp_path / "human.json"
        with pytest.raises(BadDataset, match="does not exist"):
            read_human(path, IN_MOTION_19)
        path.write_text("[1]", encoding="utf-8")
        with pytest.raises(BadDataset, match=r"human\.json has no schema_version"):
            read_human(path, IN_MOTION_19)
        path.write_text(
            '{"schema_version": 1, "source": "x", "per_keypoint": {"nose": {"h": NaN, "h95": 1}}}'
        )
        with pytest.raises(BadDataset, match="h is nan, not a finite"):
            read_human(path, IN_MOTION_19)
