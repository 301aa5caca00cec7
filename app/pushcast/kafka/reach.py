"""Whether a broker answers at all, asked before a command does anything else: one sentence instead of a minute."""

from __future__ import annotations

import socket
import time

import structlog

from pushcast.model.errors import PushcastError

log = structlog.get_logger()

TRY_SECONDS = 2.0
DEFAULT_PORT = 9092
_LOCAL = frozenset({"127.0.0.1", "localhost", "::1"})


class Unreachable(PushcastError):
    """No bootstrap server takes a connection."""


def require_broker(bootstrap_servers: str, within_seconds: float = TRY_SECONDS) -> None:
    """Returns once one of the servers took a TCP connection. Raises Unreachable, which names them and the reason.

    What TLS, a password or a half-dead broker brings, only the client finds out, later.
    """
    deadline = time.monotonic() + within_seconds
    why = "no address is configured"
    hosts = [_address(server) for server in bootstrap_servers.split(",") if server.strip()]
    for host, port in hosts:
        try:
            with socket.create_connection((host, port), timeout=max(0.1, deadline - time.monotonic())):
                return
        except (OSError, OverflowError, UnicodeError) as error:
            why = _reason(error)
    advice = (
        "; for a local one: pushcast up, or pushcast kafka start alone" if {host for host, _ in hosts} <= _LOCAL else ""
    )
    raise Unreachable(f"no broker answers at {bootstrap_servers} ({why}){advice}")


def warn_without_broker(bootstrap_servers: str) -> None:
    """Logs that sentence, for who starts anyway and waits."""
    try:
        require_broker(bootstrap_servers)
    except Unreachable as error:
        log.warning("kafka_unreachable", problem=str(error))


def _address(server: str) -> tuple[str, int]:
    """`host:port`, `[::1]:9092`, or a host alone."""
    text = server.strip().rpartition("://")[2]
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal():
        return text.strip("[]"), DEFAULT_PORT
    return host.strip("[]"), int(port)


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    return str(getattr(error, "strerror", None) or error)
