"""The upscaling of the paper's networks as a matrix: bilinear, in steps of two."""

from __future__ import annotations

from functools import cache

import numpy as np

# One transposed convolution, 4 taps and stride 2, initialised to bilinear interpolation.
BILINEAR_TAPS = (0.25, 0.75, 0.75, 0.25)


@cache
def upsampling_matrix(cells: int, steps: int) -> np.ndarray:
    """The chain of `steps` transposed convolutions along one axis.

    'Same' padding lets the outermost half cell fade to zero, as it does in the networks.

    Args:
        cells: length of the low-resolution axis.
        steps: number of doublings.

    Returns:
        (cells * 2**steps, cells) float32, read-only; exact in binary.
    """
    matrix = np.eye(cells)
    for _ in range(steps):
        length = matrix.shape[0]
        double = np.zeros((2 * length + 2, length))
        for tap, weight in enumerate(BILINEAR_TAPS):
            double[2 * np.arange(length) + tap, np.arange(length)] += weight
        matrix = double[1:-1] @ matrix
    result = matrix.astype(np.float32)
    result.setflags(write=False)
    return result
