# SPDX-License-Identifier: GPL-2.0 OR MIT
"""Where packages come from: the machine's own apt configuration, or ODPLAB_MIRROR.

No host is written down in the project. apt itself is asked for its sources (it knows every format of
them), and the first Debian archive among them that serves the suites that the lab needs is taken. The
machine's proxies and other transport settings go along.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from .errors import UNUSABLE, Failure

SUITE = "trixie"
BACKPORTS = "trixie-backports"

KEYRINGS = Path("/usr/share/keyrings")
APT_HELPER = "/usr/lib/apt/apt-helper"

# Suites by which a machine that has not fetched any index yet names a Debian archive.
DEBIAN_SUITES = ("bullseye", "bookworm", "trixie", "forky", "sid",
                 "oldoldstable", "oldstable", "stable", "testing", "unstable")  # fmt: skip

# Settings that decide how an archive is reached.
TRANSPORT = ("Acquire::http", "Acquire::https", "Acquire::Retries", "Acquire::ForceIPv4", "Acquire::Check-Valid-Until")

ADVICE = "Set ODPLAB_MIRROR to the URL of a Debian mirror that has trixie and trixie-backports, and try again."


def keyring() -> Path:
    """A keyring with trixie's archive keys."""
    if not list(KEYRINGS.glob(f"debian-archive-{SUITE}-automatic.*")):
        raise Failure(
            f"this machine has no archive keys of Debian {SUITE}, which the lab is made from. "
            "Install a debian-archive-keyring of 2023.3+deb12u2 or newer and try again.",
            UNUSABLE,
        )
    return next(KEYRINGS / name for name in ("debian-archive-keyring.gpg", "debian-archive-keyring.pgp")
                if (KEYRINGS / name).exists())  # fmt: skip


def apt_options() -> list[str]:
    """Lines of apt configuration by which this machine reaches its archives."""
    dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True)
    lines = [line for line in dump.stdout.splitlines() if line.startswith(TRANSPORT)]
    # apt-config prints a line for every node of the tree; those without a value say nothing.
    return [line for line in lines if not line.endswith(' "";')]


def _candidates() -> list[str]:
    """URLs of the Debian archives in apt's sources, in apt's order, without those for security updates."""
    listing = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)|$(RELEASE)|$(ORIGIN)|$(LABEL)"],
        capture_output=True,
        text=True,
    )
    found = []
    for line in listing.stdout.splitlines():
        uri, release, origin, label = line.split("|")
        known = origin == "Debian" or release.split("-")[0] in DEBIAN_SUITES
        if known and "security" not in f"{label}{release}{uri}".lower() and uri not in found:
            found.append(uri)
    return found


def _serves(uri: str, suite: str) -> bool:
    with tempfile.TemporaryDirectory() as scratch:
        fetched = subprocess.run(
            [APT_HELPER, "download-file", f"{uri.rstrip('/')}/dists/{suite}/InRelease", f"{scratch}/InRelease"],
            capture_output=True,
        )
    return fetched.returncode == 0


def find() -> str:
    """The archive's URL."""
    chosen = os.environ.get("ODPLAB_MIRROR")
    candidates = [chosen] if chosen else _candidates()
    if not candidates:
        raise Failure(f"apt's sources on this machine name no Debian archive. {ADVICE}", UNUSABLE)
    for uri in candidates:
        if _serves(uri, SUITE) and _serves(uri, BACKPORTS):
            return uri
    where = "ODPLAB_MIRROR" if chosen else "apt's sources on this machine"
    raise Failure(
        f"no archive in {where} can be reached and serves {SUITE} and {BACKPORTS} "
        f"(tried: {', '.join(candidates)}). {ADVICE}",
        UNUSABLE,
    )


def sources(uri: str) -> list[str]:
    """The root's sources.list."""
    return [f"deb {uri} {suite} main" for suite in (SUITE, f"{SUITE}-updates", BACKPORTS)]
