"""Bodies of requests as the records that a producer with Kafka would write. Pure.

The stage's own decoder checks them: what is taken here never becomes a dead letter there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import orjson

from pushcast.gateway.problems import FieldError, Problem, refused
from pushcast.model.errors import InvalidInput
from pushcast.model.own import RESERVED_ID_PREFIXES
from pushcast.model.words import Reason
from pushcast.wire.json_errors import no_unicode
from pushcast.wire.keys import check_id, user_of

#: Users of ours: devices without a user, canaries, broadcasts by a provider's topic.
RESERVED_USERS: Final = ("device:", "canary:", "broadcast:")

#: How JSON may write a colon without one (and a few other characters).
_ESCAPED_COLON: Final = rb"\u003"


class EventRecord(NamedTuple):
    """A record to be written. `id`: of the notification or device."""

    user: str
    id: str
    value: bytes


#: (user, value, milliseconds) to what it means; raises InvalidInput.
Decode = Callable[[str, bytes, int], Any]


def read_object(body: bytes) -> dict[str, Any]:
    """Raises Problem: not JSON, not an object, a field twice, NaN, half of a surrogate pair, nested too deep."""
    try:
        found = orjson.loads(body)
        # orjson keeps the last of two fields of one name: written again, it has fewer colons than the body.
        colons = orjson.dumps(found).count(b":")
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return _read_slowly(body)  # which tells what is wrong
    if isinstance(found, dict) and colons == body.count(b":") and _ESCAPED_COLON not in body:
        return found
    return _read_slowly(body)


def _read_slowly(body: bytes) -> dict[str, Any]:
    if not body.strip():
        raise Problem("invalid_json", "the body is empty; it must be a JSON object")
    try:
        found = json.loads(body.decode(), object_pairs_hook=_once, parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise Problem("invalid_json", f"the body is not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise Problem(
            "invalid_json", f"the body is not JSON: {error.msg} in line {error.lineno}, column {error.colno}"
        ) from None
    except RecursionError:
        raise Problem("invalid_json", "the body is nested too deep") from None
    except ValueError as error:
        # A number of more than 4,300 digits, or what the hooks refuse.
        raise Problem("invalid_json", f"the body is refused: {error}") from None
    if not isinstance(found, dict):
        raise Problem("invalid_json", "the body is JSON but no object")
    # Only an escape can be half of a surrogate pair now.
    if b"\\u" in body and (wrong := no_unicode(body)) is not None:
        raise refused(wrong)
    return found


def user_in(body: dict[str, Any]) -> str:
    """The field `user`. Raises Problem with its pointer."""
    user = body.get("user")
    if not isinstance(user, str):
        detail = "user is required: the id of the person whose devices get it"
        raise Problem("invalid_field", detail, errors=[FieldError("#/user", "invalid_field", detail)])
    return checked_user(user)


def checked_user(user: str) -> str:
    """As `checked_form`; raises Problem for a reserved one, too."""
    checked_form(user)
    if user.startswith(RESERVED_USERS):
        raise Problem("reserved_user", f"user begins with {user.split(':', 1)[0]}:, which is reserved")
    return user


def checked_form(user: str) -> str:
    """Raises Problem for an id that is empty, too long, no Unicode, or holds a NUL."""
    try:
        user_of(user.encode())
    except UnicodeEncodeError:
        detail = "user is no Unicode text: half of a surrogate pair"
        raise Problem("invalid_field", detail, errors=[FieldError("#/user", "invalid_field", detail)]) from None
    except InvalidInput as error:
        detail = str(error).replace("the key", "user")
        raise Problem("invalid_field", detail, errors=[FieldError("#/user", "invalid_field", detail)]) from None
    return user


def as_event(body: dict[str, Any], raw: bytes, make_id: Callable[[], str]) -> EventRecord:
    """`body` is `raw` read; `make_id` is asked where it has no id of its own. Raises Problem."""
    return _with_id(user_in(body), body, raw, make_id)


def as_broadcast(body: dict[str, Any], raw: bytes, make_id: Callable[[], str]) -> EventRecord:
    """As `as_event`, for an event without a user: that of the result is empty. Raises Problem."""
    return _with_id("", body, raw, make_id)


def _with_id(user: str, body: dict[str, Any], raw: bytes, make_id: Callable[[], str]) -> EventRecord:
    if body.get("id") is not None:
        try:
            return EventRecord(user, _checked_id(body["id"]), raw)
        except InvalidInput as error:
            raise refused(error) from None
    own_id = make_id()
    if "id" in body or len(body) == 0:
        return EventRecord(user, own_id, json.dumps(body | {"id": own_id}).encode())
    # Nothing else is written anew: numbers and texts stay as the client wrote them.
    opening = raw.index(b"{") + 1
    return EventRecord(user, own_id, raw[:opening] + b'"id":"' + own_id.encode() + b'",' + raw[opening:])


def _checked_id(found: object) -> str:
    if not isinstance(found, str):
        raise InvalidInput(Reason.INVALID_FIELD, "id is not a text", "id")
    if found.startswith(RESERVED_ID_PREFIXES):
        raise InvalidInput(Reason.INVALID_FIELD, f"id: {', '.join(RESERVED_ID_PREFIXES)} are ours", "id")
    return check_id(found, "id")


def lines_of(body: bytes) -> Iterator[bytes]:
    """Lines of NDJSON that are not blank."""
    return (line for line in body.splitlines() if line.strip())


def decoded(decode: Decode, event: EventRecord, now_ms: int) -> Any:
    """What the stage will see. Raises Problem for what it would make a dead letter."""
    try:
        return decode(event.user, event.value, now_ms)
    except InvalidInput as error:
        raise refused(error) from None


def plain_event(user: str, note_id: str, fields: dict[str, Any]) -> EventRecord:
    """From fields that are not a body: of the one-line form and of device requests."""
    try:
        return EventRecord(user, note_id, orjson.dumps(fields))
    except (TypeError, orjson.JSONEncodeError):
        raise Problem("invalid_json", "a text is no Unicode: half of a surrogate pair") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the field {twice[:64]!r} stands there twice")
    return found


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
