"""A model's raw output to keypoints: by the codec, or as the model itself decoded."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgeio import lookup
from edgepose.codec import DECODERS, Codec
from edgepose.errors import BadModel, UsageError
from edgepose.geometry import Placement, Size
from edgepose.inference.peers import PEERS
from edgepose.inference.spec import ModelSpec

IN_GRAPH = "in-graph"  # how a "keypoints" output was decoded: by the model itself

# What an output is decoded with unless the user says otherwise.
DECODE = {"maps": "taylor", "upscaled": "argmax", "keypoints": IN_GRAPH, **{key: key for key in PEERS}}

# Outputs (B, ...) -> keypoints_px (B, K, 2) in input pixels, confidence (B, K).
Decode = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def output_decoder(input_size: Size, output_shape: tuple[int, ...], decoder: str) -> Decode:
    """The decoder of an output.

    Args:
        output_shape: without the batch: (h, w, K); (K, 3) where it is decoded in the graph; (N,) of a peer.
        decoder: its name; that of a peer is the peer's key.
    """
    if decoder in PEERS:
        peer = PEERS[decoder]
        return lambda outputs: peer.decode(outputs, input_size)
    if decoder == IN_GRAPH:
        return lambda outputs: (outputs[..., :2].astype(np.float64), outputs[..., 2])
    return Codec(input_size, (output_shape[0], output_shape[1]), decoder=decoder).decode


class PoseDecoder:
    """The decoder of one model.

    Args:
        decode: a decoder's name, or None for the one that the model is meant for.

    Raises:
        UnknownName: no such decoder.
        UsageError: one that does not go with the model's output.
    """

    def __init__(self, spec: ModelSpec, decode: str | None = None) -> None:
        self.name = decode or spec.decode
        self._path = spec.path
        if not spec.gives_maps:
            if self.name != DECODE[spec.output]:
                raise UsageError(f"{spec.path} gives keypoints, no maps", "leave --decode out")
        else:
            lookup(DECODERS, "decoder", self.name)
        if spec.output == "upscaled" and self.name == "upsampled-argmax":
            raise UsageError(f"{spec.path} upscales in its own graph", "use --decode argmax")
        self._decode = output_decoder(spec.input_size, spec.output_shape, self.name)

    def __call__(self, outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Outputs (B, ...) -> keypoints_px (B, K, 2) in input pixels, confidence (B, K)."""
        return self._decode(outputs)

    def in_image(
        self, output: np.ndarray, placed: Placement, image: object = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """One image's output (1, ...) -> keypoints (K, 2) in pixels of that image, and confidence (K,).

        Args:
            placed: where the image lay on the model's input.
            image: what to call it in an error.

        Raises:
            BadModel: NaN or infinity in the output.
        """
        if not np.isfinite(output).all():
            where = "" if image is None else f" on {image}"
            raise BadModel(
                f"{self._path} gives NaN or infinity{where}",
                "do not use this model: train or export it again",
            )
        found, certainty = self(output)
        return placed.to_image.apply(found[0]), certainty[0]
