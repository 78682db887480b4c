"""The table of networks, and how each wants its input normalised.

Data only: it says what the builder in `networks.py` makes, without importing a framework. Most networks are
the paper's and its authors'; those with `cut_from` are this project's own, smaller ones.

Sources: Groos et al. 2021 (Table 1 and the supplement); EfficientPose, Groos, Ramampiaro & Ihlen 2021;
OpenPose, Cao et al. 2019; CIMA-Pose, Groos & Aurlien 2018.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgeio import lookup
from edgepose.errors import UsageError


@dataclass(frozen=True)
class Normalisation:
    """normalised = x * scale + offset, per channel in RGB order, for x in 0..255."""

    scale: tuple[float, float, float]
    offset: tuple[float, float, float]

    def apply(self, images: np.ndarray) -> np.ndarray:
        """Images (B, H, W, 3) uint8 RGB -> network input (B, H, W, 3) float32."""
        batch, height, width, channels = images.shape
        # Whole rows at a time: NumPy is nine times slower over a last axis of three.
        rows = images.reshape(batch, height, width * channels).astype(np.float32)
        rows *= np.tile(np.asarray(self.scale, np.float32), width)
        rows += np.tile(np.asarray(self.offset, np.float32), width)
        return rows.reshape(images.shape)


_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

NORMALISATIONS = {
    "imagenet": Normalisation(
        scale=(1 / (255 * _STD[0]), 1 / (255 * _STD[1]), 1 / (255 * _STD[2])),
        offset=(-_MEAN[0] / _STD[0], -_MEAN[1] / _STD[1], -_MEAN[2] / _STD[2]),
    ),
    "symmetric": Normalisation(scale=(1 / 127.5,) * 3, offset=(-1.0,) * 3),
    "unit": Normalisation(scale=(1 / 255,) * 3, offset=(0.0,) * 3),
    "pixels": Normalisation(scale=(1.0,) * 3, offset=(0.0,) * 3),
}


@dataclass(frozen=True)
class Variant:
    """One network.

    Attributes:
        key: its one name, as in `--model rt`.
        name: as the paper writes it.
        family: which builder makes it: "efficientpose", "hourglass", "cima" or "openpose".
        resolution: default height and width of the input, px.
        stride: input pixels per cell of the maps.
        multiple: the input resolution must be a multiple of it, px.
        backbones: the first reads the input; the second, where there is one, the input at half resolution.
        width: channels of the detection blocks (EfficientPose only).
        blocks_per_pass: detection blocks in each pass (EfficientPose only).
        head_kernel: height and width of the detection blocks' depthwise kernels (EfficientPose only).
        passes: what each pass learns, in order: "pafs" or "confs" (EfficientPose only). The last pass's
            maps are kept.
        normalisation: key in `NORMALISATIONS`.
        has_pafs: whether part affinity fields are trained along with the maps.
        paper_parameters: Table 1, with 19 keypoints; None where the table does not have the network.
        paper_flops: likewise, of one image.
        released_parameters: the network that the authors released, with the same 19-keypoint head;
            only where Table 1 has no count.
        cut_from: key of the network that this project made it smaller from; None for the authors' own. Its
            layers bear the same names, so that it starts from the larger one's weights (`shrink.py`).
    """

    key: str
    name: str
    family: str
    resolution: int
    stride: int
    multiple: int
    backbones: tuple[str, ...]
    width: int | None
    blocks_per_pass: int | None
    passes: tuple[str, ...]
    normalisation: str
    has_pafs: bool
    paper_parameters: int | None
    paper_flops: int | None
    released_parameters: int | None = None
    cut_from: str | None = None
    head_kernel: int = 5

    @property
    def upscaling_steps(self) -> int:
        """Doublings from the maps to the input resolution."""
        return self.stride.bit_length() - 1

    @property
    def backbone_blocks(self) -> int:
        """Blocks of EfficientNet that the first backbone has; 0 for other backbones."""
        return {"efficientpose": 3, "hourglass": 7}.get(self.family, 0)

    @property
    def is_lite(self) -> bool:
        """Made for phones: ReLU6 everywhere, no squeeze-and-excite."""
        return self.backbones[0].startswith("efficientnet-lite")


def _efficientpose(
    key: str,
    name: str,
    resolution: int,
    backbones: tuple[str, ...],
    width: int,
    blocks: int,
    paper: tuple[int, int] | None,
    released_parameters: int | None = None,
) -> Variant:
    return Variant(
        key=key,
        name=name,
        family="efficientpose",
        resolution=resolution,
        stride=8,
        multiple=8,
        backbones=backbones,
        width=width,
        blocks_per_pass=blocks,
        passes=("pafs", "confs", "confs"),
        normalisation="symmetric" if backbones[0].startswith("efficientnet-lite") else "imagenet",
        has_pafs=True,
        paper_parameters=paper[0] if paper else None,
        paper_flops=paper[1] if paper else None,
        released_parameters=released_parameters,
    )


def _single(
    key: str, name: str, family: str, resolution: int, stride: int, multiple: int, backbone: str,
    has_pafs: bool, paper: tuple[int, int],
) -> Variant:  # fmt: skip
    return Variant(
        key=key,
        name=name,
        family=family,
        resolution=resolution,
        stride=stride,
        multiple=multiple,
        backbones=(backbone,),
        width=None,
        blocks_per_pass=None,
        passes=(),
        normalisation="imagenet",
        has_pafs=has_pafs,
        paper_parameters=paper[0],
        paper_flops=paper[1],
    )


def _smaller(larger: Variant, key: str, what: str, **changes: Any) -> Variant:
    """A network of this project's own, about which nothing was published."""
    return replace(
        larger,
        key=f"{larger.key}-{key}",
        name=f"{larger.name}, {what}",
        paper_parameters=None,
        paper_flops=None,
        released_parameters=None,
        cut_from=larger.key,
        **changes,
    )


