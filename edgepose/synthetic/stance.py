"""Poses the infant who does not lie on the back: on the tummy, sitting, on all fours, standing.

Joint angles say where the limbs would be without a floor; limbs that carry the infant are then brought to
it, with bones of the same length and elbows and knees that bend the way they do.
"""

from __future__ import annotations

import numpy as np

from edgepose.synthetic.body import (
    FOREARM,
    HEAD_JOINT,
    HEAD_TOP,
    NECK_BASE,
    NOSE_TIP,
    SHANK,
    SIDES,
    SINK,
    SKULL_CENTRE,
    SKULL_RADII,
    THIGH,
    UPPER_ARM,
    BodyPose,
    Proportions,
    Side,
    Skeleton,
    Stance,
    rotation,
)
from edgepose.synthetic.poser import Poser, above, lifted, limb_frame

# Ellipsoids (bone, centre, radii) that the trunk may lie or sit on: those of the template.
_TRUNK = (
    ("chest", (0.0, 0.9, 0.1), (6.3, 6.9, 4.9)),
    ("spine", (0.0, -1.3, 0.7), (6.7, 6.3, 5.6)),
    ("pelvis", (0.0, -0.6, 0.1), (6.2, 4.6, 4.7)),
    ("pelvis", (3.0, -3.4, -1.5), (3.3, 3.4, 3.1)),
    ("pelvis", (-3.0, -3.4, -1.5), (3.3, 3.4, 3.1)),
    ("pelvis", (5.0, 1.3, 3.7), (1.2, 1.2, 1.2)),  # over the iliac spines
    ("pelvis", (-5.0, 1.3, 3.7), (1.2, 1.2, 1.2)),
)
_PRESSED = 0.8  # how far belly and buttocks give way
# How high joints are over the ground when their limb is on it, cm.
_ELBOW, _WRIST, _KNEE, _INSTEP, _ANKLE = 1.6, 1.2, 2.0, 1.5, 2.35
_CLEAR = 0.3  # of nose and forehead over the ground, cm
_STRAIGHT = 0.985  # of a limb's length: as far as it stretches
_UPWARDS = np.array([0.0, 0.0, 0.6])  # elbows and knees of carrying limbs keep off the ground
_FOLDED = 30.0  # degrees between the bones of a limb at its shortest


