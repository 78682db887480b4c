"""Lays the jointed infant on the back: from joint angles to the bones' places on the mattress."""

from __future__ import annotations

import numpy as np

from edgepose.synthetic.body import (
    BONE_INDEX,
    BONES,
    FINGER,
    FOREARM,
    HAND,
    HEAD_JOINT,
    HIP,
    KNUCKLES,
    NECK_BASE,
    PELVIS_JOINT,
    SHANK,
    SHOULDER,
    SIDES,
    SINK,
    SKULL_CENTRE,
    SKULL_RADII,
    SPINE_JOINT,
    THIGH,
    THUMB,
    UPPER_ARM,
    BodyPose,
    Proportions,
    Side,
    Skeleton,
    bone_scales,
    rotation,
)

# Spheres (bone, centre, radius) that carry the trunk on the mattress.
_SUPPORTS = (
    ("chest", (0.0, 2.5, 0.0), 5.0),
    ("spine", (0.0, -1.5, 0.2), 5.0),
    ("pelvis", (2.9, -3.0, -1.2), 3.9),
    ("pelvis", (-2.9, -3.0, -1.2), 3.9),
    ("chest", (5.4, 4.4, 0.0), 3.0),
    ("chest", (-5.4, 4.4, 0.0), 3.0),
)


class Poser:
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
        self.bent(rotation("z", self.pose.heading) @ rotation("y", self.pose.roll))
        low = min(
            self.point(bone, np.array(centre))[2] - radius * self.scale(bone)[2]
            for bone, centre, radius in _SUPPORTS
        )
        self.origins[:3, 2] -= low + SINK

    def bent(self, chest: np.ndarray) -> None:
        """Chest, spine and pelvis from the chest's frame, the chest at the world's origin."""
        p = self.pose
        # Half of the curl, bend and twist happens at each end of the lumbar spine.
        half = rotation("x", -p.curl / 2) @ rotation("z", p.bend / 2) @ rotation("y", p.twist / 2)
        self.place("chest", np.zeros(3), chest)
        self.place("spine", self.point("chest", SPINE_JOINT), chest @ half)
        self.place("pelvis", self.point("spine", PELVIS_JOINT), chest @ half @ half)

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
        neck = lifted(half, direction, height)
        self.place("neck", base, neck)
        atlas = self.point("neck", HEAD_JOINT)
        atlas[2] = rest - centre_offset[2]
        self.place("head", atlas, skull)

    def arm(self, side: str, sign: float, a: Side) -> None:
        shoulder, frame = self.upper_arm(sign, a)
        girth = self.scale(f"{side}_upper_arm")
        frame = above(frame, shoulder, UPPER_ARM * girth[1], 1.9 * girth[0])
        self.place(f"{side}_upper_arm", shoulder, frame)
        elbow = self.point(f"{side}_upper_arm", np.array([0.0, UPPER_ARM, 0.0]))
        frame = frame @ rotation("x", a.elbow)
        frame = above(frame, elbow, FOREARM * girth[1], 1.4 * girth[0])
        self.place(f"{side}_forearm", elbow, frame)
        self.hand(side, sign, a, frame)

    def upper_arm(self, sign: float, a: Side) -> tuple[np.ndarray, np.ndarray]:
        """The shoulder, and the upper arm's frame as it would be without a mattress."""
        chest = self.frame("chest")
        shoulder = self.point("chest", SHOULDER * (sign, 1, 1) + np.array([-0.15 * sign, 1.0, 0.0]) * a.shrug)
        theta, phi = np.radians(a.arm_abduct), np.radians(a.arm_raise)
        out = np.array([np.sin(theta) * np.cos(phi) * sign, -np.cos(theta) * np.cos(phi), np.sin(phi)])
        frame = swing(np.array([sign, 0.0, 0.0]), out) @ limb_frame(
            np.array([sign, 0.0, 0.0]), np.array([0.0, 1.0, 0.0])
        )
        return shoulder, chest @ frame @ rotation("y", sign * a.arm_twist)

    def hand(self, side: str, sign: float, a: Side, forearm: np.ndarray) -> None:
        wrist = self.point(f"{side}_forearm", np.array([0.0, FOREARM, 0.0]))
        frame = forearm @ rotation("y", sign * (a.palm - 20)) @ rotation("x", a.wrist)
        size = self.scale(f"{side}_hand")[1]
        frame = above(frame, wrist, 1.4 * HAND * size, 1.1 * size)
        self.hand_at(side, sign, wrist, frame, a.fist)

    def hand_at(self, side: str, sign: float, wrist: np.ndarray, frame: np.ndarray, fist: float) -> None:
        self.place(f"{side}_hand", wrist, frame)
        fingers = frame @ rotation("x", 0.95 * fist)
        self.place(f"{side}_fingers", self.point(f"{side}_hand", KNUCKLES), fingers)
        tip = self.point(f"{side}_fingers", np.array([0.0, FINGER, 0.0]))
        self.place(f"{side}_tips", tip, fingers @ rotation("x", 1.1 * fist))
        thumb = frame @ rotation("z", sign * (50 - 0.5 * fist)) @ rotation("x", 15 + 0.35 * fist)
        root = THUMB + np.array([-1.5 * sign, 0.0, 0.0])
        self.place(f"{side}_thumb", self.point(f"{side}_hand", root), thumb)

    def leg(self, side: str, sign: float, a: Side) -> None:
        hip, frame = self.thigh(sign, a)
        girth = self.scale(f"{side}_thigh")
        frame = above(frame, hip, THIGH * girth[1], 2.7 * girth[0])
        self.place(f"{side}_thigh", hip, frame)
        knee = self.point(f"{side}_thigh", np.array([0.0, THIGH, 0.0]))
        frame = frame @ rotation("x", a.knee)
        frame = above(frame, knee, SHANK * girth[1], 1.9 * girth[0])
        self.place(f"{side}_shank", knee, frame)
        ankle = self.point(f"{side}_shank", np.array([0.0, SHANK, 0.0]))
        # The foot's y runs to the toes, away from the knee's bend; its z to the sole.
        foot = frame @ rotation("x", -90.0 + a.ankle) @ rotation("y", -sign * a.foot_turn)
        foot = above(foot, ankle, 5.5 * girth[0], 1.0)
        self.place(f"{side}_foot", ankle, foot)

    def thigh(self, sign: float, a: Side) -> tuple[np.ndarray, np.ndarray]:
        """The hip, and the thigh's frame as it would be without a mattress."""
        hip = self.point("pelvis", HIP * (sign, 1, 1))
        theta, phi = np.radians(a.hip_abduct), np.radians(a.hip_flex)
        out = np.array([np.sin(theta) * sign, -np.cos(theta) * np.cos(phi), np.cos(theta) * np.sin(phi)])
        rest = np.array([0.0, -np.cos(0.9), np.sin(0.9)])
        bend = np.array([0.0, -np.sin(0.9), -np.cos(0.9)])  # the heel goes back as the knee bends
        frame = swing(rest, out) @ limb_frame(rest, bend)
        return hip, self.frame("pelvis") @ frame @ rotation("y", -sign * a.hip_twist)


