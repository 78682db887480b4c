"""Keypoint sets: names, order, left-right swaps, segments, head segment, and mappings between sets.

Data, and which sets of users this process has met (`keypoint_file.py` reads them). A keypoint's name means
the same place in every set; where two sets mark nearly the same place under different definitions, the pair
stands in `NEAR` and is used only when asked for.

Sources: In-Motion, Groos et al. 2021, Table 4; MPII, Andriluka et al. 2014; LSP, Johnson & Everingham
2010; COCO, Lin et al. 2014; MINI-RGBD, Hesse et al. 2018; BlazePose, Bazarevsky et al. 2020.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from edgeio import lookup
from edgepose.errors import UsageError


@dataclass(frozen=True)
class KeypointSet:
    """An ordered set of K body keypoints.

    Attributes:
        key: its one name, as in `--keypoints mpii-16`.
        names: K names in the order of the data set's own files.
        segments: S pairs of names; part affinity fields are learned along them, skeletons drawn by them.
        head_segment: the two names whose distance, times `head_scale`, is the head length l.
        definitions: what each keypoint marks, where the set's authors say so.
        pairs: (left, right) names that change places in a mirrored image; None for those that are called
            left_ and right_.
        ruler: what distances are divided by, a key of `data.rulers.RULERS`; None for the head, or what stands
            in for it.
        near: (own name, name in another set) of nearly the same places; those of `NEAR` go without saying.
        h, h95: human spread H and H^0.95 by name, in head lengths, where the set's authors measured it.
        guessed: a data set's own names, of which pairs were guessed.
    """

    key: str
    names: tuple[str, ...]
    segments: tuple[tuple[str, str], ...]
    head_segment: tuple[str, str] | None
    head_scale: float = 1.0
    definitions: tuple[str, ...] = ()
    pairs: tuple[tuple[str, str], ...] | None = None
    ruler: str | None = None
    near: tuple[tuple[str, str], ...] = ()
    h: tuple[tuple[str, float], ...] = ()
    h95: tuple[tuple[str, float], ...] = ()
    guessed: bool = False

    def __len__(self) -> int:
        return len(self.names)

    def index(self, name: str) -> int:
        """Position of a keypoint; raises UnknownName."""
        return lookup({n: i for i, n in enumerate(self.names)}, f"{self.key} keypoint", name)

    @cached_property
    def swaps(self) -> tuple[int, ...]:
        """K indices: where each keypoint goes when the image is mirrored."""
        if self.pairs is None:
            return tuple(self.names.index(_mirrored(name)) for name in self.names)
        other = {a: b for pair in self.pairs for a, b in (pair, pair[::-1])}
        return tuple(self.names.index(other.get(name, name)) for name in self.names)

    def side(self, name: str) -> str:
        """ "left", "right" or "centre" for one of its names."""
        if self.pairs is None:
            return next((s for s in ("left", "right") if name.startswith(s + "_")), "centre")
        return next((("left", "right")[p.index(name)] for p in self.pairs if name in p), "centre")

    def same_places(self, other: KeypointSet) -> bool:
        """Whether a network of one is a network of the other: names, mirror images, segments and head."""
        mine, theirs = (
            (s.names, s.swaps, s.segments, s.head_segment, s.head_scale, s.ruler) for s in (self, other)
        )
        return mine == theirs

    @cached_property
    def segment_indices(self) -> tuple[tuple[int, int], ...]:
        """S index pairs, as `segments`."""
        return tuple((self.names.index(a), self.names.index(b)) for a, b in self.segments)

    @cached_property
    def head_indices(self) -> tuple[int, int] | None:
        """The two indices of the head segment, or None where the set has none."""
        if self.head_segment is None:
            return None
        return self.names.index(self.head_segment[0]), self.names.index(self.head_segment[1])


@dataclass(frozen=True)
class Mapping:
    """How to read one set's keypoints out of another's.

    Attributes:
        source: key of the set that is read.
        target: key of the set that is wanted.
        pairs: (index in source, index in target), in the target's order.
        near: names in the target that are matched by a different definition.
        absent: names in the target that the source does not have.
    """

    source: str
    target: str
    pairs: tuple[tuple[int, int], ...]
    near: tuple[str, ...]
    absent: tuple[str, ...]


def _mirrored(name: str) -> str:
    if name.startswith("left_"):
        return "right_" + name.removeprefix("left_")
    if name.startswith("right_"):
        return "left_" + name.removeprefix("right_")
    return name


def _limbs(trunk: str, hip: str) -> tuple[tuple[str, str], ...]:
    """Arms and legs of both sides; `trunk` is where the arms hang, `hip` the name of the leg's root."""
    return tuple(
        pair
        for side in ("right", "left")
        for pair in (
            (trunk, f"{side}_shoulder"),
            (f"{side}_shoulder", f"{side}_elbow"),
            (f"{side}_elbow", f"{side}_wrist"),
            (f"{side}_{hip}", f"{side}_knee"),
            (f"{side}_knee", f"{side}_ankle"),
        )
    )