class Standing(Poser):
    """Builds one skeleton that rests on what its stance says."""

    def __init__(self, pose: BodyPose, proportions: Proportions, stance: Stance) -> None:
        super().__init__(pose, proportions)
        self.stance = stance

    def trunk(self) -> None:
        p = self.pose
        self.bent(rotation("z", p.heading) @ rotation("x", p.pitch) @ rotation("y", p.roll))
        rise = -self._lowest() - _PRESSED
        if not self.stance.trunk:
            legs = [self._leg_rise(sign, getattr(p, side)) for side, sign in SIDES]
            # One knee comes down to the other's ground; one leg bends to the other foot's.
            rise = max(rise, max(legs) if self.stance.legs == "knee" else min(legs))
        self.origins[:3, 2] += rise

    def _lowest(self) -> float:
        """Height of the trunk's lowest point."""
        return min(
            float(
                self.point(bone, np.array(centre))[2]
                - np.linalg.norm(np.array(radii) * self.scale(bone) * self.frame(bone)[2])
            )
            for bone, centre, radii in _TRUNK
        )

    def _leg_rise(self, sign: float, a: Side) -> float:
        """By how much the trunk has to rise for one leg to reach down to the ground only."""
        hip, frame = self.thigh(sign, a)
        length, girth = self.scale("left_thigh")[1], self.scale("left_thigh")[0]
        knee = hip + frame[:, 1] * THIGH * length
        if self.stance.legs == "knee":
            return float(_KNEE * girth - knee[2])
        ankle = knee + (frame @ rotation("x", a.knee))[:, 1] * SHANK * length
        return float(_ANKLE * girth - ankle[2])

    def head(self) -> None:
        """The neck carries the head, down to where it rests."""
        p = self.pose
        turn = rotation("y", p.head_turn) @ rotation("z", p.head_tilt) @ rotation("x", p.head_nod)
        skull = self.frame("chest") @ turn
        scale = self.scale("head")
        centre = skull @ (SKULL_CENTRE * scale)
        nose, top = (skull @ ((place - SKULL_CENTRE) * scale) for place in (NOSE_TIP, HEAD_TOP))
        rest = max(
            float(np.linalg.norm(SKULL_RADII * scale * skull[2])) - SINK,
            float(max(-nose[2], -top[2])) + _CLEAR,
        )
        base = self.point("chest", NECK_BASE)
        joint = self.scale("neck") * HEAD_JOINT
        half = rotation("z", 0.5 * p.head_tilt) @ rotation("y", 0.35 * p.head_turn)
        neck = self.frame("chest") @ half @ rotation("x", 0.5 * p.head_nod)
        short = rest - centre[2] - base[2] - float((neck @ joint)[2])
        if short > 0:
            length = float(np.linalg.norm(joint))
            height = float(np.clip((neck @ joint)[2] + short, -0.97 * length, 0.97 * length))
            neck = lifted(neck, neck @ joint, height)
        self.place("neck", base, neck)
        atlas = self.point("neck", HEAD_JOINT)
        atlas[2] = max(atlas[2], rest - centre[2])
        self.place("head", atlas, skull)

    def arm(self, side: str, sign: float, a: Side) -> None:
        how = getattr(self.stance, f"{side}_arm")
        if how == "free":
            super().arm(side, sign, a)
            return
        shoulder, upper = self.upper_arm(sign, a)
        girth, length = self.scale(f"{side}_upper_arm")[:2]
        size = self.scale(f"{side}_hand")[1]
        first, second = UPPER_ARM * length, FOREARM * length
        if how == "forearm":
            upper = _brought(upper, first, _ELBOW * girth - shoulder[2])
            elbow = shoulder + first * upper[:, 1]
            fore = _brought(upper @ rotation("x", a.elbow), second, _WRIST * size - elbow[2])
        else:
            wrist = shoulder + first * upper[:, 1] + second * (upper @ rotation("x", a.elbow))[:, 1]
            wrist[2] = _WRIST * size
            upper, fore = reaching(shoulder, wrist, (first, second), _UPWARDS - upper[:, 2])
        self.place(f"{side}_upper_arm", shoulder, upper)
        elbow = self.point(f"{side}_upper_arm", np.array([0.0, UPPER_ARM, 0.0]))
        self.place(f"{side}_forearm", elbow, fore)
        wrist = self.point(f"{side}_forearm", np.array([0.0, FOREARM, 0.0]))
        self.hand_at(side, sign, wrist, self._palm_down(sign, a), 0.2 * a.fist)

    def _palm_down(self, sign: float, a: Side) -> np.ndarray:
        """A hand's frame flat on the ground, fingers ahead; `palm` turns them in and out."""
        chest = self.frame("chest")
        ahead = (chest[:, 1] + chest[:, 2]) * (1, 1, 0)
        frame = limb_frame(ahead / np.linalg.norm(ahead), np.array([0.0, 0.0, -1.0]))
        return frame @ rotation("z", sign * (a.palm - 60.0))

    def leg(self, side: str, sign: float, a: Side) -> None:
        if self.stance.legs == "free":
            super().leg(side, sign, a)
            return
        hip, thigh = self.thigh(sign, a)
        girth, length = self.scale(f"{side}_thigh")[:2]
        first, second = THIGH * length, SHANK * length
        if self.stance.legs == "knee":
            thigh = _brought(thigh, first, _KNEE * girth - hip[2])
            knee = hip + first * thigh[:, 1]
            shank = _brought(thigh @ rotation("x", a.knee), second, _INSTEP * girth - knee[2])
            ankle = knee + second * shank[:, 1]
            foot = shank @ rotation("x", -90.0 + a.ankle) @ rotation("y", -sign * a.foot_turn)
            foot = above(foot, ankle, 5.5 * girth, 1.0)
        else:
            free = thigh @ rotation("x", a.knee)
            ankle = hip + first * thigh[:, 1] + second * free[:, 1]
            ankle[2] = _ANKLE * girth
            toes = (free @ rotation("x", -90.0 + a.ankle))[:, 1] * (1, 1, 0)
            foot = limb_frame(toes / np.linalg.norm(toes), np.array([0.0, 0.0, -1.0]))
            thigh, shank = reaching(hip, ankle, (first, second), _UPWARDS - thigh[:, 2])
        self.place(f"{side}_thigh", hip, thigh)
        self.place(f"{side}_shank", self.point(f"{side}_thigh", np.array([0.0, THIGH, 0.0])), shank)
        self.place(f"{side}_foot", self.point(f"{side}_shank", np.array([0.0, SHANK, 0.0])), foot)


def _brought(frame: np.ndarray, length: float, height: float) -> np.ndarray:
    """`frame` turned so that its bone ends `height` above its start, as far as it can."""
    return lifted(frame, frame[:, 1] * length, float(np.clip(height, -0.97 * length, 0.97 * length)))


def reaching(
    root: np.ndarray, target: np.ndarray, lengths: tuple[float, float], pole: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Frames of a limb's two bones that bring its end to a place, or as near as they reach at its height.

    Args:
        root, target: (3,) where the limb begins and is to end.
        lengths: of the two bones.
        pole: (3,) where the joint between them points; away from which it bends.
    """
    first, second = lengths
    longest = _STRAIGHT * (first + second)
    shortest = float(np.sqrt(first**2 + second**2 - 2 * first * second * np.cos(np.radians(_FOLDED))))
    way = target - root
    way[2] = np.clip(way[2], -longest, longest)
    flat = float(np.hypot(way[0], way[1]))
    low, high = (np.sqrt(max(d**2 - way[2] ** 2, 1e-9)) for d in (shortest, longest))
    way[:2] *= np.clip(flat, low, high) / max(flat, 1e-9)
    distance = float(np.linalg.norm(way))
    along = way / distance
    share = (first**2 - second**2 + distance**2) / (2 * distance)
    out = pole - along * (pole @ along)
    out = out / np.linalg.norm(out)
    upper = share * along + np.sqrt(max(first**2 - share**2, 0.0)) * out
    lower = (way - upper) / second
    upper = upper / first
    frame = limb_frame(upper, lower)
    bend = np.degrees(np.arccos(np.clip(upper @ lower, -1.0, 1.0)))
    return frame, frame @ rotation("x", float(bend))


def posed(pose: BodyPose, proportions: Proportions) -> Skeleton:
    """The skeleton of a pose on the ground z = 0: on the back, or on what its stance says."""
    if pose.stance is None:
        return Poser(pose, proportions).build()
    return Standing(pose, proportions, pose.stance).build()
