from __future__ import annotations

import pytest

from pushcast.providers.verdict import retry_after_seconds

NOW_MS = 784_111_770_000  # Sun, 06 Nov 1994 08:49:30 GMT


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        (b"120", 120.0),
        (b" 7 ", 7.0),
        (b"0", 0.0),
        (b"999999999999", 86_400.0),
        (b"Sun, 06 Nov 1994 08:49:37 GMT", 7.0),
        (b"Sun, 06 Nov 1994 08:49:07 GMT", 0.0),
        (b"soon", None),
        (b"-5", None),
        (b"\xff", None),
        (b"", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_bounded(value: bytes | None, seconds: float | None) -> None:
    assert retry_after_seconds(value, NOW_MS) == seconds
