"""Problems as RFC 9457 has them, each with what to do about it; `/problems/<name>` shows the same words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson

from pushcast.model.errors import InvalidInput, PushcastError

CONTENT_TYPE: Final = "application/problem+json"
#: https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/ (revision 11), section 6.1
QUOTA_EXCEEDED: Final = "https://iana.org/assignments/http-problem-types#quota-exceeded"


class Kind(NamedTuple):
    """A type of problem."""

    status: int
    title: str
    remedy: str


KINDS: Final[Mapping[str, Kind]] = {
    "invalid_json": Kind(400, "The body is not JSON", "Send one JSON object, in UTF-8, no field twice."),
    "bad_request": Kind(400, "The request is malformed", "See the detail; docs/http.md has an example of each call."),
    "no_key": Kind(401, "No key was sent", "Send `Authorization: Bearer pc_…`; `pushcast key create` makes a key."),
    "key_refused": Kind(401, "The key is refused", "It is unknown, disabled or expired. `pushcast key list` tells."),
    "token_refused": Kind(401, "The user's token is refused", "Let your back end sign a new one (docs/http.md)."),
    "scope_missing": Kind(403, "The key may not do this", "Make a key with the scope that the detail names."),
    "app_not_allowed": Kind(
        403, "The key is not for this app", "Name an app of the key; without `app` it must be for all."
    ),
    "class_not_allowed": Kind(403, "The key is not for this class", "Use a class of the key."),
    "lane_not_allowed": Kind(403, "The key is not for this lane", "Use a class whose lane the key has."),
    "foreign_form": Kind(403, "The form came from elsewhere", "Open the page in the console again and send its form."),
    "topic_not_allowed": Kind(403, "The key is not for this topic", "Name topics of the key."),
    "not_your_device": Kind(403, "The device is not yours", "Send the secret of its first registration."),
    "audience_too_large": Kind(
        403, "The key may not reach so many", "Choose a smaller audience, or a key with a larger max_audience."
    ),
    "not_found": Kind(404, "There is nothing here", "/openapi.json lists what there is."),
    "method_not_allowed": Kind(405, "The method does not fit", "The header Allow lists those that do."),
    "not_acceptable": Kind(
        406, "The client takes no JSON", "Send `Accept: application/json`, `*/*`, or no such header."
    ),
    "already_ended": Kind(409, "It is too late", "Every delivery has ended. `remove=true` takes it off the screens."),
    "request_timeout": Kind(408, "The request came too slowly", "Send it whole within the time that the detail names."),
    "body_too_large": Kind(413, "The body is too large", "Send less at once; the detail names the limit."),
    "unsupported_media_type": Kind(
        415, "The body's type or coding is not taken", "Send application/json without Content-Encoding."
    ),
    "headers_too_large": Kind(431, "A line of the head is too long", "Send less than 8 KiB in a header or path."),
    "invalid_field": Kind(422, "A field is not valid", "`errors` names each field and what is right."),
    "unknown_field": Kind(422, "A field is not known", "A typing mistake? /openapi.json lists the fields."),
    "payload_too_large": Kind(422, "A platform would refuse the payload", "Shorten it; the detail names the limit."),
    "reserved_user": Kind(
        422, "The user id is reserved", "Ids that begin with device:, canary: or broadcast: are ours."
    ),
    "idempotency_key_reused": Kind(
        422, "The id was used for another notification", "Use a new id or Idempotency-Key for other content."
    ),
    "quota_exceeded": Kind(429, "Too much within a minute", "Wait as Retry-After says, or ask for a larger quota."),
    "internal_error": Kind(500, "The gateway failed", "Its log has the cause. Repeat with the same id."),
    "not_yet_available": Kind(501, "This release cannot do it yet", "See CHANGELOG.md."),
    "kafka_unavailable": Kind(503, "Kafka does not answer", "Nothing was written. Repeat as Retry-After says."),
    "ack_timeout": Kind(
        503,
        "Kafka has not confirmed it in time",
        "It may still be written. Repeat with the same id: nobody gets it twice.",
    ),
    "count_unavailable": Kind(503, "The audience was not counted", "Start a planner and a settler; then repeat."),
    "reports_unavailable": Kind(503, "Reports are not there", "Start a reporter: `pushcast run reporter`."),
    "overloaded": Kind(503, "The gateway has no room", "Nothing was written. Repeat as Retry-After says."),
    "stopping": Kind(503, "The gateway is stopping", "Nothing was written. Repeat: another process will answer."),
}


class FieldError(NamedTuple):
    """One entry of `errors`. `pointer`: a JSON pointer into the body as a URI fragment (RFC 6901 section 6)."""

    pointer: str
    code: str
    detail: str


class Problem(PushcastError):
    """Ends a request. `detail` holds no secret and no token: it is answered and counted."""

    def __init__(
        self,
        name: str,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(unicode_of(detail))
        self.name = name
        self.kind = KINDS[name]
        self.errors = tuple(FieldError(*map(unicode_of, error)) for error in errors)
        self.headers = dict(headers or {})
        self.more = dict(more or {})

    @property
    def status(self) -> int:
        return self.kind.status

    @property
    def closes(self) -> bool:
        """Whether the connection ends with the answer."""
        return self.headers.get("Connection") == "close" or self.name in ("request_timeout", "stopping")

    def members(self, instance: str | None = None) -> dict[str, Any]:
        """The object that is answered."""
        return {
            "type": QUOTA_EXCEEDED if self.name == "quota_exceeded" else f"/problems/{self.name}",
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": str(self),
            **({} if instance is None else {"instance": instance}),
            **({"errors": [error._asdict() for error in self.errors]} if self.errors else {}),
            **self.more,
        }


def unicode_of(text: str) -> str:
    """Half of a surrogate pair as `?`: what a client sent may be quoted, and no answer could be written with it."""
    return text if text.isascii() else text.encode(errors="replace").decode()


def refused(error: InvalidInput) -> Problem:
    """What a stage would make a dead letter, as a problem with a pointer to the field."""
    name = error.reason if error.reason in KINDS else "invalid_field"
    if error.reason == "not_json":
        name = "invalid_json"
    return Problem(name, str(error), errors=[FieldError(pointer(error.field), error.reason, str(error))])


def pointer(field: str | None) -> str:
    """`options.badge` as `#/options/badge`; None: the whole body, `#`."""
    if not field:
        return "#"
    parts = field.replace("[", ".").replace("]", "").split(".")
    return "#/" + "/".join(part.replace("~", "~0").replace("/", "~1") for part in parts)


def page(name: str) -> bytes | None:
    """What `/problems/<name>` answers; None: there is no such type."""
    kind = KINDS.get(name)
    if kind is None:
        return None
    return orjson.dumps(
        {"type": f"/problems/{name}", "title": kind.title, "status": kind.status, "remedy": kind.remedy}
    )


def encoded(problem: Problem, instance: str | None = None) -> bytes:
    """The body of an answer."""
    return orjson.dumps(problem.members(instance))
