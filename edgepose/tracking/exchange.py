"""A track in the forms of other programs: DeepLabCut's, OpenPose's and NWB's, each by its own conventions.

DeepLabCut and OpenPose number pixels by their centres, so their coordinates are half a pixel less than ours.
Where nothing is known DeepLabCut writes empty cells and OpenPose zeros; where the track abstained DeepLabCut
keeps the raw point with its low likelihood, which its users hold against their own cutoff, OpenPose writes
zeros and NWB NaN.

Sources: DeepLabCut's analyze_videos and analyze_time_lapse_frames; OpenPose's output format, BODY_25, as
Pose2Sim reads it; the NWB extension ndx-pose.
"""

from __future__ import annotations

import csv
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from edgepose.tracking.track import Track

SCORER = "DLC_edgepose"
_CENTRE = 0.5
_FRAME = "(0, 0) is the top left corner of the upright picture; pixel i covers [i, i + 1)"
_COORDS = ("x", "y", "likelihood")


def write_deeplabcut_csv(track: Track, facts: dict[str, Any], path: Path) -> None:
    """Three rows of a header and one a frame, as `save_as_csv` writes them."""
    index, values = _deeplabcut(track)
    names = track.keypoints.names
    k = len(names)
    header = {
        "scorer": [SCORER] * 3 * k,
        "bodyparts": [n for n in names for _ in _COORDS],
        "coords": [*_COORDS] * k,
    }
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerows([name, *row] for name, row in header.items())
        cells = (["" if v != v else repr(v) for v in row] for row in values.tolist())
        writer.writerows([key, *row] for key, row in zip(index, cells, strict=True))


def write_deeplabcut_h5(track: Track, facts: dict[str, Any], path: Path) -> None:
    """A table of pandas called df_with_missing, its columns scorer, bodyparts and coords."""
    import pandas

    index, values = _deeplabcut(track)
    columns = pandas.MultiIndex.from_product(
        [[SCORER], track.keypoints.names, _COORDS], names=["scorer", "bodyparts", "coords"]
    )
    frame = pandas.DataFrame(values, columns=columns, index=index)
    frame.to_hdf(path, key="df_with_missing", format="table", mode="w")


def _deeplabcut(track: Track) -> tuple[list[Any], np.ndarray]:
    """Row names, and (N, 3 K) x, y, likelihood; skipped frames of a video are empty rows."""
    n, k = track.peak.shape
    points = np.where(np.isfinite(track.smooth_px), track.smooth_px, track.raw_px) - _CENTRE
    rows = np.concatenate([points, track.confidence[..., None]], axis=-1).reshape(n, 3 * k)
    if not track.is_video:
        return list(track.files), rows
    whole = np.full((int(track.index.max()) + 1, 3 * k), np.nan)
    whole[track.index] = rows
    return list(range(len(whole))), whole


# BODY_25 in its order; each is taken of the first of these names that the set has. The spina iliaca of
# In-Motion's set stands for the hip: nearly the same place.
_BODY_25: tuple[tuple[str, ...], ...] = (
    ("nose",),
    ("upper_chest", "mid_shoulder"),  # OpenPose's neck lies midway between the shoulders
    *((f"right_{part}",) for part in ("shoulder", "elbow", "wrist")),
    *((f"left_{part}",) for part in ("shoulder", "elbow", "wrist")),
    ("mid_hip", "mid_pelvis"),
    *(
        names
        for side in ("right", "left")
        for names in ((f"{side}_hip", f"{side}_pelvis"), (f"{side}_knee",), (f"{side}_ankle",))
    ),
    ("right_eye",),
    ("left_eye",),
    ("right_ear",),
    ("left_ear",),
    *(
        names
        for side in ("left", "right")
        for names in (
            (f"{side}_big_toe", f"{side}_toe", f"{side}_toes"),
            (f"{side}_small_toe",),
            (f"{side}_heel",),
        )
    ),
)
_MIDWAY = {
    1: (("left_shoulder", "right_shoulder"),),
    8: (("left_hip", "right_hip"), ("left_pelvis", "right_pelvis")),
}
_EMPTY = (
    "face_keypoints_2d",
    "hand_left_keypoints_2d",
    "hand_right_keypoints_2d",
    "pose_keypoints_3d",
    "face_keypoints_3d",
    "hand_left_keypoints_3d",
    "hand_right_keypoints_3d",
)


