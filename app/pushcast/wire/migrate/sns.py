"""Endpoints of Amazon SNS as device changes. Pure.

https://docs.aws.amazon.com/sns/latest/api/API_ListEndpointsByPlatformApplication.html has the form, and the platform
stands in an endpoint's ARN. SNS knows no user but what an app has put into CustomUserData, and no last activity.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pushcast.model.words import Platform
from pushcast.wire.migrate.rows import FoundDevice, Import, Row, Skipped, registration, text_of

#: What an answer has its rows in.
PAGE: Final = "Endpoints"
_PLATFORMS: Final = {"APNS": Platform.APNS, "GCM": Platform.FCM}
_SANDBOX: Final = "APNS_SANDBOX"
_ARN_PARTS: Final = 4  # endpoint, platform, application, id


def changes_of(row: Row, how: Import) -> Iterator[FoundDevice]:
    """Of one endpoint."""
    attributes = row.get("Attributes")
    parts = text_of(row, "EndpointArn").rpartition(":")[2].split("/")
    if not isinstance(attributes, dict) or len(parts) != _ARN_PARTS:
        yield Skipped.UNREADABLE
        return
    platform, token = _PLATFORMS.get(parts[1]), text_of(attributes, "Token")
    if parts[1] == _SANDBOX:
        yield Skipped.SANDBOX
    elif platform is None:
        yield Skipped.DEVICE_TYPE
    elif text_of(attributes, "Enabled").lower() == "false":
        yield Skipped.INVALID
    elif not token:
        yield Skipped.NO_TOKEN
    else:
        yield registration(how, text_of(attributes, "CustomUserData") or None, parts[3], platform.value, token, {})
