"""What a network gives: its maps, the maps at input resolution, or keypoints."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any

from edgeio import lookup
from edgepose.frameworks import Tensor, keras, tensorflow
from edgepose.models.layers import Kit
from edgepose.upsampling import upsampling_matrix


def with_output(model: Any, output: str, namespace: ModuleType | None = None) -> Any:
    """The same network (and the same weights, shared) with another output.

    Args:
        model: (B, H, W, 3) -> maps (B, h, w, K), as its only or its last output.
        output: "maps" (B, h, w, K); "upscaled" (B, H, W, K); "keypoints" (B, K, 3): x and y in pixels
            of the input, where pixel i covers [i, i + 1), and the upscaled map's value there;
            "training": the model as it is.
        namespace: the one that the model was built in: `keras` (the default) or `tf_keras`.

    Raises:
        UnknownName: no such output.
    """
    attach = lookup(OUTPUTS, "output", output)
    if attach is None:
        return model
    kit = Kit(namespace or keras())
    maps = model.outputs[-1]
    steps = (model.input_shape[1] // maps.shape[1]).bit_length() - 1
    return kit.keras.Model(model.input, attach(kit, maps, steps), name=model.name)


def _maps(kit: Kit, maps: Tensor, steps: int) -> Tensor:
    return maps


def _upscaled(kit: Kit, maps: Tensor, steps: int) -> Tensor:
    return kit.upscale(maps, steps)


def _keypoints(kit: Kit, maps: Tensor, steps: int) -> Tensor:
    return _peaks_class(kit.keras)(steps, name="keypoints")(maps)


OUTPUTS: dict[str, Callable[[Kit, Tensor, int], Tensor] | None] = {
    "training": None,
    "maps": _maps,
    "upscaled": _upscaled,
    "keypoints": _keypoints,
}


def peaks(maps: Tensor, steps: int) -> Tensor:
    """The upscaled maps' peaks, without the transposed convolutions: the same upscaling as two products.

    Made for TFLite and exact there: built-in operators only, the products and the maximum over rows
    run in XNNPACK, and each map's best row is read back from the large array rather than searched for.
    The matrix stands on the left of both products, where the converter leaves it in float: on the right
    it becomes a fully connected layer, and the `dynamic` recipe would round it to 8 bits.

    Args:
        maps: (B, h, w, K).
        steps: doublings to the input resolution.

    Returns:
        (B, K, 3): x, y in pixels of the upscaled maps (index + 0.5), and the value there. Of equal
        peaks the first in reading order, as NumPy's argmax gives it.
    """
    tf = tensorflow()
    _, height, width, _ = maps.shape
    wide = tf.matmul(upsampling_matrix(width, steps), tf.transpose(maps, (0, 3, 2, 1)))
    full = tf.matmul(upsampling_matrix(height, steps), tf.transpose(wide, (0, 1, 3, 2)))
    y = tf.argmax(tf.reduce_max(full, axis=3), axis=2, output_type=tf.int32)
    row = tf.gather(full, y, axis=2, batch_dims=2)
    x = tf.argmax(row, axis=2, output_type=tf.int32)
    centre = tf.cast(tf.stack([x, y], axis=2), tf.float32) + 0.5
    return tf.concat([centre, tf.reduce_max(row, axis=2, keepdims=True)], axis=2)


@cache
def _peaks_class(namespace: ModuleType) -> type:
    """`peaks` as a layer of one namespace: a bare function would become a Lambda, which holds code."""

    class Peaks(namespace.layers.Layer):  # type: ignore[name-defined, misc]
        def __init__(self, steps: int, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.steps = steps

        def call(self, maps: Tensor) -> Tensor:
            return peaks(maps, self.steps)

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "steps": self.steps}

    return Peaks