IN_MOTION_19 = KeypointSet(
    key="in-motion-19",
    names=(
        "head_top",
        "nose",
        "right_ear",
        "left_ear",
        "upper_neck",
        "right_shoulder",
        "right_elbow",
        "right_wrist",
        "upper_chest",
        "left_shoulder",
        "left_elbow",
        "left_wrist",
        "mid_pelvis",
        "right_pelvis",
        "right_knee",
        "right_ankle",
        "left_pelvis",
        "left_knee",
        "left_ankle",
    ),
    segments=(
        ("head_top", "nose"),
        ("nose", "right_ear"),
        ("nose", "left_ear"),
        ("nose", "upper_neck"),
        ("upper_neck", "upper_chest"),
        *_limbs("upper_chest", "pelvis"),
        ("upper_chest", "mid_pelvis"),
        ("mid_pelvis", "right_pelvis"),
        ("mid_pelvis", "left_pelvis"),
    ),
    head_segment=("head_top", "upper_neck"),
    definitions=(
        "Top of the forehead",
        "Tip of the nose",
        "Center of the right ear",
        "Center of the left ear",
        "Center of the larynx",
        "Center of the right shoulder joint",
        "Center of the right elbow joint",
        "Center of the right wrist joint",
        "Midway between right and left shoulder",
        "Center of the left shoulder joint",
        "Center of the left elbow joint",
        "Center of the left wrist joint",
        "Midway between right and left pelvis",
        "Right spina iliaca anterior superior",
        "Center of the right knee joint",
        "Center of the right ankle joint",
        "Left spina iliaca anterior superior",
        "Center of the left knee joint",
        "Center of the left ankle joint",
    ),
)

# The order of the EfficientPose authors' MPII networks, and their 14 segments.
MPII_16 = KeypointSet(
    key="mpii-16",
    names=(
        "head_top",
        "upper_neck",
        "right_shoulder",
        "right_elbow",
        "right_wrist",
        "thorax",
        "left_shoulder",
        "left_elbow",
        "left_wrist",
        "pelvis",
        "right_hip",
        "right_knee",
        "right_ankle",
        "left_hip",
        "left_knee",
        "left_ankle",
    ),
    segments=(
        ("head_top", "upper_neck"),
        ("upper_neck", "right_shoulder"),
        ("right_shoulder", "right_elbow"),
        ("right_elbow", "right_wrist"),
        ("upper_neck", "left_shoulder"),
        ("left_shoulder", "left_elbow"),
        ("left_elbow", "left_wrist"),
        ("upper_neck", "thorax"),
        ("thorax", "right_hip"),
        ("right_hip", "right_knee"),
        ("right_knee", "right_ankle"),
        ("thorax", "left_hip"),
        ("left_hip", "left_knee"),
        ("left_knee", "left_ankle"),
    ),
    head_segment=("head_top", "upper_neck"),
)

# LSP calls the upper neck 'neck'; it marks the same place as MPII's, and its head segment is the same.
LSP_14 = KeypointSet(
    key="lsp-14",
    names=(
        "right_ankle",
        "right_knee",
        "right_hip",
        "left_hip",
        "left_knee",
        "left_ankle",
        "right_wrist",
        "right_elbow",
        "right_shoulder",
        "left_shoulder",
        "left_elbow",
        "left_wrist",
        "upper_neck",
        "head_top",
    ),
    segments=(
        ("head_top", "upper_neck"),
        *_limbs("upper_neck", "hip"),
        ("upper_neck", "right_hip"),
        ("upper_neck", "left_hip"),
        ("right_hip", "left_hip"),
    ),
    head_segment=("head_top", "upper_neck"),
)

