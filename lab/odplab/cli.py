# SPDX-License-Identifier: GPL-2.0 OR MIT
"""The command line: subcommands, their options, and what each calls.

Checks everything that can be checked without doing anything, so that a mistake costs no boot. Statuses of
the lab itself are in errors.py; a command's own status is passed on.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Callable

from . import bench, clean, demo, patches, root, sandbox, sweep, ui
from . import run as runner
from .config import KERNELS, MINIMUM_MEMORY, MINIMUM_PMEM, STOCK, Options, Paths, parse_size
from .errors import UNUSABLE, Failure
from .lock import Lock
from .selection import Selection
from .tests import TestRun
from .workshop import Workshop

RUN_TIMEOUT = 600.0
MOST_PROCESSORS = 64
LEAST_MTU = 1280


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        self.exit(UNUSABLE, f"odplab: {message}; see '{self.prog} --help'.\n")


def guest_options(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Options of everything that boots a guest."""
    group = parser.add_argument_group("guest")
    group.add_argument("--provider", choices=("ours", "stock"), default="stock",
                       help="libibverbs provider; 'ours' does not exist yet (default: %(default)s)")  # fmt: skip
    group.add_argument("--kernel", choices=KERNELS, default=STOCK,
                       help="the distribution's, or its source with checks built in (default: %(default)s)")  # fmt: skip
    group.add_argument("--smp", type=int, default=2, metavar="N", help="processors (default: %(default)s)")
    group.add_argument("--mem", default="2G", metavar="SIZE", help="memory beside pmem (default: %(default)s)")
    group.add_argument("--pmem", default="512M", metavar="SIZE", help="each of two pmem regions (default: %(default)s)")
    group.add_argument("-v", "--verbose", action="store_true", help="say what is used; the whole boot log in the log")
    return group


def command_options(parser: argparse.ArgumentParser) -> None:
    """Further options of run and shell."""
    group = guest_options(parser)
    group.add_argument("--rxe", choices=("mirror", "upstream"), default="mirror",
                       help="driver: ours, or the same kernel's unmodified one (default: %(default)s)")  # fmt: skip
    group.add_argument("--icount", action="store_true", help="one processor on a deterministic instruction clock")
    group.add_argument("--share", type=Path, metavar="HOSTDIR", help="a directory to appear, writable, at /share")
    group.add_argument("--mtu", type=int, default=1500, metavar="N", help="of rxe0's veth (default: %(default)s)")
    group.add_argument("--dry-run", action="store_true", help="print QEMU's command and stop")


def bench_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", metavar="ROW", help="a part of, or a glob over, the names of the rows to measure")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample of every row there")
    parser.add_argument("--samples", type=int, default=5, metavar="N",
                        help="of each side of a row (default: %(default)s)")  # fmt: skip
    parser.add_argument("--check", action="store_true", help="exit with status 1 if a row misses its bar")
    parser.add_argument("--sweep", choices=("chunk",), help="instead, what depends on the size of chunks, for each size")
    parser.add_argument("-v", "--verbose", action="store_true", help="say what is used; the whole boot log in the log")


def parser() -> Parser:
    purpose = "Build, run and test Faultline in a virtual machine made from Debian packages."
    top = Parser(prog="odplab", description=purpose)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)
    guest_options(commands.add_parser("demo", help="the main job: mainline's result, then this project's"))
    test = commands.add_parser("test", help="every test; ends in a line 'N passed, N failed, N skipped'")
    guest_options(test)
    test.add_argument("--all", action="store_true", help="also part of guest/ on the debug kernel, and clang-tidy")
    test.add_argument("filter", nargs="?", metavar="FILTER",
                      help="a part of, or a glob over, folder/program/Suite.Test")  # fmt: skip
    bench_options(commands.add_parser("bench", help="measure, and print a table with the bar of each row"))
    run = commands.add_parser("run", help="boot, run a command as root in the guest, exit with its status")
    command_options(run)
    run.add_argument("--timeout", type=float, default=RUN_TIMEOUT, metavar="S",
                     help="seconds that the command may take; 0: no limit (default: %(default)g)")  # fmt: skip
    run.add_argument("argv", nargs=argparse.REMAINDER, metavar="-- CMD...", help="the command")
    command_options(commands.add_parser("shell", help="an interactive guest"))
    series = commands.add_parser("patches", help="write the conversion of rxe as a series for git am")
    series.add_argument("directory", type=Path, metavar="DIR", help="where to; made if it does not exist")
    commands.add_parser("clean", help="remove everything that the lab made on this machine")
    return top


