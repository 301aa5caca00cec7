"""Who wrote a control record, and why, as far as a record takes it."""

from __future__ import annotations

import getpass
import socket

from pushcast.wire.control.control import MAX_TEXT_CHARS


def operator() -> str:
    """This user on this machine."""
    return as_said(f"{getpass.getuser()}@{socket.gethostname()}")


def as_said(comment: str) -> str:
    """Cut to what a record takes: readers ignore one with a longer text."""
    return comment[:MAX_TEXT_CHARS]
