# SPDX-License-Identifier: GPL-2.0 OR MIT
"""Which kernel the lab runs: the newest in trixie-backports with everything at one version.

Everything means the cloud image (linux-binary-V, linux-modules-V), its headers, and linux-source-X.Y of
the same package version, because rxe is built from that source for that image. One kernel of another series is
taken along to build against: a newer one that has headers and source only so far, else the newest of those before.
The index is fetched and verified by apt into
a directory of its own, so the machine's package lists are neither used nor changed.

The image package itself is left out: it only adds an initramfs generator to the two that it depends on,
and the lab boots without an initramfs.
"""

from __future__ import annotations

import re
import struct
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from . import mirror
from .config import Kernels
from .errors import UNUSABLE, Failure

FLAVOUR = "cloud-amd64"
HEADERS = re.compile(rf"linux-headers-((\d+)\.(\d+)\.(\d+)\+\S+-{FLAVOUR})$")


@dataclass(frozen=True)
class Choice:
    """Resolved kernels, and the packages that bring them."""

    kernels: Kernels
    packages: list[str]


def _index(uri: str, scratch: str) -> dict[str, str]:
    """Package -> version, of everything in the backports suite."""
    base = Path(scratch)
    (base / "lists/partial").mkdir(parents=True)
    (base / "cache/archives/partial").mkdir(parents=True)
    (base / "status").touch()
    (base / "list").write_text(f"deb [signed-by={mirror.keyring()}] {uri} {mirror.BACKPORTS} main\n")
    settings = {
        "Dir::State": base, "Dir::State::lists": base / "lists", "Dir::State::status": base / "status",
        "Dir::Cache": base / "cache", "Dir::Etc::sourcelist": base / "list", "Dir::Etc::sourceparts": "-",
        "APT::Architecture": "amd64", "APT::Architectures": "amd64", "Acquire::Languages": "none",
    }  # fmt: skip
    options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    update = subprocess.run(["apt-get", "--error-on=any", *options, "update"], capture_output=True, text=True)
    if update.returncode != 0:
        raise Failure(
            f"cannot fetch the package index of {mirror.BACKPORTS} from {uri}:\n"
            f"{update.stderr.strip()}\n{mirror.ADVICE}",
            UNUSABLE,
        )
    dump = subprocess.run(["apt-cache", *options, "dumpavail"], capture_output=True, text=True, check=True)
    return dict(re.findall(r"^Package: (\S+)$(?:\n(?!\n).*)*?\nVersion: (\S+)$", dump.stdout, re.MULTILINE))


def choose(index: dict[str, str], wanted: str = "") -> Choice:
    """Pick from Package -> version, only what begins with wanted. Failure if no version has all."""
    versions = []
    for package, version in index.items():
        match = HEADERS.match(package)
        if match and index.get(f"linux-source-{match[2]}.{match[3]}") == version:
            versions.append(((int(match[2]), int(match[3]), int(match[4])), match[1], version))
    versions.sort(reverse=True)
    for run in versions:
        image = [f"linux-binary-{run[1]}", f"linux-modules-{run[1]}"]
        if run[1].startswith(wanted) and all(index.get(package) == run[2] for package in image):
            break
    else:
        what = f"kernel {wanted}" if wanted else "kernel"
        raise Failure(
            f"the mirror's {mirror.BACKPORTS} has no {FLAVOUR} {what} whose image, headers and source are of one "
            "version. "
            "It may be in the middle of an update: try again later, or another mirror by ODPLAB_MIRROR.",
            UNUSABLE,
        )
    other = next((version for version in versions if _series(version) != _series(run)), None)
    packages = image + _development(run) + (_development(other) if other else [])
    kernels = Kernels(
        run=run[1],
        run_source=_source_file(run),
        build_only=other[1] if other else None,
        build_only_source=_source_file(other) if other else None,
    )
    return Choice(kernels, packages)


def _series(version: tuple) -> str:
    return "{}.{}".format(*version[0])


def _development(version: tuple) -> list[str]:
    return [f"linux-headers-{version[1]}", f"linux-source-{_series(version)}"]


def _source_file(version: tuple) -> str:
    return f"linux-source-{_series(version)}.tar.xz"


def resolve(uri: str, wanted: str) -> Choice:
    with tempfile.TemporaryDirectory() as scratch:
        return choose(_index(uri, scratch), wanted)


def extract_elf(root: Path, version: str) -> None:
    """Leave the kernel as an ELF file beside its compressed image, for booting by PVH (qemu.py says why).

    The image's header gives the place of the compressed file: Documentation/arch/x86/boot.rst of Linux, fields
    setup_sects, payload_offset and payload_length.
    """
    directory = root / "usr/lib/modules" / version
    image = (directory / "vmlinuz").read_bytes()
    setup_sectors = image[0x1F1] or 4
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = (setup_sectors + 1) * 512 + offset
    # The last four bytes of the payload are the length of what is in it, and no part of the compressed stream.
    payload = image[start : start + length - 4]
    elf = subprocess.run(["chroot", str(root), "zstd", "-dcq"], input=payload, capture_output=True)
    if elf.returncode != 0 or not elf.stdout.startswith(b"\x7fELF"):
        raise Failure(
            f"cannot take the ELF file out of the kernel image of {version}: "
            f"{elf.stderr.decode().strip() or 'not ELF'}. "
            "The kernel may be compressed in a new way; lab/odplab/kernel.py has to learn it."
        )
    (directory / "vmlinux").write_bytes(elf.stdout)
