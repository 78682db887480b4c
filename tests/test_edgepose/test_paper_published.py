"""The paper's tables: what we hold of them is what was printed, and our arithmetic gives the same figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgepose import published
from edgepose.data.human_spread import IN_MOTION_HUMAN
from edgepose.evaluation.agreement import model_agreement
from edgepose.evaluation.metrics import mean_error, pckh_at_human
from edgepose.keypoints import IN_MOTION_19
from edgepose.published import TABLE_1

H = np.array(IN_MOTION_HUMAN.h)
_KEYS = ("pckh@1.0", "pckh@0.5", "pckh@0.3", "pckh@0.2", "pckh@0.1", "me")


@pytest.fixture(scope="module")
def printed(shared: Path) -> dict[str, Any]:
    return json.loads((shared / "reference" / "groos2021.json").read_text(encoding="utf-8"))


def rows(table: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["model"].replace("_", "-"): row for row in table["rows"]}


class TestAsPrinted:
    @pytest.mark.parametrize(
        ("ours", "theirs"),
        [
            (published.TABLE_5, "table5_batch_size_4"),
            (published.TABLE_6, "table6_mini_rgbd_transfer"),
        ],
    )
    def test_scores(
        self, printed: dict[str, Any], ours: dict[str, published.PublishedScores], theirs: str
    ) -> None:
        found = {key: dict(row.values) for key, row in ours.items()}
        assert found == {m: {k: row[k] for k in _KEYS} for m, row in rows(printed[theirs]).items()}

    def test_table_1_beside_the_networks(self, printed: dict[str, Any]) -> None:
        theirs = rows(printed["table1_in_motion_poses_test"])
        assert {m: r["latency_ms"] for m, r in theirs.items()} == published.TABLE_1_LATENCY_MS
        library = theirs[published.LIBRARY]
        assert dict(published.TABLE_1_LIBRARY.values) == {k: library[k] for k in _KEYS}

    def test_table_2(self, printed: dict[str, Any]) -> None:
        theirs = printed["table2_pckh_at_human95"]["rows"]
        assert tuple(theirs) == published.TABLE_2_NETWORKS
        assert list(published.TABLE_2) == [k["name"] for k in printed["keypoints"]] + ["all"]
        assert np.array_equal(np.array(list(published.TABLE_2.values())).T, np.array(list(theirs.values())))

    def test_table_3(self, printed: dict[str, Any]) -> None:
        theirs = printed["table3_icc_with_inter_rater_spread"]
        ours = {m: {"A1": list(r.a1), "C1": list(r.c1)} for m, r in published.TABLE_3.items()}
        assert ours == theirs


class TestTable2:
    """'All body parts' is the mean over keypoints."""

    def test_inter_rater_spread(self) -> None:
        assert round(IN_MOTION_HUMAN.h_all, 4) == 0.0534
        assert round(IN_MOTION_HUMAN.h95_all, 4) == 0.1161

    @pytest.mark.parametrize("network", published.TABLE_2_NETWORKS)
    def test_all_body_parts(self, network: str) -> None:
        column = published.table_2(network)
        mean = np.mean([column[name] for name in IN_MOTION_19.names])
        assert column["all"] == pytest.approx(mean, abs=0.006)

    def test_the_misprint_repeats_the_head_top(self) -> None:
        network, wrong, mean = published.TABLE_2_MISPRINT
        column = published.TABLE_2_NETWORKS.index(network)
        assert wrong == published.TABLE_2["all"][column] == published.TABLE_2["head_top"][column]
        assert published.table_2(network)["all"] == mean != wrong

    @pytest.mark.parametrize("network", published.TABLE_2_NETWORKS)
    def test_shares_of_distances_give_the_column_back(self, network: str) -> None:
        """10,000 images whose distances pass each keypoint's own H^0.95 as often as the paper's did."""
        column = published.table_2(network)
        h95 = np.array(IN_MOTION_HUMAN.h95)
        share = np.array([column[name] for name in IN_MOTION_19.names]) / 100
        rank = (np.arange(10_000) + 0.5)[:, None] / 10_000
        # On the threshold counts as within it.
        found = pckh_at_human(np.where(rank < share, h95, np.nextafter(h95, 1)), h95)
        np.testing.assert_allclose(found.per_keypoint, share, atol=1e-9)
        assert 100 * found.overall == pytest.approx(column["all"], abs=0.006)


def mean_errors(network: str) -> np.ndarray:
    """An ME vector with Table 1's mean whose agreement with H has Table 3's two coefficients.

    Coefficients and the offset between the columns fix all three mean squares of the analysis of variance,
    and those, with H, the variance of ME - H and its covariance with H: one vector of many is built.

    Source: McGraw & Wong 1996, Table 4.
    """
    row, n = published.TABLE_3[network], len(H)
    a, c, offset = row.a1[0], row.c1[0], TABLE_1[network].me - H.mean()
    columns = n / 2 * offset**2
    gap = 2 / n * columns / ((1 / a - 1 / c) + (1 / c - 1) / n)
    error = gap * (1 / c - 1) / 2
    x = H - H.mean()
    variance = x @ x / (n - 1)
    slope = ((gap + error) / 2 - variance - error / 2) / variance
    rest = 2 * error - slope**2 * variance
    assert rest >= 0, "the tables contradict each other"
    noise = np.cos(2.1 * np.arange(n))
    noise -= noise.mean()
    noise -= x * (noise @ x) / (x @ x)
    return H + offset + slope * x + noise * np.sqrt(rest * (n - 1) / (noise @ noise))


class TestTable3:
    # OpenPose's ICC(A,1) is printed as 0.00, from which no vector can be built.
    @pytest.mark.parametrize("network", ["cima", "iii", "b4"])
    def test_from_me_and_h_to_both_coefficients_and_their_intervals(self, network: str) -> None:
        errors, wanted = mean_errors(network), published.TABLE_3[network]
        assert (errors > 0).all()
        assert mean_error(np.tile(errors, (7, 1))).overall == pytest.approx(TABLE_1[network].me)
        found = model_agreement(errors, H)
        assert (found.n, found.k) == (19, 2)
        assert found.a1 and found.c1
        assert (found.a1.value, found.c1.value) == pytest.approx((wanted.a1[0], wanted.c1[0]))
        # The coefficients are printed to 0.01, which leaves their intervals as much room.
        assert (found.a1.low, found.a1.high) == pytest.approx(wanted.a1[1:], abs=0.012)
        assert (found.c1.low, found.c1.high) == pytest.approx(wanted.c1[1:], abs=0.012)

    def test_the_interval_of_consistency_hangs_on_the_coefficient_alone(self) -> None:
        x = H - H.mean()
        noise = np.cos(2.1 * np.arange(19))
        noise -= noise.mean()
        noise -= x * (noise @ x) / (x @ x)
        # Noise without correlation to H: C1 = 2 var(H) / (2 var(H) + var(noise)), here OpenPose's.
        ratio = 2 * (1 - 0.02) / 0.02 * (x @ x) / (noise @ noise)
        found = model_agreement(H + 0.0553 + noise * np.sqrt(ratio), H)
        assert found.c1
        assert found.c1.value == pytest.approx(0.02, abs=0.002)
        assert (found.c1.low, found.c1.high) == pytest.approx(published.TABLE_3["openpose"].c1[1:], abs=0.006)

    def test_the_same_vector_agrees_wholly(self) -> None:
        found = model_agreement(H, H)
        assert found.a1 and found.c1
        assert found.a1.value == found.c1.value == 1

    def test_an_offset_costs_agreement_and_no_consistency(self) -> None:
        found = model_agreement(H + 0.05, H)
        assert found.a1 and found.c1
        assert found.c1.value == 1 and found.a1.value < 0.2
