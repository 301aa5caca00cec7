"""The part of `aps` that starts, updates or ends a Live Activity.

https://developer.apple.com/documentation/activitykit/starting-and-updating-live-activities-with-activitykit-push-notifications
"""

from __future__ import annotations

from typing import Any

import orjson

from pushcast.model.notification import LiveActivity
from pushcast.model.words import Reason
from pushcast.providers.unsendable import Unsendable


def fields_of(activity: LiveActivity | None, created_at: int) -> dict[str, Any]:
    """`created_at`, in milliseconds, stands in for an absent timestamp: a device ignores what is older than it knows,
    so that neither a second copy nor a late one changes anything. Raises Unsendable (invalid_field)."""
    if activity is None:
        raise _invalid("push_type liveactivity needs it")
    aps: dict[str, Any] = {
        "timestamp": _seconds(created_at if activity.timestamp is None else activity.timestamp),
        "event": str(activity.event),
    }
    if activity.content_state is not None:
        aps["content-state"] = _object(activity.content_state, "content_state")
    if activity.stale_at is not None:
        aps["stale-date"] = _seconds(activity.stale_at)
    if activity.dismissal_at is not None:
        aps["dismissal-date"] = _seconds(activity.dismissal_at)
    if activity.relevance_score is not None:
        aps["relevance-score"] = activity.relevance_score
    if activity.event == "start":
        if activity.attributes is None or not activity.attributes_type:
            raise _invalid("event start needs attributes_type and attributes")
        aps["attributes-type"] = activity.attributes_type
        aps["attributes"] = _object(activity.attributes, "attributes")
        if activity.input_push_token:
            aps["input-push-token"] = 1
        if activity.input_push_channel is not None:
            aps["input-push-channel"] = activity.input_push_channel
    return aps


def _seconds(milliseconds: int | str) -> int:
    if isinstance(milliseconds, str):
        raise _invalid("times are milliseconds here; the decoder of notifications makes them so")
    return milliseconds // 1000


def _object(value: dict[str, Any] | str, name: str) -> Any:
    if isinstance(value, dict):
        return value
    try:
        found = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise _invalid(f"{name} is not JSON") from error
    if not isinstance(found, dict):
        raise _invalid(f"{name} is not a JSON object")
    return found


def _invalid(problem: str) -> Unsendable:
    return Unsendable(Reason.INVALID_FIELD, f"options.live_activity: {problem}", "options.live_activity")
