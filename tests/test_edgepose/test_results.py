"""results.json and predictions.npz: round trips, refusals, and the schema beside the code."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from edgeio import sha256_file
from edgeio.records import Mismatch
from edgepose.errors import BadResults
from edgepose.published import TABLE_1
from edgepose.results import results as module
from edgepose.results.predictions import Predictions, load_predictions, save_predictions
from edgepose.results.results import read_results, write_results

SCHEMA = json.loads(Path(module.__file__).with_name("results.schema.json").read_text(encoding="utf-8"))

Scored = Callable[..., Path]
Change = Callable[[dict[str, Any]], None]


def rewrite(path: Path, change: Change) -> Path:
    plain = json.loads(path.read_text(encoding="utf-8"))
    change(plain)
    path.write_text(json.dumps(plain), encoding="utf-8")
    return path


def put(dotted: str, value: Any) -> Change:
    def change(plain: dict[str, Any]) -> None:
        *parents, last = dotted.split("/")
        for key in parents:
            plain = plain[key]
        plain[last] = value

    return change


def drop(dotted: str) -> Change:
    def change(plain: dict[str, Any]) -> None:
        *parents, last = dotted.split("/")
        for key in parents:
            plain = plain[key]
        del plain[last]

    return change


def test_written_results_are_read_back_whole(scored: Scored, tmp_path: Path) -> None:
    results = read_results(scored("rt-fp32"))
    write_results(tmp_path / "again.json", results)
    assert read_results(tmp_path / "again.json") == results
    assert results.metrics.overall.n == results.data.n_keypoints == 8 * 19 - 1
    assert results.metrics.per_keypoint["right_wrist"].n == 7


def test_written_results_obey_the_published_schema(scored: Scored) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    for path in (scored("a"), scored("b", speed=None, model={"recipe": None, "kind": "checkpoint"})):
        jsonschema.validate(json.loads(path.read_text(encoding="utf-8")), SCHEMA)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (drop("model"), "model is missing"),
        (drop("model/size_bytes"), "model.size_bytes is missing"),
        (put("model/size_bytes", "12"), "model.size_bytes is '12', not a whole number"),
        (put("model/size_bytes", True), "model.size_bytes is True, not a whole number"),
        (put("model/input_size", [224]), "model.input_size is [224], not a list of 2"),
        (put("model/output", "heat"), "model.output is 'heat', not 'maps', 'upscaled', 'keypoints', "),
        (put("model/typo", 1), "model.typo is not a known field"),
        (put("metrics/overall/auc", float("nan")), "metrics.overall.auc is nan, not a finite number"),
        (put("metrics/overall/scores/me", "low"), "metrics.overall.scores.me is 'low'"),
        (drop("metrics/overall/scores/me"), "metrics.overall.scores.me is missing"),
        (put("metrics/overall/intervals/me", [1.0]), "metrics.overall.intervals.me is [1.0]"),
        (put("metrics/overall/intervals/mean", None), "metrics.overall.intervals.mean is not a known metric"),
        (put("metrics/curve/t", [0.0]), "metrics.curve.t and metrics.curve.pckh differ in length"),
        (drop("metrics/per_keypoint/nose"), "does not list data.scored_keypoints"),
        (put("metrics/per_keypoint/nose/n", 3), "the keypoints add up to 146"),
        (put("data/excluded", [{"id": "x"}]), "data.excluded[0].reason is missing"),
        (put("speed", {}), "speed.latency_ms is missing"),
        (drop("runtime/version"), "runtime.version is missing"),
        (put("name", " "), "name is empty"),
        (put("model/sha256", "A" * 64), "not text like ^[0-9a-f]{64}$"),
        (put("metrics/overall/auc", 101), "metrics.overall.auc is 101, not at most 100"),
        (put("data/n_videos", -1), "data.n_videos is -1, not at least 0"),
        (drop("device"), "device is missing"),
        (put("schema_version", 2), "schema version 2 and this edgepose reads 1; upgrade edgepose"),
        (put("schema_version", 0), "schema version 0 and this edgepose reads 1; score the model again"),
        (put("schema_version", "1"), "schema version '1'"),
        (drop("schema_version"), "no schema_version"),
    ],
)
def test_bad_results_are_refused_by_field(scored: Scored, change: Change, said: str) -> None:
    path = rewrite(scored("rt"), change)
    with pytest.raises(BadResults) as caught:
        read_results(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "3", '"results"'])
def test_what_is_no_results_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "results.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadResults, match=r"results\.json"):
        read_results(path)


def test_missing_results_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadResults, match="does not exist"):
        read_results(tmp_path / "results.json")


def test_writing_checks_before_it_writes(scored: Scored, tmp_path: Path) -> None:
    results = read_results(scored("rt"))
    wrong = dataclasses.replace(results, seed="zero")  # type: ignore[arg-type]
    with pytest.raises(Mismatch, match="seed is 'zero'"):
        write_results(tmp_path / "new.json", wrong)
    assert not (tmp_path / "new.json").exists()


def test_predictions_are_read_back_whole_and_keep_their_hash(scored: Scored, tmp_path: Path) -> None:
    path = scored("rt")
    predictions = load_predictions(path, read_results(path))
    digest = save_predictions(tmp_path / "copy.npz", predictions)
    assert digest == read_results(path).predictions_sha256
    assert np.isnan(predictions.annotated_px[0, 7]).all()
    assert predictions.ids.dtype.kind == "U"


def test_predictions_taken_by_row_keep_all_keypoints(scored: Scored) -> None:
    path = scored("rt")
    predictions = load_predictions(path, read_results(path))
    taken = predictions.take(np.array([3, 1]))
    assert taken.ids.tolist() == [predictions.ids[3], predictions.ids[1]]
    assert taken.keypoints.tolist() == predictions.keypoints.tolist()
    assert np.array_equal(taken.predicted_px[1], predictions.predicted_px[1])


def test_predictions_that_are_missing_changed_or_damaged_are_refused(scored: Scored) -> None:
    path = scored("rt")
    results, npz = read_results(path), path.with_name("predictions.npz")
    data = npz.read_bytes()
    npz.write_bytes(data[:-1])
    with pytest.raises(BadResults, match="is not the file that"):
        load_predictions(path, results)
    npz.write_bytes(b"junk")
    of_junk = dataclasses.replace(results, predictions_sha256=sha256_file(npz))
    with pytest.raises(BadResults, match="cannot be read as predictions"):
        load_predictions(path, of_junk)
    npz.unlink()
    with pytest.raises(BadResults, match="is missing beside"):
        load_predictions(path, results)


def test_predictions_never_run_pickled_code(scored: Scored) -> None:
    path = scored("rt")
    results, npz = read_results(path), path.with_name("predictions.npz")
    with np.load(npz) as archive:
        arrays = dict(archive)
    arrays["ids"] = arrays["ids"].astype(object)
    np.savez(npz, **arrays)
    with pytest.raises(BadResults, match="cannot be read as predictions"):
        load_predictions(path, dataclasses.replace(results, predictions_sha256=sha256_file(npz)))


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("ids", np.array(["a"] * 8), "an image id stands twice"),
        ("head_length_px", np.ones(7), r"head_length_px is float64 \(7,\)"),
        ("predicted_px", np.zeros((8, 19, 2), int), "predicted_px is int64"),
    ],
)
def test_predictions_of_wrong_shape_are_not_saved(
    scored: Scored, tmp_path: Path, field: str, value: np.ndarray, said: str
) -> None:
    path = scored("rt")
    predictions = load_predictions(path, read_results(path))
    wrong = Predictions(**{**vars(predictions), field: value})
    with pytest.raises(ValueError, match=said):
        save_predictions(tmp_path / "new.npz", wrong)
    assert not (tmp_path / "new.npz").exists()


def test_predictions_must_fit_their_results(scored: Scored) -> None:
    path = scored("rt")
    results = read_results(path)
    fewer = dataclasses.replace(results, data=dataclasses.replace(results.data, n_images=9))
    with pytest.raises(BadResults, match="holds 8 images and the results 9"):
        load_predictions(path, fewer)
    swapped = dataclasses.replace(
        results, data=dataclasses.replace(results.data, scored_keypoints=results.data.scored_keypoints[::-1])
    )
    with pytest.raises(BadResults, match="not the scored keypoints"):
        load_predictions(path, swapped)


def test_the_papers_table_is_the_reference(shared: Path) -> None:
    reference = json.loads((shared / "reference" / "groos2021.json").read_text(encoding="utf-8"))
    rows = {r["model"]: r for r in reference["table1_in_motion_poses_test"]["rows"] if r["parameters"]}
    assert set(rows) == set(TABLE_1)
    for key, row in TABLE_1.items():
        assert {k: rows[key][k] for k in row.scores} == dict(row.scores), key
        assert (row.resolution, row.parameters, row.flops) == tuple(
            rows[key][k] for k in ("resolution", "parameters", "flops")
        )
