"""`edgepose view`: what the page shows, in a real browser; whom its server answers; what it reads."""

from __future__ import annotations

import csv
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from blob_videos import MODEL, BlobFinder, disc, no_bar, write_video
from headless import Browser, browser
from PIL import Image
from typer.testing import CliRunner

import edgepose.cli
from edgepose.keypoints import IN_MOTION_19
from edgepose.tracking import batch
from edgepose.tracking.batch import PredictRequest, predict_all
from edgepose.tracking.sources import find_sources
from edgepose.viewer.page import plain_text, write_page
from edgepose.viewer.server import PageServer
from edgepose.viewer.stored import BadPrediction, find_inputs, read_track

SIZE = (120, 160)
COUNT = 20
# In units of 1 / 25 s: a phone's uneven clock.
TIMES = [0, 1, 2, 3, 5, 6, 7, 11, 12, 13, 14, 15, 17, 18, 19, 20, 24, 25, 26, 27]
HOSTILE = "<img src=x onerror=document.title='ran'>\"'&amp;\u202egpj"


def level(number: int) -> int:
    """The ground's brightness, which says which frame a picture is."""
    return 20 + 7 * number


def pictures() -> list[np.ndarray]:
    drawn = [disc(SIZE, [(60.0 + 2 * i, 55.0 + i, 26.0)]) for i in range(COUNT)]
    return [np.where(image == 20, np.uint8(level(i)), image) for i, image in enumerate(drawn)]


@pytest.fixture
def predicted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """predicted(NAME, **of the video) predicts a video of discs into a folder, and returns that; `summary`
    are values to put into its summary."""
    monkeypatch.setattr(batch, "open_runner", lambda path, threads: BlobFinder(path))
    for name in ("draw_confidence", "draw_sheet"):
        monkeypatch.setattr(batch, name, lambda *arguments: arguments[-1].write_bytes(b"figure"))

    def make(
        name: str = "clip.mp4",
        form: str = "csv",
        out: str = "out",
        summary: dict[str, Any] | None = None,
        **of_video: Any,
    ) -> Path:
        clip = write_video(tmp_path / name, pictures(), **of_video)
        (outcome,) = predict_all(
            MODEL, find_sources([clip]).found, PredictRequest(format=form), tmp_path / out, False, no_bar
        )
        assert outcome.summary is not None
        path = tmp_path / out / f"{outcome.summary['name']}.json"
        path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | (summary or {})))
        return path.parent

    return make


@pytest.fixture(scope="module")
def page() -> Iterator[Browser]:
    with browser() as found:
        found.size(1280, 800)
        yield found


@pytest.fixture
def served() -> Iterator[Callable[[Path], PageServer]]:
    running: list[PageServer] = []

    def start(folder: Path) -> PageServer:
        server = PageServer(find_inputs(folder))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        running.append(server)
        return server

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


def look(page: Browser, address: str, video: str = "plays") -> None:
    """Open a page, and wait until its video plays, failed or is none."""
    page.log.clear()
    page.requests.clear()
    page.open(address)
    page.until("document.body && document.body.dataset.ready")
    page.until(f"document.body.dataset.video === '{video}'")


def at(page: Browser, number: int) -> None:
    page.until(f"document.body.dataset.frame === '{number}' && target === null")


# The brightness of the picture's upper left corner, where no skeleton is.
_CORNER = (
    "(() => { const p = placed(); return picture.getContext('2d')"
    ".getImageData(p.x + 9, p.y + 9, 1, 1).data[1]; })()"
)

# The page


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "first"), [("clip.mp4", 0), ("late.mkv", 60)], ids=["B-frames", "starts late"]
)
def test_each_frame_is_shown_with_its_own_pose(
    name: str, first: int, page: Browser, predicted: Callable[..., Path], served: Any, tmp_path: Path
) -> None:
    folder = predicted(name, pts=[first + t for t in TIMES])
    server = served(folder)
    look(page, server.address)
    track = read_track(find_inputs(folder).videos[0])
    for number in range(COUNT):
        at(page, number)
        page.until(f"Math.abs({level(number)} - {_CORNER}) < 4", 10)
        drawn = page.value(
            f"track.names.map((_, k) => [track.x(true, k, {number}), track.y(true, k, {number})])"
        )
        np.testing.assert_allclose(np.array(drawn, float), track.smooth_px[number], atol=0.06)
        page.key("ArrowRight")
    assert page.value("track.time[7]") == pytest.approx((first + TIMES[7]) / 25, abs=1e-6)
    assert not page.log
    assert page.requests and all(url.startswith(server.address) or url == "data:," for url in page.requests)


