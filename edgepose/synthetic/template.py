"""The template infant: one skinned mesh in a middle pose, from which every infant is bent and stretched.

Parts are rounded blobs on bones, melted together and meshed once in a process. Hands, feet and the head
are meshed apart from the body, more finely; their stumps lie inside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from edgepose.synthetic.body import (
    BONE_INDEX,
    BONES,
    EAR,
    FINGER,
    FOREARM,
    SHANK,
    SIDES,
    SKULL_CENTRE,
    SKULL_RADII,
    THIGH,
    UPPER_ARM,
    BodyPose,
    Proportions,
    Skeleton,
)
from edgepose.synthetic.implicit import Blob, distance, smooth_union, surface_net
from edgepose.synthetic.stance import posed

INFLUENCES = 4


@dataclass(frozen=True)
class Piece:
    """A part of the body that is meshed on its own grid.

    Attributes:
        blobs: what it is made of.
        blend: how far parts melt into each other, cm.
        cell: grid step, cm.
        soft: how gradually skin follows from one bone to the next, cm.
    """

    name: str
    blobs: tuple[Blob, ...]
    blend: float
    cell: float
    soft: float


@dataclass(frozen=True)
class Template:
    """The mesh.

    Attributes:
        vertices, normals: (V, 3) in the rest pose, cm.
        faces: (F, 3), anticlockwise from outside.
        bones, weights: (V, INFLUENCES) which bones carry a vertex, and how much.
        arm, leg: (V,) distance along the nearest limb from shoulder or hip, cm; negative on the trunk.
        head: (V, 3) place in the head's frame.
        kind: (V,) float: 1 for the head's piece, 2 for hands, 3 for feet, 0 for the rest.
        rest: the skeleton it was made in.
    """

    vertices: np.ndarray
    normals: np.ndarray
    faces: np.ndarray
    bones: np.ndarray
    weights: np.ndarray
    arm: np.ndarray
    leg: np.ndarray
    head: np.ndarray
    kind: np.ndarray
    rest: Skeleton


def _ellipsoid(
    bone: str, centre: tuple[float, float, float], radii: tuple[float, ...], tilt: float = 0
) -> Blob:
    return Blob(bone, centre, centre, radii, tilt)


def _body() -> tuple[Blob, ...]:
    blobs = [
        _ellipsoid("chest", (0, 0.9, 0.1), (6.3, 6.9, 4.9)),
        _ellipsoid("chest", (0, 3.6, 0.1), (6.6, 3.2, 3.5)),
        _ellipsoid("spine", (0, -1.3, 0.7), (6.7, 6.3, 5.6)),
        _ellipsoid("pelvis", (0, -0.6, 0.1), (6.2, 4.6, 4.7)),
        _ellipsoid("neck", (0, 0.6, 0.1), (2.9, 3.4, 2.9)),
    ]
    for side, s in SIDES:
        blobs += [
            _ellipsoid("pelvis", (3.0 * s, -3.4, -1.5), (3.3, 3.4, 3.1)),
            Blob(f"{side}_upper_arm", (0, 0.1, 0), (0, UPPER_ARM, 0), (2.35, 1.8)),
            _ellipsoid(f"{side}_upper_arm", (0, 4.2, 0.1), (2.3, 3.6, 2.35)),
            Blob(f"{side}_forearm", (0, 0, 0), (0, FOREARM, 0), (1.75, 1.25)),
            _ellipsoid(f"{side}_forearm", (0, 2.6, 0.05), (2.05, 3.0, 2.0)),
            Blob(f"{side}_thigh", (0, 0.6, 0), (0, THIGH, 0), (3.3, 2.25)),
            _ellipsoid(f"{side}_thigh", (0, 4.6, -0.1), (3.45, 4.8, 3.5)),
            Blob(f"{side}_shank", (0, 0, 0), (0, SHANK, 0), (2.15, 1.5)),
            _ellipsoid(f"{side}_shank", (0, 3.9, 0.35), (2.45, 4.1, 2.5)),
        ]
    return tuple(blobs)


def _head() -> tuple[Blob, ...]:
    centre = tuple(SKULL_CENTRE.tolist())
    blobs = [
        _ellipsoid("head", centre, tuple((SKULL_RADII - 0.25).tolist())),
        _ellipsoid("head", (0, 7.4, 4.0), (4.2, 3.4, 2.9)),  # forehead
        _ellipsoid("head", (0, 0.9, 3.4), (4.3, 4.0, 3.7)),  # face
        _ellipsoid("head", (0, -1.9, 4.6), (1.9, 1.3, 1.7)),  # chin
        _ellipsoid("head", (0, 0.2, 6.2), (1.3, 0.75, 1.0)),  # lips
        Blob("head", (0, 4.6, 6.5), (0, 3.1, 7.25), (0.5, 0.65)),  # nose
        _ellipsoid("head", (0, 2.75, 7.35), (0.95, 0.55, 0.62)),
        _ellipsoid("neck", (0, 1.6, 0.0), (2.8, 2.6, 2.7)),
    ]
    for _, s in SIDES:
        x, y, z = (EAR * (s, 1, 1)).tolist()
        blobs += [
            _ellipsoid("head", (3.0 * s, 1.0, 4.2), (2.25, 2.1, 2.1)),  # cheek
            _ellipsoid("head", (2.1 * s, 4.1, 5.0), (1.35, 1.1, 1.45)),  # eyeball under its lid
            _ellipsoid("head", (x - 0.6 * s, y, z), (0.85, 1.9, 1.1), -14),  # ear
        ]
    return tuple(blobs)


def _hand(side: str, sign: float) -> tuple[Blob, ...]:
    blobs = [
        Blob(f"{side}_forearm", (0, FOREARM - 2.2, 0), (0, FOREARM, 0), (1.4, 1.25)),
        _ellipsoid(f"{side}_hand", (0, 2.0, 0), (1.75, 2.5, 0.95)),
        _ellipsoid(f"{side}_hand", (-1.0 * sign, 1.4, 0.4), (0.8, 1.4, 0.8)),
        Blob(f"{side}_thumb", (0, 0, 0), (0, 1.9, 0), (0.6, 0.45)),
    ]
    for i, length in enumerate((0.92, 1.0, 0.95, 0.8)):
        x = (-1.25 + 0.83 * i) * sign
        blobs += [
            Blob(f"{side}_fingers", (x, -0.2, 0), (x, FINGER * length, 0), (0.5, 0.45)),
            Blob(f"{side}_tips", (x, (length - 1) * FINGER, 0), (x, 1.45 * length, 0), (0.45, 0.38)),
        ]
    return tuple(blobs)


def _foot(side: str, sign: float) -> tuple[Blob, ...]:
    f = f"{side}_foot"
    blobs = [
        Blob(f"{side}_shank", (0, SHANK - 2.4, 0), (0, SHANK, 0), (1.65, 1.5)),
        _ellipsoid(f, (0, -1.0, 0.9), (1.5, 1.55, 1.5)),  # heel
        Blob(f, (0, 0.4, 0.4), (0.1 * sign, 4.2, 1.2), (1.45, 1.05)),
        _ellipsoid(f, (0, 4.3, 1.3), (1.85, 1.6, 0.95)),  # ball
        _ellipsoid(f, (-1.2 * sign, 6.3, 1.3), (0.72, 0.95, 0.66)),  # big toe, on the inner side
    ]
    for i in range(4):
        blobs.append(_ellipsoid(f, ((-0.25 + 0.6 * i) * sign, 6.35 - 0.3 * i, 1.35), (0.42, 0.75, 0.5)))
    return tuple(blobs)


def _pieces() -> tuple[Piece, ...]:
    limbs = [
        piece
        for side, sign in SIDES
        for piece in (
            Piece(f"{side}_hand", _hand(side, sign), 0.13, 0.25, 0.25),
            Piece(f"{side}_foot", _foot(side, sign), 0.2, 0.3, 0.6),
        )
    ]
    return (
        Piece("body", _body(), 0.7, 0.52, 1.1),
        Piece("head", _head(), 0.28, 0.32, 0.8),
        *limbs,
    )


REST_POSE = BodyPose(curl=8)


@lru_cache(maxsize=1)
def template() -> Template:
    """The mesh, built at the first call (about a second)."""
    rest = posed(REST_POSE, Proportions())
    meshes = [_mesh(piece, rest) for piece in _pieces()]
    starts = np.cumsum([0, *(len(m[0]) for m in meshes)])
    vertices = np.concatenate([m[0] for m in meshes])
    head = BONE_INDEX["head"]
    bones, weights = (np.concatenate([m[i] for m in meshes]) for i in (3, 4))
    kinds = {"body": 0.0, "head": 1.0}
    return Template(
        vertices=vertices,
        normals=np.concatenate([m[1] for m in meshes]),
        faces=np.concatenate([m[2] + start for m, start in zip(meshes, starts, strict=False)]),
        bones=bones,
        weights=weights,
        arm=_along(vertices, rest, ("upper_arm", "forearm", UPPER_ARM)),
        leg=_along(vertices, rest, ("thigh", "shank", THIGH)),
        head=into_frame(vertices, rest.origins[head], rest.rotations[head]),
        kind=np.concatenate(
            [
                np.full(len(m[0]), kinds.get(p.name, 2.0 if p.name.endswith("hand") else 3.0))
                for p, m in zip(_pieces(), meshes, strict=True)
            ]
        ),
        rest=rest,
    )


def into_frame(points: np.ndarray, origin: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """(P, 3) points in a bone's frame; einsum, whose bytes don't depend on BLAS and its threads."""
    return np.einsum("pj,jk->pk", points - origin, frame)


def _field(piece: Piece, rest: Skeleton, points: np.ndarray) -> np.ndarray:
    """(B, P) distance of each point to each blob."""
    rows = []
    for blob in piece.blobs:
        i = BONE_INDEX[blob.bone]
        rows.append(distance(blob, into_frame(points, rest.origins[i], rest.rotations[i])))
    return np.stack(rows)


def _mesh(piece: Piece, rest: Skeleton) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Vertices, normals, faces, bones and weights of one piece."""
    low, high = _bounds(piece, rest)
    steps = np.ceil((high - low) / piece.cell).astype(int) + 1
    axes = [low[i] + piece.cell * np.arange(steps[i]) for i in range(3)]
    values = _grid_values(piece, rest, axes)
    points, faces = surface_net(values)
    vertices = low + piece.cell * points
    for _ in range(2):  # from the cells' middles onto the surface
        value, gradient = _gradient(piece, rest, vertices)
        length = np.linalg.norm(gradient, axis=1, keepdims=True)
        vertices = vertices - np.clip(value[:, None] / length, -0.3, 0.3) * gradient / length
    normals = _gradient(piece, rest, vertices)[1]
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    bones, weights = _weights(piece, rest, vertices, faces)
    return vertices, normals, faces, bones, weights


