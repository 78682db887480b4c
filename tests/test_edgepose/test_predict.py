"""From files to trajectories on disk, and what goes wrong on the way."""

from __future__ import annotations

import csv
import io
import json
import multiprocessing
import os
import sys
from contextlib import nullcontext
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from blob_videos import MODEL, PATTERN, BlobFinder, K, disc, no_bar, truth, write_video
from odd_videos import circle
from PIL import Image

from edgeio import UnknownName, jobs, read_json
from edgeio.jobs import OtherJob
from edgepose.errors import BadModel, UsageError
from edgepose.keypoints import IN_MOTION_19
from edgepose.tracking import batch, overlay, tables, workers
from edgepose.tracking.batch import InputOutcome, PredictRequest, predict_all
from edgepose.tracking.sources import BadSource, find_sources
from edgepose.tracking.video import BadVideo

SIZE = (120, 160)


def discs(count: int) -> list[tuple[float, float, float]]:
    return [(60.0 + 2 * i, 55.0 + i, 26.0) for i in range(count)]


def clip(path: Path, count: int = 10, **changes) -> Path:
    return write_video(path, [disc(SIZE, [d]) for d in discs(count)], **changes)


@pytest.fixture(autouse=True)
def blobs(monkeypatch: pytest.MonkeyPatch) -> list[BlobFinder]:
    """No model but the finder of discs."""
    made: list[BlobFinder] = []

    def opened(path: Path, threads: int) -> BlobFinder:
        made.append(BlobFinder(path))
        return made[-1]

    monkeypatch.setattr(batch, "open_runner", opened)
    return made


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Matplotlib takes longer than all the rest: only these tests draw the figure."""
    if request.node.name not in ("test_the_summary_says_what_the_track_depends_on", "test_command"):
        monkeypatch.setattr(batch, "draw_confidence", lambda *arguments: arguments[-1].write_bytes(b"figure"))


def run(inputs: list[Path | str], out: Path, overwrite: bool = False, **changes) -> list[InputOutcome]:
    sources = find_sources(inputs).found
    asked = {"crop": "none", "turn": "0", **changes}
    return predict_all(MODEL, sources, PredictRequest(**asked), out, overwrite, no_bar)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def points(path: Path, kind: str) -> np.ndarray:
    """(N, K, 2) of a csv; NaN where empty."""
    values = [[float(r[f"{axis}_{kind}"] or "nan") for axis in "xy"] for r in rows(path)]
    return np.array(values).reshape(-1, K, 2)


# What is written


def test_coordinates_are_the_original_frames(tmp_path: Path) -> None:
    (outcome,) = run([clip(tmp_path / "a.mp4")], tmp_path / "out", smooth="none")
    wanted = np.stack([truth(*d) for d in discs(10)])
    raw = points(tmp_path / "out/a.csv", "raw")
    assert np.abs(raw - wanted).max() < 0.8, "half a pixel of the network's input and the codec's blur"
    np.testing.assert_array_equal(points(tmp_path / "out/a.csv", "smooth"), raw)
    table = rows(tmp_path / "out/a.csv")
    assert list(table[0]) == list(tables.COLUMNS)
    assert [r["keypoint"] for r in table[:K]] == list(IN_MOTION_19.names)
    assert table[K]["frame"] == "1" and table[K]["time_s"] == "0.040000"
    assert outcome.summary is not None and outcome.summary["frames"]["predicted"] == 10


def test_a_portrait_video_is_predicted_upright(tmp_path: Path) -> None:
    """The stored picture lies on its side; coordinates are those of the picture as it is seen."""
    run([clip(tmp_path / "p.mp4", 4, rotation=90)], tmp_path / "out", smooth="none")
    stored = np.array([d[:2] for d in discs(4)])
    seen = np.column_stack([stored[:, 1], SIZE[1] - stored[:, 0]])  # against the clock
    wanted = np.stack([truth(x, y, 26.0) for x, y in seen])
    assert np.abs(points(tmp_path / "out/p.csv", "raw") - wanted).max() < 0.8
    frames = read_json(tmp_path / "out/p.json", "")["frames"]
    assert (frames["width"], frames["height"]) == (120, 160)


def test_an_anamorphic_video_is_predicted_as_it_is_shown(tmp_path: Path) -> None:
    path, (x, y) = circle(tmp_path / "w.mp4", Fraction(64, 45))
    run([path], tmp_path / "out", smooth="none", overlay=True)
    assert np.abs(points(tmp_path / "out/w.csv", "raw")[0] - truth(x, y, 24.0)).max() < 1
    summary = read_json(tmp_path / "out/w.json", "")
    assert summary["video"]["pixel_aspect"] == "64:45"
    assert (summary["frames"]["width"], summary["frames"]["height"]) == (228, 96)
    with av.open(str(tmp_path / "out/w-overlay.mp4")) as drawn:
        stream = drawn.streams.video[0]
        assert (stream.width, stream.height) == (228, 96) and stream.sample_aspect_ratio in (None, 1)


def test_fps_sets_the_times_of_table_and_overlay(tmp_path: Path) -> None:
    run([clip(tmp_path / "a.mp4", 5)], tmp_path / "out", fps=100, overlay=True)
    assert [r["time_s"] for r in rows(tmp_path / "out/a.csv")[::K]] == [f"{i / 100:.6f}" for i in range(5)]
    with av.open(str(tmp_path / "out/a-overlay.mp4")) as drawn:
        shown = [float(frame.time) for frame in drawn.decode(video=0)]
    np.testing.assert_allclose(shown, np.arange(5) / 100, atol=1e-4)
    (again,) = run([tmp_path / "a.mp4"], tmp_path / "out", overlay=True)
    assert isinstance(again.error, OtherJob) and "fps: was 100" in str(again.error)


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf")])
def test_an_impossible_rate_is_refused(tmp_path: Path, fps: float) -> None:
    with pytest.raises(UsageError, match="no rate of a camera"):
        run([clip(tmp_path / "a.mp4", 2)], tmp_path / "out", fps=fps)


def test_fps_without_a_video_is_refused(tmp_path: Path) -> None:
    Image.new("RGB", (40, 40)).save(tmp_path / "i.png")
    with pytest.raises(UsageError, match="--fps is of videos"):
        run([tmp_path / "i.png"], tmp_path / "out", fps=30)


def test_photographs_of_phones_and_their_pages(tmp_path: Path) -> None:
    """A tiled HEIC is a photograph; further pages are listed; an animated GIF is a video."""
    picture = Image.fromarray(disc((150, 200), [(70, 60, 30)]))
    (tmp_path / "in").mkdir()
    picture.save(tmp_path / "in/a.heic", quality=95, tile_size=64)
    picture.save(tmp_path / "in/b.tif", save_all=True, append_images=[picture])
    picture.save(tmp_path / "in/c.gif", save_all=True, append_images=[picture.rotate(3)], duration=200)
    images, video = run([tmp_path / "in"], tmp_path / "out")
    assert images.summary is not None and video.summary is not None
    assert np.abs(points(tmp_path / "out/in.csv", "raw") - truth(70, 60, 30)).max() < 1
    assert images.summary["frames"]["predicted"] == 2 and images.summary["frames"]["skipped"] == 0
    ((page),) = images.summary["skipped"]
    assert page["file"] == "b.tif" and page["reason"].startswith("page 2 is not read")
    assert video.summary["frames"]["predicted"] == 2 and video.summary["frames"]["last_time_s"] == 0.2


def test_a_photograph_without_its_suffix_is_no_video(tmp_path: Path) -> None:
    Image.fromarray(disc(SIZE, [(70, 60, 30)])).save(tmp_path / "a.heic", tile_size=64)
    (tmp_path / "a.heic").rename(tmp_path / "IMG_1")
    (outcome,) = run([tmp_path / "IMG_1"], tmp_path / "out")
    assert isinstance(outcome.error, BadVideo) and "end its name in .heic" in str(outcome.error)


def test_raw_and_smooth_are_both_kept(tmp_path: Path) -> None:
    places = discs(9)
    places[4] = (100.0, 80.0, 26.0)  # one frame of nonsense
    write_video(tmp_path / "a.mp4", [disc(SIZE, [d]) for d in places])
    run([tmp_path / "a.mp4"], tmp_path / "out", smooth="median:3")
    raw, smooth = (points(tmp_path / "out/a.csv", kind) for kind in ("raw", "smooth"))
    assert np.abs(raw[4] - truth(*places[4])).max() < 1
    assert np.abs(smooth[4] - truth(*discs(9)[4])).max() < 3 and np.abs(raw[4] - smooth[4]).max() > 20


def test_abstention_empties_the_smooth_columns_only(tmp_path: Path) -> None:
    images = [disc(SIZE, [d]) for d in discs(8)]
    images[3] = disc(SIZE, [])
    write_video(tmp_path / "a.mp4", images)
    (outcome,) = run([tmp_path / "a.mp4"], tmp_path / "out", abstain_below=0.3, smooth="median:3")
    table = rows(tmp_path / "out/a.csv")
    gone = [r for r in table if r["frame"] == "3"]
    assert all(r["abstained"] == "1" and r["x_smooth"] == "" and r["x_raw"] != "" for r in gone)
    assert sum(r["abstained"] == "1" for r in table) == K
    assert outcome.summary is not None
    kinds = {w["kind"] for w in outcome.summary["warnings"]}
    assert "no-infant" in kinds and "second-infant" not in kinds


def test_the_summary_says_what_the_track_depends_on(tmp_path: Path) -> None:
    run([clip(tmp_path / "a.mp4", pts=[0, 1, 2, 3, 4, 5, 9, 10, 11, 12])], tmp_path / "out", overlay=True)
    found = read_json(tmp_path / "out/a.json", "")
    assert found["model"]["sha256"] == "0" * 64 and found["job"]["smooth"] == "median:5"
    assert found["confidence"].startswith("peak") and found["columns"] == tables.COLUMNS
    assert set(found["speed"]["stages_s"]) == {"decode", "letterbox", "inference", "maps", "write", "overlay"}
    assert found["speed"]["frames_per_s"] > 0 and found["overlay_encoder"] in ("libx264", "mpeg4")
    assert "variable-rate" in {w["kind"] for w in found["warnings"]}
    for name in found["outputs"].values():
        assert (tmp_path / "out" / name).stat().st_size > 0
    assert str(tmp_path) not in json.dumps(found), "no path of this machine"


def test_images_and_folders(tmp_path: Path) -> None:
    folder = tmp_path / "baby"
    (folder / "more").mkdir(parents=True)
    for i, d in enumerate(discs(3)):
        Image.fromarray(disc(SIZE, [d])).save(folder / f"f{i}.png")
    Image.fromarray(disc((200, 90), [(45, 100, 30)])).save(folder / "more/tall.png")
    (folder / "broken.jpg").write_bytes(b"nothing")
    (folder / "notes.txt").write_text("x")
    (folder / "._f0.png").write_bytes(b"x")
    clip(folder / "more/c.mp4", 3)
    sources = find_sources([folder])
    assert [s.name for s in sources.found] == ["baby", "more-c"] and len(sources.ignored) == 1
    out = tmp_path / "out"
    images, video = predict_all(MODEL, sources.found, PredictRequest(overlay=True), out, False, no_bar)
    assert images.error is None and video.error is None and images.summary is not None
    assert [s["file"] for s in images.summary["skipped"]] == ["broken.jpg"]
    assert (
        "cannot" in images.summary["skipped"][0]["reason"]
        or "not an image" in images.summary["skipped"][0]["reason"]
    )
    table = rows(out / "baby.csv")
    assert sorted({r["file"] for r in table}) == ["f0.png", "f1.png", "f2.png", "more/tall.png"]
    assert {r["time_s"] for r in table} == {""} and {r["frame"] for r in table} == {"1", "2", "3", "4"}
    tall = np.array([[float(r["x_smooth"]), float(r["y_smooth"])] for r in table if "tall" in r["file"]])
    assert np.abs(tall - truth(45, 100, 30)).max() < 1, "images are never smoothed over"
    with Image.open(out / "baby-overlay/more/tall.png.png") as drawn:
        assert drawn.size == (90, 200)


@pytest.mark.parametrize("crop", ["auto", "20,10,120,105"])
def test_cropping_keeps_the_coordinates(tmp_path: Path, crop: str) -> None:
    run([clip(tmp_path / "a.mp4", 6)], tmp_path / "out", smooth="none", crop=crop)
    wanted = np.stack([truth(*d) for d in discs(6)])
    assert np.abs(points(tmp_path / "out/a.csv", "raw") - wanted).max() < 0.8
    assert (read_json(tmp_path / "out/a.json", "")["frames"]["tracking"] is not None) == (crop == "auto")


def test_formats_hold_the_same(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    source = clip(tmp_path / "a.mp4", 6)
    run([source], tmp_path / "csv", abstain_below=0.5)
    run([source], tmp_path / "h5", abstain_below=0.5, format="h5")
    run([source], tmp_path / "coco", abstain_below=0.5, format="coco")
    smooth = points(tmp_path / "csv/a.csv", "smooth")
    with h5py.File(tmp_path / "h5/a.h5") as file:
        np.testing.assert_allclose(file["smooth_px"][:], smooth, atol=1e-3)
        assert list(file.attrs["keypoints"]) == list(IN_MOTION_19.names)
        assert json.loads(file.attrs["edgepose"])["name"] == "a"
    coco = json.loads((tmp_path / "coco/a.coco.json").read_text())
    triples = np.array([a["keypoints"] for a in coco["annotations"]]).reshape(-1, K, 3)
    np.testing.assert_allclose(triples[..., :2] + 0.5, smooth, atol=2e-3)
    assert (triples[..., 2] == 2).all() and coco["categories"][0]["keypoints"] == list(IN_MOTION_19.names)
    assert coco["images"][1]["time_s"] == 0.04 and coco["images"][0]["width"] == 160


def test_parquet(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    source = clip(tmp_path / "a.mp4", 3)
    run([source], tmp_path / "out", format="parquet", abstain_below=1.0)
    table = parquet.read_table(tmp_path / "out/a.parquet")
    assert table.column_names == list(tables.COLUMNS) and table.num_rows == 3 * K
    assert table["x_smooth"].null_count == 3 * K and table["x_raw"].null_count == 0


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(tables.MissingPackage, match=r"edgepose\[parquet\]"):
        run([clip(tmp_path / "a.mp4", 2)], tmp_path / "out", format="parquet")
    with pytest.raises(UnknownName, match="csv, parquet, coco, h5"):
        run([tmp_path / "a.mp4"], tmp_path / "out", format="xlsx")


# The overlay


def test_overlay_keeps_every_time_and_shows_the_pose(tmp_path: Path) -> None:
    pts = [0, 1, 2, 5, 6, 9, 10, 11, 12, 20]
    run([clip(tmp_path / "v.mp4", pts=pts)], tmp_path / "out", overlay=True)
    with av.open(str(tmp_path / "out/v-overlay.mp4")) as container:
        frames = list(container.decode(video=0))
    np.testing.assert_allclose([f.time for f in frames], np.array(pts) / 25, atol=1e-4)
    picture = frames[8].to_ndarray(format="rgb24").astype(int)
    clear = disc(SIZE, [discs(10)[8]]).astype(int)
    changed = np.abs(picture - clear).max(-1) > 60
    ys, xs = np.nonzero(changed)
    assert changed.sum() > 100
    assert np.hypot(xs.mean() - discs(10)[8][0], ys.mean() - discs(10)[8][1]) < 12


def test_overlay_without_x264(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other builds of FFmpeg have MPEG-4 at least; odd sides are padded."""
    monkeypatch.setattr(overlay, "_ENCODERS", {"mpeg4": overlay._ENCODERS["mpeg4"]})
    source = write_video(tmp_path / "a.avi", [disc((122, 162), [(60, 60, 26)])] * 4, codec="mpeg4")
    run([source], tmp_path / "out", overlay=True)
    with av.open(str(tmp_path / "out/a-overlay.mp4")) as container:
        assert container.streams.video[0].codec_context.name == "mpeg4"
        assert len(list(container.decode(video=0))) == 4
    assert read_json(tmp_path / "out/a.json", "")["overlay_encoder"] == "mpeg4"


