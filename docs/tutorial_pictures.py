"""Makes docs/pictures by doing the first steps of docs/tutorial.md: minutes on two cores.

    make docs-pictures

Every infant in these pictures is made up.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

import av
import fenced
from PIL import Image

import edgepose.cli
from edgeio import replacing

FOLDER = Path(__file__).with_name("pictures")
PAGE = "docs/tutorial.md"
_COMMANDS = 4  # of the page: infants, their sheet, a video, its keypoints
_WIDTH = 900  # px; a page is not wider
_OVERLAYS = (1.0, 3.0, 5.0)  # s


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, help="do the steps here, and keep what they make")
    chosen = parser.parse_args()
    if chosen.work is not None:
        chosen.work.mkdir(parents=True, exist_ok=True)
        make(chosen.work)
        return
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder))


def make(work: Path) -> None:
    """Do the steps in a folder, and take their pictures."""
    with contextlib.chdir(work):
        for command in islice(fenced.commands(PAGE, ("edgepose", "python")), _COMMANDS):
            print(command.text, flush=True)
            _do(command.words)
    FOLDER.mkdir(exist_ok=True)
    for name, picture in PICTURES.items():
        with replacing(FOLDER / name) as temporary:
            _save(picture(work), temporary, Path(name).suffix)


def _do(words: tuple[str, ...]) -> None:
    """In this process, which is started once."""
    if words[0] == "edgepose":
        edgepose.cli.app([*words[1:]], standalone_mode=False)
    else:
        subprocess.run([sys.executable, str(fenced.ROOT / words[1]), *words[2:]], check=True)


def _save(image: Image.Image, path: Path, suffix: str) -> None:
    image = image.convert("RGB")
    if image.width > _WIDTH:
        image = image.resize((_WIDTH, round(image.height * _WIDTH / image.width)), Image.Resampling.LANCZOS)
    if suffix == ".jpg":
        image.save(path, format="JPEG", quality=80, optimize=True)
    else:  # few colours: lines and letters
        image.quantize(64, dither=Image.Dither.NONE).save(path, format="PNG", optimize=True)


def _file(name: str) -> Callable[[Path], Image.Image]:
    return lambda work: Image.open(work / name)


def _overlays(work: Path) -> Image.Image:
    """Frames of the overlay video, side by side."""
    found = _frames(work / "predictions/clip-overlay.mp4", _OVERLAYS)
    strip = Image.new("RGB", (sum(image.width for image in found), found[0].height))
    for place, image in enumerate(found):
        strip.paste(image, (place * image.width, 0))
    return strip


def _frames(path: Path, times: Sequence[float]) -> list[Image.Image]:
    """The first frame at or after each time, or the last."""
    with av.open(str(path)) as container:
        frames = [(frame.time, frame.to_image()) for frame in container.decode(video=0)]
    return [next((image for at, image in frames if at >= time), frames[-1][1]) for time in times]


PICTURES: dict[str, Callable[[Path], Image.Image]] = {
    "infants.jpg": _file("infants.png"),
    "overlay.jpg": _overlays,
    "sheet.jpg": _file("predictions/clip-sheet.png"),
    "confidence.png": _file("predictions/clip-confidence.png"),
}

if __name__ == "__main__":
    main()
