"""Good, jitter, inversion and miss: one body, worked out by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from edgepose.errors import EdgeposeError
from edgepose.evaluation.metrics import normalised_distances, pckh
from edgepose.evaluation.taxonomy import CLASSES, UNSCORED, taxonomy
from edgepose.keypoints import LSP_14, KeypointSet

ARM = KeypointSet("arm", ("nose", "left_wrist", "right_wrist"), (("nose", "left_wrist"),), None)
# Head length 10: the keypoints are 5 heads apart or more.
BODY = np.array([[0.0, 0.0], [50.0, 0.0], [0.0, 50.0]])
LEFT = 1


def sort(point: tuple[float, float], annotated: np.ndarray = BODY) -> tuple[str, bool]:
    """The class of a left wrist predicted at `point`, and whether it swaps sides."""
    predicted = BODY.copy()
    predicted[LEFT] = point
    found = taxonomy(predicted[None], annotated[None], np.array([10.0]), ARM, allow_missing=True)
    code = found.codes[0, LEFT]
    return ("unscored" if code == UNSCORED else CLASSES[code]), bool(found.left_right[0, LEFT])


@pytest.mark.parametrize(
    ("point", "kind", "left_right"),
    [
        ((50, 0), "good", False),
        ((52, 0), "good", False),  # exactly 0.2
        ((52.001, 0), "jitter", False),
        ((50, 5), "jitter", False),  # exactly 0.5
        ((50, 5.001), "miss", False),
        ((0, 55), "inversion", True),  # exactly 0.5 from the right wrist
        ((0, 55.001), "miss", False),
        ((3, 4), "inversion", False),  # 0.5 from the nose
        ((200, 200), "miss", False),
        ((math.nan, 0), "miss", False),
    ],
)
def test_by_hand(point: tuple[float, float], kind: str, left_right: bool) -> None:
    assert sort(point) == (kind, left_right)


def test_its_own_place_comes_before_anothers() -> None:
    """Keypoints closer than a head: near both, a prediction is no inversion."""
    close = BODY.copy()
    close[2] = (56, 0)  # the right wrist, 0.6 heads from the left
    assert sort((53, 0), close) == ("jitter", False)
    assert sort((56, 0), close) == ("inversion", True)


def test_only_annotated_keypoints_can_be_inverted_with() -> None:
    half = BODY.copy()
    half[2] = math.nan
    assert sort((0, 50), half) == ("miss", False)
    unlabelled = BODY.copy()
    unlabelled[LEFT] = math.nan
    assert sort((0, 50), unlabelled) == ("unscored", False)


def test_a_central_keypoint_is_not_its_own_other_side() -> None:
    predicted = BODY.copy()
    predicted[0] = (30, 30)
    found = taxonomy(predicted[None], BODY[None], np.array([10.0]), ARM)
    assert CLASSES[found.codes[0, 0]] == "miss"
    assert not found.left_right.any()


def test_swapped_sides_are_all_left_right() -> None:
    predicted = BODY[[0, 2, 1]]
    found = taxonomy(predicted[None], BODY[None], np.array([10.0]), ARM)
    assert found.codes[0].tolist() == [0, 2, 2]
    assert found.left_right[0].tolist() == [False, True, True]
    assert found.to_dict()["overall"] == pytest.approx(
        {"good": 1 / 3, "jitter": 0, "inversion": 2 / 3, "miss": 0, "inversion_left_right": 2 / 3}
    )


def crowd(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predictions of every kind, with gaps, a left-out image and missing predictions."""
    rng = np.random.default_rng(seed)
    annotated = rng.uniform(0, 60, size=(200, 14, 2))
    predicted = annotated + rng.normal(0, 1, size=annotated.shape) * rng.choice([1, 3, 20], size=(200, 14, 1))
    swapped = rng.random(200) < 0.2
    predicted[swapped] = predicted[swapped][:, list(LSP_14.swaps)]
    annotated[rng.random((200, 14)) < 0.1] = math.nan
    annotated[:, 3] = math.nan
    predicted[5, 2] = math.nan
    length = rng.uniform(6, 12, size=200)
    length[7] = math.nan
    return predicted, annotated, length


def test_shares_sum_to_1_and_tie_in_with_pckh() -> None:
    predicted, annotated, length = crowd()
    found = taxonomy(predicted, annotated, length, LSP_14, allow_missing=True)
    d = normalised_distances(predicted, annotated, length, allow_missing=True)
    labelled = found.n > 0
    assert labelled.tolist() == [k != 3 for k in range(14)]
    np.testing.assert_allclose(found.shares[labelled].sum(axis=1), 1.0)
    assert np.isnan(found.shares[3]).all()
    assert found.overall.sum() == pytest.approx(1.0)
    assert (found.overall > 0.02).all()  # every kind occurs, or the test shows nothing
    np.testing.assert_allclose(found.shares[:, 0], pckh(d, 0.2).per_keypoint)
    np.testing.assert_allclose(found.shares[:, :2].sum(axis=1), pckh(d, 0.5).per_keypoint)
    assert found.overall[0] == pytest.approx(pckh(d, 0.2).overall)
    np.testing.assert_array_equal(found.n, (~np.isnan(d)).sum(axis=0))


def test_left_right_is_a_part_of_inversion() -> None:
    found = taxonomy(*crowd(1), LSP_14, allow_missing=True)
    assert found.left_right.any()
    assert (found.codes[found.left_right] == CLASSES.index("inversion")).all()
    assert found.left_right.sum() < (found.codes == CLASSES.index("inversion")).sum()


def test_left_out_image_is_not_scored() -> None:
    found = taxonomy(*crowd(), LSP_14, allow_missing=True)
    assert (found.codes[7] == UNSCORED).all()


def test_plain_values_survive_strict_json() -> None:
    plain = taxonomy(*crowd(), LSP_14, allow_missing=True).to_dict()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert set(plain["per_keypoint"]["left_hip"].values()) == {None}
    assert list(plain["overall"]) == [*CLASSES, "inversion_left_right"]


def test_nothing_scored() -> None:
    plain = taxonomy(np.zeros((1, 3, 2)), np.full((1, 3, 2), math.nan), np.ones(1), ARM).to_dict()
    assert set(plain["overall"].values()) == {None}


def test_missing_predictions_are_refused_unless_allowed() -> None:
    with pytest.raises(EdgeposeError, match="not finite"):
        taxonomy(*crowd(), LSP_14)


def test_keypoints_must_fit_the_set() -> None:
    with pytest.raises(ValueError, match="3 keypoints given, lsp-14 has 14"):
        taxonomy(BODY[None], BODY[None], np.ones(1), LSP_14)


def test_arguments_are_not_written_to() -> None:
    arguments = crowd()
    for array in arguments:
        array.setflags(write=False)
    taxonomy(*arguments, LSP_14, allow_missing=True)
