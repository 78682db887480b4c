"""Video files as cameras, copies and accidents leave them."""

from __future__ import annotations

import os
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from blob_videos import disc, write_video
from odd_videos import STEP, bar, circle, interlaced, muxed, place, stream_bytes

from edgepose.tracking.video import BadVideo, Frame, Video, fingerprint

H, W = 96, 160


def moving(count: int, size: tuple[int, int] = (H, W)) -> list[np.ndarray]:
    return [disc(size, [(30 + 3 * i, 40, 14)]) for i in range(count)]


def read(path: Path) -> tuple[list[Frame], Video]:
    """Every frame that the decoder gives is kept or listed, and time goes forward."""
    with Video(path) as video:
        frames = list(video.frames())
    seen = sorted([*(f.index for f in frames), *(s.frame for s in video.skipped if s.frame is not None)])
    assert seen == list(range(len(video.times_s)))
    assert np.isfinite(video.times_s).all() and (np.diff(video.times_s) > 0).all()
    return frames, video


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
    np.testing.assert_allclose(video.times_s, np.arange(12) / 25, atol=1e-9)
    assert video.facts.codec == "h264" and video.facts.frames == 12 == video.expected_frames
    assert not video.skipped and not video.warnings
    for i, frame in enumerate(frames):
        assert frame.image.shape == (H, W, 3) and frame.image.dtype == np.uint8
        columns = np.nonzero(frame.image[40, :, 0] > 125)[0]
        assert abs(columns.mean() + 0.5 - (30 + 3 * i)) < 1


@pytest.mark.parametrize(("suffix", "codec"), [("mkv", "libx264"), ("mp4", "libx264"), ("avi", "mpeg4")])
def test_variable_rate_keeps_each_frames_own_time(tmp_path: Path, suffix: str, codec: str) -> None:
    pts = [0, 1, 2, 5, 6, 9, 10, 11]
    _, video = read(write_video(tmp_path / f"v.{suffix}", moving(8), pts=pts, codec=codec))
    np.testing.assert_allclose(video.times_s, np.array(pts) / 25, atol=1e-3)
    assert not video.warnings


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


