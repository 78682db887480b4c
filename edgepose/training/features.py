"""A student's features brought close to a teacher's, with a weight that fades.

The features are those that the last pass's map layer reads, found in the model's graph: maps are read off
them, so what they hold is what localises, and a student's lie on the same cells as its maps. A 1x1
convolution brings the student's to the teacher's width; it is trained along and thrown away.

The teacher sees the augmented frames themselves, live in the graph: features, unlike keypoints, cannot be
moved by an augmentation afterwards. It computes in the run's precision.

Source: DWPose, Yang et al. 2023, first stage: mean squared error of the features, linear decay.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgepose.frameworks import Tensor
from edgepose.models.checkpoint import load_model, read_checkpoint
from edgepose.models.variants import NORMALISATIONS, Normalisation, variant
from edgepose.training.augmentation import Arrays, normalised, pixels_of

ALIGNMENT = "feature_alignment"  # the projection's layer
_LEAST = 1e-6  # mean square of features that are nothing at all


def map_features(model: Any) -> Tensor:
    """What the layer of a model's last output, the maps, reads: (B, h, w, C)."""
    return model.get_layer(model.output_names[-1]).input


def with_alignment(student: Any, channels: int) -> Any:
    """The student with one more output, its features in `channels`; the student itself stays as it is.

    To train this model trains the student, whose checkpoints then hold nothing of the projection.
    """
    from edgepose.frameworks import keras

    kr = keras()
    aligned = kr.layers.Conv2D(channels, 1, name=ALIGNMENT)(map_features(student))
    return kr.Model(student.input, [*student.outputs, aligned], name=student.name)


@dataclass(frozen=True)
class FeatureLoss:
    """Squared error of `with_alignment`'s output to the teacher's features.

    Of each frame it is a share of the features' own mean square, so that one weight fits every teacher: 0
    is the teacher's features, 1 is as far from them as saying nothing.

    Attributes:
        teacher: a Keras model from its normalised input (B, H, W, 3) to features (B, h, w, C).
        theirs, ours: the teacher's and the student's normalisation.
    """

    teacher: Any
    theirs: Normalisation
    ours: Normalisation

    @property
    def channels(self) -> int:
        """C."""
        return int(self.teacher.output_shape[-1])

    def __call__(self, outputs: list[Tensor], sample: Arrays, sigma: Tensor) -> Tensor:
        from edgepose.frameworks import keras

        ops = keras().ops
        aligned = ops.cast(outputs[-1], "float32")
        wanted = ops.stop_gradient(self.wanted(sample["inputs"], aligned.shape[1:3]))
        errors, squares = (ops.mean(value * value, axis=(1, 2, 3)) for value in (aligned - wanted, wanted))
        return ops.mean(errors / ops.maximum(squares, _LEAST))

    def wanted(self, inputs: Tensor, grid: tuple[int, int]) -> Tensor:
        """The teacher's features (B, *grid, C) float32 of the student's inputs (B, H, W, 3)."""
        from edgepose.frameworks import keras

        pixels = _resized(pixels_of(inputs, self.ours), self.teacher.input_shape[1:3])
        # Not training: its batch statistics stay, and nothing drops out.
        features = self.teacher(normalised(pixels, self.theirs), training=False)
        return _resized(keras().ops.cast(features, "float32"), grid)


def feature_loss(teacher: Path, ours: Normalisation) -> FeatureLoss:
    """The loss towards a checkpoint's features.

    Args:
        ours: the student's normalisation.

    Raises:
        BadCheckpoint: missing, damaged or not ours.
    """
    from edgepose.frameworks import keras

    info, _ = read_checkpoint(teacher)
    with _undistributed():  # a constant of the graph, which no process may share with another
        network = load_model(teacher, output="maps")
    features = keras().Model(network.input, map_features(network), name="teacher")
    features.trainable = False
    return FeatureLoss(features, NORMALISATIONS[variant(info.model).normalisation], ours)


@contextmanager
def _undistributed() -> Iterator[None]:
    """What is built in the block lies on one device of this process."""
    from edgepose.frameworks import keras

    distribution = keras().distribution
    before = distribution.distribution()
    try:
        distribution.set_distribution(None)
        yield
    finally:
        distribution.set_distribution(before)


def _resized(images: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, H, W, C) to (B, *size, C): bilinear, and averaged where cells become larger."""
    from edgepose.frameworks import keras

    return keras().ops.image.resize(
        images, size, interpolation="bilinear", antialias=True, data_format="channels_last"
    )
