"""The jointed infant: proportions of 9 to 18 weeks, joint angles, and where bones and keypoints lie.

Lengths are centimetres. World: x to the infant's left, y towards the head, z up from the mattress (z = 0),
so that a camera above with x to the right sees the infant upright. A bone's frame has its origin at the
joint, y along the bone away from the trunk, and x as hinge axis; the trunk's and head's frames are
parallel to the world's when the infant lies straight on the back (y cranial, z anterior).
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from edgepose.keypoints import IN_MOTION_19

TRUNK = ("chest", "spine", "pelvis", "neck", "head")
LIMB = ("upper_arm", "forearm", "hand", "fingers", "tips", "thumb", "thigh", "shank", "foot")
SIDES = (("left", 1.0), ("right", -1.0))
BONES = TRUNK + tuple(f"{side}_{bone}" for side, _ in SIDES for bone in LIMB)
BONE_INDEX = {name: i for i, name in enumerate(BONES)}
SINK = 0.5  # how deep a soft mattress gives way under the trunk and the head


@dataclass(frozen=True)
class Proportions:
    """One infant's measures, as multiples of the template's (the median of 9 to 18 weeks, 62 cm long).

    Girths are thickness across a bone; `head` scales the head in all directions.
    """

    stature: float = 1.0
    head: float = 1.0
    trunk: float = 1.0
    trunk_girth: float = 1.0
    belly: float = 1.0
    arm: float = 1.0
    arm_girth: float = 1.0
    leg: float = 1.0
    leg_girth: float = 1.0


# Template lengths. Sitting height is two thirds of stature and the head a quarter, as at three months.
UPPER_ARM, FOREARM, HAND = 9.4, 8.2, 3.9  # the hand's is wrist to knuckles
THIGH, SHANK = 11.6, 10.6
FINGER = 1.7
SHOULDER = np.array([6.9, 4.9, 0.2])  # in the chest's frame, left side
NECK_BASE = np.array([0.0, 6.6, -0.8])
SPINE_JOINT = np.array([0.0, -5.6, -0.4])
PELVIS_JOINT = np.array([0.0, -5.6, 0.0])  # in the spine's frame
HIP = np.array([4.1, -2.6, 0.2])  # in the pelvis's frame, left side
ILIAC_SPINE = np.array([5.0, 1.3, 3.7])  # spina iliaca anterior superior, left side
LARYNX = np.array([0.0, 2.0, 1.9])  # in the neck's frame, halfway to the skin
HEAD_JOINT = np.array([0.0, 3.2, 0.4])  # the atlas, in the neck's frame
SKULL_CENTRE = np.array([0.0, 5.2, 0.6])  # in the head's frame, origin at the atlas
SKULL_RADII = np.array([5.7, 6.0, 6.9])
HEAD_TOP = np.array([0.0, 9.6, 5.9])  # top of the forehead, at the hairline
NOSE_TIP = np.array([0.0, 2.9, 8.0])
EAR = np.array([6.2, 2.7, 0.1])
KNUCKLES = np.array([0.0, HAND, 0.0])
THUMB = np.array([0.0, 1.2, 0.35])  # in the hand's frame, on the thumb's side of it


@dataclass(frozen=True)
class Side:
    """Joint angles of one arm and one leg, degrees.

    Attributes:
        arm_abduct: upper arm away from the trunk's side: 0 along it, 90 straight out, 180 up beside the head.
        arm_raise: upper arm off the mattress, towards the ceiling.
        arm_twist: turns the elbow's bend from headward (0) to ceilingward (90) to footward (180).
        elbow, wrist: flexion.
        palm: forearm rotation, from supine (0) to prone (110).
        fist: 0 open hand, 90 closed.
        shrug: shoulder towards the ear, cm (negative: down).
        hip_flex: thigh off the mattress: 0 straight, 90 to the ceiling, 125 to the belly.
        hip_abduct: thigh outwards; negative crosses the midline.
        hip_twist: turns the foot inwards (positive) or outwards.
        knee: flexion.
        ankle: plantar flexion beyond a right angle.
        foot_turn: sole inwards.
    """

    arm_abduct: float = 80.0
    arm_raise: float = 15.0
    arm_twist: float = 20.0
    elbow: float = 70.0
    wrist: float = 10.0
    palm: float = 40.0
    fist: float = 55.0
    shrug: float = 0.0
    hip_flex: float = 45.0
    hip_abduct: float = 40.0
    hip_twist: float = 10.0
    knee: float = 75.0
    ankle: float = 25.0
    foot_turn: float = 15.0


@dataclass(frozen=True)
class Stance:
    """What carries an infant who does not lie on the back.

    Attributes:
        left_arm, right_arm: "free"; "forearm", which lies on the ground with elbow and hand; or "hand".
        legs: both "free"; both "knee", on the ground with the shank; or both "foot", on its sole.
        trunk: it is on the ground; else the legs carry it.
    """

    left_arm: str = "free"
    right_arm: str = "free"
    legs: str = "free"
    trunk: bool = True


@dataclass(frozen=True)
class BodyPose:
    """All joint angles of one moment, degrees; for `left` and `right` see `Side`.

    Attributes:
        roll: the trunk over its long axis, positive to the infant's left.
        heading: the trunk's direction on the mattress.
        curl: pelvis lifted towards the chest.
        bend: trunk bent sideways. twist: pelvis turned against the chest.
        head_turn: face to the infant's left. head_tilt: crown sideways. head_nod: chin to the chest.
        eyes: how open, 0 to 1. mouth: how open, 0 to 1.
        pitch: the chest's long axis off the ground, head up; 90 upright. stance: what carries the infant;
            None on the back, where `pitch` has no say and the head always rests.
    """

    left: Side = Side()
    right: Side = Side()
    roll: float = 0.0
    heading: float = 0.0
    curl: float = 8.0
    bend: float = 0.0
    twist: float = 0.0
    head_turn: float = 0.0
    head_tilt: float = 0.0
    head_nod: float = 0.0
    eyes: float = 1.0
    mouth: float = 0.1
    pitch: float = 0.0
    stance: Stance | None = None


SIDE_DOFS = tuple(f.name for f in fields(Side))
BODY_DOFS = tuple(f.name for f in fields(BodyPose) if f.name not in ("left", "right", "pitch", "stance"))


@dataclass(frozen=True)
class Skeleton:
    """A posed infant.

    Attributes:
        rotations: (N, 3, 3) world orientation of each of `BONES`.
        origins: (N, 3) world position of each bone's joint, cm.
        scales: (N, 3) stretch of each bone along its own axes, against the template.
    """

    rotations: np.ndarray
    origins: np.ndarray
    scales: np.ndarray

    def point(self, bone: str, local: np.ndarray) -> np.ndarray:
        """World position of a point given in a bone's frame, in template units."""
        i = BONE_INDEX[bone]
        return self.origins[i] + self.rotations[i] @ (self.scales[i] * local)


