"""What can end an HTTP/2 connection, as types.

ConnectionFault
├── NotConnected            no connection came to be: nothing was sent
│   ├── ConnectFailed       DNS or TCP
│   ├── TlsFailed           handshake, certificate
│   ├── AlpnRefused         the server did not choose h2
│   └── ProxyRefused        CONNECT was answered with something else than 200
├── PeerViolation           the server broke HTTP/2; we end the connection
├── PeerWentAway            GOAWAY; `debug` keeps what it said
├── PeerSilent              a PING, the first SETTINGS or a drain was not answered in time
├── ConnectionDropped       the transport ended without GOAWAY
└── ClosedByUs              rotation, shutdown or the caller's wish
"""

from __future__ import annotations

from typing import ClassVar


class ConnectionFault(Exception):
    """Base. `reason` is a stable word for metrics and receipts; the message never holds a request's contents."""

    reason: ClassVar[str] = "connection_fault"


class NotConnected(ConnectionFault):
    """No connection came about; nothing was written."""

    reason = "not_connected"


class ConnectFailed(NotConnected):
    """TCP: refused, unreachable or not in time."""

    reason = "connect_failed"


class TlsFailed(NotConnected):
    """The TLS handshake failed, the certificate was not accepted among other reasons."""

    reason = "tls_failed"


class AlpnRefused(NotConnected):
    """The server does not speak HTTP/2 on this port."""

    reason = "alpn_refused"


class ProxyRefused(NotConnected):
    """The proxy did not open the tunnel."""

    reason = "proxy_refused"


class PeerViolation(ConnectionFault):
    """`error_code` is what our GOAWAY tells the peer (RFC 9113 §7)."""

    reason = "peer_violation"

    def __init__(self, message: str, error_code: int = 0x1) -> None:
        super().__init__(message)
        self.error_code = error_code


class PeerWentAway(ConnectionFault):
    """`debug` is at most 1 KiB of the GOAWAY's opaque data; APNs puts JSON with a reason there."""

    reason = "peer_went_away"

    def __init__(self, message: str, error_code: int, debug: bytes) -> None:
        super().__init__(message)
        self.error_code = error_code
        self.debug = debug


class PeerSilent(ConnectionFault):
    """A PING was not answered in time."""

    reason = "peer_silent"


class ConnectionDropped(ConnectionFault):
    """The transport ended without a GOAWAY."""

    reason = "connection_dropped"


class ClosedByUs(ConnectionFault):
    """We closed it: rotation, or the end of the process."""

    reason = "closed_by_us"
