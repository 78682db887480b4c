"""Peaks to probabilities, and the file that holds the curves."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from blob_videos import MODEL, BlobFinder, K, disc, no_bar, truth, write_video
from PIL import Image

from edgeio import UnknownName, UserError
from edgepose.errors import BadDataset, BadModel
from edgepose.keypoints import IN_MOTION_19
from edgepose.tracking import batch, calibrate
from edgepose.tracking.batch import PredictRequest, predict_all
from edgepose.tracking.calibrate import CalibrationRequest, calibrate_confidence
from edgepose.tracking.confidence import (
    FEW,
    Confidence,
    ConfidenceCurve,
    Reliability,
    calibration_error,
    fit,
    fit_curve,
    read_confidence,
    reliability,
    write_confidence,
)
from edgepose.tracking.sources import find_sources

NAMES = ("a", "b", "c")
NOTHING = np.zeros(0)


def drawn(n: int, slope: float, intercept: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Peaks and hits that follow one logistic curve."""
    rng = np.random.default_rng(seed)
    peak = rng.uniform(0, 1, n)
    return peak, rng.uniform(size=n) < 1 / (1 + np.exp(-(slope * peak + intercept)))


def test_a_known_curve_is_found() -> None:
    curve = fit_curve(*drawn(20_000, 8.0, -3.0), NOTHING)
    assert abs(curve.slope - 8) < 0.4 and abs(curve.intercept + 3) < 0.2
    assert curve.probability(np.array([3 / 8]))[0] == pytest.approx(0.5, abs=0.02)
    assert curve.peak_at(0.5) == pytest.approx(3 / 8, abs=0.02)


@pytest.mark.parametrize("hits", [True, False])
def test_all_hits_or_none_stay_finite_and_short_of_certain(hits: bool) -> None:
    peak = np.random.default_rng(0).uniform(0.2, 0.9, 50)
    probability = fit_curve(peak, np.full(50, hits), NOTHING).probability(peak)
    assert np.isfinite(probability).all()
    assert (probability.min() > 0.9 and probability.max() < 1) if hits else probability.max() < 0.1


def test_an_empty_picture_is_no_hit_where_annotations_cannot_tell() -> None:
    """Every annotated keypoint was a hit, at peaks of 0.3 and more: 0.02 still is no sign of a keypoint."""
    peak = np.random.default_rng(0).uniform(0.3, 0.7, 160)
    without = fit_curve(peak, np.ones(160, bool), NOTHING)
    curve = fit_curve(peak, np.ones(160, bool), np.full(8, 0.02))
    assert without.probability(np.array([0.02]))[0] > 0.9
    assert curve.probability(np.array([0.02]))[0] < 0.3 and curve.probability(peak).min() > 0.9
    assert (curve.n, curve.hits) == (160, 160), "they are not counted as annotations"


def test_a_higher_peak_never_means_less() -> None:
    peak, hit = drawn(500, 8.0, -4.0)
    curve = fit_curve(peak, ~hit, NOTHING)  # upside down
    assert curve.slope == 0 and curve.probability(np.array([0.1]))[0] == pytest.approx(
        (~hit).mean(), abs=0.02
    )
    assert curve.peak_at(0.5) is None


def test_keypoints_with_few_annotations_take_the_curve_of_all() -> None:
    peak = np.stack([drawn(400, 6, -2, seed)[0] for seed in range(3)], 1)
    hit = np.stack([drawn(400, 6, -2, seed)[1] for seed in range(3)], 1).astype(float)
    hit[FEW - 1 :, 2] = np.nan
    curves = fit(peak, hit, NAMES, np.zeros((0, 3)))
    assert [curves[n].pooled for n in NAMES] == [False, False, True] and curves["c"].n == FEW - 1
    known = np.isfinite(hit)
    pooled = fit_curve(peak[known], hit[known] > 0, NOTHING)
    assert (curves["c"].slope, curves["c"].intercept) == (pooled.slope, pooled.intercept)


def test_calibration_error_by_hand() -> None:
    probability = np.array([0.95, 0.95, 0.05, 0.05])
    assert calibration_error(probability, np.array([1.0, 1, 0, 0])) == pytest.approx(0.05)
    assert calibration_error(probability, np.array([0.0, 0, 1, 1])) == pytest.approx(0.95)
    assert calibration_error(np.array([1.0]), np.array([1.0])) == 0, "one belongs to the last bin"


def test_reliability_improves_and_is_judged_on_other_videos() -> None:
    both = [drawn(2000, 9.0, -2.0, seed) for seed in range(2)]
    peak, hit = (np.stack([b[i] for b in both], 1).astype(float) for i in range(2))
    videos = [f"v{i // 50}" for i in range(2000)]
    found = reliability(peak, hit, videos, NAMES[:2], np.zeros((0, 2)))
    assert found is not None and found.n == 4000
    assert found.before > 0.1 and found.after < 0.04
    assert reliability(peak, hit, ["one"] * 2000, NAMES[:2], np.zeros((0, 2))) is None


