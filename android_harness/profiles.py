"""The processors that a device may pretend to be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_V8_0 = "fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid"
_V8_2 = f"{_V8_0} atomics fphp asimdhp asimdrdm lrcpc dcpop asimddp"


@dataclass(frozen=True)
class Profile:
    """A processor's identity: XNNPACK chooses its kernels by it.

    Attributes:
        cpu: qemu's name of the instruction set that it has. qemu 7.2 models none of Cortex-A55, A73, A75 and
            X1; they have the instructions of A72 or A76, and their own identity in /proc/cpuinfo.
        part: its number in the main ID register (Arm's technical reference manuals).
        features: as Linux lists them.
        year: of the first phones with it.
        variant: its major revision. A Cortex-A55 has 8-bit dot products since r1.
    """

    key: str
    name: str
    cpu: str
    part: int
    features: str
    year: int
    variant: int = 0

    def files(self) -> dict[str, str]:
        """The files of /proc and /sys that a program asks for its processor, by their paths from the root."""
        said = (
            f"processor\t: 0\nBogoMIPS\t: 38.40\nFeatures\t: {self.features}\nCPU implementer\t: 0x41\n"
            f"CPU architecture: 8\nCPU variant\t: {self.variant:#x}\nCPU part\t: 0x{self.part:03x}\nCPU revision\t: 4\n\n"
        )
        cpus = {
            f"sys/devices/system/cpu/{name}": "0\n"
            for name in ("possible", "present", "online", "kernel_max")
        }
        return {"proc/cpuinfo": said, **cpus}

    def write(self, root: Path) -> None:
        """Write those files."""
        for name, text in self.files().items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="ascii")
        (root / "sys/devices/system/cpu/cpu0").mkdir(exist_ok=True)

    def written(self, root: Path) -> bool:
        """Whether they are there as they should be."""
        files = self.files().items()
        return all(
            (root / name).is_file() and (root / name).read_text("ascii") == text for name, text in files
        )


PROFILES = {
    p.key: p
    for p in (
        Profile("cortex-a53", "Cortex-A53", "cortex-a53", 0xD03, _V8_0, 2014),
        Profile("cortex-a55", "Cortex-A55", "cortex-a76", 0xD05, _V8_2, 2018, variant=2),
        Profile("cortex-a72", "Cortex-A72", "cortex-a72", 0xD08, _V8_0, 2016),
        Profile("cortex-a73", "Cortex-A73", "cortex-a72", 0xD09, _V8_0, 2017),
        Profile("cortex-a75", "Cortex-A75", "cortex-a76", 0xD0A, _V8_2, 2018),
        Profile("cortex-a76", "Cortex-A76", "cortex-a76", 0xD0B, _V8_2, 2019),
        Profile("cortex-x1", "Cortex-X1", "cortex-a76", 0xD44, _V8_2, 2021, variant=1),
    )
}
DEFAULT_PROFILE = "cortex-a76"
