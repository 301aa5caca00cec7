"""The end of a process that must not acknowledge what it holds."""

from __future__ import annotations

import logging
import os
import sys
from typing import NoReturn

#: EX_SOFTWARE of sysexits.h: an internal error. The supervisor restarts the process; Kafka redelivers.
EXIT_CODE = 70

logger = logging.getLogger(__name__)


def end_process(what: str, exc: BaseException) -> NoReturn:
    """Logs and ends the process at once, without any clean-up that could commit an offset.

    `os._exit`, because raising into Faust would acknowledge the event, and an orderly stop would commit. The exit code
    is EXIT_CODE, or `exit_code` of an exception that has one.
    """
    logger.critical("%s: the process ends unacknowledged: %r", what, exc, exc_info=exc)
    logging.shutdown()
    sys.stderr.flush()
    sys.stdout.flush()
    os._exit(getattr(exc, "exit_code", EXIT_CODE))
