"""The requests to push services: what those to one service have in common, and which columns they have."""

from __future__ import annotations

from typing import Final

from pushcast.http2.request import Template, Varying, Wrapped

_MAX_TEMPLATES: Final = 1024
_PATH: Final = Varying(b":path")
_TTL: Final = Varying(b"ttl")
_TOPIC: Final = Varying(b"topic", optional=True)
_WHOLE_BODY: Final = Wrapped()
_FIXED: Final = ((b"content-encoding", b"aes128gcm"), (b"content-type", b"application/octet-stream"))


class Templates:
    """One object for equal headers: a connection encodes it once, and messages that share it travel together.

    Columns: path, TTL, topic (None: none), body. At most 1,024 are kept.
    """

    def __init__(self) -> None:
        self._made: dict[tuple[str, bytes, bytes], Template] = {}

    def of(self, authority: str, authorization: bytes, urgency: bytes) -> Template:
        key = (authority, authorization, urgency)
        template = self._made.get(key)
        if template is None:
            if len(self._made) >= _MAX_TEMPLATES:
                self._made.clear()
            template = self._made[key] = Template(
                path=_PATH,
                headers=[*_FIXED, (b"urgency", urgency), (b"authorization", authorization)],
                varying=[_TTL, _TOPIC],
                body=_WHOLE_BODY,
                authority=authority.encode(),
                literal_names=frozenset(),  # the token is the same for hours: worth a place in the HPACK table
                wants_headers=True,
            )
        return template
