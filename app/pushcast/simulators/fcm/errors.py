"""FCM's error answers: the JSON of google.rpc.Status with the details each error carries.

Sources: Firebase "ErrorCode" and "Status" references; the forms of 400, 404, 500 and 503 follow answers recorded by
Bloomberg's Pushiko; those of 401, 403 and 429 are put together from the references.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Final

_FCM_ERROR: Final = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
_APNS_ERROR: Final = "type.googleapis.com/google.firebase.fcm.v1.ApnsError"
_BAD_REQUEST: Final = "type.googleapis.com/google.rpc.BadRequest"
_THIRD_PARTY_TEXT: Final = "Auth error from APNS or Web Push Service"
_BAD_TOKEN_FIELD: Final = {"field": "message.token", "description": "Invalid registration token"}
_APNS_REASONS: Final = {"403": "InvalidProviderToken", "410": "Unregistered"}
_QUOTA_FAILURE: Final = "type.googleapis.com/google.rpc.QuotaFailure"


@dataclass(frozen=True, slots=True)
class FcmFault:
    """`error_code` is FcmError's, None where Google's front end answers before FCM does."""

    http: int
    status: str
    message: str
    error_code: str | None = None
    details: tuple[dict[str, Any], ...] = field(default=())

    @property
    def label(self) -> str:
        return f"{self.http} {self.error_code or self.status}"

    def body(self) -> bytes:
        """Indented by two, as Google does."""
        details = list(self.details)
        if self.error_code is not None:
            details.insert(0, {"@type": _FCM_ERROR, "errorCode": self.error_code})
        error: dict[str, Any] = {"code": self.http, "message": self.message, "status": self.status}
        if details:
            error["details"] = details
        return json.dumps({"error": error}, indent=2).encode() + b"\n"


def field_violation(name: str, description: str, *, error_code: str | None = "INVALID_ARGUMENT") -> FcmFault:
    """400 with the field that is wrong. The JSON parser's own refusals carry no FcmError."""
    violation = {"@type": _BAD_REQUEST, "fieldViolations": [{"field": name, "description": description}]}
    return FcmFault(400, "INVALID_ARGUMENT", description, error_code, (violation,))


def apns_fault(status: int, reason: str) -> FcmFault:
    """What APNs said to FCM about an iOS device."""
    detail = {"@type": _APNS_ERROR, "statusCode": status, "reason": reason}
    if status == 403:
        return FcmFault(401, "UNAUTHENTICATED", _THIRD_PARTY_TEXT, "THIRD_PARTY_AUTH_ERROR", (detail,))
    return FcmFault(400, "INVALID_ARGUMENT", "Request contains an invalid argument.", "INVALID_ARGUMENT", (detail,))


def quota_fault(subject: str, description: str) -> FcmFault:
    """429 with the quota that was exceeded."""
    detail = {"@type": _QUOTA_FAILURE, "violations": [{"subject": subject, "description": description}]}
    message = f"Quota exceeded for quota metric 'Send requests' of service 'fcm.googleapis.com' ({subject})."
    return FcmFault(429, "RESOURCE_EXHAUSTED", message, "QUOTA_EXCEEDED", (detail,))


UNREGISTERED: Final = FcmFault(404, "NOT_FOUND", "Requested entity was not found.", "UNREGISTERED")
BAD_TOKEN: Final = FcmFault(
    400,
    "INVALID_ARGUMENT",
    "The registration token is not a valid FCM registration token",
    "INVALID_ARGUMENT",
    (
        {
            "@type": _BAD_REQUEST,
            "fieldViolations": [_BAD_TOKEN_FIELD],
        },
    ),
)
NO_RECIPIENT: Final = field_violation("message", "Recipient of the message is not set.")
SENDER_ID_MISMATCH: Final = FcmFault(403, "PERMISSION_DENIED", "SenderId mismatch", "SENDER_ID_MISMATCH")
THIRD_PARTY: Final = FcmFault(401, "UNAUTHENTICATED", _THIRD_PARTY_TEXT, "THIRD_PARTY_AUTH_ERROR")
UNAVAILABLE: Final = FcmFault(503, "UNAVAILABLE", "The service is currently unavailable.", "UNAVAILABLE")
INTERNAL: Final = FcmFault(500, "INTERNAL", "Internal error encountered.", "INTERNAL")
UNAUTHENTICATED: Final = FcmFault(
    401,
    "UNAUTHENTICATED",
    "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid"
    " authentication credential.",
)
PERMISSION_DENIED: Final = FcmFault(
    403,
    "PERMISSION_DENIED",
    "Permission 'cloudmessaging.messages.create' denied on resource '//cloudresourcemanager.googleapis.com/projects'"
    " (or it may not exist).",
)
NOT_FOUND: Final = FcmFault(404, "NOT_FOUND", "Requested entity was not found.")
METHOD_NOT_ALLOWED: Final = FcmFault(405, "INVALID_ARGUMENT", "The request method is not allowed.")
# An oversize message is refused without details (providers.md §2.3).
TOO_LARGE: Final = FcmFault(400, "INVALID_ARGUMENT", "Request contains an invalid argument.")
QUOTA: Final = quota_fault("project", "Send requests per minute")

_BY_NAME: Final[dict[str, FcmFault]] = {
    "UNREGISTERED": UNREGISTERED,
    "INVALID_ARGUMENT": BAD_TOKEN,
    "SENDER_ID_MISMATCH": SENDER_ID_MISMATCH,
    "THIRD_PARTY_AUTH_ERROR": THIRD_PARTY,
    "UNAVAILABLE": UNAVAILABLE,
    "INTERNAL": INTERNAL,
    "QUOTA_EXCEEDED": QUOTA,
    "UNAUTHENTICATED": UNAUTHENTICATED,
    "PERMISSION_DENIED": PERMISSION_DENIED,
    "NOT_FOUND": NOT_FOUND,
}
_BY_STATUS: Final[dict[int, FcmFault]] = {
    400: BAD_TOKEN,
    401: UNAUTHENTICATED,
    403: PERMISSION_DENIED,
    404: UNREGISTERED,
    429: QUOTA,
    500: INTERNAL,
    503: UNAVAILABLE,
}


def scripted(status: int, reason: str) -> FcmFault:
    """The fault that a rule's status and reason name; ApnsError reasons come as `apns410` and the like."""
    if reason.startswith("apns") and reason[4:].isdigit():
        return apns_fault(int(reason[4:]), _APNS_REASONS.get(reason[4:], "BadDeviceToken"))
    known = _BY_NAME.get(reason) or _BY_STATUS.get(status)
    if known is not None and status in {0, known.http}:
        return known
    return FcmFault(status or 500, "UNKNOWN", "Scripted.", reason or "UNSPECIFIED_ERROR")
