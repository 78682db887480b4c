"""Intraclass correlation of two or more columns over the same targets: two-way model, single measures.

Source: McGraw & Wong 1996, Psychological Methods 1(1): Table 4 (coefficients), Table 7 (intervals).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Icc:
    """One coefficient with its 95 % confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class IccResult:
    """Agreement of k columns over n targets.

    Attributes:
        n: targets that were used. k: columns.
        a1: ICC(A,1), absolute agreement: a constant offset between the columns counts against it.
        c1: ICC(C,1), consistency: it does not.
        reason: why both are None, else None.
    """

    n: int
    k: int
    a1: Icc | None
    c1: Icc | None
    reason: str | None


@dataclass(frozen=True)
class _MeanSquares:
    """Two-way analysis of variance without replication, n rows (targets) by k columns."""

    n: int
    k: int
    rows: float
    columns: float
    error: float


def icc(ratings: np.ndarray) -> IccResult:
    """ICC(A,1) and ICC(C,1) of `ratings` (n targets, k columns).

    A target with a NaN in any column is left out, and `n` says how many remain. With fewer than 3
    targets, or where nothing varies at all, the coefficients are undefined: None, with a reason.

    Raises:
        ValueError: not (n, k) with k >= 2, or an infinite value.
    """
    table = np.asarray(ratings, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] < 2:
        raise ValueError(f"ratings must have shape (n, k) with k >= 2, not {table.shape}")
    if np.isinf(table).any():
        raise ValueError("ratings hold an infinite value: agreement with it has no meaning")
    table = table[~np.isnan(table).any(axis=1)]
    n, k = table.shape
    if n < 3:
        return IccResult(n, k, None, None, f"needs 3 targets or more, got {n}")
    squares = _mean_squares(table)
    if squares.rows == 0 and squares.error == 0:
        return IccResult(n, k, None, None, "no column varies over the targets")
    return IccResult(n, k, _absolute(squares), _consistency(squares), None)


def model_agreement(mean_errors: np.ndarray, spread: np.ndarray) -> IccResult:
    """ICC between a model's ME per keypoint and the human spread H per keypoint.

    Args:
        mean_errors: (K,) head lengths; a keypoint that is NaN (unlabelled) or infinite (a prediction is
            missing) is left out.
        spread: (K,) head lengths, NaN where nobody measured.

    Source: Groos et al. 2021, Table 3.
    """
    errors = np.asarray(mean_errors, dtype=np.float64)
    return icc(np.column_stack([np.where(np.isinf(errors), np.nan, errors), spread]))


def _mean_squares(table: np.ndarray) -> _MeanSquares:
    n, k = table.shape
    grand = table.mean()
    rows, columns = table.mean(axis=1) - grand, table.mean(axis=0) - grand
    residual = table - grand - rows[:, None] - columns
    # Averaging equal numbers leaves rounding behind; below it, a square is zero.
    floor = (1e-12 * np.abs(table).max()) ** 2
    squares = (
        k * np.sum(rows**2) / (n - 1),
        n * np.sum(columns**2) / (k - 1),
        np.sum(residual**2) / ((n - 1) * (k - 1)),
    )
    ms_rows, ms_columns, ms_error = (float(s) if s > floor else 0.0 for s in squares)
    return _MeanSquares(n, k, ms_rows, ms_columns, ms_error)


def _consistency(ms: _MeanSquares) -> Icc:
    """ICC(C,1), Table 7 case 2C/3C."""
    if ms.error == 0:
        return Icc(1.0, 1.0, 1.0)
    df_rows, df_error = ms.n - 1, (ms.n - 1) * (ms.k - 1)
    observed = ms.rows / ms.error
    low = observed / _f_quantile(df_rows, df_error)
    high = observed * _f_quantile(df_error, df_rows)
    return Icc(*((f - 1) / (f + ms.k - 1) for f in (observed, low, high)))


def _absolute(ms: _MeanSquares) -> Icc:
    """ICC(A,1), Table 7 case 2A/3A; the degrees of freedom are Satterthwaite's."""
    n, k = ms.n, ms.k
    value = (ms.rows - ms.error) / (ms.rows + (k - 1) * ms.error + k / n * (ms.columns - ms.error))
    if ms.error == 0 and ms.columns == 0:
        return Icc(1.0, 1.0, 1.0)
    a = k * value / (n * (1 - value))
    b = 1 + k * value * (n - 1) / (n * (1 - value))
    from_columns, from_error = a * ms.columns, b * ms.error
    df = (from_columns + from_error) ** 2 / (from_columns**2 / (k - 1) + from_error**2 / ((n - 1) * (k - 1)))
    below, above = _f_quantile(n - 1, df), _f_quantile(df, n - 1)
    spread = k * ms.columns + (k * n - k - n) * ms.error
    low = n * (ms.rows - below * ms.error) / (below * spread + n * ms.rows)
    high = n * (above * ms.rows - ms.error) / (spread + n * above * ms.rows)
    return Icc(value, low, high)


def _f_quantile(numerator_df: float, denominator_df: float) -> float:
    from scipy.stats import f  # takes a second to import, so only where an interval is wanted

    return float(f.ppf((1 + CONFIDENCE) / 2, numerator_df, denominator_df))