@pytest.mark.long
def test_keys_and_clicks(page: Browser, predicted: Callable[..., Path], served: Any, tmp_path: Path) -> None:
    summary = {
        "skipped": [
            {"frame": 20, "time_s": 1.2, "reason": "damaged picture", "file": ""},
            {"frame": None, "time_s": None, "reason": "3 packets gave no frame", "file": ""},
        ],
        "warnings": [
            {"kind": "out-of-frame", "share": 0.3, "text": "keypoints lie at the edge", "frames": "8-11, 16"},
            {"kind": "file", "share": None, "text": "its colours are HDR", "frames": ""},
        ],
    }
    look(page, served(predicted(pts=TIMES, summary=summary)).address)
    page.key("ArrowRight", shift=True)
    at(page, 17)
    page.key("ArrowLeft")
    at(page, 16)
    page.key("Home")
    at(page, 0)
    page.click_on("#warnings button")
    at(page, 8)
    page.click_on("#warnings button")
    at(page, 16)
    page.click_on(
        "#line", "r.left + 20, r.top + PLOT + 8"
    )  # the lane's name: the next span, from the start again
    at(page, 8)
    page.click_on("#line", "r.left + across(0.5), r.top + 40")
    at(page, 9 if abs(0.5 - TIMES[9] / 25) < abs(0.5 - TIMES[8] / 25) else 8)
    page.click_on("#skipped button")
    at(page, 20)
    assert page.value("$('nopose').textContent") == "No pose in this frame: damaged picture"
    assert page.value("[...document.querySelectorAll('#skipped b')].map(b => b.textContent)") == [
        "0:01.200 · frame 20",
        "The file",
    ]
    page.key("Home")
    for _ in range(4):
        page.key("ArrowDown")
    assert page.value("[speed, video.playbackRate]") == [0.25, 0.25]
    page.click_on("#play")
    page.until("document.body.dataset.playing === 'true' && current > 1")
    page.key(" ")  # the button that was clicked does not click again
    page.until("document.body.dataset.playing === 'false' && video.paused")
    frame = page.value("current")
    assert page.value(f"{frame} === current")
    for _ in range(4):
        page.key("ArrowUp")
    page.key(" ")
    page.until("document.body.dataset.playing === 'false' && current >= 19")
    page.click_on("#points tbody tr:nth-child(3)")
    assert page.value("chosen") == 2
    page.click_on("#which button:nth-child(2)")
    assert page.value("which") == "raw"
    picture = np.asarray(Image.open(page.screenshot(tmp_path / "page.png")).convert("RGB"))
    assert (picture == (217, 138, 41)).all(-1).sum() > 100  # the warning's lane
    assert not page.log


@pytest.mark.long
def test_left_and_right_have_their_colours(
    page: Browser, predicted: Any, served: Any, tmp_path: Path
) -> None:
    look(page, served(predicted()).address)
    page.click_on("#ground button:nth-child(3)")
    picture = np.asarray(Image.open(page.screenshot(tmp_path / "page.png")).convert("RGB"))
    for colour in ((230, 159, 0), (86, 180, 233)):
        assert (picture[60:500, :900] == colour).all(-1).sum() > 100


@pytest.mark.long
def test_a_video_that_is_gone_is_said_so(page: Browser, predicted: Any, served: Any, tmp_path: Path) -> None:
    server = served(predicted())
    (tmp_path / "clip.mp4").rename(tmp_path / "elsewhere.mp4")
    look(page, server.address, "failed")
    page.until("!$('note').hidden")
    assert "the video is gone" in page.value("$('note').textContent")
    page.key("ArrowRight")
    at(page, 1)
    page.key(" ")
    page.until("document.body.dataset.playing === 'false' && current === 19")  # by the table's times
    page.choose_file("#file", tmp_path / "elsewhere.mp4")
    page.until("document.body.dataset.video === 'plays'")
    assert page.value("$('note').hidden") is True


