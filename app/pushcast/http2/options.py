"""Limits and times of connections and pools. All are per connection unless the name says otherwise."""

from __future__ import annotations

from dataclasses import dataclass

from pushcast.http2.frames import LARGEST_STREAM_ID
from pushcast.http2.limit import FixedLimit, MakeLimit


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionOptions:
    """`serial_until_answered`: one stream until the server has answered anything but 401 or 403 (token-authenticated
    APNs, which then raises its own limit).

    `idle_ping_seconds`: a PING after that long without traffic; None for servers that count pings as abuse (FCM:
    ENHANCE_YOUR_CALM after 3 without a request). `ping_after_seconds`: silence with requests out before a PING asks
    whether anybody is there; at most 2 such PINGs without a request between them.
    `max_age_seconds`: a successor takes over at 90 to 100 % of it. `max_body_bytes`: a longer response body is cut
    there and its stream reset. `max_refusals`: how often REFUSED_STREAM is answered by sending again.
    `write_high_bytes`: what may wait in the transport before no further request is written.
    """

    serial_until_answered: bool = False
    max_streams: int = 1_000
    max_write_bytes: int = 131_072
    write_high_bytes: int = 262_144
    max_body_bytes: int = 16_384
    max_age_seconds: float | None = None
    drain_seconds: float = 30.0
    settings_timeout_seconds: float = 10.0
    ping_after_seconds: float = 15.0
    ping_timeout_seconds: float = 10.0
    idle_ping_seconds: float | None = 3_600.0
    max_refusals: int = 5
    max_stream_id: int = LARGEST_STREAM_ID


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolOptions:
    """`max_waiting`, `max_in_flight` and `max_connections` are the pool's; `limit` says how many of `max_in_flight` may
    be out now. `tick_seconds` is how finely deadlines,
    growth and pings are observed. A connection is added when all are short of streams while work waits and this
    thread was idle for `grow_idle_share` of the last tick: with a busy thread more connections only cost more."""

    connection: ConnectionOptions = ConnectionOptions()
    max_connections: int = 16
    max_waiting: int = 10_000
    max_in_flight: int = 10_000
    limit: MakeLimit = FixedLimit
    tick_seconds: float = 0.1
    connect_timeout_seconds: float = 10.0
    backoff_seconds: float = 0.2
    backoff_cap_seconds: float = 30.0
    grow_idle_share: float = 0.2
    shrink_after_seconds: float = 600.0
