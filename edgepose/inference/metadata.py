"""What an app must know of an exported network, as the metadata in the .tflite's sidecar.

`export` writes the sidecar and treats this as opaque; here it is built, read back and checked.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from edgeio.records import parse_record
from edgepose.errors import BadModel
from edgepose.keypoints import keypoint_set
from edgepose.models.variants import NORMALISATIONS, variant

METADATA_VERSION = 1
OUTPUTS = ("maps", "upscaled", "keypoints")

LETTERBOX = {
    "rule": "scale the image (or the crop) to fit the input, keeping its aspect; centre it; pad with zeros "
    "before normalisation",
    "filter": "shrinking by f >= 2 starts with the mean of each floor(f) x floor(f) block; the rest is "
    "bilinear, antialiased: a triangle as wide as the remaining scale",
    "content_size": "round(scale x width), round(scale x height), at least 1",
    "offset": "(input - content) // 2, left and top",
    "padding": 0,
}
PIXELS = "continuous: pixel i covers [i, i + 1), its centre is i + 0.5; the same on maps, in cells"


@dataclass(frozen=True)
class PoseMetadata:
    """How to feed one exported network and read its output.

    Attributes:
        network: key of the variant.
        keypoints: key of the keypoint set; names and swaps stand beside it for apps.
        output: "maps" (1, h, w, K), "upscaled" (1, H, W, K) or "keypoints" (1, K, 3: x, y in input
            pixels, confidence).
        output_index: which of the file's outputs that is.
        decode: the decoder the output is meant for.
        parameters, flops: of the inference graph, where known.
    """

    network: str
    keypoints: str
    output: str
    output_index: int
    decode: str
    parameters: int | None
    flops: int | None

    def to_json(self, edgepose: str) -> dict[str, Any]:
        """The sidecar's metadata, with all that an app needs spelt out."""
        chosen, points = variant(self.network), keypoint_set(self.keypoints)
        return {
            "metadata_version": METADATA_VERSION,
            "edgepose": edgepose,
            **asdict(self),
            "network_name": chosen.name,
            "keypoint_names": list(points.names),
            "keypoint_swaps": list(points.swaps),
            "segments": [list(pair) for pair in points.segments],
            "normalisation": {"key": chosen.normalisation, **asdict(NORMALISATIONS[chosen.normalisation])},
            "letterbox": LETTERBOX,
            "pixels": PIXELS,
        }


def pose_metadata(metadata: Any, where: str) -> PoseMetadata:
    """Read a sidecar's metadata back.

    Raises:
        BadModel: it is not edgepose's, or of a newer version, or names what we do not know.
    """
    hint = "export the checkpoint again, or describe the file with `edgepose import-tflite`"
    if not isinstance(metadata, dict) or "metadata_version" not in metadata:
        raise BadModel(f"the sidecar of {where} has no pose metadata", hint)
    if metadata["metadata_version"] != METADATA_VERSION:
        raise BadModel(
            f"the sidecar of {where} has metadata version {metadata['metadata_version']!r} "
            f"and this edgepose reads {METADATA_VERSION}",
            hint,
        )
    own = {name: metadata[name] for name in PoseMetadata.__dataclass_fields__ if name in metadata}
    found = parse_record(PoseMetadata, own, f"the sidecar of {where}", hint, BadModel)
    if found.output not in OUTPUTS:
        raise BadModel(f"the sidecar of {where} has the output {found.output!r}", hint)
    chosen, points = variant(found.network), keypoint_set(found.keypoints)
    if metadata.get("keypoint_names") != list(points.names):
        raise BadModel(f"the sidecar of {where} names other keypoints than {points.key} has", hint)
    scale = metadata.get("normalisation", {}).get("scale")
    if scale is None or list(scale) != list(NORMALISATIONS[chosen.normalisation].scale):
        raise BadModel(f"the sidecar of {where} has another normalisation than {chosen.key} needs", hint)
    return found