def _grid_values(piece: Piece, rest: Skeleton, axes: list[np.ndarray]) -> np.ndarray:
    """`smooth_union` on a grid, each blob in its own box only: far off it would add nothing."""
    shape = tuple(len(axis) for axis in axes)
    total = np.full(shape, np.exp(-20.0))
    for blob in piece.blobs:
        low, high = _box(piece, rest, blob)
        cut = tuple(slice(*np.searchsorted(a, (p, q))) for a, p, q in zip(axes, low, high, strict=True))
        points = np.stack(np.meshgrid(*(a[c] for a, c in zip(axes, cut, strict=True)), indexing="ij"), -1)
        i = BONE_INDEX[blob.bone]
        local = into_frame(points.reshape(-1, 3), rest.origins[i], rest.rotations[i])
        total[cut] += np.exp(-distance(blob, local) / piece.blend).reshape(points.shape[:3])
    return -piece.blend * np.log(total)


def _box(piece: Piece, rest: Skeleton, blob: Blob) -> tuple[np.ndarray, np.ndarray]:
    """Corners of the box outside which a blob does not matter."""
    i = BONE_INDEX[blob.bone]
    ends = rest.origins[i] + np.array([blob.start, blob.end]) @ rest.rotations[i].T
    reach = max(blob.radii) + 3 * piece.blend + 2 * piece.cell
    return ends.min(axis=0) - reach, ends.max(axis=0) + reach


