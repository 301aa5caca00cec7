"""What reached a simulator: counters, accepted copies, a bounded log. Figures for accounts come from here."""

from __future__ import annotations

import hashlib
import time
from collections import Counter, deque
from itertools import islice
from typing import Any, Final

from pushcast.http2.server_hpack import Shape
from pushcast.simulators.latency import LatencyHistogram

MARKER: Final = b'"pushcast_at_ms"'
#: A word of the producer's that arrivals are counted apart by, beside the time.
GROUP_MARKER: Final = b'"pushcast_group"'
_MAX_LABELS: Final = 200

Delivery = tuple[int, float, int, int, Shape, tuple[bytes, ...], bytes, str]


def marker_ms(body: bytes) -> float:
    """The producer's time (ms since the epoch) that a demo payload carries under `pushcast_at_ms`; 0 without one."""
    digits = _after(body, MARKER)
    return float(digits) if digits.isdigit() else 0.0


def group_of(body: bytes) -> str:
    """What a demo payload carries under `pushcast_group`, cut at 24 characters; empty without one."""
    return _after(body, GROUP_MARKER).decode(errors="replace")


def _after(body: bytes, marker: bytes) -> bytes:
    at = body.find(marker)
    if at < 0:
        return b""
    text = body[at + len(marker) : at + len(marker) + 24].lstrip(b': "').split(b'"', 1)[0].split(b",", 1)[0]
    return text.split(b"}", 1)[0].strip()


class Recorder:
    """Bounded by `max_copies` (token, body) pairs and `max_deliveries` log entries; counting goes on beyond them.

    A pair costs about 250 bytes. When `max_copies` is reached, new pairs are no longer tracked and `copies_complete`
    turns false: `duplicates` is then a lower bound.
    """

    def __init__(self, *, max_copies: int = 2_000_000, max_deliveries: int = 10_000) -> None:
        self.max_copies = max_copies
        self._deliveries: deque[Delivery] = deque(maxlen=max_deliveries)
        self.reset()

    def reset(self) -> None:
        self.requests = 0
        self.accepted = 0
        self.duplicates = 0
        self.unanswered = 0
        self.copies_complete = True
        self.verdicts: Counter[str] = Counter()
        self.apps: Counter[str] = Counter()
        self.violations: Counter[str] = Counter()
        self.events: Counter[str] = Counter()
        self.latency = LatencyHistogram()
        self._copies: dict[bytes, int] = {}
        self._sequence = 0
        self._deliveries.clear()
        self._body: bytes = b""
        self._digest = b""
        self._marker_ms = 0.0
        self._group = ""
        self._arrivals: dict[str, LatencyHistogram] = {}
        self._refused: set[bytes] = set()

    def accept(self, token: bytes, body: bytes) -> float:
        """Counts one accepted copy; returns the body's marker."""
        self._look(body)
        self.accepted += 1
        key = token + self._digest
        copies = self._copies
        seen = copies.get(key)
        if self._group and seen is None:
            self._arrived(key)
            self._refused.discard(key)
        if seen is not None:
            copies[key] = seen + 1
            self.duplicates += 1
        elif len(copies) < self.max_copies:
            copies[key] = 1
        elif self.max_copies:
            self.copies_complete = False
        return self._marker_ms

    def refuse(self, token: bytes, body: bytes) -> None:
        """A request that a script refuses. It has arrived, and what is sent again does not arrive anew."""
        self._look(body)
        if self._group:
            key = token + self._digest
            self._arrived(key)
            if len(self._refused) < self.max_copies:
                self._refused.add(key)

    def _look(self, body: bytes) -> None:
        if body != self._body:
            self._body = body
            self._digest = hashlib.blake2b(body, digest_size=8).digest()
            self._marker_ms = marker_ms(body)
            self._group = group_of(body) if self._marker_ms else ""

    def _arrived(self, key: bytes) -> None:
        if key in self._refused:
            return
        group = self._group
        if group not in self._arrivals and len(self._arrivals) >= _MAX_LABELS:
            return
        self._arrivals.setdefault(group, LatencyHistogram()).add(time.time() * 1000 - self._marker_ms)

    def answered(self, marker: float) -> None:
        """An accepted request with a marker was answered just now."""
        self.latency.add(time.time() * 1000 - marker)

    def log(
        self,
        at: float,
        connection: int,
        stream_id: int,
        shape: Shape,
        values: tuple[bytes, ...],
        body: bytes,
        verdict: str,
    ) -> None:
        """`verdict` is `200` or `<status> <reason>`."""
        self._sequence += 1
        self._deliveries.append((self._sequence, at, connection, stream_id, shape, values, body, verdict))

    def verdict(self, label: str) -> None:
        if label in self.verdicts or len(self.verdicts) < _MAX_LABELS:
            self.verdicts[label] += 1

    def copies(self) -> dict[str, int]:
        """`<token>:<hex of the body's blake2b-64>` → accepted copies."""
        return {f"{key[:-8].decode(errors='replace')}:{key[-8:].hex()}": count for key, count in self._copies.items()}

    def deliveries(self, since: int = 0, limit: int = 1_000) -> list[dict[str, Any]]:
        """Log entries with a sequence above `since`, oldest first. Authorization is shown as a hash."""
        newer = (entry for entry in self._deliveries if entry[0] > since)
        return [_delivery_json(entry) for entry in islice(newer, limit)]

    def summary(self) -> dict[str, Any]:
        return {
            "requests": self.requests,
            "accepted": self.accepted,
            "duplicates": self.duplicates,
            "copies_tracked": len(self._copies),
            "copies_complete": self.copies_complete,
            "unanswered": self.unanswered,
            "verdicts": {"200": self.accepted, **self.verdicts},
            "apps": dict(self.apps),
            "protocol_violations": dict(self.violations),
            "events": dict(self.events),
            "latency_ms": self.latency.summary(),
            "arrivals": {
                group: {"counts": histogram.counts(), "max_ms": histogram.max_ms}
                for group, histogram in self._arrivals.items()
            },
            "last_delivery": self._sequence,
        }


def _delivery_json(entry: Delivery) -> dict[str, Any]:
    sequence, at, connection, stream_id, shape, values, body, verdict = entry
    headers = {}
    for name, value in shape.fill(values):
        secret = name == b"authorization"
        shown = "sha256:" + hashlib.sha256(value).hexdigest()[:16] if secret else value.decode(errors="replace")
        headers[name.decode(errors="replace")] = shown
    return {
        "sequence": sequence,
        "at": at,
        "connection": connection,
        "stream": stream_id,
        "headers": headers,
        "body": body.decode(errors="replace"),
        "verdict": verdict,
    }