def test_odd_and_large_frames_can_be_drawn() -> None:
    assert overlay._fitted((2160, 3840)) == (720, 1280) and overlay._fitted((99, 101)) == (99, 101)
    stored = overlay._stored(np.zeros((99, 101, 3), np.uint8), 0, overlay.Fraction(1, 25))
    assert (stored.height, stored.width) == (100, 102)


def test_leaves_are_where_limbs_end() -> None:
    names = {IN_MOTION_19.names[i] for i in overlay.leaves(IN_MOTION_19)}
    assert {"left_wrist", "right_wrist", "left_ankle", "right_ankle"} <= names and "thorax" not in names


# Resuming


def test_finished_inputs_are_passed_over(tmp_path: Path, blobs: list[BlobFinder]) -> None:
    one, two = clip(tmp_path / "one.mp4", 3), clip(tmp_path / "two.mp4", 3)
    run([one], tmp_path / "out")
    first, second = run([one, two], tmp_path / "out")
    assert (first.before, second.before) == (True, False) and blobs[-1].calls == 3
    (tmp_path / "out/one.csv").unlink()
    (again,) = run([one], tmp_path / "out")
    assert not again.before and (tmp_path / "out/one.csv").exists()


def test_an_interrupted_input_is_begun_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, out = clip(tmp_path / "a.mp4", 6), tmp_path / "out"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(BlobFinder, "run", _interrupts_at(4))
        run([source], out)
    assert not list(out.iterdir()), "nothing half done is left"
    leftover = out / ".a.999999999.partial.csv"
    leftover.write_text("half")
    others = [out / f".{name}.999999999.partial.csv" for name in ("b", "a2", "a-b")]  # of other machines, say
    for other in others:
        other.write_text("another's")
    (outcome,) = run([source], out)
    assert outcome.error is None and not leftover.exists()
    assert all(other.exists() for other in others), "inputs whose names begin alike are not this one's"
    assert len(rows(out / "a.csv")) == 6 * K