def to_options(arguments: argparse.Namespace) -> Options:
    if arguments.provider == "ours":
        raise Failure(
            "--provider ours: the project's provider is not part of the lab yet; use --provider stock.", UNUSABLE
        )
    if not 1 <= arguments.smp <= MOST_PROCESSORS:
        raise Failure(f"--smp {arguments.smp}: must be 1 to {MOST_PROCESSORS}.", UNUSABLE)
    options = Options(
        kernel=arguments.kernel,
        smp=arguments.smp,
        memory=parse_size(arguments.mem, "--mem", MINIMUM_MEMORY),
        pmem=parse_size(arguments.pmem, "--pmem", MINIMUM_PMEM),
        verbose=arguments.verbose,
    )
    if arguments.command in ("run", "shell"):
        add_command_options(arguments, options)
    return options


def add_command_options(arguments: argparse.Namespace, options: Options) -> None:
    options.rxe, options.icount, options.mtu = arguments.rxe, arguments.icount, arguments.mtu
    if not LEAST_MTU <= options.mtu <= 65535:
        raise Failure(f"--mtu {options.mtu}: must be {LEAST_MTU} (the least that IPv6 takes) to 65535.", UNUSABLE)
    if arguments.share is not None:
        if not arguments.share.is_dir():
            raise Failure(f"--share {arguments.share}: there is no such directory; make it first.", UNUSABLE)
        options.share = arguments.share.resolve()
    timeout = arguments.timeout if arguments.command == "run" else 0
    if timeout < 0:
        raise Failure(f"--timeout {timeout:g}: must be 0 (no limit) or more.", UNUSABLE)
    options.timeout = timeout or None


def to_wish(arguments: argparse.Namespace) -> bench.Wish:
    if arguments.samples < 1:
        raise Failure(f"--samples {arguments.samples}: must be 1 or more.", UNUSABLE)
    if arguments.sweep and (arguments.only or arguments.check):
        raise Failure("--sweep has rows of its own and no bars; it takes neither --only nor --check.", UNUSABLE)
    file = arguments.json.absolute() if arguments.json else None
    if file and not file.parent.is_dir():
        raise Failure(f"--json {arguments.json}: there is no directory {file.parent}; make it first.", UNUSABLE)
    return bench.Wish(arguments.only, file, arguments.check, arguments.samples, arguments.sweep)


def command_of(arguments: argparse.Namespace) -> list[str]:
    if arguments.command == "shell":
        return ["/bin/bash", "-l"]
    argv = arguments.argv[1:] if arguments.argv[:1] == ["--"] else arguments.argv
    if not argv and not arguments.dry_run:
        raise Failure("run needs a command: odplab run [OPTIONS] -- CMD...", UNUSABLE)
    return argv


def plan(arguments: argparse.Namespace) -> tuple[Options, Callable[[Workshop], int]]:
    """What is to be done, with everything checked that can be checked before doing anything."""
    command = arguments.command
    if command == "patches":
        directory = arguments.directory.absolute()
        patches.check(directory)
        return Options(), lambda workshop: patches.patches(workshop, directory)
    if command == "bench":
        wish = to_wish(arguments)
        measure = sweep.chunk if wish.sweep else bench.bench
        return Options(verbose=arguments.verbose), lambda workshop: measure(workshop, Options(), wish)
    options = to_options(arguments)
    if command == "demo":
        return options, lambda workshop: demo.demo(workshop, options)
    if command == "test":
        selection = Selection(arguments.filter)
        return options, lambda workshop: TestRun(workshop, options, selection, arguments.all).run()
    argv = command_of(arguments)
    if arguments.dry_run:
        return options, lambda workshop: runner.dry_run(workshop, options)
    return options, lambda workshop: runner.run(workshop, options, argv, command == "shell")


def work(paths: Paths, options: Options, todo: Callable[[Workshop], int]) -> int:
    """Runs inside the sandbox."""
    use = Lock(paths.use_lock, shared=True, waiting="an odplab clean is going on; waiting for it.")
    root.ensure(paths)
    status = todo(Workshop(paths, options.share, options.verbose))
    use.release()
    return status


def main(checkout: Path, cache: Path) -> int:
    os.environ["PATH"] = f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin"
    arguments = parser().parse_args()
    paths = Paths(checkout, cache)
    try:
        if arguments.command == "clean":
            return clean.clean(paths)
        options, todo = plan(arguments)
        return sandbox.enter(lambda: work(paths, options, todo), lambda: root.remove_unfinished(paths))
    except Failure as failure:
        ui.say(str(failure))
        return failure.status
