"""Calls that write what stages read: path, scope, body and handler of each."""

from __future__ import annotations

from pushcast.gateway.broadcasts import Broadcasts
from pushcast.gateway.cancels import CancelRequests
from pushcast.gateway.devices import Devices
from pushcast.gateway.engagement import Engagements
from pushcast.gateway.notifications import Notifications, notifications_of
from pushcast.gateway.preferences import Preferences
from pushcast.gateway.routes import BULK_BYTES, LINES_BYTES, SINGLE_BYTES, Parameter, Route
from pushcast.wire.control.api_keys import Scope


def writes_routes(notes: Notifications, devices: Devices) -> list[Route]:
    """Notifications and devices."""
    send, write = Scope.NOTIFICATIONS_SEND, Scope.DEVICES_WRITE
    rehearsed = {200: "Rehearsed: nothing is written", 202: "Written"}
    bulk = {202: "All are written", 207: "Some are refused", 503: "Some are not confirmed; repeat with the same ids"}
    return [
        Route(
            "POST", "/v1/notifications", "send", send, notes.send, "Sends a notification to a user's devices",
            max_bytes=SINGLE_BYTES, body="Notification", notifications=1, at_once=notes.begin, answers=rehearsed,
        ),
        Route(
            "POST", "/v1/notifications/bulk", "send_bulk", send, notes.bulk, "Sends up to 1,000, or 10,000 as lines",
            max_bytes=BULK_BYTES, max_lines_bytes=LINES_BYTES, body="NotificationList", answers=bulk,
            query=(Parameter("atomic", "Write nothing unless all are valid.", type="boolean"),),
            items=notifications_of, lines=notes.lines,
        ),
        Route(
            "POST", "/v1/notify/{user}", "notify", send, notes.notify, "Sends the text in the body",
            max_bytes=SINGLE_BYTES, body="text", text=True, notifications=1,
            query=(
                Parameter("app", "App; absent: all apps of the user."),
                Parameter("class", "Class; absent: default."),
                Parameter("title", "First line."),
            ),
        ),
        Route(
            "PUT", "/v1/users/{user}/devices/{app}/{device}", "put_device", write, devices.put,
            "Registers or refreshes a device", max_bytes=SINGLE_BYTES, body="Device",
        ),
        Route(
            "DELETE", "/v1/users/{user}/devices/{app}/{device}", "delete_device", write, devices.delete,
            "Logs a device out",
        ),
        Route(
            "PUT", "/v1/me/devices/{device}", "put_my_device", write, devices.put,
            "Registers or refreshes a device of the app's user", max_bytes=SINGLE_BYTES, body="Device", by_app=True,
            anonymous=True,
        ),
        Route(
            "DELETE", "/v1/me/devices/{device}", "delete_my_device", write, devices.delete,
            "Logs a device of the app's user out", by_app=True, anonymous=True,
        ),
        Route("DELETE", "/v1/users/{user}", "forget_user", write, devices.forget, "Forgets a user's devices"),
        Route(
            "POST", "/v1/devices/bulk", "devices_bulk", write, devices.bulk, "Device changes, up to 1,000",
            max_bytes=BULK_BYTES, max_lines_bytes=LINES_BYTES, body="DeviceList", answers=bulk,
            lines=devices.lines,
        ),
    ]  # fmt: skip


def engagement_routes(told: Engagements) -> list[Route]:
    """What apps tell."""
    return [
        Route(
            "POST", "/v1/engagement", "engagement", Scope.ENGAGEMENT_WRITE, told.tell,
            "What an app told of a user's pushes: received, opened, read", max_bytes=SINGLE_BYTES, body="Engagement",
        ),
        Route(
            "POST", "/v1/me/engagement", "my_engagement", Scope.ENGAGEMENT_WRITE, told.tell,
            "What happened to the pushes of the app's user", max_bytes=SINGLE_BYTES, body="MyEngagement", by_app=True,
            anonymous=True,
        ),
    ]  # fmt: skip


def preferences_routes(chosen: Preferences) -> list[Route]:
    """What users choose."""
    everywhere, of_app, mine = (
        "/v1/users/{user}/preferences",
        "/v1/users/{user}/preferences/{app}",
        "/v1/me/preferences",
    )
    found: list[Route] = []
    for path, name, by_app in ((everywhere, "", False), (of_app, "app_", False), (mine, "my_", True)):
        found += [
            Route(
                "PUT", path, f"put_{name}preferences", Scope.DEVICES_WRITE, chosen.put,
                "Replaces what a user has chosen", max_bytes=SINGLE_BYTES, body="Preferences", by_app=by_app,
            ),
            Route(
                "GET", path, f"{name}preferences", Scope.HISTORY_READ, chosen.show, "What a user has chosen",
                answers={200: "The choices"}, by_app=by_app,
            ),
        ]  # fmt: skip
    return found


def ends_routes(cancels: CancelRequests) -> list[Route]:
    """Cancels."""
    return [
        Route(
            "DELETE", "/v1/notifications/{id}", "cancel", Scope.NOTIFICATIONS_CANCEL, cancels.cancel,
            "Cancels what has not left of a user's notification",
            answers={202: "Written; `state` says what is known of it", 409: "All of it has ended; nothing was written"},
            query=(
                Parameter("user", "User id.", required=True),
                Parameter("remove", "true: also from the screens that show it.", type="boolean"),
            ),
        )
    ]  # fmt: skip


def broadcasts_routes(casts: Broadcasts) -> list[Route]:
    """Broadcasts: sent, counted, stopped, held."""
    scope = Scope.BROADCASTS_SEND
    return [
        Route(
            "POST", "/v1/broadcasts", "broadcast", scope, casts.send, "Sends to every device of an audience",
            max_bytes=SINGLE_BYTES, body="Broadcast",
            answers={200: "Rehearsed: it was counted, nobody gets it", 202: "Written"},
        ),
        Route(
            "POST", "/v1/broadcasts/count", "count_broadcast", scope, casts.count,
            "Counts an audience; nothing is sent", max_bytes=SINGLE_BYTES, body="Broadcast",
            answers={200: "How many devices it would reach"},
            query=(Parameter("quick", "true: one partition stands for all.", type="boolean"),),
        ),
        Route(
            "GET", "/v1/broadcasts", "broadcasts", Scope.REPORTS_READ, casts.list,
            "Broadcasts of the last 7 days, oldest first in each lane", answers={200: "The broadcasts"},
            query=(Parameter("lane", "Only of this lane."),),
        ),
        Route(
            "GET", "/v1/broadcasts/{id}", "broadcast_status", Scope.REPORTS_READ, casts.status,
            "How far a broadcast has come", answers={200: "Its progress"},
        ),
        Route("DELETE", "/v1/broadcasts/{id}", "stop_broadcast", scope, casts.stop, "Ends a broadcast"),
        Route(
            "PUT", "/v1/broadcasts/{id}/hold", "hold_broadcast", scope, casts.hold, "Holds a broadcast",
            max_bytes=SINGLE_BYTES,
        ),
        Route("DELETE", "/v1/broadcasts/{id}/hold", "resume_broadcast", scope, casts.resume, "Lets it go on"),
    ]  # fmt: skip