def test_an_input_that_another_process_is_at_is_left_to_it(tmp_path: Path) -> None:
    one, two = clip(tmp_path / "one.mp4", 3), clip(tmp_path / "two.mp4", 3)
    with jobs.locked(tmp_path / "out", "one"):
        refused, done = run([one, two], tmp_path / "out")
    assert isinstance(refused.error, OtherJob) and "another command works in" in str(refused.error)
    assert done.error is None


def _interrupts_at(call: int):
    real, calls = BlobFinder.run, []

    def run_or_stop(self: BlobFinder, inputs: np.ndarray) -> np.ndarray:
        calls.append(0)
        if len(calls) == call:
            raise KeyboardInterrupt
        return real(self, inputs)

    return run_or_stop


@pytest.mark.parametrize("change", [{"smooth": "none"}, {"crop": "auto"}, {"abstain_below": 0.2}])
def test_another_runs_outputs_are_not_overwritten(tmp_path: Path, change: dict) -> None:
    source = clip(tmp_path / "a.mp4", 3)
    run([source], tmp_path / "out")
    (refused,) = run([source], tmp_path / "out", **change)
    assert isinstance(refused.error, OtherJob) and "--overwrite" in str(refused.error)
    (done,) = run([source], tmp_path / "out", overwrite=True, **change)
    assert done.error is None


