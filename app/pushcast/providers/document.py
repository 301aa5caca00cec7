"""docs/providers.md from the verdict tables: `python -m pushcast.providers.document > docs/providers.md`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final, NamedTuple

from pushcast.config.providers import EXPO_QUOTA_PER_SECOND, FCM_QUOTA_PER_MINUTE, Fcm
from pushcast.providers.apns import message as apns_message
from pushcast.providers.apns import verdicts as apns
from pushcast.providers.document_fields import fields_chapter
from pushcast.providers.expo import api as expo_api
from pushcast.providers.expo import client as expo_client
from pushcast.providers.expo import message as expo_message
from pushcast.providers.expo import verdicts as expo
from pushcast.providers.fcm import message as fcm_message
from pushcast.providers.fcm import size as fcm_size
from pushcast.providers.fcm import verdicts as fcm
from pushcast.providers.pacing import LONGEST_HOLD_SECONDS
from pushcast.providers.suspicion import MASS_INVALID_TOKENS, SUSPECT_REASONS, SuspicionLimits
from pushcast.providers.verdict import Remedy, Row
from pushcast.providers.webpush import encryption as webpush_encryption
from pushcast.providers.webpush import verdicts as webpush

_REMEDIES: Final = {
    Remedy.NONE: "",
    Remedy.RECONNECT: "other connection",
    Remedy.ELSEWHERE: "other connection, once more at once",
    Remedy.REFRESH: "new credential, other connection, once more at once",
}


_LIMITS: Final = SuspicionLimits()
_FCM_CONNECTIONS: Final = Fcm.model_fields["max_connections"].default
_SUSPICION: Final = f"""When {_LIMITS.share:.0%} of at least {_LIMITS.least_answers} answers within \
{_LIMITS.window_seconds:.0f} s are {", ".join(f"`{reason}`" for reason in sorted(SUSPECT_REASONS))}, the configuration \
is to blame and not the tokens: such answers become a credential problem, `{MASS_INVALID_TOKENS}`, until a block of as \
many answers has a lower share (`suspicion_answers`, `suspicion_share`, `suspicion_window_seconds`)."""


class Chapter(NamedTuple):
    """What one provider contributes."""

    title: str
    text: str
    rows: Sequence[Row]


CHAPTERS: Final = (
    Chapter(
        "APNs",
        f"""Engines: `multicast` (default), `aioapns`, `httpx`.

- Payload at most {apns_message.MAX_PAYLOAD_BYTES} bytes ({apns_message.MAX_VOIP_PAYLOAD_BYTES} for voip), \
collapse id at most {apns_message.MAX_COLLAPSE_ID_BYTES}.
- `data` stands beside `aps`; a key `aps` is refused (`reserved_data_key`).
- A notification that shows nothing (no title, body, sound or badge) goes as a background push, priority 5. \
`push_type: background` with something to show is refused (`background_shows_something`).
- Without a collapse id an alert gets the delivery id: sent twice it is shown once, and two notifications with equal \
texts are both shown.
- A badge or a sound alone is an alert; what shows nothing goes as a background push. Empty texts are absent ones.
- `apns-id` is a UUID of delivery and attempt. `apns-expiration` is the target's expiry (docs/ttl.md).
- APNs knows no dry run: form and size are checked here, then the delivery is accepted without a request.
- Token authentication: one token per team, key and slot of 40 minutes, the same in all processes.
- Live Activities: `push_type: liveactivity` with `options.live_activity` {{event: start, update or end, \
content_state, timestamp, stale_at, dismissal_at, relevance_score, attributes_type, attributes, input_push_token, \
input_push_channel}}; title, body and sound are the alert; an absent timestamp is `created_at`. Broadcast channels: \
`via: apns_channel` (docs/audiences.md), `pushcast channel create|show|list|delete|publish --app APP`.
- {_SUSPICION}""",
        (*apns.ROWS, *apns.OTHER_ROWS),
    ),
    Chapter(
        "FCM",
        f"""Engines: `multicast` (default), `httpx`.

- Notification and `data` together at most {fcm_size.MAX_PAYLOAD_BYTES} bytes, keys included, as every kind of device \
gets them: Android and web with what their own blocks add or have instead, iOS by its `apns.payload` as a whole. \
`from`, \
`message_type` and keys that begin with `google.` or `gcm.` are refused (`reserved_data_key`).
- Push types {", ".join(f"`{name}`" for name in sorted(fcm_message.PUSH_TYPES))}; Apple's others are refused \
(`push_type_unsupported`).
- `notification.tag` is the collapse id, or the delivery id; `collapse_key` only when a collapse id is given.
- The apns and webpush blocks carry the same expiry and urgency to iOS and web devices behind FCM.
- A dry run is FCM's own `validate_only`.
- Up to {_FCM_CONNECTIONS} connections of 100 streams (`max_connections`), as many as the load needs.
- Live Activities go to iOS devices by APNs; FCM would need both tokens of a device.
- Pacing: {FCM_QUOTA_PER_MINUTE:,} a minute and project at Google's endpoint, or `quota_per_minute`; from nothing to \
the full rate in `ramp_up_seconds`; each sender has its share by partitions and `lane_weights`; 429 and 503 cut the \
rate by half their share of the answers, and where they are half of them, Retry-After holds everything back, for at \
most {LONGEST_HOLD_SECONDS:.0f} s.
- {_SUSPICION}
- The access token is fetched five minutes ahead of its end, by one task at a time.""",
        fcm.ROWS,
    ),
    Chapter(
        "Expo",
        f"""Engine: `httpx`.

