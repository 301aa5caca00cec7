"""Calls that ask: path, scope, parameters and handler of each."""

from __future__ import annotations

from pushcast.gateway.examples import ExampleCalls
from pushcast.gateway.questions import Questions
from pushcast.gateway.reports import STATES, ReportCalls
from pushcast.gateway.routes import Parameter, Route
from pushcast.gateway.schedules import Schedules
from pushcast.wire.control.api_keys import Scope


def reads_routes(questions: Questions) -> list[Route]:
    """Questions about a user."""
    return [
        Route(
            "GET", "/v1/users/{user}/why", "why", Scope.HISTORY_READ, questions.why,
            "Why a push did or did not arrive, with its evidence", answers={200: "The answer"},
            query=(
                Parameter("notification", "Notification id; this or `record`."),
                Parameter("record", "The event's record, as the answer to its request named it."),
                Parameter("device", "Only this device."),
            ),
        ),
        Route(
            "GET", "/v1/users/{user}/devices", "devices", Scope.HISTORY_READ, questions.devices,
            "A user's devices, without tokens", answers={200: "The devices"},
        ),
    ]  # fmt: skip


def schedules_routes(waits: Schedules) -> list[Route]:
    """What waits for its time."""
    path, one = "/v1/users/{user}/scheduled", "/v1/users/{user}/scheduled/{id}"
    return [
        Route(
            "GET", path, "scheduled", Scope.HISTORY_READ, waits.all, "What waits for its time, by when it is due",
            answers={200: "The timers"},
        ),
        Route(
            "GET", one, "scheduled_one", Scope.HISTORY_READ, waits.show, "One notification that waits",
            answers={200: "Its timers"},
        ),
        Route("DELETE", path, "cancel_scheduled", Scope.NOTIFICATIONS_CANCEL, waits.cancel, "Cancels all that waits"),
        Route(
            "DELETE", one, "cancel_scheduled_one", Scope.NOTIFICATIONS_CANCEL, waits.cancel,
            "Cancels a notification that waits",
        ),
    ]  # fmt: skip


def examples_routes(examples: ExampleCalls) -> list[Route]:
    """From a sum to single deliveries."""
    return [
        Route(
            "GET", "/v1/examples", "examples", Scope.HISTORY_READ, examples.find,
            "Single deliveries that ended in one way, of a report, a campaign or an app",
            answers={200: "The deliveries"},
            query=(
                Parameter("report", "Id of a notification or broadcast; this, `campaign` or `app`."),
                Parameter("campaign", "Of the newest 500 reports of this campaign in the last 7 days."),
                Parameter("app", "Of the last 7 days."),
                Parameter("reason", "Only with this reason."),
                Parameter("outcome", "Only with this outcome."),
                Parameter("platform", "Only of this platform."),
                Parameter("slower_than_ms", "Only accepted ones, so long after they were due.", type="integer"),
                Parameter("limit", "At most so many, 1 to 100; 20 without it.", type="integer"),
            ),
        )
    ]  # fmt: skip


def reports_routes(reports: ReportCalls) -> list[Route]:
    """What became of notifications."""
    page = (
        Parameter("limit", "At most so many, 1 to 500; 50 without it.", type="integer"),
        Parameter("cursor", "`next_cursor` of the page before."),
    )
    after = Parameter("after", "Record of a notification: waits up to 2 seconds until its planning is known.")
    return [
        Route(
            "GET", "/v1/reports", "reports", Scope.REPORTS_READ, reports.list,
            "Reports of notifications and broadcasts, newest first", answers={200: "A page"},
            query=(
                *page,
                Parameter("from", "Created since: RFC 3339 or milliseconds; 7 days ago without it."),
                Parameter("to", "Created until: RFC 3339 or milliseconds."),
                Parameter("app", "Only this app."),
                Parameter("class", "Only this class."),
                Parameter("campaign", "Only this campaign."),
                Parameter("state", f"Only {', '.join(STATES)}."),
                Parameter("dry_run", "true: dry runs, too.", type="boolean"),
            ),
        ),
        Route(
            "GET", "/v1/reports/{id}", "report", Scope.REPORTS_READ, reports.show,
            "What became of a notification or broadcast", answers={200: "The report"},
            query=(after, Parameter("user", "Only what this user got; for classes with `report: history`.")),
        ),
        Route(
            "GET", "/v1/campaigns/{name}", "campaign", Scope.REPORTS_READ, reports.campaign,
            "The reports of a campaign as one", answers={200: "Its sums"},
        ),
        Route(
            "GET", "/v1/users/{user}/deliveries", "deliveries", Scope.HISTORY_READ, reports.deliveries,
            "How a user's deliveries ended, newest first", answers={200: "A page"},
            query=(
                *page,
                after,
                Parameter("app", "Only this app."),
                Parameter("outcome", "Only with this outcome."),
            ),
        ),
    ]  # fmt: skip
