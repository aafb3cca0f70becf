# SPDX-License-Identifier: GPL-2.0 OR MIT
"""Checks of the sources and of the kernel part that are no programs: each is counted as a test by its name.

lint/*    what reads the sources: licence lines, shellcheck, clang-format, clang-tidy, checkpatch, sparse with W=1,
          Coccinelle's own checks
kernel/*  what builds them: against the newer kernel, and the patch series on a clean tree

A check returns what is wrong, as text; nothing wrong is an empty text.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Callable, Iterator, Optional

from .build import Build
from .gtest import FAILED, PASSED, Outcome
from .selection import Selection
from .tidy import Tidy
from .workshop import Workshop

KERNEL_LICENCE = "SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB"
LICENCE = "SPDX-License-Identifier: GPL-2.0 OR MIT"
# A shebang may come before it, and nothing else.
LICENCE_LINES = 2

TIDY = "lint/clang-tidy"
NOT_SOURCES = {".git", "__pycache__"}


class Checks:
    def __init__(self, workshop: Workshop, build: Build, thorough: bool):
        """thorough: also what takes minutes."""
        self.thorough = thorough
        self.workshop = workshop
        self.build = build
        self.checkout = workshop.paths.checkout
        self.log = workshop.paths.logs / "check.log"

    def names(self) -> dict[str, Callable[[], str]]:
        found: dict[str, Callable[[], str]] = {
            "lint/licence": self._licence,
            "lint/shellcheck": self._shellcheck,
            "lint/clang-format": self._clang_format,
            TIDY: Tidy(self.workshop, self.build).run,
            "lint/checkpatch": self._checkpatch,
            "lint/coccicheck": self._coccicheck,
            "lint/sparse": self._sparse,
            "kernel/series": self._series,
        }
        if self.workshop.kernels.build_only:
            found[f"kernel/builds-on-{self.workshop.kernels.build_only}"] = self._other_kernel
        return found

    def run(self, selection: Selection) -> Iterator[Outcome]:
        for name, check in self.names().items():
            if selection.takes(name) and (name != TIDY or self.thorough or TIDY in (selection.text or "")):
                wrong = check()
                yield Outcome(name, FAILED if wrong else PASSED, wrong)

    # What the checks share

    def _files(self) -> Iterator[Path]:
        for folder, folders, files in os.walk(self.checkout):
            folders[:] = sorted(set(folders) - NOT_SOURCES)
            # .git is a file in a worktree.
            yield from (Path(folder) / name for name in sorted(set(files) - NOT_SOURCES))

    def _inside(self, paths: list[Path]) -> list[str]:
        return [f"/src/{path.relative_to(self.checkout)}" for path in paths]

    def _output_of(self, argv: list[str], environment: Optional[dict[str, str]] = None) -> tuple[int, str]:
        status = self.workshop.run(argv, self.log, environment)
        return status, self.log.read_text(errors="replace")

    def _complaint(self, argv: list[str], environment: Optional[dict[str, str]] = None) -> str:
        status, output = self._output_of(argv, environment)
        return "" if status == 0 else f"{argv[0]} ended with status {status}:\n{output}"

    # lint

    def _licence(self) -> str:
        wrong = []
        for path in self._files():
            in_kernel = path.is_relative_to(self.checkout / "kernel") or path.name == "Kbuild"
            wanted = KERNEL_LICENCE if in_kernel else LICENCE
            with open(path, errors="replace") as file:
                head = [file.readline() for _ in range(LICENCE_LINES)]
            if not any(wanted in line for line in head):
                wrong.append(f"{path.relative_to(self.checkout)}: no '{wanted}' in its first {LICENCE_LINES} lines")
        return "\n".join(wrong)

    def _shellcheck(self) -> str:
        scripts = []
        for path in self._files():
            with open(path, errors="replace") as file:
                head = file.read(400)
            if re.match(r"#!/bin/(ba)?sh\b", head) or "# shellcheck shell=" in head:
                scripts.append(path)
        # SC2317 takes functions that only a trap calls for unreachable.
        line = ["shellcheck", "-x", "--source-path=/src", "--exclude=SC2317"]
        return self._complaint([*line, *self._inside(scripts)])

    def _clang_format(self) -> str:
        ours = [path for path in self._files() if path.suffix in (".cpp", ".hpp", ".h")]
        sources = [path for path in ours if not path.is_relative_to(self.checkout / "kernel")]
        _, output = self._output_of(["clang-format", "--dry-run", *self._inside(sources)])
        # Which files is enough: clang-format -i does the rest.
        files = sorted(set(re.findall(r"^/src/(\S+?):\d+:\d+: warning", output, re.MULTILINE)))
        return "\n".join(f"{file}: not laid out as .clang-format says; run clang-format -i on it" for file in files)

    def _checkpatch(self) -> str:
        directory = self._kernel_scripts()
        ours = [path for path in self._files() if path.is_relative_to(self.checkout / "kernel")]
        sources = [path for path in ours if path.suffix in (".c", ".h")]
        line = ["perl", f"{directory}/checkpatch.pl", "--strict", "--no-tree", "--terse", "--no-summary"]
        # TRACE_EVENT() has a layout of its own.
        traces = [path for path in sources if path.name == "trace.h"]
        others = [path for path in sources if path not in traces]
        return self._complaint([*line, "--file", *self._inside(others)]) or self._complaint(
            [*line, "--ignore=PARENTHESIS_ALIGNMENT,OPEN_ENDED_LINE", "--file", *self._inside(traces)]
        )

    def _coccicheck(self) -> str:
        """The kernel's semantic patches, of those that can report. rxe's own files are the kernel's to check."""
        return self._reported(["/bin/sh", "-euc", COCCICHECK, "coccicheck", f"{self._kernel_scripts()}/coccinelle"])

    def _reported(self, argv: list[str]) -> str:
        """For a program whose status says nothing: what it printed about a file of ours."""
        status, output = self._output_of(argv)
        ours = [line for line in output.splitlines() if "/src/" in line]
        return "\n".join(ours) or (f"{argv[0]} ended with status {status}:\n{output}" if status else "")

    def _kernel_scripts(self) -> str:
        """Scripts of the kernel's, taken once from its source: it takes 10 s to find them there."""
        source = self.workshop.kernels.run_source
        target = self.build.output / "kernel-scripts" / source
        if not target.exists():
            new = target.with_name("new")
            shutil.rmtree(new, ignore_errors=True)
            new.mkdir(parents=True)
            self.workshop.require(
                "unpacking the kernel's scripts",
                ["tar", "-C", "/build/kernel-scripts/new", "--strip-components=2", "-xf", f"/usr/src/{source}",
                 "--wildcards", "*/scripts/checkpatch.pl", "*/scripts/spelling.txt", "*/scripts/const_structs.checkpatch",
                 "*/scripts/coccinelle"],
                self.log,
                "The kernel's source package may have changed its layout.",
            )  # fmt: skip
            new.rename(target)
        return f"/build/kernel-scripts/{source}"

    def _sparse(self) -> str:
        """A build of its own with sparse and W=1. Only our files count: most of rxe is the kernel's."""
        kernels = self.workshop.kernels
        target = "lint"
        environment = {**self.build.kernel_environment(kernels.run_source), "MAKEFLAGS": "C=1 W=1"}
        status, output = self._output_of(["/src/kernel/build", kernels.run, f"/build/{target}"], environment)
        ours = [line for line in output.splitlines() if "/src/kernel/" in line and re.search(r"warning|error", line)]
        if status != 0 or ours:
            # What compiled is not checked again, so the next run must begin anew.
            shutil.rmtree(self.build.output / target, ignore_errors=True)
            return "\n".join(ours) or output
        return ""

    # kernel

    def _other_kernel(self) -> str:
        kernels = self.workshop.kernels
        environment = self.build.kernel_environment(kernels.build_only_source)
        return self._complaint(["/src/kernel/build", kernels.build_only], environment)

    def _series(self) -> str:
        """The series applies by git am to the kernel's own files."""
        self._fresh("series")
        self._fresh("series-tree")
        kernels = self.workshop.kernels
        made = self._complaint(["/src/kernel/rxe/make-series", kernels.run, "/build/series"],
                               self.build.kernel_environment(kernels.run_source))  # fmt: skip
        if made:
            return made
        patches = sorted((self.build.output / "series").glob("*.patch"))
        if not patches:
            return "make-series left no *.patch file"
        touched = {path for patch in patches for path in re.findall(r"^--- a/(\S+)", patch.read_text(), re.MULTILINE)}
        return self._complaint(
            ["/bin/sh", "-euc", APPLY, "apply", f"/usr/src/{kernels.run_source}", *sorted(touched)]
        )

    def _fresh(self, name: str) -> None:
        shutil.rmtree(self.build.output / name, ignore_errors=True)
        (self.build.output / name).mkdir()


# coccicheck DIRECTORY: each semantic patch on its own, two at a time. Those in OCaml would need its compiler.
COCCICHECK = """
grep -rl '^virtual report' "$1" --include=*.cocci | xargs grep -L '^@.*ocaml' | sort | xargs -P 2 -I{} sh -c '
    exec spatch -D report --no-show-diff --very-quiet --cocci-file "$1" -I /src/kernel/include \\
        $(sed -n "s,^// Options: *,,p" "$1") --dir /src/kernel 2>&1' spatch {}
"""

# apply TARBALL FILE...: a repository of these files of the kernel, and the series on top of it.
APPLY = """
cd /build/series-tree
source=$1
shift
top=$(basename "$source" .tar.xz)
for file; do set -- "$@" "$top/$file"; shift; done
tar --strip-components=1 -xf "$source" "$@"
git init -q .
git config user.name odplab
git config user.email odplab@localhost
git add .
git commit -qm "the kernel's own files"
git am -q /build/series/*.patch
"""
