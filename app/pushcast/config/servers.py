"""`kafka.bootstrap_servers`, in the one form that every client of ours takes.

librdkafka takes `PLAINTEXT://host:9092`, and Faust made a host `plaintext` of it: tools worked and roles did not
(faults.md, section 3, row 24). So the forms are read here, once.
"""

from __future__ import annotations

import re
from typing import Final, get_args

from pushcast.config.security import Protocol

_HOST_AND_PORT: Final = re.compile(r"(\[[0-9A-Fa-f:.]+(?:%[\w.-]+)?\]|[\w.-]+)(?::(\d+))?", re.ASCII)
_LISTENER: Final = re.compile(rf"({'|'.join(get_args(Protocol))})://", re.IGNORECASE)
_LAST_PORT: Final = 65_535


def servers(text: str, protocol: Protocol) -> str:
    """`host:port` entries with commas between them, without blanks and without the name of the listener's protocol.

    Raises ValueError, which says which entry is wrong and never quotes it: somebody may have put a password there.
    """
    entries = [entry.strip() for entry in text.split(",") if entry.strip()]
    if not entries:
        raise ValueError("is empty; give host:port, several with commas")
    return ",".join(_entry(number, entry, protocol) for number, entry in enumerate(entries, 1))


def _entry(number: int, entry: str, protocol: Protocol) -> str:
    named = _LISTENER.match(entry)
    if named is not None:
        if named[1].upper() != protocol:
            raise ValueError(f"entry {number} says {named[1].upper()}, and kafka.security.protocol is {protocol}")
        entry = entry[named.end() :]
    found = _HOST_AND_PORT.fullmatch(entry)
    if found is None:
        raise ValueError(f"entry {number} is not host:port; an IPv6 address stands in brackets, as in [::1]:9092")
    if found[2] is not None and not 1 <= int(found[2]) <= _LAST_PORT:
        raise ValueError(f"entry {number}: a port is 1 to {_LAST_PORT}")
    return entry