def rotation(axis: str, degrees: float) -> np.ndarray:
    """(3, 3) right-handed rotation about a coordinate axis."""
    a = np.radians(degrees)
    c, s = np.cos(a), np.sin(a)
    i, j = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    matrix = np.eye(3)
    matrix[i, i] = matrix[j, j] = c
    matrix[i, j], matrix[j, i] = -s, s
    return matrix


def bone_scales(p: Proportions) -> np.ndarray:
    """(N, 3) scale of each bone along its own axes."""
    s = p.stature
    girth = s * p.trunk_girth
    table = {
        "chest": (girth, s * p.trunk, girth),
        "spine": (girth * np.sqrt(p.belly), s * p.trunk, girth * p.belly),
        "pelvis": (girth, s * p.trunk, girth),
        "neck": (s, s, s),
        "head": (s * p.head,) * 3,
    }
    arm = (s * p.arm_girth, s * p.arm, s * p.arm_girth)
    leg = (s * p.leg_girth, s * p.leg, s * p.leg_girth)
    hand = (s * np.sqrt(p.arm),) * 3
    foot = (s * np.sqrt(p.leg),) * 3
    limbs = {"upper_arm": arm, "forearm": arm, "thigh": leg, "shank": leg, "foot": foot}
    return np.array([table[b] if b in table else limbs.get(b.split("_", 1)[1], hand) for b in BONES])


def keypoints_world(skeleton: Skeleton) -> np.ndarray:
    """(19, 3) places of `IN_MOTION_19` in the world, cm.

    Joints are the bones' joints; nose, ears, forehead, larynx and iliac spines are points that move
    with their bone. The two midpoints are midpoints in space.

    Source: Groos et al. 2021, Table 4.
    """
    at = {
        "head_top": skeleton.point("head", HEAD_TOP),
        "nose": skeleton.point("head", NOSE_TIP),
        "upper_neck": skeleton.point("neck", LARYNX),
    }
    for side, sign in SIDES:
        at[f"{side}_ear"] = skeleton.point("head", EAR * (sign, 1, 1))
        at[f"{side}_pelvis"] = skeleton.point("pelvis", ILIAC_SPINE * (sign, 1, 1))
        at[f"{side}_shoulder"] = skeleton.origins[BONE_INDEX[f"{side}_upper_arm"]]
        at[f"{side}_elbow"] = skeleton.origins[BONE_INDEX[f"{side}_forearm"]]
        at[f"{side}_wrist"] = skeleton.origins[BONE_INDEX[f"{side}_hand"]]
        at[f"{side}_knee"] = skeleton.origins[BONE_INDEX[f"{side}_shank"]]
        at[f"{side}_ankle"] = skeleton.origins[BONE_INDEX[f"{side}_foot"]]
    at["upper_chest"] = (at["left_shoulder"] + at["right_shoulder"]) / 2
    at["mid_pelvis"] = (at["left_pelvis"] + at["right_pelvis"]) / 2
    return np.stack([at[name] for name in IN_MOTION_19.names])
