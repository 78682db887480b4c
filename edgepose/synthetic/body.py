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

# Spheres (bone, centre, radius) that carry the trunk on the mattress.
_SUPPORTS = (
    ("chest", (0.0, 2.5, 0.0), 5.0),
    ("spine", (0.0, -1.5, 0.2), 5.0),
    ("pelvis", (2.9, -3.0, -1.2), 3.9),
    ("pelvis", (-2.9, -3.0, -1.2), 3.9),
    ("chest", (5.4, 4.4, 0.0), 3.0),
    ("chest", (-5.4, 4.4, 0.0), 3.0),
)


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
class BodyPose:
    """All joint angles of one moment, degrees; for `left` and `right` see `Side`.

    Attributes:
        roll: the trunk over its long axis, positive to the infant's left.
        heading: the trunk's direction on the mattress.
        curl: pelvis lifted towards the chest.
        bend: trunk bent sideways. twist: pelvis turned against the chest.
        head_turn: face to the infant's left. head_tilt: crown sideways. head_nod: chin to the chest.
        eyes: how open, 0 to 1. mouth: how open, 0 to 1.
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


SIDE_DOFS = tuple(f.name for f in fields(Side))
BODY_DOFS = tuple(f.name for f in fields(BodyPose) if f.name not in ("left", "right"))


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


class _Poser:
    """Builds one skeleton from the chest outwards."""

    def __init__(self, pose: BodyPose, proportions: Proportions) -> None:
        self.pose = pose
        self.scales = bone_scales(proportions)
        self.rotations = np.tile(np.eye(3), (len(BONES), 1, 1))
        self.origins = np.zeros((len(BONES), 3))

    def place(self, bone: str, origin: np.ndarray, frame: np.ndarray) -> None:
        i = BONE_INDEX[bone]
        self.origins[i], self.rotations[i] = origin, frame

    def point(self, bone: str, local: np.ndarray) -> np.ndarray:
        i = BONE_INDEX[bone]
        return self.origins[i] + self.rotations[i] @ (self.scales[i] * local)

    def frame(self, bone: str) -> np.ndarray:
        return self.rotations[BONE_INDEX[bone]]

    def scale(self, bone: str) -> np.ndarray:
        return self.scales[BONE_INDEX[bone]]

    def build(self) -> Skeleton:
        self.trunk()
        self.head()
        for side, sign in SIDES:
            angles = getattr(self.pose, side)
            self.arm(side, sign, angles)
            self.leg(side, sign, angles)
        return Skeleton(self.rotations, self.origins, self.scales)

    def trunk(self) -> None:
        p = self.pose
        chest = rotation("z", p.heading) @ rotation("y", p.roll)
        # Half of the curl, bend and twist happens at each end of the lumbar spine.
        half = rotation("x", -p.curl / 2) @ rotation("z", p.bend / 2) @ rotation("y", p.twist / 2)
        self.place("chest", np.zeros(3), chest)
        self.place("spine", self.point("chest", SPINE_JOINT), chest @ half)
        self.place("pelvis", self.point("spine", PELVIS_JOINT), chest @ half @ half)
        low = min(
            self.point(bone, np.array(centre))[2] - radius * self.scale(bone)[2]
            for bone, centre, radius in _SUPPORTS
        )
        self.origins[:3, 2] -= low + SINK

    def head(self) -> None:
        """The head rests on the mattress whichever way it is turned: the neck bends to let it."""
        p = self.pose
        turn = rotation("y", p.head_turn) @ rotation("z", p.head_tilt) @ rotation("x", p.head_nod)
        skull = self.frame("chest") @ turn
        scale = self.scale("head")
        radii = SKULL_RADII * scale
        centre_offset = skull @ (SKULL_CENTRE * scale)
        rest = np.sqrt(np.sum((radii * skull[2]) ** 2)) - SINK  # height of the skull's centre when it lies
        base = self.point("chest", NECK_BASE)
        joint = self.scale("neck") * HEAD_JOINT
        half = self.frame("chest") @ rotation("z", p.head_tilt * 0.5) @ rotation("y", p.head_turn * 0.35)
        direction = half @ joint
        height = np.clip(rest - centre_offset[2] - base[2], -0.75 * np.linalg.norm(joint), 3.0)
        neck = _lifted(half, direction, height)
        self.place("neck", base, neck)
        atlas = self.point("neck", HEAD_JOINT)
        atlas[2] = rest - centre_offset[2]
        self.place("head", atlas, skull)

    def arm(self, side: str, sign: float, a: Side) -> None:
        chest = self.frame("chest")
        shoulder = self.point("chest", SHOULDER * (sign, 1, 1) + np.array([-0.15 * sign, 1.0, 0.0]) * a.shrug)
        theta, phi = np.radians(a.arm_abduct), np.radians(a.arm_raise)
        out = np.array([np.sin(theta) * np.cos(phi) * sign, -np.cos(theta) * np.cos(phi), np.sin(phi)])
        frame = _swing(np.array([sign, 0.0, 0.0]), out) @ _limb_frame(
            np.array([sign, 0.0, 0.0]), np.array([0.0, 1.0, 0.0])
        )
        frame = chest @ frame @ rotation("y", sign * a.arm_twist)
        girth = self.scale(f"{side}_upper_arm")
        frame = _above(frame, shoulder, UPPER_ARM * girth[1], 1.9 * girth[0])
        self.place(f"{side}_upper_arm", shoulder, frame)
        elbow = self.point(f"{side}_upper_arm", np.array([0.0, UPPER_ARM, 0.0]))
        frame = frame @ rotation("x", a.elbow)
        frame = _above(frame, elbow, FOREARM * girth[1], 1.4 * girth[0])
        self.place(f"{side}_forearm", elbow, frame)
        self.hand(side, sign, a, frame)

    def hand(self, side: str, sign: float, a: Side, forearm: np.ndarray) -> None:
        wrist = self.point(f"{side}_forearm", np.array([0.0, FOREARM, 0.0]))
        frame = forearm @ rotation("y", sign * (a.palm - 20)) @ rotation("x", a.wrist)
        size = self.scale(f"{side}_hand")[1]
        frame = _above(frame, wrist, 1.4 * HAND * size, 1.1 * size)
        self.place(f"{side}_hand", wrist, frame)
        fingers = frame @ rotation("x", 0.95 * a.fist)
        self.place(f"{side}_fingers", self.point(f"{side}_hand", KNUCKLES), fingers)
        tip = self.point(f"{side}_fingers", np.array([0.0, FINGER, 0.0]))
        self.place(f"{side}_tips", tip, fingers @ rotation("x", 1.1 * a.fist))
        thumb = frame @ rotation("z", sign * (50 - 0.5 * a.fist)) @ rotation("x", 15 + 0.35 * a.fist)
        root = THUMB + np.array([-1.5 * sign, 0.0, 0.0])
        self.place(f"{side}_thumb", self.point(f"{side}_hand", root), thumb)

    def leg(self, side: str, sign: float, a: Side) -> None:
        hip = self.point("pelvis", HIP * (sign, 1, 1))
        theta, phi = np.radians(a.hip_abduct), np.radians(a.hip_flex)
        out = np.array([np.sin(theta) * sign, -np.cos(theta) * np.cos(phi), np.cos(theta) * np.sin(phi)])
        rest = np.array([0.0, -np.cos(0.9), np.sin(0.9)])
        bend = np.array([0.0, -np.sin(0.9), -np.cos(0.9)])  # the heel goes back as the knee bends
        frame = _swing(rest, out) @ _limb_frame(rest, bend)
        frame = self.frame("pelvis") @ frame @ rotation("y", -sign * a.hip_twist)
        girth = self.scale(f"{side}_thigh")
        frame = _above(frame, hip, THIGH * girth[1], 2.7 * girth[0])
        self.place(f"{side}_thigh", hip, frame)
        knee = self.point(f"{side}_thigh", np.array([0.0, THIGH, 0.0]))
        frame = frame @ rotation("x", a.knee)
        frame = _above(frame, knee, SHANK * girth[1], 1.9 * girth[0])
        self.place(f"{side}_shank", knee, frame)
        ankle = self.point(f"{side}_shank", np.array([0.0, SHANK, 0.0]))
        # The foot's y runs to the toes, away from the knee's bend; its z to the sole.
        foot = frame @ rotation("x", -90.0 + a.ankle) @ rotation("y", -sign * a.foot_turn)
        foot = _above(foot, ankle, 5.5 * girth[0], 1.0)
        self.place(f"{side}_foot", ankle, foot)


def _limb_frame(direction: np.ndarray, bend: np.ndarray) -> np.ndarray:
    """A frame with y along `direction` and z towards which the joint bends."""
    z = bend - direction * (bend @ direction)
    z = z / np.linalg.norm(z)
    return np.stack([np.cross(direction, z), direction, z], axis=1)


def _swing(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The smallest rotation that takes one unit vector to another, never its opposite."""
    v = np.cross(start, end)
    k = np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])
    return np.eye(3) + k + k @ k / max(1.0 + start @ end, 1e-6)


def _lifted(frame: np.ndarray, along: np.ndarray, height: float) -> np.ndarray:
    """`frame` turned so that the vector `along`, which it carries, ends `height` above its start."""
    length = float(np.linalg.norm(along))
    flat = np.array([along[0], along[1], 0.0])
    flat_length = np.sqrt(max(length**2 - height**2, 1e-9))
    wanted = flat / max(float(np.linalg.norm(flat)), 1e-9) * flat_length
    wanted[2] = height
    return _swing(along / length, wanted / np.linalg.norm(wanted)) @ frame


def _above(frame: np.ndarray, start: np.ndarray, length: float, radius: float) -> np.ndarray:
    """`frame` turned as little as keeps the bone's far end `radius` above the mattress, less the sinking."""
    along = frame[:, 1] * length
    floor = radius - 0.5 * SINK - start[2]
    if along[2] >= floor:
        return frame
    return _lifted(frame, along, float(np.clip(floor, -0.97 * length, 0.97 * length)))


def posed(pose: BodyPose, proportions: Proportions) -> Skeleton:
    """The skeleton of a pose, lying on the mattress z = 0."""
    return _Poser(pose, proportions).build()


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