@pytest.mark.long
def test_a_video_that_changed_is_not_shown(
    page: Browser, predicted: Any, served: Any, tmp_path: Path
) -> None:
    folder, clip = predicted(), tmp_path / "clip.mp4"
    os.utime(clip, (1, 1))
    look(page, served(folder).address)  # a copy: another time, the same bytes
    data = bytearray(clip.read_bytes())
    data[-1] ^= 1
    clip.write_bytes(data)
    look(page, served(folder).address, "failed")
    page.until("!$('note').hidden")
    assert "has changed since it was predicted" in page.value("$('note').textContent")


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "codec", "says"),
    [
        ("old.avi", "mpeg4", "MPEG-4 part 2 video in AVI"),
        ("new.mkv", "hevc", "H.265 (HEVC) video in Matroska"),
    ],
)
def test_what_the_browser_cannot_play_is_named(
    name: str, codec: str, says: str, page: Browser, predicted: Any, served: Any
) -> None:
    codec = "libx265" if codec == "hevc" else codec
    look(page, served(predicted(name, codec=codec)).address, "failed")
    page.until("!$('note').hidden")
    said = page.value("$('note').textContent")
    assert says in said and f"ffmpeg -i '{name}'" in said
    page.key("ArrowRight")
    at(page, 1)


@pytest.mark.long
def test_hostile_names_are_text(page: Browser, predicted: Any, served: Any) -> None:
    text = "<script>document.title='ran'</script></script>\u202e"
    summary = {
        "warnings": [{"kind": text, "share": 0.5, "text": text, "frames": "1-2"}],
        "skipped": [{"frame": 3, "time_s": 0.1, "reason": text, "file": ""}],
    }
    look(page, served(predicted(f"{HOSTILE}.mp4", summary=summary)).address)
    assert page.value("$('title').textContent") == HOSTILE.replace("\u202e", "\\u202e")
    assert page.value("document.querySelector('#warnings b').textContent") == text.replace(
        "\u202e", "\\u202e"
    )
    assert page.value("document.images.length") == 0 and page.value("document.title") != "ran"
    assert not page.log


def test_marks_and_controls_are_seen() -> None:
    assert plain_text("a\u202eb\x07c\nd") == "a\\u202eb\\u0007c\\u000ad"
    assert plain_text("Åse नमस्ते 赤ちゃん") == "Åse नमस्ते 赤ちゃん"


@pytest.mark.long
def test_a_page_that_stands_alone(page: Browser, predicted: Any, tmp_path: Path) -> None:
    folder, out = predicted(pts=TIMES), tmp_path / "page.html"
    done = CliRunner().invoke(edgepose.cli.app, ["view", str(folder), "--out", str(out)])
    assert done.exit_code == 0, done.output
    text = out.read_text(encoding="utf-8")
    assert str(tmp_path) not in text
    look(page, out.as_uri(), "none")
    assert page.requests == [out.as_uri()] or page.requests == [out.as_uri(), "data:,"]
    assert "holds no video" in page.value("$('note').textContent")
    page.choose_file("#file", tmp_path / "clip.mp4")
    page.until("document.body.dataset.video === 'plays'")
    for _ in range(9):
        page.key("ArrowRight")
    at(page, 9)
    page.until(f"Math.abs({level(9)} - {_CORNER}) < 4")
    assert not page.log


def test_a_page_of_three_minutes_is_small(predicted: Any, tmp_path: Path) -> None:
    """5,400 frames of limbs that swing, with the noise that networks have."""
    folder = predicted()
    rng, frames, k = np.random.default_rng(1), 5400, len(IN_MOTION_19)
    swing = 30 * np.sin(np.arange(frames)[:, None, None] / 20 + rng.uniform(0, 6, (k, 2)))
    raw = 60 + swing + rng.normal(0, 1, (frames, k, 2))
    with (folder / "clip.csv").open("w", encoding="utf-8") as table:
        table.write("frame,file,time_s,keypoint,x_raw,y_raw,x_smooth,y_smooth,peak,confidence,abstained\n")
        for i in range(frames):
            for j, name in enumerate(IN_MOTION_19.names):
                x, y = raw[i, j]
                table.write(f"{i},,{i / 30:.6f},{name},{x:.3f},{y:.3f},{x:.3f},{y:.3f},0.7,0.7,0\n")
    assert write_page(find_inputs(folder), tmp_path / "page.html") < 1_500_000


