"""Which way up an infant lies: found on a disc with a dim side, which is surest when that side is down."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from blob_videos import BlobFinder, disc, truth, write_video

from edgepose.errors import UsageError
from edgepose.geometry import quarter_turn
from edgepose.inference.estimator import Clock, Estimator
from edgepose.inference.finding import find, find_turn
from edgepose.tracking.predict import PredictSettings, predict_array, predict_source
from edgepose.tracking.sources import find_sources
from edgepose.tracking.tracking import AUTO, Crop, parse_turn

SIZE, DISC = (240, 320), (150.0, 110.0, 30.0)


class UprightFinder(BlobFinder):
    """Half as sure of a disc whose bright spot is not above its middle."""

    def run(self, inputs: np.ndarray) -> np.ndarray:
        maps = super().run(inputs)
        canvas = (inputs[0] - self.spec.normalisation.offset) / self.spec.normalisation.scale
        rows, columns = np.nonzero(canvas[..., 2] > 245)
        body_rows, body_columns = np.nonzero(canvas[..., 0] > 125)
        if not len(rows) or not len(body_rows):
            return maps
        up = body_rows.mean() - rows.mean()
        return maps if up > abs(body_columns.mean() - columns.mean()) else 0.5 * maps


def picture(turns: int = 0, spot: bool = True) -> np.ndarray:
    """A disc with a spot above its middle, turned clockwise."""
    image = disc(SIZE, [DISC])
    if spot:
        x, y, radius = DISC
        image[int(y - 0.7 * radius) : int(y - 0.3 * radius), int(x - 5) : int(x + 5)] = 255
    return np.ascontiguousarray(np.rot90(image, -turns))


@pytest.mark.parametrize("turns", range(4))
def test_the_turn_is_found_and_points_come_back_to_the_picture(turns: int) -> None:
    estimator, image = Estimator(UprightFinder()), picture(turns)
    found = find_turn([estimator], [image, image], Clock())
    assert found.decided and found.quarters == (4 - turns) % 4
    pose, found = find(estimator, image, crop=True, quarters=None, clock=Clock())
    assert found is not None and found.quarters == (4 - turns) % 4
    wanted = quarter_turn(turns, SIZE).apply(truth(*DISC))
    assert not pose.whole and np.linalg.norm(pose.points_px - wanted, axis=1).max() < 1.5


def test_where_no_turn_is_surer_the_picture_is_taken_as_it_is() -> None:
    found = find_turn([Estimator(UprightFinder())], [picture(1, spot=False)], Clock())
    assert not found.decided and found.quarters == 0
    empty = find_turn([Estimator(UprightFinder())], [np.zeros((*SIZE, 3), np.uint8)], Clock())
    assert not empty.decided and empty.quarters == 0


@pytest.mark.parametrize("crop", ["none", AUTO])
def test_a_video_is_turned_once_and_every_frame_is_kept(tmp_path: Path, crop: str) -> None:
    path = write_video(tmp_path / "a.mp4", [picture(1)] * 9, options={"crf": "0"})
    source = find_sources([path]).found[0]
    runner = UprightFinder()
    made = predict_source(
        Estimator(runner), source, PredictSettings(Crop(crop), turn=None), lambda done, total: None
    )
    assert len(made.track) == 9 and [turn.quarters for turn in made.turns] == [3]
    wanted = quarter_turn(1, SIZE).apply(truth(*DISC))
    assert np.linalg.norm(made.track.raw_px - wanted, axis=-1).max() < 2
    assert not [w for w in made.warnings if w.kind == "turn-undecided"]


def test_an_undecided_turn_is_warned_of() -> None:
    made = predict_array(Estimator(UprightFinder()), picture(spot=False), PredictSettings(turn=None))
    assert [w.kind for w in made.warnings if w.kind == "turn-undecided"] == ["turn-undecided"]


def test_a_turn_that_is_given_is_not_looked_for() -> None:
    made = predict_array(Estimator(UprightFinder()), picture(2), PredictSettings(turn=2))
    assert not made.turns
    wanted = quarter_turn(2, SIZE).apply(truth(*DISC))
    assert np.linalg.norm(made.track.raw_px[0] - wanted, axis=-1).max() < 6


@pytest.mark.parametrize(("text", "turns"), [("auto", None), ("0", 0), ("90", 1), ("270", 3)])
def test_what_turn_takes(text: str, turns: int | None) -> None:
    assert parse_turn(text) == turns


@pytest.mark.parametrize("text", ["45", "left", "", "-90", "360"])
def test_no_other_angle_is_taken(text: str) -> None:
    with pytest.raises(UsageError, match="auto, 0, 90, 180, 270"):
        parse_turn(text)
