"""The page: facts of all videos as JSON inside one HTML file that fetches nothing from elsewhere."""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgeio import replacing
from edgeio.text import one_spelling
from edgepose.viewer.packed import pack
from edgepose.viewer.stored import BadPrediction, Found, StoredInput, read_track
from edgepose.visual.drawing import SIDE_COLOURS

_TEMPLATE = Path(__file__).with_name("page.html.j2")
# Marks that turn the direction of the text around them, and controls, are written as escapes.
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)
_SAME_FRAME = 0.45  # of the usual step: times so far apart are one frame's
_SLOWEST = 25.0  # frames a second, where the header does not say
# FFmpeg's names, as people say them.
_CODECS = {
    "h264": "H.264",
    "hevc": "H.265 (HEVC)",
    "vp8": "VP8",
    "vp9": "VP9",
    "av1": "AV1",
    "mpeg4": "MPEG-4 part 2",
    "mpeg2video": "MPEG-2",
    "mpeg1video": "MPEG-1",
    "mjpeg": "Motion JPEG",
    "prores": "ProRes",
    "dvvideo": "DV",
    "wmv3": "Windows Media Video",
    "vc1": "VC-1",
    "gif": "GIF",
}
_CONTAINERS = {
    "mov,mp4,m4a,3gp,3g2,mj2": "MP4 or MOV",
    "matroska,webm": "Matroska or WebM",
    "avi": "AVI",
    "mpegts": "MPEG transport stream",
    "mpeg": "MPEG program stream",
    "asf": "Windows Media",
    "flv": "Flash Video",
    "ogg": "Ogg",
    "mxf": "MXF",
    "h264": "bare H.264",
    "hevc": "bare H.265",
}
# The warnings' kinds, short enough for the margin of the timeline.
_TITLES = {
    "no-infant": "No infant",
    "second-infant": "Second infant",
    "overlong-limb": "Limb too long",
    "low-resolution": "Head too small",
    "out-of-frame": "At the edge",
    "abstained": "Abstained",
    "variable-rate": "Uneven steps",
    "turn-undecided": "Way up unsure",
    "file": "The file",
}


def write_page(found: Found, path: Path) -> int:
    """Write the page as one file that needs no server and holds no picture; its size in bytes.

    Raises:
        BadPrediction: no table can be read.
    """
    shown, tracks, left_out, first = [], [], list(found.left_out), None
    for each in found.videos:
        try:
            tracks.append(pack(read_track(each), each.summary.model.keypoints))
            shown.append(each)
        except BadPrediction as error:
            first = first or error
            left_out.append(error.what)
    if first is not None and not shown:
        raise first
    page = render(Found(tuple(shown), tuple(left_out)), secrets.token_urlsafe(16), tracks).encode()
    with replacing(path) as temporary:
        temporary.write_bytes(page)
    return len(page)


def render(found: Found, nonce: str, tracks: Sequence[bytes] | None = None) -> str:
    """The page's HTML.

    Args:
        nonce: the one that the page's content security policy allows to run.
        tracks: each video's packed track, for a page that stands alone; None where the server is asked.
    """
    import jinja2

    alone = tracks is not None
    facts = {
        "alone": alone,
        "colours": {name: f"rgb{colour}" for name, colour in SIDE_COLOURS.items()},
        "inputs": [_facts(each, alone) for each in found.videos],
        "left_out": [plain_text(text) for text in found.left_out],
    }
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    stored = [base64.b64encode(each).decode() for each in tracks or ()]
    return template.render(facts=facts, nonce=nonce, tracks=stored)


def plain_text(text: str) -> str:
    """A text whose letters are all seen, and none of which turns the others around."""
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", one_spelling(text))


def _facts(stored: StoredInput, alone: bool) -> dict[str, Any]:
    """What the page says of a video; of the way to it nothing, on a page that may be given away."""
    summary, source, video = stored.summary, stored.summary.source, stored.summary.video
    assert video is not None
    path = stored.video_path
    return {
        "name": plain_text(summary.name),
        "table": plain_text(summary.outputs.table),
        "network": plain_text(summary.model.network),
        "keypoints": plain_text(summary.model.keypoints),
        "width": summary.frames.width,
        "height": summary.frames.height,
        "codec": plain_text(_CODECS.get(video.codec, video.codec)),
        "container": plain_text(_CONTAINERS.get(video.container, video.container)),
        "file": None if path is None else plain_text(path.name),
        "size_bytes": None if source is None else source.size_bytes,
        "served": not alone,
        # A user's --fps makes the table's times others than those that the browser plays by.
        "rate": summary.job.fps / video.rate if summary.job.fps and video.rate else 1.0,
        "tolerance_s": _SAME_FRAME / (video.rate or _SLOWEST),
        "abstain_below": summary.job.abstain_below,
        "confidence": plain_text(summary.confidence),
        "skipped": [
            {"frame": entry.frame, "time_s": entry.time_s, "reason": plain_text(entry.reason)}
            for entry in summary.skipped
        ],
        "warnings": [
            {
                "title": plain_text(_TITLES.get(entry.kind, entry.kind)),
                "text": plain_text(entry.text),
                "frames": entry.frames,
            }
            for entry in summary.warnings
        ],
    }