def limb_frame(direction: np.ndarray, bend: np.ndarray) -> np.ndarray:
    """A frame with y along `direction` and z towards which the joint bends."""
    z = bend - direction * (bend @ direction)
    z = z / np.linalg.norm(z)
    return np.stack([np.cross(direction, z), direction, z], axis=1)


def swing(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The smallest rotation that takes one unit vector to another, never its opposite."""
    v = np.cross(start, end)
    k = np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])
    return np.eye(3) + k + k @ k / max(1.0 + start @ end, 1e-6)


def lifted(frame: np.ndarray, along: np.ndarray, height: float) -> np.ndarray:
    """`frame` turned so that the vector `along`, which it carries, ends `height` above its start."""
    length = float(np.linalg.norm(along))
    flat = np.array([along[0], along[1], 0.0])
    flat_length = np.sqrt(max(length**2 - height**2, 1e-9))
    wanted = flat / max(float(np.linalg.norm(flat)), 1e-9) * flat_length
    wanted[2] = height
    return swing(along / length, wanted / np.linalg.norm(wanted)) @ frame


def above(frame: np.ndarray, start: np.ndarray, length: float, radius: float) -> np.ndarray:
    """`frame` turned as little as keeps the bone's far end `radius` above the mattress, less the sinking."""
    along = frame[:, 1] * length
    floor = radius - 0.5 * SINK - start[2]
    if along[2] >= floor:
        return frame
    return lifted(frame, along, float(np.clip(floor, -0.97 * length, 0.97 * length)))