_OPENPOSE = (26_011_743, 161_077_013_640)
_CIMA = (2_380_495, 15_645_092_494)
_RT = (481_336, 955_490_248)
_I = (743_476, 1_785_432_722)
_II = (1_759_372, 7_944_292_598)
_III = (3_258_888, 23_777_830_318)
_IV = (6_595_430, 73_621_311_041)
_B4 = (18_699_936, 27_009_544_472)

_RT_LITE = _efficientpose(
    "rt-lite", "EfficientPose RT Lite", 224, ("efficientnet-lite0",), 40, 1, None, 425_660
)
_TWO_PASSES = ("pafs", "confs")

_TABLE = (
    _single("openpose", "OpenPose", "openpose", 368, 8, 8, "vgg-19", True, _OPENPOSE),
    _single("cima", "CIMA-Pose", "cima", 368, 8, 8, "densenet-121", False, _CIMA),
    _efficientpose("rt", "EfficientPose RT", 224, ("efficientnet-b0",), 40, 1, _RT),
    _efficientpose("i", "EfficientPose I", 256, ("efficientnet-b2", "efficientnet-b0"), 48, 1, _I),
    _efficientpose("ii", "EfficientPose II", 368, ("efficientnet-b4", "efficientnet-b0"), 56, 2, _II),
    _efficientpose("iii", "EfficientPose III", 480, ("efficientnet-b5", "efficientnet-b1"), 64, 3, _III),
    _efficientpose("iv", "EfficientPose IV", 600, ("efficientnet-b7", "efficientnet-b3"), 80, 4, _IV),
    _single("b4", "EfficientHourglass B4", "hourglass", 608, 4, 32, "efficientnet-b4", False, _B4),
    _RT_LITE,
    _efficientpose("i-lite", "EfficientPose I Lite", 256, ("efficientnet-lite2",), 48, 1, None, 615_372),
    _efficientpose("ii-lite", "EfficientPose II Lite", 368, ("efficientnet-lite4",), 56, 2, None),
    _smaller(_RT_LITE, "two-passes", "two passes", passes=_TWO_PASSES),
    _smaller(_RT_LITE, "narrow", "narrow", backbones=("efficientnet-lite0-narrow",), width=30),
    _smaller(_RT_LITE, "half-head", "half the head", width=20),
    _smaller(_RT_LITE, "small", "small", passes=_TWO_PASSES, head_kernel=3),
)

VARIANTS = {v.key: v for v in _TABLE}


def variant(key: str) -> Variant:
    """The network called `key`; raises UnknownName."""
    return lookup(VARIANTS, "model", key)


def checked_resolution(chosen: Variant, resolution: int | None) -> int:
    """`resolution`, or the variant's own where it is None.

    Raises:
        UsageError: the network cannot take it; names the nearest ones that it can.
    """
    if resolution is None:
        return chosen.resolution
    if resolution >= chosen.multiple and resolution % chosen.multiple == 0:
        return resolution
    below = max(resolution // chosen.multiple, 1) * chosen.multiple
    nearest = (below,) if resolution < chosen.multiple else (below, below + chosen.multiple)
    raise UsageError(
        f"{chosen.name} cannot take an input resolution of {resolution}",
        f"use a multiple of {chosen.multiple}, such as {' or '.join(str(n) for n in nearest)}",
    )
