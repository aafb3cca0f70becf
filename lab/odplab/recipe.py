# SPDX-License-Identifier: GPL-2.0 OR MIT
"""What the root is made by: mmdebstrap's command line.

A root is named by a hash over this file, kernel.py, lab/packages and lab/finish-root (config.py), so a change here makes a
new root, and nothing that does not change the root belongs here.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from . import mirror
from .kernel import Choice

# Only the kernel is wanted from backports; everything else stays with the stable release.
PREFERENCES = f"""Package: src:linux src:linux-base
Pin: release n={mirror.BACKPORTS}
Pin-Priority: 600
"""

# Nobody reads manuals in the guest, and they are a tenth of the files.
EXCLUDED = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/lintian/*")
# python3-pyverbs takes rdma-core's own tests for documentation. Not deeper: dpkg makes the directory for this pattern only.
INCLUDED = ("/usr/share/doc/rdma-core/*",)


def wanted_packages(checkout: Path) -> list[str]:
    lines = (checkout / "lab/packages").read_text().splitlines()
    return [words[0] for words in (line.split("#")[0].split() for line in lines) if words]


def command(checkout: Path, root: Path, keyring: Path, uri: str, choice: Choice) -> list[str]:
    packages = wanted_packages(checkout) + choice.packages
    line = ["mmdebstrap", "--mode=root", "--variant=minbase", "--architectures=amd64", f"--keyring={keyring}"]
    line += [f"--include={','.join(packages)}"]
    line += [f"--aptopt={option}" for option in mirror.apt_options()]
    line += [f"--dpkgopt=path-exclude={pattern}" for pattern in EXCLUDED]
    line += [f"--dpkgopt=path-include={pattern}" for pattern in INCLUDED]
    line += ['--setup-hook=mkdir -p "$1/etc/apt/preferences.d"']
    line += [f"--setup-hook=printf '%s' '{PREFERENCES}' >\"$1/etc/apt/preferences.d/odplab\""]
    line += [f"--customize-hook=cp {shlex.quote(str(checkout))}/lab/finish-root \"$1/finish-root\""]
    line += [f'--customize-hook=chroot "$1" /finish-root {choice.kernels.run}']
    line += ['--customize-hook=rm "$1/finish-root"']
    return [*line, mirror.SUITE, str(root), *mirror.sources(uri)]
