"""The gateway's calls, put together."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import orjson

from pushcast.config.settings import Settings
from pushcast.gateway import control_calls, read_calls, write_calls
from pushcast.gateway.anonymous import AnonymousDevices, read_device_key
from pushcast.gateway.broadcasts import Broadcasts
from pushcast.gateway.campaigns import CampaignCalls
from pushcast.gateway.cancels import CancelRequests
from pushcast.gateway.devices import Devices
from pushcast.gateway.documents import Documents
from pushcast.gateway.engagement import Engagements
from pushcast.gateway.examples import ExampleCalls
from pushcast.gateway.identity import Repeats
from pushcast.gateway.letters import DeadLetterCalls
from pushcast.gateway.notifications import Notifications
from pushcast.gateway.openapi import document
from pushcast.gateway.pauses import Pauses
from pushcast.gateway.preferences import Preferences
from pushcast.gateway.questions import Questions, Sources
from pushcast.gateway.rehearsals import NoteRehearsals
from pushcast.gateway.reports import ReportCalls
from pushcast.gateway.routes import OpenRoute, Route
from pushcast.gateway.schedules import Schedules
from pushcast.gateway.segments import SegmentCalls
from pushcast.gateway.sizes import Sizes
from pushcast.gateway.webhooks import WebhookCalls
from pushcast.gateway.writing import Writer
from pushcast.wire.control.control_state import ControlState
from pushcast.wire.devices.devices import DeviceChangeDecoder
from pushcast.wire.events.broadcasts import BroadcastDecoder
from pushcast.wire.events.cancels import CancelDecoder
from pushcast.wire.events.class_rules import class_rules
from pushcast.wire.events.engagement import EngagementDecoder
from pushcast.wire.events.notifications import NotificationDecoder


class Calls(NamedTuple):
    """Everything that the gateway answers."""

    keyed: list[Route]
    open: list[OpenRoute]
    decoders: tuple[NotificationDecoder | BroadcastDecoder, ...]  # by whose classes requests are judged
    anonymous: AnonymousDevices
    webhooks: WebhookCalls  # of the configuration, which may change


def calls(
    settings: Settings, writer: Writer, control: ControlState, sources: Sources, ready: Callable[[], list[str]]
) -> Calls:
    """Connects to nothing. `ready`: what is wrong with the process, one sentence each. Raises ConfigurationError."""
    rules = class_rules(settings.classes)
    questions = Questions(sources)
    noted = NotificationDecoder(settings.apps, rules, max_ahead_ms=settings.keep.max_ahead_ms)
    sizes = Sizes(settings)
    # In a queue of their own: whoever rehearses much keeps nobody's lookups waiting.
    rehearsals = NoteRehearsals(sources.rehearse, Questions(sources), sizes)
    notes = Notifications(settings, noted.decode, writer, Repeats(), rehearsals, control.paces)
    key_file = None if settings.gateway is None else settings.gateway.device_key_file
    anonymous = AnonymousDevices(read_device_key(key_file))
    changes = DeviceChangeDecoder(settings.apps, require_sealed=settings.sealing.require).decode
    devices = Devices(changes, writer, anonymous, questions, sources)
    pauses = Pauses(frozenset(settings.apps), control, writer)
    cancels = CancelRequests(CancelDecoder().decode, writer, sources.reports)
    spread = BroadcastDecoder(settings.apps, rules)
    lanes = {name: rule.lane for name, rule in settings.classes.items()}
    casts = Broadcasts(
        lambda key, value, now_ms: spread.decode(key, value, now_ms).broadcast,
        lanes,
        writer,
        questions,
        sources,
        sizes,
        control,
    )
    chosen = Preferences(changes, writer, questions, sources)
    told = Engagements(EngagementDecoder().decode, writer)
    webhooks = WebhookCalls(settings.webhooks, control, writer)
    writes = [
        *write_calls.writes_routes(notes, devices),
        *write_calls.engagement_routes(told),
        *write_calls.preferences_routes(chosen),
        *write_calls.ends_routes(cancels),
        *write_calls.broadcasts_routes(casts),
        *control_calls.control_routes(pauses),
        *control_calls.campaigns_routes(CampaignCalls(writer, control)),
        *control_calls.webhooks_routes(webhooks),
    ]
    waits = Schedules(CancelDecoder().decode, writer, questions, sources)
    letters = DeadLetterCalls(questions, sources)
    reads = [
        *control_calls.segments_routes(SegmentCalls(control)),
        *read_calls.reads_routes(questions),
        *read_calls.schedules_routes(waits),
        *control_calls.letters_routes(letters),
        *read_calls.reports_routes(ReportCalls(sources.reports)),
        *read_calls.examples_routes(ExampleCalls(sources.reports)),
    ]
    keyed = [*writes, *reads]
    documents = Documents(ready, cache(lambda: openapi(found)))
    found = Calls(keyed, documents.routes(), (noted, spread), anonymous, webhooks)
    return found


def openapi(found: Calls) -> bytes:
    """The document of these calls, one line for each member."""
    return orjson.dumps(document(found.keyed, found.open), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