COCO_17 = KeypointSet(
    key="coco-17",
    names=(
        "nose",
        "left_eye",
        "right_eye",
        "left_ear",
        "right_ear",
        "left_shoulder",
        "right_shoulder",
        "left_elbow",
        "right_elbow",
        "left_wrist",
        "right_wrist",
        "left_hip",
        "right_hip",
        "left_knee",
        "right_knee",
        "left_ankle",
        "right_ankle",
    ),
    segments=(
        ("nose", "left_eye"),
        ("nose", "right_eye"),
        ("left_eye", "left_ear"),
        ("right_eye", "right_ear"),
        ("left_shoulder", "right_shoulder"),
        ("left_shoulder", "left_elbow"),
        ("left_elbow", "left_wrist"),
        ("right_shoulder", "right_elbow"),
        ("right_elbow", "right_wrist"),
        ("left_shoulder", "left_hip"),
        ("right_shoulder", "right_hip"),
        ("left_hip", "right_hip"),
        ("left_hip", "left_knee"),
        ("left_knee", "left_ankle"),
        ("right_hip", "right_knee"),
        ("right_knee", "right_ankle"),
    ),
    head_segment=None,
)

# MediaPipe's names, with the side first as everywhere here; the hands and feet are no part of the others.
BLAZEPOSE_33 = KeypointSet(
    key="blazepose-33",
    names=(
        "nose",
        "left_eye_inner",
        "left_eye",
        "left_eye_outer",
        "right_eye_inner",
        "right_eye",
        "right_eye_outer",
        "left_ear",
        "right_ear",
        "left_mouth",
        "right_mouth",
        "left_shoulder",
        "right_shoulder",
        "left_elbow",
        "right_elbow",
        "left_wrist",
        "right_wrist",
        "left_pinky",
        "right_pinky",
        "left_index",
        "right_index",
        "left_thumb",
        "right_thumb",
        "left_hip",
        "right_hip",
        "left_knee",
        "right_knee",
        "left_ankle",
        "right_ankle",
        "left_heel",
        "right_heel",
        "left_foot_index",
        "right_foot_index",
    ),
    segments=(
        ("nose", "left_eye"),
        ("nose", "right_eye"),
        ("left_eye", "left_ear"),
        ("right_eye", "right_ear"),
        ("left_mouth", "right_mouth"),
        ("left_shoulder", "right_shoulder"),
        ("left_shoulder", "left_hip"),
        ("right_shoulder", "right_hip"),
        ("left_hip", "right_hip"),
        *(
            (f"{side}_{a}", f"{side}_{b}")
            for side in ("left", "right")
            for a, b in (
                ("shoulder", "elbow"),
                ("elbow", "wrist"),
                ("wrist", "pinky"),
                ("wrist", "index"),
                ("wrist", "thumb"),
                ("hip", "knee"),
                ("knee", "ankle"),
                ("ankle", "heel"),
                ("heel", "foot_index"),
            )
        ),
    ),
    head_segment=None,
)

# SMIL joints; a bone's name stands for the joint where it begins, so the upper arm is the shoulder.
MINI_RGBD_25 = KeypointSet(
    key="mini-rgbd-25",
    names=(
        "global",
        "left_hip",
        "right_hip",
        "spine",
        "left_knee",
        "right_knee",
        "spine1",
        "left_ankle",
        "right_ankle",
        "spine2",
        "left_toes",
        "right_toes",
        "upper_neck",
        "left_collar",
        "right_collar",
        "head",
        "left_shoulder",
        "right_shoulder",
        "left_elbow",
        "right_elbow",
        "left_wrist",
        "right_wrist",
        "left_fingers",
        "right_fingers",
        "nose",
    ),
    segments=(
        ("nose", "upper_neck"),
        *_limbs("upper_neck", "hip"),
        ("upper_neck", "spine2"),
        ("spine2", "global"),
        ("global", "left_hip"),
        ("global", "right_hip"),
        ("left_ankle", "left_toes"),
        ("right_ankle", "right_toes"),
    ),
    # Table 6: l = 2 x distance(nose, upper neck), since the set has no head top.
    head_segment=("nose", "upper_neck"),
    head_scale=2.0,
)

KEYPOINT_SETS = {s.key: s for s in (IN_MOTION_19, MPII_16, LSP_14, COCO_17, MINI_RGBD_25, BLAZEPOSE_33)}

