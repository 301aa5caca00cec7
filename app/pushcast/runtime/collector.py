"""Python's collector of cycles in a process that runs for days."""

from __future__ import annotations

import gc
from typing import Final

THRESHOLDS: Final = (50_000, 20, 50)


def collect_seldom() -> None:
    """Call it when the process is ready: what is alive then lives as long as the process, and is not looked at again.

    Collecting it again and again cost a third of REGISTER's CPU.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
