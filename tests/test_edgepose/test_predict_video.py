"""Video files as cameras, copies and accidents leave them."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import av
import numpy as np
import pytest
from blob_videos import disc, write_video

from edgepose.tracking.video import BadVideo, Frame, Video, fingerprint

H, W = 96, 160


def moving(count: int, size: tuple[int, int] = (H, W)) -> list[np.ndarray]:
    return [disc(size, [(30 + 3 * i, 40, 14)]) for i in range(count)]


def read(path: Path) -> tuple[list[Frame], Video]:
    with Video(path) as video:
        return list(video.frames()), video


def cornered() -> np.ndarray:
    """Red above left, green above right, blue below left."""
    image = np.zeros((H, W, 3), np.uint8)
    image[: H // 2, : W // 2, 0] = image[: H // 2, W // 2 :, 1] = image[H // 2 :, : W // 2, 2] = 250
    return image


def corners(image: np.ndarray) -> str:
    """The four corners' colours, row by row."""
    names = {(True, False, False): "r", (False, True, False): "g", (False, False, True): "b"}
    places = [image[y, x] for y in (8, -8) for x in (8, -8)]
    return "".join(names.get(tuple((p > 120).tolist()), "-") for p in places)


def test_frames_come_in_order_with_their_times(tmp_path: Path) -> None:
    frames, video = read(write_video(tmp_path / "a.mp4", moving(12)))
    assert [f.index for f in frames] == list(range(12))
    np.testing.assert_allclose([f.time_s for f in frames], np.arange(12) / 25, atol=1e-9)
    assert video.facts.codec == "h264" and video.facts.frames == 12 == video.expected_frames
    assert not video.skipped and not video.warnings
    for i, frame in enumerate(frames):
        assert frame.image.shape == (H, W, 3) and frame.image.dtype == np.uint8
        columns = np.nonzero(frame.image[40, :, 0] > 125)[0]
        assert abs(columns.mean() + 0.5 - (30 + 3 * i)) < 1


@pytest.mark.parametrize(("suffix", "codec"), [("mkv", "libx264"), ("mp4", "libx264"), ("avi", "mpeg4")])
def test_variable_rate_keeps_each_frames_own_time(tmp_path: Path, suffix: str, codec: str) -> None:
    pts = [0, 1, 2, 5, 6, 9, 10, 11]
    frames, _ = read(write_video(tmp_path / f"v.{suffix}", moving(8), pts=pts, codec=codec))
    np.testing.assert_allclose([f.time_s for f in frames], np.array(pts) / 25, atol=1e-3)


@pytest.mark.parametrize(("degrees", "seen"), [(0, "rgb-"), (90, "g-rb"), (-90, "br-g"), (180, "-bgr")])
def test_rotation_flags_are_honoured(tmp_path: Path, degrees: int, seen: str) -> None:
    """The flag turns the picture against the clock."""
    frames, _ = read(write_video(tmp_path / "r.mp4", [cornered()] * 2, rotation=degrees))
    assert corners(frames[0].image) == seen
    assert frames[0].image.shape[:2] == ((W, H) if degrees in (90, -90) else (H, W))


def patched_matrix(path: Path, matrix: tuple[int, int, int, int]) -> None:
    """Write a b c d of the track's display matrix, 16.16 each."""
    data, at = bytearray(path.read_bytes()), 0
    at = data.index(b"tkhd") + 4 + 40
    a, b, c, d = (value << 16 for value in matrix)
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("matrix", "seen"),
    [((-1, 0, 0, 1), "gr-b"), ((1, 0, 0, -1), "b-rg"), ((0, 1, 1, 0), "rbg-"), ((0, -1, -1, 0), "-gbr")],
)
def test_mirrored_videos_are_mirrored_back(tmp_path: Path, matrix: tuple[int, ...], seen: str) -> None:
    path = write_video(tmp_path / "m.mp4", [cornered()] * 2)
    patched_matrix(path, matrix)  # type: ignore[arg-type]
    frames, video = read(path)
    assert corners(frames[0].image) == seen and not video.warnings


def test_a_slanted_matrix_is_left_alone_and_said(tmp_path: Path) -> None:
    path = write_video(tmp_path / "s.mp4", [cornered()] * 2)
    patched_matrix(path, (1, 1, -1, 1))
    frames, video = read(path)
    assert corners(frames[0].image) == "rgb-" and "no quarter turn" in video.warnings[0]


