"""decode(encode(x)) within each decoder's declared error, borders included."""

import numpy as np
import pytest

from edgeio import UnknownName
from edgepose.codec import DECODERS, Codec

INPUT, MAP = (224, 224), (28, 28)


def everywhere(seed: int = 0) -> np.ndarray:
    """(1, K, 2) points in input pixels: interior, all four borders, corners, cell edges and centres."""
    rng = np.random.default_rng(seed)
    edge = rng.uniform(0, 224, 50)
    zero, full = np.zeros(50), np.full(50, 224.0)
    lattice = np.stack(np.meshgrid([0, 0.5, 4, 8, 12, 112, 220, 223.5, 224], [0, 4, 8, 112, 220, 224]), -1)
    sides = [np.stack(p, -1) for p in [(edge, zero), (edge, full), (zero, edge), (full, edge)]]
    return np.concatenate([rng.uniform(0, 224, (1000, 2)), *sides, lattice.reshape(-1, 2)])[None].astype(
        float
    )


@pytest.mark.parametrize("decoder", DECODERS.values(), ids=DECODERS)
def test_round_trip_within_the_declared_error(decoder):
    codec = Codec(INPUT, MAP, sigma=1.1, decoder=decoder.key)
    points = everywhere()
    maps, present = codec.encode(points)
    assert present.all()
    found, confidence = codec.decode(maps)
    error = np.abs(found - points)[0].max(-1) / 8
    interior = ((points[0] > 24) & (points[0] < 200)).all(-1)
    assert error[interior].max() <= decoder.error_cells
    assert error.max() <= decoder.border_error_cells
    assert error.max() > decoder.border_error_cells / 10, "the declared error is far too lax"
    assert (confidence > 0.6).all()


@pytest.mark.parametrize("sigma", [1.1, 1.5, 3.1])
def test_taylor_is_exact_at_every_sigma_of_the_schedule(sigma):
    codec = Codec(INPUT, MAP, sigma=sigma)
    points = everywhere(3)
    assert np.abs(codec.decode(codec.encode(points)[0])[0] - points).max() < 1e-4


def test_mean_errors_are_those_of_the_half_cell_trap():
    """The authors' integer centres cost 0.38 cell however well they are decoded."""
    points = np.random.default_rng(0).uniform(20, 204, (1, 2000, 2))

    def mean_error(centre, decoder):
        codec = Codec(INPUT, MAP, centre=centre, decoder=decoder)
        return np.linalg.norm(codec.decode(codec.encode(points)[0])[0] - points, axis=-1).mean() / 8

    assert mean_error("continuous", "argmax") == pytest.approx(0.3826, abs=0.01)
    for decoder in DECODERS:
        assert mean_error("integer", decoder) == pytest.approx(0.3826, abs=0.01)
    assert mean_error("continuous", "taylor") < 1e-4
    assert mean_error("continuous", "upsampled-argmax") < 0.15


def test_rectangular_maps_keep_x_and_y_apart():
    codec = Codec((256, 384), (32, 48))
    points = np.array([[[300.0, 40.0], [10.0, 250.0]]])
    maps, _ = codec.encode(points)
    assert maps.shape == (1, 32, 48, 2)
    assert codec.decode(maps)[0] == pytest.approx(points, abs=1e-2)
    up = Codec((256, 384), (32, 48), decoder="upsampled-argmax")
    assert up.decode(maps)[0] == pytest.approx(points, abs=2.0)


def test_absent_and_outside_points_have_empty_maps():
    maps, present = Codec(INPUT, MAP).encode(np.array([[[np.nan, np.nan], [-0.01, 5], [5, 224.01], [5, 5]]]))
    assert present.tolist() == [[False, False, False, True]]
    assert not maps[..., :3].any() and maps[..., 3].max() > 0.6


def test_decoding_never_leaves_the_input_nor_breaks_on_noise():
    rng = np.random.default_rng(0)
    for maps in [rng.normal(0, 1, (3, 28, 28, 5)), np.zeros((1, 28, 28, 2)), np.full((1, 28, 28, 2), -1.0)]:
        for decoder in DECODERS:
            before = maps.copy()
            found, _ = Codec(INPUT, MAP, decoder=decoder).decode(maps.astype(np.float32))
            assert np.isfinite(found).all() and (found >= 0).all() and (found <= 224).all()
            assert (maps == before).all()


def test_full_resolution_maps_are_decoded_too():
    codec = Codec(INPUT, INPUT, sigma=8.0, decoder="argmax")
    points = np.array([[[10.0, 200.25]]])
    assert np.abs(codec.decode(codec.encode(points)[0])[0] - points).max() <= 0.5


def test_pafs_point_along_the_segment_and_nowhere_else():
    codec = Codec(INPUT, MAP, sigma=2.0)
    points = np.array([[[44.0, 60.0], [180.0, 60.0], [180.0, 180.0], [np.nan, np.nan]]])
    fields, present = codec.encode_pafs(points, ((0, 1), (1, 2), (2, 3)))
    assert fields.shape == (1, 28, 28, 6) and present.tolist() == [[True, True, False]]
    inside = fields[0, :, :, 0] != 0
    assert (fields[0, :, :, 0][inside] == 1).all() and not fields[0, :, :, 1].any()
    rows, columns = np.nonzero(inside)
    assert set(rows) == {6, 7, 8}  # y = 7.5 cells and half-width 1: centres from 6.5 to 8.5
    assert columns.min() + 0.5 >= 5.5 and columns.max() + 0.5 <= 22.5
    assert fields[0, :, :, 3].max() == 1 and not fields[0, :, :, 4:].any()


def test_a_segment_of_no_length_has_no_field():
    fields, present = Codec(INPUT, MAP).encode_pafs(np.full((1, 2, 2), 50.0), ((0, 1),))
    assert not present.any() and not fields.any()


def test_unknown_names_list_the_known():
    with pytest.raises(UnknownName, match="argmax, soft-argmax, taylor, upsampled-argmax"):
        Codec(INPUT, MAP, decoder="dark")
    with pytest.raises(UnknownName, match="continuous, integer"):
        Codec(INPUT, MAP, centre="int")


def test_another_map_size_is_refused():
    with pytest.raises(ValueError, match="expected"):
        Codec(INPUT, MAP).decode(np.zeros((1, 14, 14, 3), np.float32))