- At most {expo_message.MAX_RECIPIENTS} recipients a request, {expo_api.MAX_CONNECTIONS} requests at a time, \
gzip above {expo_message.GZIP_ABOVE_BYTES} bytes. Pushes of different messages that wait at the same time share a \
request.
- At most {EXPO_QUOTA_PER_SECOND} pushes a second and project at Expo's endpoint, or `quota_per_second`; each sender \
has its share by partitions and `lane_weights`; what would wait for more than \
{expo_client.MAX_WAIT_SECONDS:g} seconds goes back as `unsent` with `rate_limited`.
- Title, body and `data` together at most {expo_message.MAX_PAYLOAD_BYTES} bytes as JSON.
- `accepted` is Expo's ticket, its id the provider id. What Apple or Google said is in the receipt, which Expo is \
asked for a quarter of an hour after sending, and again at twice the age each time up to 23 hours. The delivery stays \
accepted; `invalid` reports the token, all other verdicts are counted (`pushcast_provider_receipts_total`) and logged.
- Push types {", ".join(f"`{name}`" for name in sorted(expo_message.PUSH_TYPES))}. A dry run is answered here.""",
        expo.ROWS,
    ),
    Chapter(
        "Web Push",
        f"""Engine: `multicast`, connections for each push service.

- Payload: JSON of `title` and `options`, at most {webpush_encryption.MAX_PLAINTEXT_BYTES} bytes, \
encrypted for each subscription (RFC 8291).
- `Topic` is the collapse id where it is at most 32 characters of base64url, else made of it. With \
`removal: replace` pushes of removable classes without a collapse id have one, too (docs/time.md). `Urgency` is \
`high`, `normal` or, for background pushes, `low`.
- One VAPID token per push service, signed every six hours, valid for twelve.
- Endpoints come from clients. They must be https without user information, at port 443 or as `allowed_hosts` says. A \
host that is not in `allowed_hosts` must resolve to public addresses only, and those addresses are dialled. Loopback \
is only for simulators (`allow_loopback`). Behind a proxy, which resolves names itself, only `allowed_hosts` are \
reached. Anything else is `rejected` with `endpoint_refused`.
- Encryption runs in `encryption_processes` beside the sender (by default the cores beyond two, at most four).
- Push services must speak HTTP/2.
- A badge or a sound alone, and an event with nothing but `platforms` of others, has nothing for a browser: it ends as \
`suppressed`, `nothing_to_show`.
- Push types `alert` and `background`. A dry run is answered here.""",
        webpush.ROWS,
    ),
)

_HEAD: Final = """<!-- From the verdict tables: `python -m pushcast.providers.document`. -->
# Providers

What each answer of a provider means for a delivery. `reason` is the word in receipts, dead letters and metrics.

| result | meaning |
|---|---|
| `accepted` | the provider took it |
| `invalid` | the token is no more; the device's row is in question |
| `rejected` | this content will never be taken; the token is kept |
| `retry` | later, perhaps, after the seconds given or the answer's own Retry-After |
| `credential` | our key or project is refused: no token is at fault, the app's work waits |
| `unknown` | the request left and no answer came: it may have been delivered |
| `unsent` | it certainly was not processed: sending again cannot double it |

Every provider takes a `proxy` (CONNECT over plain HTTP, Basic authentication); the engine `aioapns` does not.

Requests without an answer, at every provider: `unsent` with `connection_failed`, `not_sent_in_time` (it waited too \
long behind others that were answered, or the sender's lease was in doubt: [isolation.md](isolation.md); says nothing \
about the provider) or `stream_refused`; \
otherwise `unknown` with `unknown_outcome`. `request_timeout_seconds` bounds the wait to leave and, from when a \
request has left, the wait for its answer; an answer is missing only when what lies in the socket has been read.
"""


def document() -> str:
    """The whole page."""
    return _HEAD + fields_chapter() + "".join(_chapter(chapter) for chapter in CHAPTERS)


def _chapter(chapter: Chapter) -> str:
    lines = [f"\n## {chapter.title}\n", chapter.text, ""]
    lines += [
        "| status | answer | result | reason | also | retry after | note | source |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [_line(row) for row in chapter.rows]
    return "\n".join(lines) + "\n"


def _line(row: Row) -> str:
    source = f"[vendor]({row.source})" if row.source.startswith("https://") else row.source
    after = "" if row.retry_after_seconds is None else f"{row.retry_after_seconds:g} s"
    cells = (
        ", ".join(map(str, row.statuses)) or "any",
        row.answer,
        f"`{row.disposition}`",
        f"`{row.reason}`" if row.reason.isidentifier() else row.reason,
        _REMEDIES[row.remedy],
        after,
        row.note,
        source,
    )
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    sys.stdout.write(document())
