# SPDX-License-Identifier: GPL-2.0 OR MIT
"""Start of the lab: finds the checkout and the cache, then calls the command line.

Compiled Python goes into the cache and not beside the sources, because the checkout is mounted
read-only in the lab's root and must stay as its owner left it.
"""

import os
import sys
from pathlib import Path

lab = Path(__file__).resolve().parent
base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
cache = Path(base).absolute() / "odplab"
if os.geteuid() == 0:
    sys.pycache_prefix = str(cache / "pycache")
else:
    sys.dont_write_bytecode = True
sys.path[0] = str(lab)

from odplab.cli import main  # noqa: E402  (the prefix above must be set first)

sys.exit(main(lab.parent, cache))
