"""The first bytes of a value that nobody can read, for people who look for what is wrong with it. Pure."""

from __future__ import annotations

import re
from typing import Final

from pushcast.observe.redaction import secret_spans

#: Of a value: what is broken shows in its beginning, and a page stays small.
MAX_BYTES: Final = 512
WIDTH: Final = 16
#: Stands for a byte of something that may be a secret.
MASKED: Final = "\N{FULL BLOCK}"
#: In bytes without names, whatever is as long as the shortest secret may be one: Web Push's `auth` has 22 characters.
_RUN: Final = re.compile(r"[\w+/=-]{20,}", re.ASCII)


def dump(value: bytes) -> list[dict[str, str]]:
    """Lines of 16 bytes: `at` (hexadecimal), `hex` and `text`, without what looks like a token, a key or a password."""
    # A secret that the cut goes through is still one: it is looked for before.
    text = value[: 2 * MAX_BYTES].decode("latin-1")
    masked = [False] * len(text)
    for start, end in (*secret_spans(text), *(found.span() for found in _RUN.finditer(text))):
        masked[start:end] = [True] * (end - start)
    lines = []
    for start in range(0, min(len(value), MAX_BYTES), WIDTH):
        places = range(start, min(start + WIDTH, len(value), MAX_BYTES))
        lines.append(
            {
                "at": f"{start:04x}",
                "hex": " ".join(MASKED * 2 if masked[place] else f"{value[place]:02x}" for place in places),
                "text": "".join(MASKED if masked[place] else _printable(value[place]) for place in places),
            }
        )
    return lines


def _printable(byte: int) -> str:
    return chr(byte) if 0x20 <= byte < 0x7F else "."
