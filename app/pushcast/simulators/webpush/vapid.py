"""VAPID as push services check it (RFC 8292)."""

from __future__ import annotations

import base64
import binascii
import re
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

MAX_AGE_SECONDS: Final = 24 * 3600
_SUBJECT: Final = re.compile(r"mailto:[^\s<>@]+@[^\s<>@]+\.[^\s<>@]+|https://[^\s<>]+")
_PARAMETERS: Final = re.compile(rb"\s*vapid\s+(.*)", re.IGNORECASE | re.DOTALL)
_CACHED: Final = 1_024


@dataclass(frozen=True, slots=True)
class Vapid:
    """A header whose signature holds. `subject` may be missing or bad; who cares differs between services."""

    key: bytes
    audience: str
    expires_at: float
    subject: str

    @property
    def subject_is_good(self) -> bool:
        return bool(_SUBJECT.fullmatch(self.subject)) and "localhost" not in self.subject


class VapidVerifier:
    """Checks each distinct header once (1,024 remembered); times are judged at every use by the caller."""

    def __init__(self) -> None:
        self._cache: OrderedDict[bytes, Vapid | None] = OrderedDict()

    def verify(self, authorization: bytes) -> Vapid | None:
        """None when the header is malformed or its signature does not hold."""
        if authorization not in self._cache:
            self._cache[authorization] = _verify(authorization)
            if len(self._cache) > _CACHED:
                self._cache.popitem(last=False)
        return self._cache[authorization]


def _verify(authorization: bytes) -> Vapid | None:
    scheme = _PARAMETERS.fullmatch(authorization)
    if scheme is None:
        return None
    parameters = dict(part.strip().partition(b"=")[::2] for part in scheme[1].split(b","))
    try:
        point = base64.urlsafe_b64decode(parameters[b"k"] + b"===")
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        options: Any = {"verify_exp": False, "verify_aud": False, "verify_iat": False}
        claims = jwt.decode(parameters[b"t"], key, algorithms=["ES256"], options=options)
        return Vapid(point, str(claims["aud"]), float(claims["exp"]), str(claims.get("sub", "")))
    except (jwt.InvalidTokenError, KeyError, TypeError, ValueError, binascii.Error):
        return None