def test_a_moment_that_comes_twice_is_placed_between(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", moving(6))

    with Video(path) as video:
        decoded, seen = video._decoded, []

        def stuck(packet: av.Packet) -> list[av.VideoFrame]:
            for frame in (given := decoded(packet)):
                seen.append(frame)
                if len(seen) == 4:
                    frame.pts = seen[2].pts
            return given

        video._decoded = stuck  # type: ignore[method-assign]
        frames = list(video.frames())
    assert [f.index for f in frames] == list(range(6)) and not video.skipped
    np.testing.assert_allclose(video.times_s, np.arange(6) / 25, atol=1e-9)
    assert "1 frames' times are not after" in video.warnings[0]


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


# Cameras that keep time in their own way.


@pytest.mark.parametrize("bf", [0, 1, 3])
def test_b_frames_in_avi_keep_every_frame_in_order(tmp_path: Path, bf: int) -> None:
    frames, video = read(muxed(tmp_path / "b.avi", 20, bf=bf))
    assert len(frames) == 20 and not video.skipped
    np.testing.assert_allclose([place(f.image) for f in frames], 20 + STEP * np.arange(20), atol=0.6)
    np.testing.assert_allclose(np.diff(video.times_s), 1 / 25, atol=1e-6)
    assert bool(video.warnings) == bool(bf)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_b_frames_elsewhere_need_no_word(tmp_path: Path, suffix: str) -> None:
    frames, video = read(muxed(tmp_path / f"b.{suffix}", 20, bf=3))
    np.testing.assert_allclose([place(f.image) for f in frames], 20 + STEP * np.arange(20), atol=0.6)
    np.testing.assert_allclose(np.diff(video.times_s), 1 / 25, atol=1e-3)
    assert not video.warnings and not video.skipped


@pytest.mark.parametrize(
    ("suffix", "codec", "rate", "says"),
    [
        ("h264", "libx264", 50, "at 50 a second, the rate that its header gives"),
        ("m2v", "mpeg2video", 50, "at 50 a second"),
        ("m4v", "mpeg4", 50, "at 50 a second"),
        ("mjpg", "mjpeg", 25, "at 25 a second, assumed"),
    ],
)
def test_bare_streams_are_counted(tmp_path: Path, suffix: str, codec: str, rate: int, says: str) -> None:
    path = tmp_path / f"raw.{suffix}"
    path.write_bytes(stream_bytes(20, 50, codec=codec))
    frames, video = read(path)
    assert len(frames) == 20 and not video.skipped
    np.testing.assert_allclose(video.times_s, np.arange(20) / rate, atol=1e-9)
    assert says in video.warnings[0] and "--fps" in video.warnings[0]


def test_fps_sets_the_times(tmp_path: Path) -> None:
    with Video(muxed(tmp_path / "a.mp4", 10), fps=100) as video:
        assert len(list(video.frames())) == 10
    np.testing.assert_allclose(video.times_s, np.arange(10) / 100)
    assert "--fps 100" in video.warnings[0]


def test_a_recording_that_changes_its_size_keeps_all_frames(tmp_path: Path) -> None:
    """Half the size in the middle: the same scene lands on the same coordinates."""
    path = tmp_path / "sizes.h264"
    small = [np.ascontiguousarray(bar(i)[::2, ::2]) for i in range(21)]
    halved = write_video(tmp_path / "half.mp4", small)
    with av.open(str(halved)) as container:
        stream = container.streams.video[0]
        annexb = av.bitstream.BitStreamFilterContext("h264_mp4toannexb", stream)
        packets = [p for packet in container.demux(stream) for p in annexb.filter(packet)]
        path.write_bytes(stream_bytes(5) + b"".join(map(bytes, packets)))
    frames, video = read(path)
    assert len(frames) == 26 and not video.skipped
    assert {f.image.shape for f in frames} == {(H, W, 3)}
    expected = [20 + STEP * i for i in (*range(5), *range(21))]
    np.testing.assert_allclose([place(f.image) for f in frames], expected, atol=1.1)
    assert any("21 of 80 x 48" in text and "160 x 96" in text for text in video.warnings)


def test_recordings_one_after_the_other_have_one_clock(tmp_path: Path) -> None:
    path = tmp_path / "reset.ts"
    parts = [muxed(tmp_path / f"{start}.ts", 10, start=start) for start in (125, 0)]
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    frames, video = read(path)
    assert [f.index for f in frames] == list(range(20)) and not video.skipped
    np.testing.assert_allclose(np.diff(video.times_s), 0.04, atol=1e-6)
    assert "its clock is reset once, first at frame 10" in video.warnings[0]


# Pictures that are stored otherwise than they are shown.


@pytest.mark.parametrize("aspect", ["64/45", "4/3", "8/9"])
def test_pixels_are_made_square(tmp_path: Path, aspect: str) -> None:
    path, middle = circle(tmp_path / "sar.mp4", Fraction(aspect))
    (frame,), video = read(path)
    assert frame.image.shape == (H, round(W * Fraction(aspect)), 3)
    rows, columns = np.nonzero(frame.image.mean(-1) > 125)
    np.testing.assert_allclose((columns.mean() + 0.5, rows.mean() + 0.5), middle, atol=0.3)
    assert abs(np.ptp(columns) - np.ptp(rows)) <= 2, "round again"
    assert "not square" in video.warnings[0]
    assert video.facts.pixel_aspect == aspect.replace("/", ":") and video.facts.width == W


def test_pixels_nearly_square_are_square(tmp_path: Path) -> None:
    frames, video = read(muxed(tmp_path / "s.mp4", 2, aspect=Fraction(160, 159)))
    assert frames[0].image.shape == (H, W, 3) and not video.warnings


def test_an_impossible_pixel_aspect_is_left_alone(tmp_path: Path) -> None:
    frames, video = read(muxed(tmp_path / "s.mp4", 2, aspect=Fraction(9, 1)))
    assert frames[0].image.shape == (H, W, 3) and "cannot be" in video.warnings[0]


@pytest.mark.parametrize("first", ["tff", "bff"])
def test_interlaced_frames_are_deinterlaced(tmp_path: Path, first: str) -> None:
    """Stored, neighbouring rows differ by half a step at the bar's edges; shown, they do not."""
    frames, video = read(interlaced(tmp_path / "i.mp4", 8, first))
    assert [f.index for f in frames] == list(range(8)) and not video.skipped
    assert "deinterlaced" in video.warnings[0]
    for i, frame in enumerate(frames[1:-1], 1):
        edges = [np.nonzero(row[:, 0] > 125)[0][0] for row in frame.image[20:76]]
        assert np.ptp(edges) <= 1
        assert abs(np.median(edges) - (10 + 8 * i)) <= 1, "the field that came first"
    np.testing.assert_allclose(video.times_s, np.arange(8) / 25, atol=1e-9)


@pytest.mark.parametrize("sizes", [((48, 64), (H, W)), ((H, W), (48, 64))])
def test_of_two_videos_the_larger_is_read(tmp_path: Path, sizes: tuple[tuple[int, int], ...]) -> None:
    frames, video = read(muxed(tmp_path / "two.mkv", 6, sizes=sizes))
    assert len(frames) == 6 and frames[0].image.shape == (H, W, 3)
    assert video.warnings == ["it holds 2 videos: only the largest, 160 x 96, is read"]


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "ts", "avi"])
def test_a_late_start_is_not_cut_short(tmp_path: Path, suffix: str) -> None:
    frames, video = read(muxed(tmp_path / f"late.{suffix}", 10, start=125))
    assert len(frames) == 10 and not video.skipped
    assert suffix == "avi" or video.times_s[0] == pytest.approx(5, abs=0.2)


def test_a_late_start_that_is_cut_short_is(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 255, (H, W, 3), np.uint8) for _ in range(40)]
    whole = write_video(tmp_path / "w.mkv", noise, pts=list(range(125, 165)))
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    _, video = read(cut)
    assert "cut short" in video.skipped[-1].reason
