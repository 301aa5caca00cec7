"""Tokens by which an app proves who its user is: JWT, signed by the customer's own back end (RFC 7519, RFC 8725).

Only asymmetric signatures are taken, each for the kind of key that it belongs to. `none` and the HS family are refused
whatever the token's head says: with them anybody who knows the public key could sign.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import jwt

from pushcast.gateway.access import CHALLENGE
from pushcast.gateway.problems import Problem
from pushcast.model.errors import ConfigurationError

#: By kind of key (RFC 7518 section 6.1, RFC 8037 section 2).
ALGORITHMS: Final[Mapping[str, str]] = {"EC": "ES256", "OKP": "EdDSA", "RSA": "RS256"}
MAX_TOKEN_CHARS: Final = 4096
LIFE_SECONDS: Final = 3600
LEEWAY_SECONDS: Final = 30
REQUIRED: Final = ["exp", "sub", "aud"]


class UserTokens:
    """Keys of each app, from `gateway.identity.<app>.jwks_file`."""

    def __init__(self, keys: Mapping[str, Mapping[str, jwt.PyJWK]]) -> None:
        """`keys`: by app, then by key id."""
        self._keys = keys

    def user_of(self, token: str, app: str, now_seconds: float) -> str:
        """`sub` of a valid token for this app. Raises Problem (token_refused), with one answer for every fault."""
        keys = self._keys.get(app, {})
        try:
            if len(token) > MAX_TOKEN_CHARS:
                raise jwt.InvalidTokenError
            key = _key_of(keys, jwt.get_unverified_header(token))
            claims: dict[str, Any] = jwt.decode(
                token,
                key.key,
                algorithms=[ALGORITHMS[str(key.key_type)]],
                audience=app,
                # Times are judged below, by the clock that is passed in.
                options={
                    "require": REQUIRED,
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
            _check_times(claims, now_seconds)
        except (jwt.PyJWTError, ValueError, KeyError, TypeError, OverflowError):
            # The last two: a time that is a list, or beyond what a float holds.
            raise Problem(
                "token_refused",
                f"the token is not valid for this app: {', '.join(ALGORITHMS.values())}, aud the app, sub the user, "
                f"exp at most {LIFE_SECONDS} s ahead, signed by a key of the app",
                headers={"WWW-Authenticate": CHALLENGE},
            ) from None
        return str(claims["sub"])


def read_keys(files: Mapping[str, Path]) -> dict[str, dict[str, jwt.PyJWK]]:
    """Keys by app and key id, from JWKS files by app. Raises ConfigurationError naming the app and what is wrong."""
    found: dict[str, dict[str, jwt.PyJWK]] = {}
    for app, file in files.items():
        where = f"gateway.identity.{app}.jwks_file: {file}"
        try:
            keys = jwt.PyJWKSet.from_json(file.read_text()).keys
        except OSError as error:
            raise ConfigurationError(f"{where}: {error.strerror}") from None
        except (jwt.PyJWTError, ValueError, KeyError, AttributeError):
            raise ConfigurationError(f"{where} is not a JSON Web Key Set with a key that can be used") from None
        if wrong := sorted({str(key.key_type) for key in keys} - ALGORITHMS.keys()):
            raise ConfigurationError(
                f"{where}: a key of kind {wrong[0]} cannot prove a user; use {', '.join(ALGORITHMS)}"
            )
        found[app] = {str(key.key_id or ""): key for key in keys}
    return found


def _key_of(keys: Mapping[str, jwt.PyJWK], header: Mapping[str, Any]) -> jwt.PyJWK:
    name = header.get("kid")
    if name is None and len(keys) == 1:
        return next(iter(keys.values()))
    return keys[str(name)]


def _check_times(claims: Mapping[str, Any], now_seconds: float) -> None:
    expires = float(claims["exp"])
    if not now_seconds - LEEWAY_SECONDS < expires <= now_seconds + LIFE_SECONDS + LEEWAY_SECONDS:
        raise jwt.ExpiredSignatureError
    if float(claims.get("nbf", 0)) > now_seconds + LEEWAY_SECONDS:
        raise jwt.ImmatureSignatureError
    if not isinstance(claims["sub"], str):
        raise jwt.InvalidTokenError
