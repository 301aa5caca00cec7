"""What goes in and what comes out: a template, a job of many targets, and a response for each of them."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Sequence
from typing import Final

from pushcast.http2.leave import MayLeave, always

_HOP_BY_HOP: Final = frozenset(
    (b"connection", b"host", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"te", b"upgrade")
)


# Why a request is UNSENT that waited too long: behind others that were answered meanwhile, which says nothing about
# the server, or with no answer to any of them.
WAITED: Final = "deadline"
UNHEARD: Final = "unheard"


class Kind(enum.Enum):
    """How far a request came. Only UNSENT and REFUSED are known not to have been processed."""

    ANSWERED = "answered"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    UNSENT = "unsent"
    DEADLINE = "deadline"


class Response:
    """The end of one request; many requests may share one object, so treat it as immutable.

    - ANSWERED: `status` is final. `headers` are kept unless the status is 200 or 204 and the template does not want
      them. `fault` is "incomplete_body" when the stream ended after the status but before the body did.
    - REFUSED: it left us, but the server said it never processed it (RST_STREAM REFUSED_STREAM too often): safe to
      send again.
    - UNKNOWN: it left us and no answer came; `fault` says why (a fault's reason, "cancelled", "reset:<code>").
    - DEADLINE: it left us and was not answered in time, although what had come was read; as unknown as UNKNOWN.
    - UNSENT: no byte left us, or its body not to the end; `fault` says why (WAITED, UNHEARD, "cancelled", "not_ours",
      "closed_by_us", or what ended its stream).
    """

    __slots__ = ("body", "fault", "headers", "kind", "status")

    def __init__(
        self,
        kind: Kind,
        status: int = 0,
        headers: tuple[tuple[bytes, bytes], ...] = (),
        body: bytes = b"",
        fault: str | None = None,
    ) -> None:
        self.kind = kind
        self.status = status
        self.headers = headers
        self.body = body
        self.fault = fault

    def header(self, name: bytes) -> bytes | None:
        """The first value of a header, by its lower-case name."""
        for key, value in self.headers:
            if key == name:
                return value
        return None

    def __repr__(self) -> str:
        return f"Response({self.kind.value}, {self.status}, {len(self.body)} bytes, fault={self.fault})"


class Varying:
    """A header whose value differs per target: `prefix` + the target's value, sent as a literal without indexing.

    `optional`: a target's value may be None, and the header is then absent.
    """

    __slots__ = ("name", "optional", "prefix")

    def __init__(self, name: bytes, prefix: bytes = b"", *, optional: bool = False) -> None:
        self.name = name
        self.prefix = prefix
        self.optional = optional


class Wrapped:
    """A body that differs per target: prefix + the target's piece + suffix. With neither, a whole own body."""

    __slots__ = ("prefix", "suffix")

    def __init__(self, prefix: bytes = b"", suffix: bytes = b"") -> None:
        self.prefix = prefix
        self.suffix = suffix


class Template:
    """A multicast request, connection-independent. Immutable; build it once per batch and share it among jobs.

    Columns of a job, in this order: `:path` when it is Varying, each of `varying`, the body when it is Wrapped.
    `literal_names`: shared headers that must not enter the HPACK table (APNs: authorization,
    https://developer.apple.com/documentation/usernotifications/sending-notification-requests-to-apns).
    Raises ValueError for a header HTTP/2 forbids (RFC 9113 §8.2); values of columns are the provider's to check.
    """

    __slots__ = ("body", "columns", "list_bytes", "literal_names", "path", "shared_fields", "varying", "wants_headers")

    def __init__(
        self,
        *,
        path: bytes | Varying,
        headers: Sequence[tuple[bytes, bytes]] = (),
        varying: Sequence[Varying] = (),
        body: bytes | Wrapped = b"",
        authority: bytes | None = None,
        method: bytes = b"POST",
        scheme: bytes = b"https",
        literal_names: frozenset[bytes] = frozenset((b"authorization",)),
        wants_headers: bool = False,
    ) -> None:
        for name, value in [*headers, *((header.name, header.prefix) for header in varying)]:
            _check_header(name, value)
        if isinstance(path, Varying) and (path.name != b":path" or path.optional):
            raise ValueError("a varying path is named :path and is never optional")
        pseudo = [(b":method", method), (b":scheme", scheme)]
        if authority is not None:
            pseudo.append((b":authority", authority))
        if isinstance(path, bytes):
            pseudo.append((b":path", path))
        self.shared_fields = (*pseudo, *headers)
        self.path = path
        self.body = body
        self.literal_names = literal_names
        self.wants_headers = wants_headers
        self.varying = (path, *varying) if isinstance(path, Varying) else tuple(varying)
        self.columns = len(self.varying) + isinstance(body, Wrapped)
        varying_fields = [(header.name, header.prefix) for header in self.varying]
        self.list_bytes = sum(len(name) + len(value) + 32 for name, value in (*self.shared_fields, *varying_fields))


def _check_header(name: bytes, value: bytes) -> None:
    shown = name.decode("latin-1")
    if not name or name != name.lower() or name.startswith(b":") or any(byte <= 32 or byte >= 127 for byte in name):
        raise ValueError(f"header name {shown!r} must be lower-case visible ASCII without a colon in front")
    if name in _HOP_BY_HOP:
        raise ValueError(f"header {shown!r} does not exist in HTTP/2")
    if value.strip() != value or any(byte in value for byte in b"\r\n\0"):
        raise ValueError(f"value of header {shown!r} has surrounding space or a line break")


Outcomes = list[tuple[int, Response]]


class RequestJob:
    """One template for many targets. Every index ends in exactly one outcome, in any order, in lists of any length.

    `columns`: one sequence per varying part of the template, all of one length; they are not copied and must not
    change. `timeout_seconds`: how long a request may wait to leave, and then, from when its last byte has left the
    transport, how long its answer may take; observed to the pool's tick. `on_outcomes` is called on the loop and must
    be quick; what it raises goes to the loop's exception handler and stops nothing. `may_leave` is asked each time a
    connection is about to write some of them; those it says no to are UNSENT "not_ours".
    """

    __slots__ = (
        "again",
        "body_bytes",
        "cancelled",
        "columns",
        "leave_by",
        "lengths",
        "list_bytes",
        "may_leave",
        "next_index",
        "on_outcomes",
        "outbox",
        "queued",
        "refusals",
        "request_bytes",
        "size",
        "template",
        "timeout_seconds",
        "unfinished",
    )

    def __init__(
        self,
        template: Template,
        columns: Sequence[Sequence[bytes]] | Sequence[Sequence[bytes | None]],
        timeout_seconds: float,
        on_outcomes: Callable[[Outcomes], None],
        *,
        size: int | None = None,
        may_leave: MayLeave = always,
    ) -> None:
        if len(columns) != template.columns:
            raise ValueError(f"template has {template.columns} columns, the job {len(columns)}")
        self.size = len(columns[0]) if columns else (1 if size is None else size)
        if any(len(column) != self.size for column in columns):
            raise ValueError("columns of a job differ in length")
        self.template = template
        self.columns = columns
        self.timeout_seconds = timeout_seconds
        self.leave_by = math.inf  # on the queue's clock, from when it is submitted
        self.on_outcomes = on_outcomes
        self.may_leave = may_leave
        self.lengths = [_uniform_length(column) for column in columns]
        self.body_bytes = _largest_body(template, columns)
        header_columns = columns[: len(template.varying)]
        self.list_bytes = template.list_bytes + sum(map(_largest, self.lengths, header_columns))
        self.request_bytes = self.body_bytes + 200
        self.unfinished = self.size
        self.next_index = 0
        self.again: list[int] = []
        self.cancelled: set[int] = set()
        self.refusals: dict[int, int] = {}
        self.outbox: Outcomes = []
        self.queued = False

    @property
    def waiting(self) -> int:
        """Targets that are not on the wire and have no outcome."""
        return self.size - self.next_index + len(self.again) - len(self.cancelled)


def _uniform_length(column: Sequence[bytes | None]) -> int | None:
    """The one length of all values, or None when they differ or some are absent."""
    if None in column:
        return None
    lengths = set(map(len, column))  # type: ignore[arg-type]
    return lengths.pop() if len(lengths) == 1 else None


def _largest_body(template: Template, columns: Sequence[Sequence[bytes | None]]) -> int:
    body = template.body
    if isinstance(body, bytes):
        return len(body)
    if None in columns[-1]:
        raise ValueError("the body column has an absent value")
    return len(body.prefix) + len(body.suffix) + _largest(_uniform_length(columns[-1]), columns[-1])


def _largest(uniform: int | None, column: Sequence[bytes | None]) -> int:
    if uniform is not None:
        return uniform
    return max((len(value) for value in column if value is not None), default=0)
