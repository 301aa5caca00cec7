"""What keeps other sites out: headers of every answer, and where a form may come from. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

CONTENT_SECURITY_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
#: `same-origin` and not `no-referrer`: with that, browsers send forms with `Origin: null`.
HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
#: Pages name people: nothing of them stays in a cache.
PRIVATE: Final[Mapping[str, str]] = {"Cache-Control": "no-store"}
#: Files whose name holds the hash of what is in them.
FOR_EVER: Final[Mapping[str, str]] = {"Cache-Control": "public, max-age=31536000, immutable"}


def same_origin(headers: Mapping[str, str]) -> bool:
    """Whether a form was sent from a page of this console. Header names are lower case.

    Every browser in use sends Sec-Fetch-Site; one that does not sends Origin with each POST. Neither: refused.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin, host = headers.get("origin"), headers.get("host")
    try:
        return origin is not None and bool(host) and urlsplit(origin).netloc == host
    except ValueError:  # a bracket without its other one
        return False