# Its server


def ask(
    server: PageServer, path: str, method: str = "GET", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    with closing(http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)) as connection:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()


def test_the_server_answers_its_own_page_alone(predicted: Any, served: Any) -> None:
    server = served(predicted())
    assert server.server_address[0] == "127.0.0.1"
    for path in (
        "/",
        f"/{server.token}x/",
        f"/{'a' * len(server.token)}/",
        "/favicon.ico",
        "/../out/clip.json",
    ):
        assert ask(server, path)[0] == 403
    for path in ("clip.json", "track/1", "track/-1", "track/", "video/9", "video/0/..", "../clip.mp4"):
        assert ask(server, f"/{server.token}/{path}")[0] == 404, path
    home = f"/{server.token}/"
    assert ask(server, home, Host="attacker.example")[0] == 403
    assert ask(server, home, "POST")[0] == 501
    status, headers, body = ask(server, home)
    assert status == 200 and headers["Cache-Control"] == "no-store" and b"default-src 'none'" in body
    assert "Access-Control-Allow-Origin" not in headers
    status, headers, body = ask(server, home, "HEAD")
    assert status == 200 and int(headers["Content-Length"]) > 1000 and not body


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [("bytes=0-", 0, None), ("bytes=5-9", 5, 10), ("bytes=-7", -7, None), ("bytes=10-99999999", 10, None)],
)
def test_ranges(
    asked: str, start: int, stop: int | None, predicted: Any, served: Any, tmp_path: Path
) -> None:
    server, data = served(predicted()), (tmp_path / "clip.mp4").read_bytes()
    status, headers, body = ask(server, f"/{server.token}/video/0", Range=asked)
    assert status == 206 and body == data[start:stop]
    first = start % len(data)
    assert headers["Content-Range"] == f"bytes {first}-{first + len(body) - 1}/{len(data)}"


def test_the_whole_and_nothing(predicted: Any, served: Any, tmp_path: Path) -> None:
    server, data = served(predicted()), (tmp_path / "clip.mp4").read_bytes()
    path = f"/{server.token}/video/0"
    assert ask(server, path)[::2] == (200, data)
    for asked in (f"bytes={len(data)}-", "bytes=9-5", "bytes=-0", "bytes=-", "bytes=0-1,3-4", "lines=1-2"):
        status, headers, body = ask(server, path, Range=asked)
        assert (status, headers["Content-Range"], body) == (416, f"bytes */{len(data)}", b""), asked


def test_the_command_ends_by_ctrl_c_without_failure(predicted: Any) -> None:
    command = [sys.executable, "-m", "edgepose", "view", str(predicted()), "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        address = process.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:") and address.endswith("/")
        port, path = address.removeprefix("http://127.0.0.1:").split("/", 1)
        with closing(http.client.HTTPConnection("127.0.0.1", int(port), timeout=30)) as connection:
            connection.request("GET", f"/{path}")
            assert connection.getresponse().status == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0 and process.stderr.read() == ""


# What it reads


@pytest.mark.parametrize("form", ["csv", "coco", "parquet", "h5"])
def test_every_table_is_read_back(form: str, predicted: Any) -> None:
    pytest.importorskip({"parquet": "pyarrow", "h5": "h5py"}.get(form, "json"))
    track = read_track(find_inputs(predicted(form=form, pts=TIMES)).videos[0])
    assert track.names == IN_MOTION_19.names and track.index.tolist() == list(range(COUNT))
    np.testing.assert_allclose(track.time_s, np.array(TIMES) / 25, atol=1e-6)
    assert track.raw_px.shape == (COUNT, len(IN_MOTION_19), 2) and np.isfinite(track.raw_px).all()
    with (predicted(out="csv", pts=TIMES) / "clip.csv").open(encoding="utf-8") as table:
        rows = list(csv.DictReader(table))
    for values, kind in ((track.raw_px, "raw"), (track.smooth_px, "smooth")):
        written = np.array([[float(row[f"{axis}_{kind}"]) for axis in "xy"] for row in rows])
        np.testing.assert_allclose(values.reshape(-1, 2), written, atol=1e-3)
    certain = [float(row["confidence"]) for row in rows]
    np.testing.assert_allclose(track.confidence.ravel(), certain, atol=1e-5)