# Bad input


@pytest.mark.parametrize(
    "text", ["http://127.0.0.1/x.mp4", "rtsp://cam/1", "concat:a.mp4|b.mp4", "tcp:127.0.0.1:80", "file:a.mp4"]
)
def test_addresses_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="this machine only"):
        find_sources([text])


def test_sources_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(BadSource, match="does not exist"):
        find_sources([tmp_path / "no.mp4"])
    with pytest.raises(BadSource, match="not a regular file"):
        find_sources(["/dev/null"])
    with pytest.raises(BadSource, match="empty"):
        find_sources([" "])
    (tmp_path / "bare").mkdir()
    with pytest.raises(BadSource, match="no image or video"):
        find_sources([tmp_path / "bare"])


def test_two_inputs_of_one_name(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        clip(tmp_path / folder / "c.mp4", 2)
    with pytest.raises(UsageError, match=r"would both write c\.\*"):
        find_sources([tmp_path / "a/c.mp4", tmp_path / "b/c.mp4"])
    assert [s.name for s in find_sources([tmp_path]).found] == ["a-c", "b-c"]


def test_one_bad_input_does_not_keep_the_others_from_being_done(tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_text("no video" * 50)
    bad, good = run([tmp_path / "bad.mp4", clip(tmp_path / "good.mp4", 3)], tmp_path / "out")
    assert isinstance(bad.error, BadVideo) and good.error is None
    assert not list((tmp_path / "out").glob("bad*"))


def test_a_file_that_changes_while_it_is_read_leaves_nothing(tmp_path: Path) -> None:
    """Forty frames are more than the queues hold, so at the second one it is still being read."""
    source = write_video(tmp_path / "a.mp4", [disc(SIZE, [discs(1)[0]])] * 40)

    def growing(title: str, unit: str):
        def update(done: int, total: int) -> None:
            if done == 2:
                with source.open("ab") as handle:
                    handle.write(b"more")

        return nullcontext(update)

    outcome = predict_all(
        MODEL,
        find_sources([source]).found,
        PredictRequest(crop="none", turn="0"),
        tmp_path / "out",
        False,
        growing,
    )[0]
    assert isinstance(outcome.error, BadVideo) and "changed" in str(outcome.error)
    assert not list((tmp_path / "out").iterdir())


def test_an_output_that_cannot_be_written_is_found_out_first(tmp_path: Path, blobs: list[BlobFinder]) -> None:
    source = clip(tmp_path / "a.mp4", 2)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        run([source], tmp_path / "file")
    with pytest.raises(OSError):
        run([source], tmp_path / "file/below")
    assert not blobs


def test_a_crop_outside_the_picture(tmp_path: Path) -> None:
    (outcome,) = run([clip(tmp_path / "a.mp4", 3)], tmp_path / "out", crop="0,0,161,100")
    assert isinstance(outcome.error, UsageError) and "outside the picture of 160 x 120" in str(outcome.error)


def test_a_model_that_gives_nonsense(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BlobFinder, "run", lambda self, inputs: np.full((1, 28, 28, K), np.nan, np.float32))
    (outcome,) = run([clip(tmp_path / "a.mp4", 3)], tmp_path / "out")
    assert isinstance(outcome.error, BadModel) and "NaN" in str(outcome.error)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_thresholds_that_cannot_be(tmp_path: Path, share: float) -> None:
    with pytest.raises(UsageError, match="--abstain-below"):
        run([clip(tmp_path / "a.mp4", 2)], tmp_path / "out", abstain_below=share)


# Warnings


def test_a_warning_names_its_frames_and_the_summary_the_video(tmp_path: Path) -> None:
    empty, full = disc((240, 320), []), disc((240, 320), [(160, 120, 80)])
    clip = write_video(tmp_path / "clip.mp4", [full, full, empty, empty, empty, full, empty, full])
    (outcome,) = run([clip], tmp_path / "out")
    assert outcome.summary is not None
    frames = {w["kind"]: w["frames"] for w in outcome.summary["warnings"]}
    assert frames["no-infant"] == "2-4, 6"
    source = outcome.summary["source"]
    assert source["path"] == "../clip.mp4" and source["size_bytes"] == clip.stat().st_size
    assert "../clip.mp4" not in (tmp_path / "out/clip.csv").read_text(encoding="utf-8")


def warnings_of(tmp_path: Path, images: list[np.ndarray]) -> dict[str, str]:
    write_video(tmp_path / "w.mp4", images)
    (outcome,) = run([tmp_path / "w.mp4"], tmp_path / "out", overwrite=True)
    assert outcome.summary is not None
    return {w["kind"]: w["text"] for w in outcome.summary["warnings"]}


def test_a_good_video_is_not_warned_of(tmp_path: Path) -> None:
    assert warnings_of(tmp_path, [disc((240, 320), [(160, 120, 80)])] * 4) == {}


def test_two_infants_are_flagged(tmp_path: Path) -> None:
    found = warnings_of(tmp_path, [disc((240, 320), [(80, 120, 70), (245, 120, 68)])] * 4)
    assert "second infant" in found["second-infant"]


def test_a_pose_over_two_infants_is_flagged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a second peak: the network takes one wrist from the other infant."""
    elsewhere = PATTERN.copy()
    elsewhere[IN_MOTION_19.index("left_wrist")] = (4.8, 0.0)
    monkeypatch.setattr("blob_videos.PATTERN", elsewhere)
    found = warnings_of(tmp_path, [disc((320, 320), [(60, 160, 50)])] * 4)
    assert set(found) == {"overlong-limb"} and "100% of frames" in found["overlong-limb"]


def test_no_infant_is_flagged(tmp_path: Path) -> None:
    assert list(warnings_of(tmp_path, [disc((240, 320), [])] * 4)) == ["no-infant"]


def test_a_small_head_is_flagged(tmp_path: Path) -> None:
    """The head is half the disc's radius: 25 px of 320 are 2.2 cells, 20 px are 1.75."""
    assert "low-resolution" not in warnings_of(tmp_path, [disc((320, 320), [(160, 160, 50)])] * 4)
    assert "2 map cells" in warnings_of(tmp_path, [disc((320, 320), [(160, 160, 40)])] * 4)["low-resolution"]


def test_keypoints_at_the_edge_are_named(tmp_path: Path) -> None:
    k = int(np.argmax(np.abs(truth(0, 0, 1)[:, 0])))
    side = 1 if truth(0, 0, 1)[k, 0] > 0 else -1
    reach, radius = abs(truth(0, 0, 1)[k, 0]), 80.0
    x = 320 - reach * radius - 2 if side > 0 else reach * radius + 2
    found = warnings_of(tmp_path, [disc((240, 320), [(x, 120, radius)])] * 4)
    assert IN_MOTION_19.names[k] in found["out-of-frame"]


# Names

BYTES = os.fsdecode(b"caf\xe9")


@pytest.mark.parametrize("form", ["csv", "parquet", "h5", "coco"])
def test_names_that_are_no_utf_8_are_spelt_as_escapes(tmp_path: Path, form: str) -> None:
    folder = tmp_path / "in"
    (folder / "img").mkdir(parents=True)
    clip(folder / "a.mp4", 2).rename(folder / f"{BYTES}.mp4")
    for name in (f"{BYTES}.png", "y.png"):
        Image.fromarray(disc(SIZE, [(60, 60, 30)])).save(folder / "img" / name)
    images, video = run([folder], tmp_path / "out", format=form, overlay=True)
    assert images.error is None and video.error is None
    assert (tmp_path / "out" / r"caf\xe9-overlay.mp4").is_file()
    assert (tmp_path / "out" / r"in-overlay/img/caf\xe9.png.png").is_file()
    if form == "csv":
        assert rows(tmp_path / "out/in.csv")[0]["file"] == r"img/caf\xe9.png"


@pytest.mark.parametrize("form", ["csv", "parquet", "h5", "coco"])
def test_a_colon_in_out_is_no_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    monkeypatch.chdir(tmp_path)
    (outcome,) = run([clip(tmp_path / "a.mp4", 2)], Path("s3:x"), format=form, overlay=True)
    assert outcome.error is None
    assert (tmp_path / "s3:x" / "a-overlay.mp4").stat().st_size > 500


def test_a_name_too_long_for_outputs_stops_no_other(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("v" * 240, "b"):
        clip(tmp_path / f"in/{name}.mp4", 2)
    good, bad = run([tmp_path / "in"], tmp_path / "out")
    assert good.error is None and "cannot be a file's name" in str(bad.error)


# Own outputs


def test_own_outputs_are_no_inputs(tmp_path: Path) -> None:
    """Predicted into the folder itself, twice: sheets, figures and overlays are not predicted in turn."""
    folder = tmp_path / "in"
    (folder / "img").mkdir(parents=True)
    clip(folder / "a.mp4", 2)
    for name in ("x.png", "y.png"):
        Image.fromarray(disc(SIZE, [(60, 60, 30)])).save(folder / "img" / name)
    for out in (folder, folder / "poses"):
        first = run([folder], out, overlay=True)
        again = run([folder], out, overlay=True)
        assert [o.source.name for o in first] == ["in", "a"] and not any(o.error for o in first)
        assert all(o.before for o in again), [o.error for o in again]
    assert len(find_sources([folder]).found[0].paths) == 2 and not find_sources([folder]).ignored
    with pytest.raises(BadSource, match="no image or video but what edgepose predict wrote"):
        find_sources([folder / "poses"])
    assert find_sources([folder / "a-overlay.mp4"]).found[0].kind == "video", "asked for by name"


def test_other_json_hides_nothing(tmp_path: Path) -> None:
    Image.new("RGB", (9, 9)).save(tmp_path / "x.png")
    (tmp_path / "in").mkdir()
    for i, text in enumerate(
        (
            '{"outputs": {"a": "x.png"}}',
            '{"predict_version": 1, "outputs": {"a": "../x.png", "b": 3, "c": ""}}',
            '{"predict_version"',
            "[" * 9999,
        )
    ):
        (tmp_path / "in" / f"{i}.json").write_text(text)
    (tmp_path / "y.json").write_text('{"outputs": {"a": "x.png"}, "note": "predict_version"}')
    assert [p.name for p in find_sources([tmp_path]).found[0].paths] == ["x.png"]


# Long videos


def test_no_more_frames_in_memory_than_the_queues_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader waits for the network: what lives at a time does not grow with the video."""
    from edgepose.tracking import display as module

    alive, most, real = [0], [0], module.Display.picture

    class Counted(np.ndarray):
        def __del__(self) -> None:
            if self.base is not None:
                alive[0] -= 1

    def picture(self: module.Display, stored: av.VideoFrame) -> np.ndarray:
        alive[0] += 1
        most[0] = max(most[0], alive[0])
        return real(self, stored).view(Counted)

    monkeypatch.setattr(module.Display, "picture", picture)
    monkeypatch.setattr(module._Turn, "upright", lambda self, image: image)
    run([clip(tmp_path / "a.mp4", 60)], tmp_path / "out")
    assert 0 < most[0] <= 2 * 8 + 6


# The command


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_a_terminal_that_cannot_show_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    from edgepose.cli import main

    name = "\u4e73\u5150"
    arguments = (
        clip(tmp_path / f"{name}.mp4", 2),
        tmp_path / f"{name}.png",
        "--model",
        tmp_path / "m.tflite",
    )
    monkeypatch.setattr(
        sys, "argv", ["edgepose", "predict", *map(str, arguments), "--out", str(tmp_path / "out")]
    )
    shown = {s: io.TextIOWrapper(io.BytesIO(), encoding=encoding) for s in ("stdout", "stderr")}
    for stream, to in shown.items():
        monkeypatch.setattr(sys, stream, to)
    (tmp_path / f"{name}.png").write_bytes(b"")
    with pytest.raises(SystemExit) as end:
        main()
    for to in shown.values():
        to.flush()
    said = shown["stdout"].buffer.getvalue() + shown["stderr"].buffer.getvalue()  # type: ignore[attr-defined]
    assert end.value.code == 2 and b"would both write" in said
    assert f"{name}.mp4".encode() in said or rb"\u4e73\u5150.mp4" in said


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from edgepose.cli import main

    monkeypatch.setattr(workers, "_START", multiprocessing.get_context("fork"))  # has the finder of discs
    source = clip(tmp_path / "[b]a.mp4", 3)  # no markup of the terminal's
    (tmp_path / "bad.mp4").write_text("no video" * 50)
    model, out = tmp_path / "m.tflite", tmp_path / "out"
    monkeypatch.setattr(
        sys, "argv", ["edgepose", "predict", *map(str, (source, "--model", model, "--out", out))]
    )
    with pytest.raises(SystemExit) as end:
        main()
    said = capsys.readouterr()
    assert end.value.code == 0 and "[b]a.csv" in said.out and "frames" in said.out
    monkeypatch.setattr(
        sys,
        "argv",
        [
            "edgepose",
            "predict",
            *map(str, (source, tmp_path / "bad.mp4", "--model", model, "--out", out, "--json")),
        ],
    )
    with pytest.raises(SystemExit) as end:
        main()
    said = capsys.readouterr()
    assert end.value.code == 1 and json.loads(said.out)[0]["name"] == "[b]a"
    assert said.err.startswith("error: ") and len(said.err.splitlines()) == 1
