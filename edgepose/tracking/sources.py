"""What a user names, as inputs: images, videos, and folders of them. Files on this machine only."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeio.text import one_spelling
from edgepose.data.files import files_below, without_outputs
from edgepose.data.images import SUFFIXES
from edgepose.errors import EdgeposeError, UsageError

VIDEO_SUFFIXES = (
    *(".mp4", ".mov", ".m4v", ".3gp", ".3g2", ".mkv", ".webm", ".avi", ".mts", ".m2ts", ".ts"),
    *(".mpg", ".mpeg", ".vob", ".wmv", ".asf", ".flv", ".ogv", ".mxf", ".dv", ".gif", ".ivf"),
    # Bare streams, without times.
    *(".h264", ".264", ".hevc", ".h265", ".265", ".m2v", ".mjpg", ".mjpeg"),
)
# A scheme has two letters or more: "C:" is a drive. FFmpeg would open these as addresses or protocols.
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")


class BadSource(EdgeposeError):
    """An input that is missing, empty or not a file of this machine."""


@dataclass(frozen=True)
class Source:
    """One input: a video, or images.

    Attributes:
        name: stem of its outputs, in one spelling.
        kind: "video" or "images".
        paths: the video's one file, or the images in their order.
        root: what the images' names are relative to.
    """

    name: str
    kind: str
    paths: tuple[Path, ...]
    root: Path

    def file_name(self, path: Path) -> str:
        """A path as the outputs write it: without this machine's folders, in one spelling."""
        return one_spelling(path.relative_to(self.root).as_posix())


@dataclass(frozen=True)
class Sources:
    """What was found.

    Attributes:
        ignored: files in the user's folders that are neither image nor video.
    """

    found: tuple[Source, ...]
    ignored: tuple[Path, ...]


def find_sources(inputs: Sequence[str | Path]) -> Sources:
    """The inputs that a user names.

    A file is an image or a video by its suffix. A folder is searched with all folders below: its images
    are one input, called after the folder; each of its videos is one of its own, called after its path
    in the folder. See `files_below` for links and hidden files; outputs of `edgepose predict` are no inputs.

    Raises:
        UsageError: an address instead of a file, or two inputs whose outputs would share a name.
        BadSource: nothing there, or a folder without image or video.
    """
    found: list[Source] = []
    ignored: list[Path] = []
    for text in inputs:
        path = _local(text)
        if path.is_dir():
            own, rest = _folder(path)
            found += own
            ignored += rest
        else:
            kind = "images" if path.suffix.lower() in SUFFIXES else "video"
            found.append(Source(one_spelling(path.stem), kind, (path,), path.parent))
    _check_names(found)
    return Sources(tuple(found), tuple(ignored))


def _local(text: str | Path) -> Path:
    path = Path(text).expanduser()
    if not str(text).strip():
        raise BadSource("an input's name is empty", "give an image, a video or a folder")
    if path.is_file() or path.is_dir():
        return path
    if path.exists():
        raise BadSource(f"{path} is not a regular file", "record it to a file first")
    if _ADDRESS.match(str(text)):
        raise UsageError(
            f"{text} is an address, and edgepose opens files of this machine only",
            "download it, give the file",
        )
    raise BadSource(f"{path} does not exist", "check the path")


def _folder(root: Path) -> tuple[list[Source], list[Path]]:
    """A folder's inputs, and the files that are none."""
    there = files_below(root)
    files = without_outputs(there)
    images = tuple(p for p in files if p.suffix.lower() in SUFFIXES)
    videos = [p for p in files if p.suffix.lower() in VIDEO_SUFFIXES]
    if not images and not videos:
        own = " but what edgepose predict wrote" if len(files) < len(there) else ""
        raise BadSource(
            f"{root} holds no image or video{own}",
            f"known suffixes: {', '.join((*SUFFIXES, *VIDEO_SUFFIXES))}",
        )
    name = one_spelling(root.resolve().name) or "images"
    sources = [Source(name, "images", images, root)] if images else []
    for path in videos:
        own = one_spelling("-".join(path.relative_to(root).with_suffix("").parts))
        sources.append(Source(own, "video", (path,), root))
    taken = {*images, *videos}
    return sources, [p for p in files if p not in taken]


def _check_names(sources: Iterable[Source]) -> None:
    seen: dict[str, Source] = {}
    for source in sources:
        # Some file systems ignore case.
        other = seen.setdefault(source.name.lower(), source)
        if other is not source:
            raise UsageError(
                f"{other.paths[0]} and {source.paths[0]} would both write {source.name}.*",
                "rename one, or predict them into different --out folders",
            )
