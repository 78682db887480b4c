"""What `make bench` and the demo put together from their parts."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("benchmarks", "docs"):
        monkeypatch.syspath_prepend(str(ROOT / folder))


def test_ratios_are_of_the_same_round_and_what_is_absent_is_named() -> None:
    import bench

    one = [{"frames_per_s": 40.0, "cpu_ms_per_frame": 10.0}, {"frames_per_s": 10.0, "cpu_ms_per_frame": 12.0}]
    two = [{"frames_per_s": 20.0, "cpu_ms_per_frame": 20.0}, {"frames_per_s": 5.0, "cpu_ms_per_frame": 24.0}]
    rows = list(bench._of_predict({"ours": one, "theirs": two}))
    assert [(row.what, row.value, row.ratio) for row in rows] == [
        ("ours", 25.0, 1.0),
        ("theirs", 12.5, 0.5),
        ("ours", 11.0, 1.0),
        ("theirs", 22.0, 2.0),
    ]
    table = bench._table(
        [rows[1], bench.Skipped("predict", "MediaPipe's own", "no --mediapipe")],
        {"processor": "P, 2 cores", "load_average": [1.0, 2.0]},
    )
    assert "| predict | theirs | 12.5 | frames/s | 0.50 |" in table
    assert "| predict | MediaPipe's own | skipped | no --mediapipe | |" in table and "P, 2 cores" in table


def test_peers_that_are_not_there_are_skipped(tmp_path: Path) -> None:
    from argparse import Namespace

    import bench

    found = list(bench._peers(Namespace(shared=tmp_path, work=tmp_path), "steps"))
    assert len(found) == len(bench._PEERS) and all(isinstance(each, bench.Skipped) for each in found)


def test_two_overlays_stand_beside_each_other(tmp_path: Path) -> None:
    import side_by_side

    paths = []
    for number, grey in enumerate((40, 200)):
        paths.append(tmp_path / f"{number}.mp4")
        with av.open(str(paths[-1]), "w") as container:
            stream = container.add_stream("libx264", rate=10)
            stream.height, stream.width, stream.pix_fmt = 64, 96, "yuv420p"
            for i in range(5):
                frame = av.VideoFrame.from_ndarray(np.full((64, 96, 3), grey, np.uint8), format="rgb24")
                frame.pts, frame.time_base = i, Fraction(1, 10)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
    side_by_side.put_beside(paths, ["full", "int8"], tmp_path / "beside.mp4")
    with av.open(str(tmp_path / "beside.mp4")) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == 5 and frames[0].shape == (64, 192, 3)
    assert abs(int(frames[0][40:, :90].mean()) - 40) < 6 and abs(int(frames[0][40:, 100:].mean()) - 200) < 6
    with Image.open(tmp_path / "beside.png") as picture:
        assert picture.size == (288, 128)