def _bounds(piece: Piece, rest: Skeleton) -> tuple[np.ndarray, np.ndarray]:
    boxes = [_box(piece, rest, blob) for blob in piece.blobs]
    return np.min([b[0] for b in boxes], axis=0), np.max([b[1] for b in boxes], axis=0)


def _gradient(piece: Piece, rest: Skeleton, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    step = 0.02
    value = smooth_union(_field(piece, rest, points), piece.blend)
    ahead = [smooth_union(_field(piece, rest, points + step * e), piece.blend) for e in np.eye(3)]
    return value, (np.stack(ahead, axis=1) - value[:, None]) / step


def _weights(
    piece: Piece, rest: Skeleton, vertices: np.ndarray, faces: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Nearby bones share a vertex; sharing is then smoothed over the surface."""
    distances = _field(piece, rest, vertices)
    dense = np.zeros((len(vertices), len(BONES)))
    share = np.exp(-(distances - distances.min(axis=0)) / (0.5 * piece.soft))
    for blob, row in zip(piece.blobs, share, strict=True):
        column = dense[:, BONE_INDEX[blob.bone]]
        np.maximum(column, row, out=column)
    rounds = max(1, int(1.2 * (piece.soft / piece.cell) ** 2))
    dense = _smoothed(dense / dense.sum(axis=1, keepdims=True), faces, rounds)
    bones = np.argsort(-dense, axis=1, kind="stable")[:, :INFLUENCES]
    weights = np.take_along_axis(dense, bones, axis=1)
    return bones, weights / weights.sum(axis=1, keepdims=True)


def _smoothed(values: np.ndarray, faces: np.ndarray, rounds: int) -> np.ndarray:
    """Repeatedly the mean with the neighbours' mean."""
    from scipy.sparse import coo_matrix

    count = len(values)
    pairs = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    links = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(count, count)).tocsr()
    degree = np.maximum(np.asarray(links.sum(axis=1)), 1)
    for _ in range(rounds):
        values = 0.5 * values + 0.5 * (links @ values) / degree
    return values


def _along(vertices: np.ndarray, rest: Skeleton, limb: tuple[str, str, float]) -> np.ndarray:
    """(V,) distance along the nearer side's limb, from its root."""
    upper, lower, length = limb
    result = np.empty(len(vertices))
    for side, sign in SIDES:
        near = vertices[:, 0] * sign >= 0
        u, w = BONE_INDEX[f"{side}_{upper}"], BONE_INDEX[f"{side}_{lower}"]
        first = into_frame(vertices[near], rest.origins[u], rest.rotations[u])[:, 1]
        second = into_frame(vertices[near], rest.origins[w], rest.rotations[w])[:, 1]
        result[near] = np.where(first < length, first, length + np.maximum(second, 0))
    return result