def test_an_isotonic_curve_is_taken_where_a_logistic_one_does_not_fit() -> None:
    """Two steps: no logistic curve has them."""
    rng = np.random.default_rng(0)
    peak = rng.uniform(0, 1, (3000, 1))
    chance = np.select([peak < 0.3, peak < 0.7], [0.02, 0.5], 0.98)
    hit = (rng.uniform(size=peak.shape) < chance).astype(float)
    videos = [f"v{i // 100}" for i in range(3000)]
    found = reliability(peak, hit, videos, NAMES[:1], np.zeros((0, 1)))
    assert found is not None and found.method == "isotonic" and found.after < 0.03
    curve = fit(peak, hit, NAMES[:1], np.zeros((0, 1)), "isotonic")["a"]
    probed = curve.probability(np.array([-1.0, 0.1, 0.5, 0.9, 2.0]))
    assert probed == pytest.approx([0.02, 0.02, 0.5, 0.98, 0.98], abs=0.06)
    assert (probed > 0).all() and (probed < 1).all() and (np.diff(probed) >= 0).all()
    assert curve.peak_at(0.75) == pytest.approx(0.7, abs=0.02) and curve.peak_at(1.0) is None


def test_a_logistic_curve_is_kept_where_it_is_the_truth() -> None:
    peak, hit = (np.asarray(a, float)[:, None] for a in drawn(1000, 8.0, -4.0))
    found = reliability(peak, hit, [f"v{i // 100}" for i in range(1000)], NAMES[:1], np.zeros((0, 1)))
    assert found is not None and found.method == "logistic"


def test_it_tells_videos_that_do_not_generalise() -> None:
    """Half of the videos always hit and half never do: no curve of one half serves the other."""
    rng = np.random.default_rng(0)
    peak = rng.uniform(0, 1, (400, 1))
    hit = np.repeat([1.0, 0.0], 200)[:, None]
    videos = ["hit"] * 200 + ["miss"] * 200
    found = reliability(peak, hit, videos, NAMES[:1], np.zeros((0, 1)))
    assert found is not None and found.after > 0.9


def confidence(**changes) -> Confidence:
    curves = {name: ConfidenceCurve(10.0, -5.0, 30, 20, False) for name in IN_MOTION_19.names}
    return replace(
        Confidence("0" * 64, "blob.tflite", "in-motion-19", "taylor", curves, None, {"split": "val"}),
        **changes,
    )


def test_the_file_comes_back(tmp_path: Path) -> None:
    knots = ((0.1, 0.2), (0.5, 0.9))
    curves = {**confidence().curves, "nose": ConfidenceCurve(10.0, -5.0, 30, 20, False, knots)}
    written = confidence(
        curves=curves, reliability=Reliability(0.2, 0.1, 40, {"logistic": 0.5, "isotonic": 0.4})
    )
    write_confidence(tmp_path / "c.json", written)
    assert read_confidence(tmp_path / "c.json") == written


@pytest.mark.parametrize(
    "change",
    [
        {"schema_version": 1},
        {"curves": {"nose": {"slope": 1}}},
        {"curves": []},
        {"curves": {"nose": {"slope": -1.0, "intercept": 0.0, "n": 1, "hits": 1, "pooled": False}}},
        {"model_sha256": None, "data": None},
    ],
)
def test_files_of_another_kind(tmp_path: Path, change: dict) -> None:
    write_confidence(tmp_path / "c.json", confidence())
    found = json.loads((tmp_path / "c.json").read_text())
    (tmp_path / "c.json").write_text(json.dumps({**found, **change}))
    with pytest.raises(BadModel, match="calibrate-confidence"):
        read_confidence(tmp_path / "c.json")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        read_confidence(tmp_path / "no.json")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"keypoints": "mpii-16"}, "of mpii-16"),
        ({"model_sha256": "1" * 64}, "of another model, blob.tflite"),
        ({"decode": "argmax"}, "--decode argmax"),
    ],
)
def test_curves_hold_for_one_model(tmp_path: Path, monkeypatch, change: dict, says: str) -> None:
    monkeypatch.setattr(batch, "open_runner", lambda path, threads: BlobFinder(path))
    write_confidence(tmp_path / "c.json", confidence(**change))
    clip = write_video(tmp_path / "a.mp4", [disc((120, 160), [(60, 60, 26)])] * 2)
    request = PredictRequest(confidence=tmp_path / "c.json")
    with pytest.raises(BadModel, match=says):
        predict_all(MODEL, find_sources([clip]).found, request, tmp_path / "out", False, no_bar)


