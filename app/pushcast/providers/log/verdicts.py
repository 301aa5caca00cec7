"""What became of a line."""

from __future__ import annotations

from typing import Final

from pushcast.model.words import Reason
from pushcast.providers.port import Disposition
from pushcast.providers.verdict import Row, Verdict, verdict_of

_SOURCE: Final = "open(2), write(2)"
WRITTEN: Final = Row("written", (), Disposition.ACCEPTED, "", source=_SOURCE)
FORBIDDEN: Final = Row("PermissionError", (), Disposition.CREDENTIAL, str(Reason.CREDENTIAL_REFUSED), source=_SOURCE)
FAILED: Final = Row(
    "another OSError",
    (),
    Disposition.RETRY,
    str(Reason.PROVIDER_UNAVAILABLE),
    retry_after_seconds=10.0,
    note="disk full, directory gone",
    source=_SOURCE,
)
ROWS: Final = (WRITTEN, FORBIDDEN, FAILED)


def judge(problem: OSError | None) -> Verdict:
    """The verdict on one write."""
    if problem is None:
        return Verdict(Disposition.ACCEPTED, None)
    return verdict_of(FORBIDDEN if isinstance(problem, PermissionError) else FAILED)
