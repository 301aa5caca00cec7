"""Calls of operators: path, scope, body and handler of each."""

from __future__ import annotations

from pushcast.gateway.campaigns import CampaignCalls
from pushcast.gateway.letters import DeadLetterCalls
from pushcast.gateway.pauses import Pauses
from pushcast.gateway.routes import SINGLE_BYTES, Parameter, Route
from pushcast.gateway.segments import SegmentCalls
from pushcast.gateway.webhooks import WebhookCalls
from pushcast.wire.control.api_keys import Scope


def control_routes(pauses: Pauses) -> list[Route]:
    """The kill switch."""
    found = [
        Route(
            "GET",
            "/v1/pauses",
            "pauses",
            Scope.CONTROL_READ,
            pauses.list,
            "Pauses and open breakers",
            answers={200: "What holds now"},
        )
    ]
    for path, name in (("/v1/pauses/{app}/{platform}", "pause"), ("/v1/pauses/{app}/{platform}/{lane}", "pause_lane")):
        found += [
            Route(
                "PUT", path, name, Scope.CONTROL_WRITE, pauses.put, "Stops an app's pushes within 2 seconds",
                max_bytes=SINGLE_BYTES, body="Comment", answers={200: "Paused"},
            ),
            Route(
                "DELETE", path, f"{name}_end", Scope.CONTROL_WRITE, pauses.delete, "Resumes", answers={200: "Resumed"},
            ),
        ]  # fmt: skip
    return found


def campaigns_routes(campaigns: CampaignCalls) -> list[Route]:
    """Everything of a campaign, of all users."""
    path, scope = "/v1/campaigns/{name}/cancel", Scope.NOTIFICATIONS_CANCEL
    return [
        Route(
            "POST", path, "cancel_campaign", scope, campaigns.cancel,
            "Cancels what has not left of a campaign, and what comes of it later", max_bytes=SINGLE_BYTES,
            body="CampaignCancel",
        ),
        Route(
            "DELETE", path, "cancel_campaign_end", scope, campaigns.resume,
            "What comes of a campaign from now on leaves again",
        ),
    ]  # fmt: skip


def segments_routes(segments: SegmentCalls) -> list[Route]:
    """Named audiences."""
    return [
        Route(
            "GET", "/v1/segments", "segments", Scope.CONTROL_READ, segments.list, "Named audiences",
            answers={200: "The segments"},
        ),
        Route(
            "GET", "/v1/segments/{name}", "segment", Scope.CONTROL_READ, segments.show, "What a name stands for",
            answers={200: "The segment"},
        ),
    ]  # fmt: skip


def webhooks_routes(webhooks: WebhookCalls) -> list[Route]:
    """Endpoints that are told."""
    return [
        Route(
            "GET", "/v1/webhooks", "webhooks", Scope.CONTROL_READ, webhooks.list,
            "Endpoints that are told what became of deliveries, and which are disabled", answers={200: "The endpoints"},
        ),
        Route(
            "POST", "/v1/webhooks/{name}/resume", "resume_webhook", Scope.CONTROL_WRITE, webhooks.resume,
            "Posts to an endpoint again", answers={200: "It is posted to"},
            query=(Parameter("from", "Once more what was recorded since then, RFC 3339."),),
        ),
    ]  # fmt: skip


def letters_routes(letters: DeadLetterCalls) -> list[Route]:
    """Dead letters."""
    return [
        Route(
            "GET", "/v1/dead-letters", "dead_letters", Scope.DLQ_READ, letters.list,
            "Dead letters, oldest first, without tokens", answers={200: "The letters"},
            query=(Parameter("limit", "At most so many, 1 to 500.", type="integer"),),
        ),
        Route(
            "POST", "/v1/dead-letters/redrive", "redrive", Scope.DLQ_WRITE, letters.redrive,
            "Writes dead letters back to their topics, or counts them", max_bytes=SINGLE_BYTES, body="Redrive",
            answers={200: "What was done, or would be"},
        ),
    ]  # fmt: skip
