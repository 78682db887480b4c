"""Groups by a column of the data set, and columns that travel with predictions."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgeio import UnknownName
from edgepose.comparison.columns import column, grouped
from edgepose.comparison.compare import read_entries
from edgepose.errors import BadResults
from edgepose.evaluation.metrics import mean_error, pckh
from edgepose.evaluation.subgroups import MOST_GROUPS, NOT_GIVEN, subgroups
from edgepose.results.predictions import Predictions, load_predictions, save_predictions
from edgepose.results.results import BootstrapFacts, read_results

Scored = Callable[..., Path]
FACTS = BootstrapFacts(100, 0, "video")


def table(seed: int = 0) -> tuple[np.ndarray, np.ndarray, list[str], list[str]]:
    """Baseline, model, videos and a column, of 40 images in 20 videos."""
    rng = np.random.default_rng(seed)
    base = np.abs(rng.normal(0.2, 0.1, (40, 3)))
    base[rng.random(base.shape) < 0.2] = np.nan
    values = ["home"] * 10 + ["clinic"] * 26 + [""] * 2 + ["ward"] * 2
    return base, base + 0.01, [f"v{i // 2}" for i in range(40)], values


def test_each_group_has_the_scores_of_its_own_images() -> None:
    base, own, videos, values = table()
    found = subgroups("setup", values, videos, {"full": base, "small": own}, "full", 200)
    assert [g.value for g in found.groups] == ["clinic", "home", "ward", NOT_GIVEN]
    assert [g.n_images for g in found.groups] == [26, 10, 2, 2]
    assert sum(g.n_keypoints for g in found.groups) == int((~np.isnan(base)).sum())
    clinic = found.groups[0]
    rows = slice(10, 36)
    assert clinic.n_videos == 13
    full, small = clinic.scores
    assert (full.name, full.difference, full.interval) == ("full", None, None)
    assert small.me == pytest.approx(mean_error(own[rows]).overall)
    assert small.pckh_0_2 == pytest.approx(100 * pckh(own[rows], 0.2).overall)
    assert small.pckh_0_1 == pytest.approx(100 * pckh(own[rows], 0.1).overall)
    assert small.difference == pytest.approx(0.01)
    assert small.interval == pytest.approx((0.01, 0.01))


def test_a_group_of_one_video_has_no_interval_and_says_so() -> None:
    base, own, videos, values = table()
    ward = subgroups("setup", values, videos, {"full": base, "small": own}, "full", 50).groups[2]
    assert ward.n_videos == 1
    assert ward.scores[1].interval is None
    assert ward.scores[1].reason == "one video: nothing to resample"


def test_numbers_are_ordered_by_size() -> None:
    base, own, videos, _ = table()
    values = ["9", "10", "9.5", "nan", "-1"] * 8
    found = subgroups("age", values, videos, {"full": base, "small": own}, "full", 20)
    assert [g.value for g in found.groups] == ["-1", "9", "9.5", "10", "nan"]


def predictions(scored: Scored, **columns: list[str]) -> Predictions:
    loaded = read_entries([scored("a")])[0].predictions
    return dataclasses.replace(loaded, columns={k: np.array(v, dtype=str) for k, v in columns.items()})


def test_columns_are_saved_read_back_and_taken_along(scored: Scored, tmp_path: Path) -> None:
    given = predictions(scored, setup=["home", "clinic"] * 4, note=["", "ä|b"] * 4)
    path = scored("b")
    digest = save_predictions(path.with_name("predictions.npz"), given)
    results = dataclasses.replace(read_results(path), predictions_sha256=digest)
    again = load_predictions(path, results)
    assert list(again.columns) == ["setup", "note"]
    assert again.columns["note"].tolist() == ["", "ä|b"] * 4
    assert again.take(np.array([1, 0])).columns["setup"].tolist() == ["clinic", "home"]


def rewritten(path: Path, **changes: np.ndarray | None) -> tuple[Path, str]:
    """The predictions beside a results.json with arrays replaced or removed."""
    from edgeio import sha256_file

    npz = path.with_name("predictions.npz")
    with np.load(npz) as archive:
        arrays = {name: archive[name] for name in archive}
    arrays.update({k: v for k, v in changes.items() if v is not None})
    np.savez(npz, **{k: v for k, v in arrays.items() if not (k in changes and changes[k] is None)})
    return path, sha256_file(npz)


def test_predictions_of_a_newer_version_are_refused(scored: Scored) -> None:
    path, digest = rewritten(scored("a"), schema_version=np.array(3))
    results = dataclasses.replace(read_results(path), predictions_sha256=digest)
    with pytest.raises(BadResults, match="schema version 3 and this edgepose reads 2; upgrade edgepose"):
        load_predictions(path, results)


@pytest.mark.parametrize(
    "changes",
    [
        {"columns": None},
        {"schema_version": None},
        {"schema_version": np.array(1)},
        {"column_names": np.array(["a", "b"]), "columns": np.array([["x"] * 8])},
        {"column_names": np.array(["a"]), "columns": np.array([["x"] * 7])},
        {"column_names": np.array(["a"]), "columns": np.zeros((1, 8))},
        {"schema_version": np.array([2, 2])},
    ],
)
def test_columns_that_do_not_fit_are_refused(scored: Scored, changes: dict[str, np.ndarray | None]) -> None:
    path, digest = rewritten(scored("a"), **changes)
    results = dataclasses.replace(read_results(path), predictions_sha256=digest)
    with pytest.raises(BadResults, match=r"predictions\.npz"):
        load_predictions(path, results)


def test_unknown_columns_list_the_known_ones(scored: Scored) -> None:
    with_two = {"a": predictions(scored, setup=["x"] * 8, site=["y"] * 8)}
    distances = {"a": np.zeros((8, 19))}
    with pytest.raises(
        UnknownName, match=r"unknown column 'setpu'; did you mean 'setup'.* known: setup, site"
    ):
        grouped(with_two, distances, "a", "setpu", FACTS)
    with pytest.raises(BadResults, match=r"no column setup: .*videos\.csv"):
        grouped({"a": predictions(scored)}, distances, "a", "setup", FACTS)


def test_columns_of_too_many_values_are_refused(scored: Scored) -> None:
    many = predictions(scored, age=[str(i) for i in range(8)])
    assert len(grouped({"a": many}, {"a": np.zeros((8, 19))}, "a", "age", FACTS).groups) == 8
    wide = dataclasses.replace(many, columns={"age": np.array([str(i) for i in range(MOST_GROUPS + 1)])})
    with pytest.raises(BadResults, match=f"age has {MOST_GROUPS + 1} values"):
        grouped({"a": wide}, {"a": np.zeros((8, 19))}, "a", "age", FACTS)


def test_a_column_may_stand_in_one_row_only_but_must_not_differ(scored: Scored) -> None:
    one, other = predictions(scored, setup=["x"] * 8), predictions(scored)
    assert column({"a": other, "b": one}, "setup") == ["x"] * 8
    assert column({"a": other, "b": one}, "site") is None
    changed = predictions(scored, setup=["x"] * 7 + ["y"])
    with pytest.raises(BadResults, match="a and b differ in the column setup"):
        column({"a": one, "b": changed}, "setup")
