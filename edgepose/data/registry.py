"""The data set formats, and the way from what a user types to a Dataset."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edgeio import lookup
from edgepose.data import coco, deeplabcut, image_folder, in_motion, lsp, mini_rgbd, mpii
from edgepose.data.records import Dataset
from edgepose.errors import BadDataset, UsageError
from edgepose.keypoint_file import snake
from edgepose.keypoints import COCO_17, IN_MOTION_19, LSP_14, MINI_RGBD_25, MPII_16, KeypointSet, remember


@dataclass(frozen=True)
class DatasetFormat:
    """A data set layout.

    Attributes:
        key: its one name, as in `lspet:PATH`.
        name: for humans.
        keypoints: the keypoint set of its records; for `named` files the one that stands for any.
        read: from the top folder, and the options, to a Dataset.
        detect: whether a folder has this layout; None where only asking for it by name will do.
        layout: what `detect` looks for, in words.
        source: who made it.
        options: name and type of what `read` takes beside the folder.
        named: files name their own keypoints, and `read` takes the set to read them by.
    """

    key: str
    name: str
    keypoints: KeypointSet
    read: Callable[..., Dataset]
    detect: Callable[[Path], bool] | None
    layout: str
    source: str
    options: Mapping[str, Callable[[str], Any]] = field(default_factory=dict)
    named: bool = False


FORMATS: dict[str, DatasetFormat] = {
    f.key: f
    for f in (
        DatasetFormat(
            in_motion.PROCESSED,
            "In-Motion Poses, processed",
            IN_MOTION_19,
            in_motion.read_processed,
            in_motion.detect_processed,
            "processed/{train,val,test}/points",
            "Groos et al. 2021",
        ),
        DatasetFormat(
            in_motion.RAW,
            "In-Motion Poses, raw",
            IN_MOTION_19,
            in_motion.read_raw,
            in_motion.detect_raw,
            "raw/annotations/annotations.csv",
            "Groos et al. 2021",
        ),
        DatasetFormat(
            "lsp",
            "Leeds Sports Pose",
            LSP_14,
            lsp.read_lsp,
            lsp.detect_lsp,
            "joints.mat with joints (3, 14, N)",
            "Johnson & Everingham 2010",
        ),
        DatasetFormat(
            "lspet",
            "Leeds Sports Pose Extended Training",
            LSP_14,
            lsp.read_lspet,
            lsp.detect_lspet,
            "joints.mat with joints (14, 3, N)",
            "Johnson & Everingham 2011",
        ),
        DatasetFormat(
            mpii.MAT,
            "MPII Human Pose",
            MPII_16,
            mpii.read_mat,
            mpii.detect_mat,
            "mpii_human_pose_v1_u12_1.mat",
            "Andriluka et al. 2014",
        ),
        DatasetFormat(
            mpii.JSON,
            "MPII Human Pose, JSON form",
            MPII_16,
            mpii.read_json_form,
            mpii.detect_json,
            "annot/{train,valid}.json",
            "Andriluka et al. 2014",
        ),
        DatasetFormat(
            coco.KEY,
            "COCO keypoints, SyRIP",
            COCO_17,
            coco.read,
            coco.detect,
            "annotations/person_keypoints_*.json, {train,valid,test}/_annotations.coco.json or "
            "result.json with images",
            "Lin et al. 2014; Huang et al. 2021; CVAT, Roboflow and Label Studio",
            {"shift": float, "split": str},
            named=True,
        ),
        DatasetFormat(
            deeplabcut.KEY,
            "DeepLabCut project of one animal",
            COCO_17,
            deeplabcut.read,
            deeplabcut.detect,
            "config.yaml and labeled-data",
            "Mathis et al. 2018",
            {"split": str},
            named=True,
        ),
        DatasetFormat(
            mini_rgbd.KEY,
            "MINI-RGBD",
            MINI_RGBD_25,
            mini_rgbd.read,
            mini_rgbd.detect,
            "01/joints_2Ddep",
            "Hesse et al. 2018",
            {"upper_neck": int},
        ),
        DatasetFormat(
            image_folder.KEY,
            "images without annotations",
            IN_MOTION_19,
            image_folder.read,
            None,
            "any images",
            "",
        ),
    )
}


def open_dataset(spec: str, keypoints: KeypointSet | None = None) -> Dataset:
    """Read the data set that a user names, and remember its keypoint set.

    Args:
        spec: `FORMAT:PATH`, or a path alone whose layout is recognised. A format's options follow its
            name: `mini-rgbd,upper_neck=15:PATH`.
        keypoints: the set to read files by that name their own keypoints, where their names are this set's
            in any order; others keep their own.

    Raises:
        UnknownName: no such format or option.
        UsageError: an option's value cannot be used.
        BadDataset: missing path, unknown or ambiguous layout, or nothing usable in it.
    """
    prefix, colon, rest = spec.partition(":")
    key, *settings = prefix.split(",")
    named = bool(colon) and (key in FORMATS or not Path(spec).exists())
    form = lookup(FORMATS, "data set format", key) if named else None
    root = _folder(rest if named else spec)
    form = form or _detected(root)
    options = dict(_option(form, text) for text in settings) if named else {}
    name = f"{prefix if named else form.key}:{root}"
    if form.named:
        options["keypoints"] = keypoints
    found = form.read(root, **options)
    return replace(found, name=name, keypoints=remember(found.keypoints))


def open_dataset_as(spec: str, keypoints: KeypointSet | None) -> Dataset:
    """`open_dataset` of one that must have the keypoints of a set, where one is given.

    Raises:
        UsageError: it has others.
    """
    found = open_dataset(spec, keypoints)
    if keypoints is None or found.keypoints.same_places(keypoints):
        return found
    theirs, ours = ({snake(n) for n in s.names} for s in (found.keypoints, keypoints))
    raise UsageError(
        f"{found.name} has other keypoints than {keypoints.key}: it lacks {_first(ours - theirs)} and has "
        f"besides {_first(theirs - ours)}",
        "give the set of its keypoints, or leave --keypoints out",
    )


def _first(names: set[str]) -> str:
    return ", ".join(sorted(names)[:5]) or "none"


def _folder(text: str) -> Path:
    if not text.strip():
        raise BadDataset("the data set's path is empty", "give FORMAT:PATH or a path")
    path = Path(text).expanduser()
    if not path.exists():
        raise BadDataset(f"{path} does not exist", "check the path, or write FORMAT:PATH")
    if path.suffix == ".slp":
        raise BadDataset(
            f"{path} is SLEAP's, whose frames lie in videos",
            f"write them out first: edgepose data convert {path} --to coco --out DIR",
        )
    if not path.is_dir():
        raise BadDataset(f"{path} is not a folder", "give the data set's top folder")
    if not any(path.iterdir()):
        raise BadDataset(f"{path} is empty", "give the data set's top folder")
    return path


def _detected(root: Path) -> DatasetFormat:
    found = [f for f in FORMATS.values() if f.detect is not None and f.detect(root)]
    if len(found) == 1:
        return found[0]
    if found:
        keys = " or ".join(f"{f.key}:{root}" for f in found)
        raise BadDataset(f"{root} has the layout of several formats", f"say which: {keys}")
    wanted = "; ".join(f"{f.layout} ({f.key})" for f in FORMATS.values() if f.detect is not None)
    raise BadDataset(
        f"{root} has no layout that we know",
        f"looked for {wanted}; for images without annotations write {image_folder.KEY}:{root}",
    )


def _option(form: DatasetFormat, text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    kind = lookup(form.options, f"{form.key} option", name)
    try:
        return name, kind(value)
    except ValueError:
        raise UsageError(f"{form.key} option {name} cannot be {value!r}", f"write {name}=VALUE") from None