def write_openpose(track: Track, facts: dict[str, Any], folder: Path) -> None:
    """A folder with a JSON a frame, nobody in the frames that were skipped."""
    body = body_25(track)
    name = str(facts["name"])
    if not track.is_video:
        for file, rows in zip(track.files, body, strict=True):
            stem = Path(file).with_suffix("").as_posix().replace("/", "_")
            _write_person(folder / f"{stem}_keypoints.json", rows)
        return
    by_index = dict(zip(track.index.tolist(), body, strict=True))
    for index in range(max(by_index) + 1):
        _write_person(folder / f"{name}_{index:012d}_keypoints.json", by_index.get(index))


def body_25(track: Track) -> np.ndarray:
    """(N, 25, 3) x, y and confidence in OpenPose's pixels; zeros where nothing is known."""
    found = np.zeros((len(track), len(_BODY_25), 3))
    points, names = track.smooth_px - _CENTRE, track.keypoints.names
    for place, wanted in enumerate(_BODY_25):
        own = next((names.index(name) for name in wanted if name in names), None)
        pair = next((pair for pair in _MIDWAY.get(place, ()) if {*pair} <= {*names}), ())
        chosen = [names.index(name) for name in pair] if own is None else [own]
        if chosen:
            found[:, place, :2] = points[:, chosen].mean(axis=1)
            found[:, place, 2] = track.confidence[:, chosen].min(axis=1)
    return np.where(np.isfinite(found).all(-1, keepdims=True), found, 0.0)


def _write_person(path: Path, rows: np.ndarray | None) -> None:
    people = []
    if rows is not None:
        person: dict[str, Any] = {"person_id": [-1], "pose_keypoints_2d": rows.round(6).ravel().tolist()}
        people = [person | {key: [] for key in _EMPTY}]
    path.write_text(json.dumps({"version": 1.3, "people": people}), encoding="utf-8")


def write_nwb(track: Track, facts: dict[str, Any], path: Path) -> None:
    """An NWB file with one PoseEstimation; images, which have no times, are a second apart."""
    import ndx_pose
    import pynwb

    keypoints, model = track.keypoints, facts["model"]
    recorded = (
        "The time of recording is not known: session_start_time is when the poses were predicted, and times "
        "count from the first frame."
    )
    file = pynwb.NWBFile(
        session_description=f"Keypoints of {facts['name']}, predicted by edgepose. {recorded}",
        identifier=f"{facts['name']}-{facts['job']['input'][:16]}-{model['sha256'][:16]}",
        session_start_time=datetime.fromisoformat(facts["created"]),
        subject=pynwb.file.Subject(
            subject_id=str(facts["name"]),
            species="Homo sapiens",
            sex="U",
            age="P0D/P2Y",  # a range, as NWB writes it where the age is not known
            description="An infant, of whom edgepose knows no more than the name of the input.",
        ),
        source_script=f"edgepose {facts['edgepose']}",
        source_script_file_name="edgepose predict",
    )
    skeleton = ndx_pose.Skeleton(
        name=f"{keypoints.key}_skeleton",
        nodes=list(keypoints.names),
        edges=np.array(keypoints.segment_indices, dtype="uint8").reshape(-1, 2),
    )
    times = track.time_s if track.is_video else np.arange(len(track), dtype=float)
    series: list[Any] = []
    for k, name in enumerate(keypoints.names):
        series.append(
            ndx_pose.PoseEstimationSeries(
                name=name,
                description=f"{name.replace('_', ' ')}, after abstention, which leaves NaN, and smoothing",
                data=track.smooth_px[:, k],
                unit="pixels",
                reference_frame=_FRAME,
                timestamps=series[0] if series else times,
                confidence=track.confidence[:, k],
                confidence_definition=facts["confidence"],
            )
        )
    video = facts["name"] if track.is_video else None
    pose = ndx_pose.PoseEstimation(
        name="PoseEstimation",
        pose_estimation_series=series,
        description=f"Estimated by {model['network']} ({model['file']})",
        original_videos=None if video is None else [video],
        dimensions=np.array([[track.size[1], track.size[0]]], dtype="uint16") if video else None,
        scorer=f"{model['network']} {model['sha256'][:16]}",
        source_software="edgepose",
        source_software_version=facts["edgepose"],
        skeleton=skeleton,
    )
    behavior = file.create_processing_module(name="behavior", description="Poses of the infant")
    behavior.add(ndx_pose.Skeletons(skeletons=[skeleton]))
    behavior.add(pose)
    with pynwb.NWBHDF5IO(path, mode="w") as handle:
        handle.write(file)