def infants(root: Path, per_video: int = 6) -> Path:
    """Discs of four videos; the annotation of every second video lies a head off for keypoint 0."""
    images, points = root / "processed/val/images_1024x1024", root / "processed/val/points"
    images.mkdir(parents=True)
    points.mkdir()
    rng = np.random.default_rng(0)
    for i in range(4 * per_video):
        x, y = rng.uniform(50, 110, 2)
        places = truth(x, y, 30)
        if i // per_video % 2:
            places[5] += 40
        Image.fromarray(disc((160, 160), [(x, y, 30)])).save(images / f"v{i // per_video}_{i}.png")
        lines = (f"{a / 160:.6f} {b / 160:.6f}" for a, b in places)
        (points / f"v{i // per_video}_{i}.txt").write_text("\n".join(lines))
    return root


def test_calibrating_on_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    from edgepose.cli import main

    monkeypatch.setattr(calibrate, "open_runner", lambda path, threads: BlobFinder(path))
    data, out = infants(tmp_path / "data"), tmp_path / "c.json"
    line = ["edgepose", "calibrate-confidence", str(MODEL), "--data", f"in-motion:{data}", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", line)
    with pytest.raises(SystemExit) as end:
        main()
    said = capsys.readouterr()
    assert end.value.code == 0 and "calibration error on held-out videos" in said.out
    found = read_confidence(out)
    assert found.model_name == MODEL.name and found.data["images"] == 24 and found.data["videos"] == 4
    names = IN_MOTION_19.names
    assert found.curves[names[5]].hits == 12 and found.curves[names[4]].hits == 24
    likely = found.probability(np.full((1, K), 0.7))[0]  # what its peaks are in the middle
    assert abs(likely[5] - 0.5) < 0.15 and likely[4] > 0.9
    with monkeypatch.context() as patch, pytest.raises(SystemExit) as end:
        patch.setattr(calibrate, "calibrate_confidence", None)  # nothing is done twice
        main()
    assert end.value.code == 0 and "was made before by the same job" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", [*line, "--near"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2 and "near: was False, now True" in capsys.readouterr().err


def test_calibrated_prediction_abstains_at_a_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "open_runner", lambda path, threads: BlobFinder(path))
    curves = {name: ConfidenceCurve(10.0, -5.0, 30, 20, False) for name in IN_MOTION_19.names}
    curves["nose"] = ConfidenceCurve(10.0, -9.0, 30, 20, False)  # 0.8 means 0.27 here, and 0.95 elsewhere
    write_confidence(tmp_path / "c.json", confidence(curves=curves))
    clip = write_video(tmp_path / "a.mp4", [disc((120, 160), [(60, 60, 26)])] * 2)
    request = PredictRequest(confidence=tmp_path / "c.json")
    outcome = predict_all(MODEL, find_sources([clip]).found, request, tmp_path / "out", False, no_bar)[0]
    assert outcome.summary is not None and outcome.summary["confidence"].startswith("probability")
    assert outcome.summary["frames"]["abstained_share"] == pytest.approx(1 / K, abs=1e-4)
    assert outcome.summary["job"]["abstain_below"] == 0.5


@pytest.mark.parametrize(("crop", "warned"), [("auto", True), ("none", False)])
def test_confidence_of_pictures_seen_otherwise_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crop: str, warned: bool
) -> None:
    monkeypatch.setattr(batch, "open_runner", lambda path, threads: BlobFinder(path))
    write_confidence(tmp_path / "c.json", confidence(data={"crop": "none"}))
    clip = write_video(tmp_path / "a.mp4", [disc((120, 160), [(60, 60, 26)])] * 2)
    request = PredictRequest(confidence=tmp_path / "c.json", crop=crop, turn="0")
    outcome = predict_all(MODEL, find_sources([clip]).found, request, tmp_path / "out", False, no_bar)[0]
    assert outcome.summary is not None
    kinds = [warning["kind"] for warning in outcome.summary["warnings"]]
    assert ("confidence-framing" in kinds) is warned


def test_data_that_cannot_judge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibrate, "open_runner", lambda path, threads: BlobFinder(path))
    data = infants(tmp_path / "data", 1)
    with pytest.raises(UnknownName, match="unknown split"):
        calibrate_confidence(MODEL, CalibrationRequest(f"in-motion:{data}", "validation"))
    with pytest.raises(BadDataset, match="no image in split 'train'"):
        calibrate_confidence(MODEL, CalibrationRequest(f"in-motion:{data}", "train"))
    folder = data / "processed/val/images_1024x1024"
    with pytest.raises(BadDataset, match="head length"):
        calibrate_confidence(MODEL, CalibrationRequest(f"images:{folder}", "all"))