def test_a_truncated_file_gives_what_it_has_and_lists_the_rest(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 255, (H, W, 3), np.uint8) for _ in range(20)]
    whole = write_video(tmp_path / "w.mp4", noise, options={"movflags": "faststart"})
    cut = tmp_path / "cut.mp4"
    data = whole.read_bytes()
    cut.write_bytes(data[: len(data) * 2 // 3])
    frames, video = read(cut)
    assert 0 < len(frames) < 20
    assert any("promises 20 frames" in entry.reason for entry in video.skipped)
    # Frames and what is listed make twenty: nothing goes missing in silence.
    came = int(next(e.reason for e in video.skipped if "promises" in e.reason).split(" and ")[1].split()[0])
    lost = sum(e.reason.startswith("damaged") for e in video.skipped)
    silent = sum(int(e.reason.split()[0]) for e in video.skipped if "gave no frame" in e.reason)
    corrupt = sum(e.frame is not None for e in video.skipped)
    assert len(frames) + corrupt + lost + silent == came


def test_a_matroska_cut_short_is_told_by_its_duration(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 255, (H, W, 3), np.uint8) for _ in range(40)]
    whole = write_video(tmp_path / "w.mkv", noise)
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    frames, video = read(cut)
    assert 0 < len(frames) < 40
    assert "promises 1.60 s" in video.skipped[-1].reason


def test_damaged_packets_are_listed_and_the_rest_goes_on(tmp_path: Path) -> None:
    path = write_video(tmp_path / "d.avi", moving(10), codec="mpeg4", options=None)
    with av.open(str(path)) as container:
        packets = [p for p in container.demux(video=0) if p.size]
        places = [(p.pos, p.size) for p in packets]
    data = bytearray(path.read_bytes())
    at, size = places[4]
    start = data.index(bytes(packets[4]), at - 16 if at else 0)
    data[start : start + size] = bytes(size)
    path.write_bytes(data)
    frames, video = read(path)
    assert len(frames) + len(video.skipped) >= 10 and len(frames) >= 8
    assert video.skipped, "the damage is listed"


def test_no_moment_twice(tmp_path: Path) -> None:
    """A frame whose time does not advance is left out and listed."""
    path = write_video(tmp_path / "a.mp4", moving(6))

    with Video(path) as video:
        decoded, seen = video._decoded, []

        def stuck(packet: av.Packet) -> list[av.VideoFrame]:
            for frame in (given := decoded(packet)):
                seen.append(frame)
                if len(seen) == 4:
                    frame.pts = 0
            return given

        video._decoded = stuck  # type: ignore[method-assign]
        frames = list(video.frames())
    assert [f.index for f in frames] == [0, 1, 2, 4, 5]
    assert [(s.frame, s.reason) for s in video.skipped] == [(3, "its time is not after the frame before")]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"hello " * 300, "is not a video that we read"),
        (b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n", "is not a video that we read"),
        (b"ffconcat version 1.0\nfile 'a.mp4'\n", "is not a video that we read"),
        (bytes(4096), "is not a video that we read"),
    ],
)
def test_not_a_video(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "x.mp4").write_bytes(content)
    with pytest.raises(BadVideo, match=says):
        read(tmp_path / "x.mp4")


def test_a_missing_end_of_an_mp4_is_explained(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", moving(10))
    path.write_bytes(path.read_bytes()[:-900])  # without its index
    with pytest.raises(BadVideo, match=r"cut short|holds no frame"):
        read(path)


def test_sound_only(tmp_path: Path) -> None:
    path = tmp_path / "s.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 2048), np.float32), format="fltp", layout="mono")
        sound.sample_rate, sound.pts = 8000, 0
        container.mux(stream.encode(sound))
        container.mux(stream.encode())
    with pytest.raises(BadVideo, match="sound only"):
        read(path)


def test_zero_frames(tmp_path: Path) -> None:
    path = tmp_path / "none.mp4"
    with av.open(str(path), "w", options={"movflags": "empty_moov+frag_keyframe"}) as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = H, W, "yuv420p"
        container.start_encoding()
    with pytest.raises(BadVideo, match="holds no frame"):
        read(path)


def test_an_unknown_codec_is_named(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", moving(3))
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzz1"))
    with pytest.raises(BadVideo, match=r"coded as 'zzz1'.*no decoder.*ffmpeg -i a\.mp4"):
        read(path)


@pytest.mark.parametrize("change", ["grow", "vanish", "replace"])
def test_a_file_that_changes_is_refused(tmp_path: Path, change: str) -> None:
    path = write_video(tmp_path / "a.mp4", moving(8))
    with Video(path) as video, pytest.raises(BadVideo, match=r"changed|vanished"):
        for frame in video.frames():
            if frame.index == 2:
                if change == "grow":
                    with path.open("ab") as handle:
                        handle.write(b"more")
                elif change == "vanish":
                    path.unlink()
                else:
                    copy = tmp_path / "b.mp4"
                    copy.write_bytes(path.read_bytes())
                    os.replace(copy, path)  # noqa: PTH105


def test_a_change_before_it_is_opened_is_seen(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", moving(3))
    known = fingerprint(path)
    os.utime(path, ns=(1, 1))
    with Video(path, known) as video, pytest.raises(BadVideo, match="changed"):
        list(video.frames())


def test_8k_frames(tmp_path: Path) -> None:
    image = np.zeros((4320, 7680, 3), np.uint8)
    image[:, 5000:] = 255
    path = write_video(tmp_path / "8k.mp4", [image], codec="mpeg4")
    frames, _ = read(path)
    assert frames[0].image.shape == (4320, 7680, 3) and frames[0].image[100, 6000].min() > 250


def test_a_name_that_ffmpeg_would_take_for_a_protocol(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_video(tmp_path / "a.mp4", moving(3)).rename(tmp_path / "concat:a.mp4")
    monkeypatch.chdir(tmp_path)
    frames, _ = read(Path("concat:a.mp4"))
    assert len(frames) == 3


def test_colours_survive(tmp_path: Path) -> None:
    image = np.full((H, W, 3), (200, 40, 90), np.uint8)
    frames, _ = read(write_video(tmp_path / "c.mp4", [image] * 2))
    assert np.abs(frames[0].image[40, 40].astype(int) - (200, 40, 90)).max() < 8