def test_abstained_points_stay_empty(predicted: Any) -> None:
    folder = predicted()
    table = folder / "clip.csv"
    lines = table.read_text(encoding="utf-8").splitlines()
    cells = lines[1].split(",")
    lines[1] = ",".join([*cells[:6], "", "", *cells[8:-1], "1"])
    table.write_text("\r\n".join(line.replace(",", ";") for line in lines), encoding="utf-8-sig")  # Excel's
    track = read_track(find_inputs(folder).videos[0])
    assert np.isnan(track.smooth_px[0, 0]).all() and np.isfinite(track.raw_px).all()


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda text: text[: len(text) // 2], "damaged"),
        (lambda text: "", "damaged"),
        (lambda text: text.replace("1.040000", "0.000000"), "damaged"),
        (lambda text: text.replace(",nose,", ",head_top,"), "damaged"),
        (lambda text: text.replace("x_raw", "x"), "damaged"),
    ],
    ids=["half", "empty", "time", "names", "column"],
)
def test_damaged_tables_are_one_line(damage: Any, says: str, predicted: Any) -> None:
    folder = predicted(pts=TIMES)
    table = folder / "clip.csv"
    table.write_text(damage(table.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(BadPrediction, match=says):
        read_track(find_inputs(folder).videos[0])


@pytest.mark.parametrize(
    "change",
    [
        {"predict_version": 2},
        {"frames": {"predicted": 1, "width": 0, "height": 5}},
        {"warnings": [{"kind": "x", "share": 0, "text": "", "frames": "1-<"}]},
        {"video": None},
    ],
    ids=["version", "width", "spans", "images"],
)
def test_other_summaries_are_one_line(change: dict[str, Any], predicted: Any) -> None:
    folder = predicted(summary=change)
    done = CliRunner().invoke(edgepose.cli.app, ["view", str(folder)])
    assert isinstance(done.exception, BadPrediction) and str(folder) in str(done.exception)


def test_a_table_elsewhere_is_not_opened(predicted: Any) -> None:
    folder = predicted(summary={"outputs": {"table": "../clip.csv"}})
    with pytest.raises(BadPrediction, match="names no file"):
        read_track(find_inputs(folder).videos[0])


def test_nothing_there(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(BadPrediction, match=str(path)):
            find_inputs(path)


def test_one_bad_summary_leaves_the_others(predicted: Any) -> None:
    folder = predicted()
    (folder / "bad.json").write_text('{"predict_version": 1}', encoding="utf-8")
    found = find_inputs(folder)
    assert len(found.videos) == 1 and "bad.json" in found.left_out[0]
    assert [len(find_inputs(folder / "clip.json").videos)] == [1]


def test_an_option_without_effect_is_refused(predicted: Any, tmp_path: Path) -> None:
    words = ["view", str(predicted()), "--out", str(tmp_path / "page.html"), "--no-browser"]
    done = CliRunner().invoke(edgepose.cli.app, words)
    assert done.exit_code != 0 and "--no-browser" in str(done.exception)


@pytest.mark.long
def test_no_pose_is_drawn_on_a_frame_that_was_not_predicted(
    page: Browser, predicted: Any, served: Any
) -> None:
    folder = predicted()
    table = folder / "clip.csv"
    head, *rows = table.read_text(encoding="utf-8").splitlines()
    kept = [row for row in rows if int(row.split(",")[0]) % 5 == 0]
    table.write_text("\n".join([head, *kept]), encoding="utf-8")
    look(page, served(folder).address)
    page.value(
        "(w => { window.drawn = []; show = at => { drawn.push([frames[at].number, (w(at), "
        + _CORNER
        + ")]); }; })(show)"
    )
    page.value("setSpeed(0.25)")
    page.key(" ")
    page.until("document.body.dataset.playing === 'false' && current >= 3")
    seen = page.value("drawn")
    assert len(seen) > 2 and all(number % 5 == 0 and abs(level(number) - shown) < 5 for number, shown in seen)
