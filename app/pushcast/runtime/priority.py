"""How a process yields the CPU to others, on kernels that group processes by session and on those that do not."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

log = structlog.get_logger()

#: Where sched_autogroup is on (desktops, most containers), niceness weighs within a session alone, and sessions share
#: the CPU alike unless this says otherwise: sched(7), "The autogroup feature".
AUTOGROUP: Final = Path("/proc/self/autogroup")
#: The kernel takes ten changes a second from all unprivileged processes together, and answers EAGAIN to others.
_TRIES: Final = 20
_AGAIN_SECONDS: Final = 0.1


def stand_apart(niceness: int, *, autogroup: Path = AUTOGROUP, sleep: Callable[[float], None] = time.sleep) -> None:
    """Gives this process a session of its own, and both that niceness. Call it before there are threads.

    Blocks for up to 2 s when many processes do so at once. A session that the kernel leaves as it was is logged.
    """
    os.setsid()
    if not niceness:
        return
    os.nice(niceness)
    if not autogroup.exists():
        return
    for _ in range(_TRIES):
        try:
            autogroup.write_text(str(niceness))
        except BlockingIOError:
            sleep(_AGAIN_SECONDS)
        except OSError as error:
            log.warning("session_keeps_its_share", niceness=niceness, error=str(error))
            return
        else:
            return
    log.warning("session_keeps_its_share", niceness=niceness, error="the kernel was busy")
