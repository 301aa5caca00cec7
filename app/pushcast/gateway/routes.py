"""What the gateway answers: each call with the scope it needs. The server and `/openapi.json` are made from it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, NamedTuple

from pushcast.gateway.access import Caller
from pushcast.gateway.bulk import Bulk
from pushcast.gateway.http import Answer, PendingAnswer, Request
from pushcast.wire.control.api_keys import Scope

SINGLE_BYTES: Final = 65_536
BULK_BYTES: Final = 4 << 20
LINES_BYTES: Final = 16 << 20
NO_BODY: Final = 0

Handler = Callable[[Request, Caller], Awaitable[Answer]]
AtOnce = Callable[[Request, Caller], PendingAnswer]
#: What takes a body of lines as they come; None: this request must be there as a whole.
TakeLines = Callable[[Request, Caller], Bulk | None]
Open = Callable[[Request], Answer]


class Parameter(NamedTuple):
    """Of a path or query."""

    name: str
    meaning: str
    required: bool = False
    type: str = "string"


class Route(NamedTuple):
    """A call that needs a key. `body`: schema of its body in the document, None for no body.

    `max_lines_bytes`: of a body of lines (NDJSON), where those are taken.
    """

    method: str
    path: str
    name: str  # as the metrics and the document name it
    scope: Scope
    handler: Handler
    summary: str
    max_bytes: int = NO_BODY
    max_lines_bytes: int = NO_BODY
    body: str | None = None
    answers: Mapping[int, str] = {202: "Written"}
    query: tuple[Parameter, ...] = ()
    text: bool = False  # the body is plain text
    by_app: bool = False  # an app's public key and its user's token instead of a key with scopes
    anonymous: bool = False  # of those by app: a device without a user may call it, too
    notifications: int = 0  # how many the quota pays for; of a bulk as many as it has items
    items: Callable[[Request], Sequence[bytes]] | None = None
    lines: TakeLines | None = None
    at_once: AtOnce | None = None  # the handler's work without waiting, for the quick way


class OpenRoute(NamedTuple):
    """A call without a key."""

    path: str
    name: str
    handler: Open
    summary: str


#: What each placeholder of a path is.
PLACEHOLDERS: Final = {
    "user": "User id: 1 to 256 bytes of UTF-8 without NUL.",
    "app": "App of the configuration.",
    "device": "Device id: 1 to 256 bytes of UTF-8 without NUL.",
    "platform": "apns, fcm, expo or webpush.",
    "lane": "urgent, normal or bulk.",
    "name": "Name of a problem type, webhook, campaign or segment.",
    "id": "Notification id.",
}