# Table 6's transfer uses these keypoints only: pelvis and ear definitions differ between the sets.
COMMON_12 = (
    "nose",
    "upper_neck",
    "right_shoulder",
    "left_shoulder",
    "right_elbow",
    "left_elbow",
    "right_wrist",
    "left_wrist",
    "right_knee",
    "left_knee",
    "right_ankle",
    "left_ankle",
)


@dataclass(frozen=True)
class KeypointGroup:
    """Some keypoints that are scored together.

    Attributes:
        key: its one name, as in `--score limbs`.
        parts: names without their side; empty for all.
    """

    key: str
    parts: tuple[str, ...] = ()

    def of(self, found: Mapping, target: KeypointSet) -> Mapping:
        """`found` without the pairs whose target is not of the group.

        Raises:
            UsageError: nothing is left.
        """
        if not self.parts:
            return found
        names = {f"{side}{part}" for side in ("", "left_", "right_") for part in self.parts}
        pairs = tuple((s, t) for s, t in found.pairs if target.names[t] in names)
        near = tuple(name for name in found.near if name in names)
        absent = tuple(name for name in found.absent if name in names)
        if not pairs:
            raise UsageError(
                f"{found.source} and {found.target} share no keypoint of the group '{self.key}'",
                "score all keypoints",
            )
        return Mapping(found.source, found.target, pairs, near, absent)


_LIMBS = ("shoulder", "elbow", "wrist", "knee", "ankle")

# Common: what In-Motion's set, COCO's and those of other phones' networks mark at the same places.
KEYPOINT_GROUPS = {
    g.key: g
    for g in (
        KeypointGroup("all"),
        KeypointGroup("limbs", _LIMBS),
        KeypointGroup("common", ("nose", "ear", *_LIMBS)),
    )
}

# Different definitions of nearly the same place: never matched silently.
NEAR = (
    ("right_pelvis", "right_hip"),
    ("left_pelvis", "left_hip"),
    ("mid_pelvis", "pelvis"),
    ("mid_pelvis", "global"),
    ("pelvis", "global"),
    ("upper_chest", "thorax"),
)


# Sets of users that this process has met: in a file, a data set, a checkpoint or a sidecar, each of which
# carries its set whole. Their keys stand for them wherever a built-in set's key does.
_OWN: dict[str, KeypointSet] = {}


def keypoint_set(key: str) -> KeypointSet:
    """The keypoint set called `key`, built in or met before; raises UnknownName."""
    return lookup(KEYPOINT_SETS | _OWN, "keypoint set", key)


def is_own(key: str) -> bool:
    """Whether a set is a user's, which files must carry whole."""
    return key not in KEYPOINT_SETS


def remember(found: KeypointSet) -> KeypointSet:
    """Let a set's key stand for it from now on; the set of that key, which is the first one met.

    Raises:
        UsageError: another set has this key.
    """
    known = KEYPOINT_SETS.get(found.key) or _OWN.setdefault(found.key, found)
    if not known.same_places(found):
        raise UsageError(
            f"two keypoint sets are called '{found.key}' and differ in names, pairs, segments or head",
            "give one of them another name",
        )
    return known


def mapping(source: KeypointSet, target: KeypointSet, near: bool = False) -> Mapping:
    """Match `target`'s keypoints in `source`, by name and, if `near`, by the pairs of `NEAR` and of the sets.

    Raises:
        UsageError: nothing in common.
    """
    pairs_near = (*NEAR, *source.near, *target.near)
    nearly = {pair for a, b in pairs_near for pair in ((a, b), (b, a))} if near else set()
    pairs, near_names, absent = [], [], []
    for t, name in enumerate(target.names):
        if name in source.names:
            pairs.append((source.names.index(name), t))
            continue
        match = next((n for n in source.names if (n, name) in nearly), None)
        if match is None:
            absent.append(name)
        else:
            pairs.append((source.names.index(match), t))
            near_names.append(name)
    if not pairs:
        raise UsageError(
            f"keypoint sets {source.key} and {target.key} have no keypoint in common",
            f"{source.key} has: {', '.join(source.names)}; {target.key} has: {', '.join(target.names)}",
        )
    return Mapping(source.key, target.key, tuple(pairs), tuple(near_names), tuple(absent))


def select(names: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """Indices of `wanted` in `names`; raises UnknownName."""
    positions = {name: i for i, name in enumerate(names)}
    return [lookup(positions, "keypoint", name) for name in wanted]
