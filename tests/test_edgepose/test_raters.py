"""Raters' files, and the spread of their points."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from edgeio import UnknownName
from edgepose.errors import BadDataset
from edgepose.evaluation.raters import Outlier, RaterSet, rater_report, read_raters, spread
from edgepose.keypoints import COCO_17, IN_MOTION_19

HEADER = "image,rater,keypoint,x,y\n"
NECK, TOP, NOSE = (IN_MOTION_19.index(n) for n in ("upper_neck", "head_top", "nose"))


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "raters.csv"
    path.write_text(text, encoding="utf-8")
    return path


def rater_set(n_raters: int, n_images: int = 1, head: float = 10.0) -> RaterSet:
    """Raters who agree on a head segment `head` px long, and on everything at the origin."""
    points = np.zeros((n_raters, n_images, 19, 2))
    points[:, :, TOP, 0] = head
    raters = tuple(f"r{i}" for i in range(n_raters))
    images = tuple(f"i{i}.png" for i in range(n_images))
    return RaterSet(raters, images, IN_MOTION_19, points, "raters.csv")


class TestReading:
    def test_order_gaps_and_columns(self, tmp_path: Path) -> None:
        text = "\ufeffrater, image,x,y,keypoint\nbo,b.png,1,2,nose\n"
        text += "al,b.png,3,4.5,nose\n\nal,a.png,-1,1e2,head_top\n"
        found = read_raters(write(tmp_path, text), IN_MOTION_19)
        assert (found.raters, found.images, found.source) == (("bo", "al"), ("b.png", "a.png"), "raters.csv")
        assert found.points_px.shape == (2, 2, 19, 2)
        assert found.points_px[0, 0, NOSE].tolist() == [1, 2]
        assert found.points_px[1, 0, NOSE].tolist() == [3, 4.5]
        assert found.points_px[1, 1, TOP].tolist() == [-1, 100]
        assert np.isnan(found.points_px).sum() == 2 * (2 * 2 * 19 - 3)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "has the columns none"),
            ("image,rater,keypoint,x\n", "has the columns image,rater,keypoint,x; give"),
            ("image,rater,keypoint,x,y,z\n", "has the columns"),
            ("image,rater,keypoint,x,x\n", "has the columns"),
            (HEADER, r"has 0 rater\(s\)"),
            (HEADER + "a,al,nose,1,2\n", r"has 1 rater\(s\)"),
            (
                HEADER + "a,al,nose,1,2\na,bo,nose,1,2\na,al,nose,1,3\n",
                "line 4: al marks nose of a a second time",
            ),
            (HEADER + "a,al,nose,nan,2\n", "line 2: x is 'nan', not a number"),
            (HEADER + "a,al,nose,1,inf\n", "line 2: y is 'inf'"),
            (HEADER + "a,al,nose,1,two\n", "line 2: y is 'two'"),
            (HEADER + "a,al,nose,,2\n", "line 2 has no x"),
            (HEADER + ",al,nose,1,2\n", "line 2 has no image"),
            (HEADER + "a, ,nose,1,2\n", "line 2 has no rater"),
            (HEADER + "a,al,nose,1\n", "line 2 has no y"),
            (HEADER + "a,al,nose,1,2,3\n", "line 2 has more cells than columns"),
            (HEADER + 'a,al,nose,"1,2\n', "is not CSV text"),
        ],
    )
    def test_bad_files(self, tmp_path: Path, text: str, message: str) -> None:
        with pytest.raises(BadDataset, match=message) as error:
            read_raters(write(tmp_path, text), IN_MOTION_19)
        assert "raters.csv" in str(error.value)
        assert "\n" not in str(error.value)

    def test_unknown_keypoint_lists_the_known(self, tmp_path: Path) -> None:
        with pytest.raises(UnknownName, match=r"raters\.csv line 2 'left_hip'") as error:
            read_raters(write(tmp_path, HEADER + "a,al,left_hip,1,2\n"), IN_MOTION_19)
        assert "left_pelvis" in str(error.value)

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
    def test_as_a_european_spreadsheet_writes_it(self, tmp_path: Path, encoding: str) -> None:
        rows = [("image", "rater", "keypoint", "x", "y"), ("a", "Zoe\u0301", "nose", "1,5", "2,25")]
        rows += [("a", "Zo\u00e9", "upper_neck", "3", "4,5"), ("a", "b", "nose", "1", "2")]
        text = "\r\n".join(";".join(row) + ";;" for row in rows) + "\r\n;;;;;;\r\n"
        (tmp_path / "r.csv").write_bytes(text.encode(encoding))
        found = read_raters(tmp_path / "r.csv", IN_MOTION_19)
        assert found.raters == ("Zo\u00e9", "b")
        nose = IN_MOTION_19.index("nose")
        np.testing.assert_array_equal(found.points_px[:, 0, nose], [[1.5, 2.25], [1, 2]])

    def test_not_a_file_of_text(self, tmp_path: Path) -> None:
        with pytest.raises(BadDataset, match="does not exist"):
            read_raters(tmp_path / "none.csv", IN_MOTION_19)
        with pytest.raises(BadDataset, match="is a folder"):
            read_raters(tmp_path, IN_MOTION_19)
        binary = tmp_path / "raters.csv"
        binary.write_bytes(b"\x80\xfe\x00image")
        with pytest.raises(BadDataset, match="not CSV text in UTF-8"):
            read_raters(binary, IN_MOTION_19)


class TestSpread:
    def test_from_file_by_hand(self, tmp_path: Path) -> None:
        """Two raters, 6 px apart at the nose of a 10 px head: each 0.3 from the mean."""
        rows = [f"a,{r},head_top,10,0\na,{r},upper_neck,0,0\n" for r in ("al", "bo")]
        text = HEADER + "".join(rows) + "a,al,nose,0,0\na,bo,nose,6,0\n"
        found = spread(read_raters(write(tmp_path, text), IN_MOTION_19))
        assert found.names == ("head_top", "nose", "upper_neck")
        assert found.h == pytest.approx((0, 0.3, 0))
        assert found.h95 == pytest.approx((0, 0.3, 0))
        assert found.h_all == pytest.approx(0.1)
        assert found.source == "raters.csv: 2 raters, 1 image"

    def test_mean_and_percentile_pool_raters_and_images(self) -> None:
        raters = rater_set(3, n_images=2)
        raters.points_px[:, 0, NOSE, 0] = (0, 3, 9)  # mean 4: distances 4, 1, 5 px of 10
        raters.points_px[:, 1, NOSE, 1] = (0, 0, 3)  # mean 1: distances 1, 1, 2
        found = rater_report(raters)
        distances = [0.4, 0.1, 0.5, 0.1, 0.1, 0.2]
        assert found.human.h[NOSE] == pytest.approx(np.mean(distances))
        # Sorted, 0.95 x 5 = 4.75 lies three quarters of the way from 0.4 to 0.5.
        assert found.human.h95[NOSE] == pytest.approx(0.475)
        assert found.n[NOSE] == 6

    def test_head_length_is_that_of_the_mean_annotation(self) -> None:
        raters = rater_set(2)
        raters.points_px[:, 0, TOP, 0] = (8, 32)  # mean 20
        raters.points_px[:, 0, NOSE, 1] = (0, 8)
        assert rater_report(raters).human.h[NOSE] == pytest.approx(0.2)

    def test_recovers_a_known_spread(self) -> None:
        """Gaussian points: |point - mean| is Rayleigh with sigma sqrt(1 - 1/R)."""
        raters = rater_set(10, n_images=400)
        noise = np.random.default_rng(0).normal(0, 0.5, size=(10, 400, 2))
        raters.points_px[:, :, NOSE] += noise
        human = rater_report(raters).human
        sigma = 0.05 * math.sqrt(0.9)
        assert human.h[NOSE] == pytest.approx(sigma * math.sqrt(math.pi / 2), rel=0.03)
        assert human.h95[NOSE] == pytest.approx(sigma * math.sqrt(2 * math.log(20)), rel=0.03)

    def test_scale_of_the_image_does_not_matter(self) -> None:
        small, large = rater_set(4, n_images=5), rater_set(4, n_images=5)
        noise = np.random.default_rng(1).normal(size=small.points_px.shape)
        small.points_px[...] += noise
        large.points_px[...] = 7 * small.points_px
        np.testing.assert_allclose(spread(small).h, spread(large).h)

    def test_bias_shows_who_leans_which_way(self) -> None:
        raters = rater_set(3, n_images=4)
        raters.points_px[0, :, NOSE] += (3, -6)
        raters.points_px[1, 2, NOSE] = math.nan
        bias = rater_report(raters).bias
        # Three raters: 2/3 of the offset; two (image 2): half of it.
        np.testing.assert_allclose(bias[0, NOSE], (3 * 0.2 + 0.15) / 4 * np.array([1, -2]))
        np.testing.assert_allclose(bias[1, NOSE], [-0.1, 0.2])
        np.testing.assert_allclose(bias[:, NECK], 0)

    def test_bias_of_a_rater_without_points_is_nan(self) -> None:
        raters = rater_set(3)
        raters.points_px[2, :, NOSE] = math.nan
        assert np.isnan(rater_report(raters).bias[2, NOSE]).all()

    def test_outlier_is_the_one_who_slipped_only(self) -> None:
        raters = rater_set(3, n_images=2)
        raters.points_px[1, 1, NOSE, 0] = 60
        raters.points_px[2, 0, NOSE, 1] = -7
        found = rater_report(raters)
        assert found.outliers == (
            Outlier("i1.png", "r1", "nose", 6.0),
            Outlier("i0.png", "r2", "nose", 0.7),
        )

    def test_no_outlier_at_exactly_half_a_head(self) -> None:
        raters = rater_set(3)
        raters.points_px[1, 0, NOSE, 0] = 5
        assert rater_report(raters).outliers == ()

    def test_a_lone_point_says_nothing_of_spread(self) -> None:
        raters = rater_set(2, n_images=2)
        raters.points_px[:, 0, NOSE, 0] = (0, 6)
        raters.points_px[1, 1, NOSE] = math.nan
        found = rater_report(raters)
        assert found.human.h[NOSE] == pytest.approx(
            0.3
        )  # as a distance of 0, the lone point would make it 0.2
        assert found.n[NOSE] == 2
        assert found.points_alone == 1

    @pytest.mark.parametrize("top", [0.0, math.nan])
    def test_images_without_a_head_are_left_out_and_named(self, top: float) -> None:
        raters = rater_set(2, n_images=2)
        raters.points_px[:, 1, TOP, 0] = top
        raters.points_px[:, 1, TOP, 1] = top
        raters.points_px[0, 1, NOSE] = 99
        found = rater_report(raters)
        assert found.images_left_out == ("i1.png",)
        assert found.human.h[NOSE] == 0
        assert "1 image (1 left out for want of a head length)" in found.human.source

    def test_no_head_anywhere_is_an_error(self) -> None:
        with pytest.raises(BadDataset, match="no image has a head length"):
            spread(rater_set(2, head=0.0))

    def test_a_set_without_a_head_segment_is_an_error(self) -> None:
        raters = RaterSet(("a", "b"), ("i",), COCO_17, np.zeros((2, 1, 17, 2)), "raters.csv")
        with pytest.raises(BadDataset, match="coco-17"):
            spread(raters)

    def test_raters_who_never_meet_are_an_error(self) -> None:
        raters = rater_set(2, n_images=2)
        raters.points_px[0, 0] = math.nan
        raters.points_px[1, 1] = math.nan
        with pytest.raises(BadDataset, match=r"raters\.csv: no keypoint .* marked by two raters"):
            spread(raters)

    def test_points_are_not_written_to(self) -> None:
        raters = rater_set(3, n_images=2)
        raters.points_px.setflags(write=False)
        rater_report(raters)
