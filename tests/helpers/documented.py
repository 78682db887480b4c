"""What README.md and docs/ tell the reader to type, and how tests/test_docs.py runs each of it small.

Every command has an entry below. A command that is not run says why.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from peer_models import detector, landmarks, movenet
from tiny_tflite import tiny_tflite

from edgepose.deploy.export import import_tflite
from edgepose.keypoints import IN_MOTION_19
from edgepose.models.checkpoint import read_checkpoint, save_checkpoint
from edgepose.models.pretrained import checkpoint_path
from edgepose.synthetic import synthesise

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "docs"))

import command_pages  # noqa: E402
import fenced  # noqa: E402
import tutorial_clip  # noqa: E402

__all__ = ["COMMANDS", "NotRun", "Run", "command_pages", "fenced", "prepare"]


@dataclass(frozen=True)
class Run:
    """The command is run.

    Attributes:
        add: options behind the documented ones; of an option that is given twice the last counts.
        swap: documented words, and what replaces each.
    """

    add: str = ""
    swap: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class NotRun:
    """The command is only parsed."""

    reason: str


# What `prepare` makes.
_SMALL = {"default:rt-lite": "models/rt-lite.safetensors"}
_TINY = {"default:rt-lite": "models/tiny.tflite"}
_LSPET = {"lspet:path/to/lspet": "infants"}
_DRAW = Run("--videos 3 --frames 2 --seed 1 --size 160x120 --workers 1", {"infants": "drawn"})
_DEVICE = NotRun("needs qemu and a network; tests/test_android_harness runs it where they are")
_RAY = NotRun("needs Ray; tests/test_edgepose/test_engines.py runs it where it is installed")
_PHONE = NotRun("needs a phone; tests/test_android_harness runs it against a double of one")
_THEIRS = NotRun("needs a file that its authors release; tests/test_edgepose/test_weights.py imports it")
_CVAT = NotRun("needs an annotator's export; tests/test_edgepose/test_own_keypoints.py makes and uses one")
_MINUTES = "takes minutes; "

COMMANDS: Mapping[str, Run | NotRun] = {
    # README.md
    "edgepose predict clip.mp4 --model default:rt-lite --overlay --out predictions": Run(swap=_TINY),
    "edgepose calibrate-confidence default:rt-lite --data infants --split val --crop person "
    "--margin 0.35 --out confidence.json": Run(swap=_TINY),
    "edgepose predict clip.mp4 --model default:rt-lite --confidence confidence.json --out calibrated": Run(
        swap=_TINY
    ),
    "edgepose data info lspet:path/to/lspet": Run(swap=_LSPET),
    "edgepose data show lspet:path/to/lspet --out sheet.png": Run(swap=_LSPET),
    "edgepose models": Run("--model rt-lite"),
    "edgepose import-weights EfficientPoseRT.h5 --model rt --out models/rt.safetensors": _THEIRS,
    "edgepose data synth --out infants --videos 100 --frames 20 --seed 1 --size 640x480": _DRAW,
    "edgepose train --model rt --data infants --init models/rt.safetensors --out runs/rt": NotRun(
        _MINUTES + "tests/test_edgepose/test_training.py runs it on a small network"
    ),
    "edgepose distill --teacher i --student rt --data infants --out runs/from-i": NotRun(
        _MINUTES + "tests/test_demo.py runs it small"
    ),
    "edgepose distill --teacher b4 --teacher-weights b4.safetensors --student rt --data infants "
    "--out runs/from-b4": NotRun("needs a trained B4, and none is released"),
    "edgepose export models/rt.safetensors --recipe fp32 --recipe int8 --output maps "
    "--calibrate lspet:path/to/lspet --crop person --out models/tflite": Run("--count 2", _LSPET),
    "edgepose quantize models/rt.safetensors --data lspet:path/to/lspet --crop person "
    "--out models/int8": NotRun("docs/tutorial.md's is run"),
    "edgepose evaluate 'models/tflite/rt-*.tflite' 'models/int8/rt-*.tflite' --data lspet:path/to/lspet "
    "--crop person --out runs/lspet": Run(
        "--no-speed", {**_LSPET, "models/int8/rt-*.tflite": "models/tiny.tflite"}
    ),
    "edgepose compare runs/lspet --baseline rt-fp32-maps --out reports/mine": Run(),
    "edgepose import-tflite movenet_singlepose_lightning_int8_4.tflite --output movenet "
    "--out models/peers": Run(),
    "edgepose import-tflite pose_landmark_full.tflite --output blazepose --detector pose_detection.tflite "
    "--out models/peers": Run(),
    "edgepose evaluate 'models/peers/*.tflite' default:rt-lite --data infants --out runs/peers": Run(
        "--no-speed", _TINY
    ),
    "edgepose compare runs/peers --common --baseline rt-lite --out reports/peers": Run(
        swap={"rt-lite": "tiny"}
    ),
    "edgepose device create --cpu cortex-a76": _DEVICE,
    "edgepose evaluate models/int8/rt-int8-ptq-maps.tflite --data infants --limit 50 "
    "--target emulated:cortex-a76 --out runs/a76": _DEVICE,
    "edgepose evaluate default:i default:rt-lite-int8 --data infants --out runs/phone": Run("--no-speed"),
    "edgepose compare runs/phone --baseline i --out reports/mine": Run(
        swap={"reports/mine": "reports/phone"}
    ),
    "edgepose evaluate default:rt-lite-int8 --data infants --limit 50 --target emulated:cortex-a76 "
    "--out runs/a76": _DEVICE,
    "edgepose bundle default:rt-lite-int8 --report runs/phone --out app.zip": Run(),
    "edgepose bundle models/int8/rt-int8-ptq-maps.tflite --report runs/lspet --out mine.zip": Run(
        swap={"models/int8/rt-int8-ptq-maps.tflite": "models/tflite/rt-int8-maps.tflite"}
    ),
    "edgepose bundle verify mine.zip": Run(),
    "edgepose bundle verify app.zip": Run(),
    "edgepose paper table2 --out paper": NotRun(
        _MINUTES + "tests/test_edgepose/test_paper.py runs every experiment"
    ),
    "edgepose raters infants/raters.csv --out raters": Run(),
    "edgepose evaluate default:rt --data infants --human raters/human.json --out runs/human": Run(
        "--no-speed", {"default:rt": "models/tflite/rt-int8-maps.tflite"}
    ),
    "edgepose data synth --out infants-home --variety home --videos 400 --frames 5 --size 320": Run(
        "--videos 3 --frames 1 --size 128 --workers 1", {"infants-home": "drawn-home"}
    ),
    "edgepose data synth --out infants --videos 100 --frames 5 --seed 0 --size 640x480": _DRAW,
    "edgepose evaluate default:i default:rt default:rt-lite --data infants --out runs/default-weights": Run(
        "--no-speed",
        {
            "default:i": "models/tflite/rt-fp32-maps.tflite",
            "default:rt": "models/tflite/rt-int8-maps.tflite",
            "default:rt-lite": "models/tiny.tflite",
        },
    ),
    # docs/training-cpu.md
    "edgepose train --model b4 --init ii.safetensors --freeze-blocks 3 --precision bfloat16_products "
    "--resolution 128 --data infants --out runs/b4": NotRun(
        "takes hours; tests/test_edgepose/test_training.py runs its options on a small network"
    ),
    # docs/archives.md
    "edgepose predict videos --model default:rt-lite --out tracks": Run(swap=_TINY),
    "edgepose predict videos --model default:rt-lite --out tracks --retry-failed": Run(swap=_TINY),
    "edgepose predict videos --model default:rt-lite --out tracks --shard 2/8": Run(swap=_TINY),
    "edgepose predict videos --model default:rt-lite --out tracks --engine ray": _RAY,
    "edgepose predict videos --model default:rt-lite --out tracks --engine ray:auto": _RAY,
    "edgepose evaluate default:rt default:rt-lite --data in-motion:infants --no-speed --engine ray": _RAY,
    # docs/tutorial.md
    "edgepose data synth --out infants --videos 100 --frames 3 --seed 1 --size 320x240": _DRAW,
    "edgepose data show infants --out infants.png": Run(),
    "edgepose quantize default:rt-lite --data infants --out models": Run("--count 2", _SMALL),
    "edgepose evaluate default:rt-lite models/rt-lite-int8-ptq-maps.tflite --data infants --out scored": Run(
        "--no-speed", _SMALL
    ),
    "edgepose compare scored --baseline rt-lite --out report": Run(),
    "edgepose bundle models/rt-lite-int8-ptq-maps.tflite --report scored --out app.zip": Run("--overwrite"),
    # docs/bundle/README.md
    "edgepose bundle models/tflite/rt-int8-maps.tflite --report runs/lspet/rt-int8-maps --out app.zip": Run(
        "--overwrite"
    ),
    # docs/keypoints.md
    "edgepose data info coco:path/to/export": _CVAT,
    "edgepose data keypoints coco:path/to/export --out toes.toml": _CVAT,
    "edgepose data info coco:path/to/export --keypoints toes.toml": _CVAT,
    **{
        f"edgepose train --model rt --data infants --out runs/two --batch 64 --hosts {i}/2": NotRun(
            "needs two processes at once; tests/test_edgepose/test_hosts.py starts them"
        )
        for i in (0, 1)
    },
    "edgepose train --model rt-lite --data coco:path/to/export --keypoints toes.toml --out runs/toes": _CVAT,
    "edgepose evaluate runs/toes/best.safetensors --data coco:path/to/export --out scored-toes": _CVAT,
    "edgepose export runs/toes/best.safetensors --recipe fp16 --out models/toes": _CVAT,
    "edgepose data convert labels.slp --to coco --out from-sleap": NotRun(
        "needs a file of SLEAP; tests/test_edgepose/test_convert.py makes one"
    ),
    "edgepose predict clip.mp4 --model default:rt-lite --format openpose --out pose": Run(swap=_TINY),
    "edgepose predict clip.mp4 --model default:rt-lite --format deeplabcut --out for-deeplabcut": NotRun(
        "needs pandas and tables; tests/test_edgepose/test_exchange.py reads such a file"
    ),
    # docs/commands
    "edgepose cluster default:rt-lite --clusters 32 --out runs/clustered": Run(swap=_SMALL),
    "edgepose data convert infants --to coco --out as-coco": Run(),
    "edgepose data convert deeplabcut:path/to/project --to in-motion --near --out as-in-motion": NotRun(
        "needs a project of DeepLabCut; tests/test_edgepose/test_deeplabcut.py makes one"
    ),
    "edgepose data keypoints infants --out mine.toml": Run(),
    "edgepose data info infants": Run(),
    "edgepose data info infants --json": Run(),
    "edgepose device list": Run(),
    "edgepose device operators models/int8/rt-int8-ptq-maps.tflite --out runs/operators": _DEVICE,
    "edgepose device remove cortex-a76": _DEVICE,
    "edgepose device doctor": NotRun("its exit code is this machine's; test_device_command.py runs it"),
    "edgepose distill --teacher i --student rt-lite --smoke --out runs/smoke": NotRun(
        _MINUTES + "tests/test_demo.py distils with other words"
    ),
    "edgepose evaluate models/rt-lite-int8-ptq-maps.tflite --data infants --limit 50 "
    "--target emulated:cortex-a76 --out runs/a76": _DEVICE,
    "edgepose export default:rt-lite --recipe fp16 --recipe int8 --calibrate infants --out tflite": NotRun(
        "README.md's export is run, with the same options"
    ),
    "edgepose import-tflite EfficientPoseRT_LITE.tflite --model rt-lite --out models/theirs": Run(
        "--keypoints in-motion-19 --output maps",
        {"EfficientPoseRT_LITE.tflite": "tiny.tflite"},
    ),
    "edgepose import-tflite pose_landmark_full.tflite --output blazepose --detector pose_detection.tflite "
    "--out models/theirs": Run(),
    "edgepose compare runs/peers --common --out reports/common": Run(),
    "edgepose models --model rt-lite --json": NotRun("README.md's is run; test_models.py runs this one"),
    "edgepose paper table2 --models rt=models/rt.safetensors --data infants --out paper-mine": Run(
        swap={"rt=models/rt.safetensors": "rt-lite=models/rt.safetensors"}
    ),
    "edgepose predict photos --model default:rt-lite --abstain-below 0.2 --format coco --out coco": Run(
        swap=_TINY
    ),
    "edgepose view predictions": NotRun("serves until Ctrl-C; tests/test_edgepose/test_view.py runs it"),
    "edgepose view predictions/clip.json --out clip.html": Run(),
    "edgepose prune default:rt-lite --data infants --sparsity 0.5 --out runs/pruned": NotRun(
        _MINUTES + "tests/test_edgepose/test_pruning.py prunes a small network"
    ),
    "edgepose qat default:rt-lite --data infants --steps 100 --out runs/int8": NotRun(
        _MINUTES + "tests/test_edgepose/test_compression_training.py trains a small network"
    ),
    "edgepose recipes list": Run(),
    "edgepose recipes run fine-tune DATA=infants MPII.safetensors=models/rt.safetensors RUN=fine": Run(
        "--print"
    ),
    "edgepose train --model rt-lite --keypoints in-motion-19 --partial --drop-shared --data "
    "coco:path/to/syrip=3,crop=person,margin=0.1-0.6,crops=4,turn=upright --data "
    "lspet:path/to/lspet=1,crop=person,turn=upright --data in-motion:infants=1.5 --augmentation home "
    "--out runs/real": NotRun(_MINUTES + "tests/test_edgepose/test_mixture.py trains a small network so"),
    "edgepose evaluate default:rt-lite --data coco:path/to/syrip --crop person --margin 0.35 --turn upright "
    "--score limbs --out runs/syrip": NotRun(
        "needs photographs; tests/test_edgepose/test_mixture.py and test_rulers.py cover the parts"
    ),
    # docs/devices.md
    "edgepose device create --cpu cortex-a53 --runtime tflite-runtime": _DEVICE,
    "edgepose evaluate model.tflite --data in-motion:DIR --target emulated:cortex-a53-tflite-runtime "
    "--limit 50": _DEVICE,
    "edgepose device remove cortex-a53-tflite-runtime": _DEVICE,
    "edgepose evaluate model.tflite --data in-motion:DIR --target android --limit 50": _PHONE,
    "edgepose evaluate model.tflite --data in-motion:DIR --target android:SERIAL --threads 4 "
    "--delegate gpu": _PHONE,
}


def prepare(folder: Path) -> None:
    """What a reader has before the first command: infants, a video, photographs, and models.

    Six frames of three videos, one in each split; the weights of RT Lite, to be run at 64 px; a .tflite
    of one convolution for what runs any model; and files with the inputs and outputs of others' networks.
    """
    synthesise(folder / "infants", 3, 2, 1, (120, 160), workers=1)
    tutorial_clip.draw(folder / "clip.mp4", 4, (120, 160))
    (folder / "videos").mkdir()
    for name in ("first.mp4", "second.mp4"):
        shutil.copy(folder / "clip.mp4", folder / "videos" / name)
    shutil.copytree(folder / "infants/processed/test", folder / "photos")
    info, weights = read_checkpoint(checkpoint_path("default:rt-lite"))
    for name in ("rt", "rt-lite"):
        save_checkpoint(folder / f"models/{name}.safetensors", weights, replace(info, resolution=64))
    (folder / "tiny.tflite").write_bytes(tiny_tflite())
    points = np.array([[112.0, 130.0], [112.0, 70.0], [0.0, 0.0], [0.0, 0.0]])
    (folder / "movenet_singlepose_lightning_int8_4.tflite").write_bytes(movenet())
    (folder / "pose_landmark_full.tflite").write_bytes(landmarks())
    (folder / "pose_detection.tflite").write_bytes(detector(points))
    import_tflite(folder / "tiny.tflite", "rt-lite", IN_MOTION_19.key, "maps", -1, folder / "models", False)
