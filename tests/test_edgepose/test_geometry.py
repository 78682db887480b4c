"""The pixel convention, the letterbox and the affines."""

import numpy as np
import pytest

from edgepose.geometry import Affine, letterbox

SIZES = [(480, 640), (640, 480), (1, 1), (224, 224), (37, 1000), (3000, 17)]


@pytest.mark.parametrize("size", SIZES)
def test_letterbox_maps_the_corners_to_the_content(size):
    box = letterbox(size, (224, 224))
    corners = np.array([[0.0, 0.0], [size[1], size[0]]])
    (left, top), (right, bottom) = box.to_canvas.apply(corners)
    assert (top, left) == pytest.approx(box.offset)
    assert (bottom - top, right - left) == pytest.approx(box.content)
    assert max(box.content) == 224 and min(box.content) >= 1


@pytest.mark.parametrize("size", SIZES)
def test_letterbox_round_trip_is_tight(size):
    rng = np.random.default_rng(1)
    box = letterbox(size, (224, 224), (-3.5, 2.25, 61.0, 90.125))
    points = rng.uniform(-50, 700, (100, 2))
    assert np.abs(box.to_image.apply(box.to_canvas.apply(points)) - points).max() < 1e-9


def test_letterbox_content_is_rounded_to_the_nearest_pixel():
    assert letterbox((100, 149), (64, 64)).content == (43, 64)  # 42.95
    assert letterbox((151, 100), (64, 64)).content == (64, 42)  # 42.38
    assert letterbox((1, 1000), (64, 64)).content == (1, 64)  # never nothing


def test_letterbox_content_is_centred_and_the_rest_is_zero():
    canvas = letterbox((100, 200), (64, 64)).draw(np.full((100, 200, 3), 255, np.uint8))
    assert (canvas[16:48] == 255).all()
    assert not canvas[:16].any() and not canvas[48:].any()


def test_a_pixels_centre_lands_where_the_affine_says():
    """A white pixel's centre of mass is where `to_canvas` sends its centre, wherever the crop lies."""
    image = np.zeros((120, 160, 3), np.uint8)
    image[70, 30] = 255
    for box in [None, (10.0, 50.0, 60.0, 90.0), (-40.25, 40.5, 65.75, 133.0)]:
        fit = letterbox((120, 160), (256, 256), box)
        canvas = fit.draw(image)[..., 0].astype(float)
        ys, xs = np.mgrid[:256, :256] + 0.5
        found = np.array([(canvas * xs).sum(), (canvas * ys).sum()]) / canvas.sum()
        assert found == pytest.approx(fit.to_canvas.apply(np.array([30.5, 70.5])), abs=0.1)  # 8-bit rounding


def test_a_box_outside_the_image_is_black():
    assert (
        not letterbox((50, 50), (32, 32), (60.0, 60.0, 90.0, 90.0)).draw(np.ones((50, 50, 3), np.uint8)).any()
    )


def test_shrinking_does_not_alias():
    stripes = np.zeros((512, 512, 3), np.uint8)
    stripes[:, ::2] = 255
    canvas = letterbox((512, 512), (64, 64)).draw(stripes)
    assert abs(int(canvas[..., 0].min()) - 127) <= 6 and abs(int(canvas[..., 0].max()) - 127) <= 6


def test_an_empty_box_is_refused():
    with pytest.raises(ValueError, match="empty box"):
        letterbox((10, 10), (8, 8), (5.0, 5.0, 5.0, 9.0))


def test_affines_compose_in_reading_order():
    turn = Affine.rotation(90, (10.0, 10.0))
    assert turn.apply(np.array([20.0, 10.0])) == pytest.approx([10.0, 20.0])  # clockwise on screen
    both = Affine.translation(1, 0).then(Affine.scaling(2, 3))
    assert both.apply(np.array([1.0, 1.0])) == pytest.approx([4.0, 3.0])
    assert Affine.mirror(100).apply(np.array([0.0, 5.0])) == pytest.approx([100.0, 5.0])
    chain = turn.then(both).then(Affine.mirror(64))
    assert chain.then(chain.inverse()).matrix == pytest.approx(Affine.identity().matrix)


def test_missing_points_stay_missing():
    assert np.isnan(Affine.rotation(30, (1, 2)).apply(np.array([[np.nan, np.nan]]))).all()
