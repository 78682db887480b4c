"""The template's skin, bent to a skeleton."""

from __future__ import annotations

import numpy as np

from edgepose.synthetic.body import Skeleton
from edgepose.synthetic.template import Template


def skinned(t: Template, skeleton: Skeleton, vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """World positions and normals of the mesh in a pose.

    Args:
        vertices: (V, 3) the infant's own surface in the rest pose (the template's, reshaped and dressed).

    Returns:
        (V, 3) positions, cm, and (V, 3) unit normals.

    Source: linear blend skinning; each bone stretches space along its own axes before it turns it.
    """
    rest = t.rest
    turn = np.einsum("bij,bj,bkj->bik", skeleton.rotations, skeleton.scales, rest.rotations)
    shift = skeleton.origins - np.einsum("bij,bj->bi", turn, rest.origins)
    affine = np.concatenate([turn.reshape(-1, 9), shift], axis=1)
    blended = np.einsum("vk,vkj->vj", t.weights, affine[t.bones])
    matrix = blended[:, :9].reshape(-1, 3, 3)
    positions = np.einsum("vij,vj->vi", matrix, vertices) + blended[:, 9:]
    return positions, _normals(t, skeleton, matrix)


def _normals(t: Template, skeleton: Skeleton, matrix: np.ndarray) -> np.ndarray:
    """Normals follow the cofactors of the blended matrices, which bends and squeezes need."""
    rows = [np.cross(matrix[:, (i + 1) % 3], matrix[:, (i + 2) % 3]) for i in range(3)]
    normals = np.stack([dot(row, t.normals) for row in rows], axis=1)
    return normals / np.maximum(dot(normals, normals, root=True), 1e-9)[:, None]


def dot(a: np.ndarray, b: np.ndarray, root: bool = False) -> np.ndarray:
    """(P,) scalar products of (P, 3) vectors, or their roots; NumPy's sums over rows of three take longer."""
    total = a[:, 0] * b[:, 0]
    total += a[:, 1] * b[:, 1]
    total += a[:, 2] * b[:, 2]
    return np.sqrt(total, out=total) if root else total
