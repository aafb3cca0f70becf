# SPDX-License-Identifier: GPL-2.0 OR MIT
"""`odplab bench --sweep chunk`: the rows of the benchmark that depend on the size of chunks, for each size.

For each size a core is built (kernel/build, ODP_CHUNK_SHIFT) and booted in place of the usual one. One line a size, one
column a row; docs/chunk-size.md has the result and what follows from it.
"""

from __future__ import annotations

import shutil

from . import table, ui
from .bench import Bench, Wish, save
from .build import Build
from .config import Options
from .workshop import Workshop

# log2 of bytes: 2 MiB, which is one table, to 1 GiB.
SHIFTS = range(21, 31)
# Column -> the row of it, and what of the row: "ours", or "ratio" where the baseline is of the same run.
CLOCK = {
    "first fault": ("first-write", "ratio"),
    "cold fault": ("cold-write", "ratio"),
    "hit 8 B": ("hit-read-8", "ours"),
    "bytes/GiB, 1 page": ("memory-64g", "ours"),
    "bytes/GiB, all": ("memory-dense", "ours"),
    "bytes/page, sparse": ("sparse-bytes", "ours"),
    "touch, sparse": ("sparse-touch", "ours"),
    "munmap, sparse": ("sparse-munmap", "ours"),
    "invalidate 1 page": ("invalidate-one", "ours"),
}
TWO = {
    "hits, 2 CPUs": ("scaling-hits-near", "ours"),
    "faults, 2 CPUs": ("scaling-faults-near", "ours"),
}


def size_name(shift: int) -> str:
    return f"{1 << (shift - 20)} MiB" if shift < 30 else f"{1 << (shift - 30)} GiB"


def build(workshop: Workshop, builder: Build, shift: int) -> str:
    """Returns the name of the driver, as the guest's init takes it."""
    version = workshop.kernels.run
    driver = f"chunk-{shift}"
    output = f"kernel/{version}/{driver}"
    workshop.require(
        f"building the mirror with chunks of {size_name(shift)}",
        ["/src/kernel/build", version, f"/build/{output}"],
        builder.logs / "build-chunk.log",
        "Correct the cause and run it again.",
        {**builder.kernel_environment(workshop.kernels.run_source), "ODP_CHUNK_SHIFT": str(shift)},
    )
    place = builder.output / "lab/modules" / version / driver
    shutil.copytree(place.with_name("mirror"), place, dirs_exist_ok=True)
    shutil.copy(builder.output / output / "odp_mirror.ko", place / "odp_mirror.ko")
    return driver


def figure(rows: dict[str, dict], column: tuple[str, str]) -> str:
    name, part = column
    row = rows[name]
    return table.number(row["ratio"] if part == "ratio" else row["ours"]["median"], digits=2)


def chunk(workshop: Workshop, options: Options, wish: Wish) -> int:
    builder = Build(workshop)
    builder.everything()
    measuring = Bench(workshop, options, wish.samples)
    reports, lines = {}, []
    for shift in SHIFTS:
        with ui.step(f"chunks of {size_name(shift)}"):
            driver = build(workshop, builder, shift)
            clock = measuring.on_clock(driver, [name for name, _ in CLOCK.values()], None)
            two = measuring.on_two(driver, [name for name, _ in TWO.values()])
        rows = {row["name"]: row for row in clock["rows"] + two["rows"]}
        reports[size_name(shift)] = {**clock, "rows": list(rows.values())}
        save(wish.json, reports)
        lines.append([size_name(shift), *(figure(rows, column) for column in (CLOCK | TWO).values())])
    print(f"Linux {clock['kernel']}; median of {wish.samples}")
    table.show(["chunk", *CLOCK, *TWO], lines)
    return 0
