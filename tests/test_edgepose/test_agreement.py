"""ICC against published examples, an independent library, and Table 3's own arithmetic."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

from edgepose.evaluation.agreement import Icc, icc, model_agreement

# Shrout & Fleiss 1979, Table 2: 6 targets rated by 4 judges.
SHROUT_FLEISS = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], dtype=float
)


def triple(found: Icc | None) -> tuple[float, float, float]:
    assert found is not None
    return found.value, found.low, found.high


def test_shrout_and_fleiss() -> None:
    result = icc(SHROUT_FLEISS)
    assert (result.n, result.k, result.reason) == (6, 4, None)
    assert triple(result.a1) == pytest.approx((0.29, 0.02, 0.76), abs=0.005)
    assert triple(result.c1) == pytest.approx((0.71, 0.34, 0.95), abs=0.005)


def test_two_columns_by_hand() -> None:
    """Rows 1 3, 2 2, 6 10: mean squares 24 (rows), 6 (columns), 2 (error).

    Row means 2, 2, 8, grand mean 4, column means 3 and 5. Rows 2 (4 + 4 + 16) / 2 = 24. Columns
    3 (1 + 1) / 1 = 6. Residuals 0 0, 1 -1, -1 1: error 4 / 2 = 2. So C,1 = (24 - 2) / (24 + 2) and
    A,1 = (24 - 2) / (24 + 2 + 2 / 3 (6 - 2)).
    """
    result = icc(np.array([[1.0, 3.0], [2.0, 2.0], [6.0, 10.0]]))
    assert result.c1 is not None
    assert result.a1 is not None
    assert result.c1.value == pytest.approx(22 / 26)
    assert result.a1.value == pytest.approx(22 / (26 + 8 / 3))


@pytest.mark.parametrize(
    ("n", "k", "noise", "offset"), [(19, 2, 0.3, 0.5), (8, 3, 2.0, 0.0), (40, 5, 1.0, 3.0)]
)
def test_agrees_with_pingouin(
    n: int, k: int, noise: float, offset: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pandas as pd
    import pingouin

    monkeypatch.setitem(pingouin.options, "round.column.CI95", 12)  # it rounds to 2 decimals otherwise
    rng = np.random.default_rng(n)
    ratings = rng.normal(size=(n, 1)) + offset * np.arange(k) + noise * rng.normal(size=(n, k))
    table = pd.DataFrame(
        [(t, r, ratings[t, r]) for t, r in itertools.product(range(n), range(k))],
        columns=["target", "rater", "score"],
    )
    theirs = pingouin.intraclass_corr(table, targets="target", raters="rater", ratings="score")
    theirs = theirs.set_index("Type")
    ours = icc(ratings)
    for kind, found in (("ICC(A,1)", ours.a1), ("ICC(C,1)", ours.c1)):
        low, high = theirs.loc[kind, "CI95"]
        assert triple(found) == pytest.approx((theirs.loc[kind, "ICC"], low, high), abs=1e-9)


def ratings_with(rows: float, columns: float, error: float, n: int) -> np.ndarray:
    """An (n, 2) table with exactly these mean squares."""
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(np.column_stack([np.ones(n), rng.normal(size=(n, 2))]))[0]
    target = basis[:, 1] * np.sqrt(rows * (n - 1) / 2)
    residual = basis[:, 2] * np.sqrt(error * (n - 1) / 2)
    offset = np.sqrt(columns / (2 * n))
    return np.column_stack([target + residual + offset, target - residual - offset])


@pytest.mark.parametrize("model", ["cima", "iii", "b4"])
def test_table_3_hangs_together(shared, model: str) -> None:
    """With n = 19 and k = 2 both coefficients fix the mean squares up to scale, and so both intervals.

    The printed coefficients have two decimals; some pair within their rounding must give all four
    printed limits. (OpenPose's ICC(A,1) of 0.00 fixes nothing.)
    """
    paper = json.loads((shared / "reference" / "groos2021.json").read_text())
    row, n = paper["table3_icc_with_inter_rater_spread"][model], 19
    steps = np.linspace(-0.005, 0.005, 21)
    for c, a in itertools.product(row["C1"][0] + steps, row["A1"][0] + steps):
        rows = (1 + c) / (1 - c)  # with error = 1
        columns = ((rows - 1) / a - rows - 1) * n / 2 + 1
        result = icc(ratings_with(rows, columns, 1.0, n))
        assert triple(result.c1)[0] == pytest.approx(c)
        assert triple(result.a1)[0] == pytest.approx(a)
        limits = np.array([*triple(result.c1)[1:], *triple(result.a1)[1:]])
        if np.all(np.abs(limits - [*row["C1"][1:], *row["A1"][1:]]) <= 0.0051):
            return
    pytest.fail(f"no coefficients that round to {row} give its intervals")


def test_consistency_of_openpose_in_table_3(shared) -> None:
    paper = json.loads((shared / "reference" / "groos2021.json").read_text())
    printed = paper["table3_icc_with_inter_rater_spread"]["openpose"]["C1"]
    result = icc(ratings_with((1 + printed[0]) / (1 - printed[0]), 5.0, 1.0, 19))
    assert triple(result.c1) == pytest.approx(printed, abs=0.01)


def test_an_offset_hurts_agreement_and_not_consistency() -> None:
    x = np.linspace(0, 1, 10)
    noisy = x + 0.05 * np.sin(np.arange(10) * 7.0)
    near, far = icc(np.column_stack([x, noisy])), icc(np.column_stack([x, noisy + 2]))
    assert triple(near.c1) == pytest.approx(triple(far.c1))
    assert triple(far.a1)[0] < 0.1 < 0.9 < triple(near.a1)[0]


def test_equal_columns_agree_perfectly() -> None:
    x = np.array([0.1, 0.2, 0.4, 0.3])
    result = icc(np.column_stack([x, x]))
    assert triple(result.a1) == triple(result.c1) == (1.0, 1.0, 1.0)


def test_a_constant_offset_alone_is_perfect_consistency() -> None:
    x = np.array([0.1, 0.2, 0.4, 0.3])
    result = icc(np.column_stack([x, x + 0.1]))
    assert triple(result.c1) == pytest.approx((1.0, 1.0, 1.0))
    value, low, high = triple(result.a1)
    assert 0 < low < value < high <= 1


def test_scale_does_not_matter() -> None:
    assert triple(icc(SHROUT_FLEISS * 1e-9).a1) == pytest.approx(triple(icc(SHROUT_FLEISS).a1))


def test_nothing_varies() -> None:
    result = icc(np.full((5, 2), 0.1))
    assert (result.a1, result.c1) == (None, None)
    assert result.reason == "no column varies over the targets"
    assert icc(np.tile([0.1, 0.7], (5, 1))).a1 is None


def test_one_constant_column_is_no_agreement() -> None:
    result = icc(np.column_stack([np.full(6, 0.3), [0.1, 0.5, 0.2, 0.6, 0.1, 0.3]]))
    assert triple(result.c1)[0] == pytest.approx(0.0, abs=1e-12)


def test_too_few_targets() -> None:
    result = icc(np.array([[1.0, 2.0], [2.0, 3.0]]))
    assert (result.a1, result.c1, result.n) == (None, None, 2)
    assert result.reason == "needs 3 targets or more, got 2"


def test_incomplete_targets_are_left_out() -> None:
    with_gap = np.vstack([SHROUT_FLEISS, [np.nan, 1, 2, 3]])
    assert icc(with_gap) == icc(SHROUT_FLEISS)
    assert icc(np.full((4, 2), np.nan)).n == 0


def test_model_agreement_leaves_out_unknown_and_unbounded_keypoints() -> None:
    errors = np.array([0.1, 0.2, 0.15, np.nan, 0.3, np.inf])
    spread = np.array([0.05, 0.1, 0.06, 0.1, np.nan, 0.1])
    result = model_agreement(errors, spread)
    assert result.n == 3
    assert result == icc(np.column_stack([errors[:3], spread[:3]]))


@pytest.mark.parametrize("ratings", [np.zeros(4), np.zeros((4, 1)), np.array([[1.0, np.inf]] * 4)])
def test_wrong_arguments(ratings: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"shape|infinite"):
        icc(ratings)
