"""Free TCP ports on 127.0.0.1 that stay ours."""

from __future__ import annotations

import random
import socket

from pushcast.kafka.embedded.errors import EmbeddedKafkaError, PortTakenError

HOST = "127.0.0.1"
DEFAULT_PORT = 9092
#: Below the ephemeral ranges of Linux (32768-60999) and macOS (49152-65535): a client that keeps dialling a stopped
#: broker on an ephemeral port can connect to itself and then holds the port when the broker comes back.
CHOSEN_FROM = range(20_000, 32_000)


def is_free(port: int) -> bool:
    """Whether a broker could listen there now. A port in TIME_WAIT is free, as Java sets SO_REUSEADDR too."""
    if accepts(port, timeout_seconds=0.2):
        return False
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def accepts(port: int, timeout_seconds: float) -> bool:
    """Whether something accepts connections there."""
    try:
        socket.create_connection((HOST, port), timeout_seconds).close()
    except OSError:
        return False
    return True


def choose(count: int, chance: random.Random, *, besides: frozenset[int] = frozenset()) -> list[int]:
    """`count` different free ports, none of `besides`."""
    found: list[int] = []
    for port in chance.sample(CHOSEN_FROM, len(CHOSEN_FROM)):
        if len(found) == count:
            return found
        if port not in besides and is_free(port):
            found.append(port)
    raise EmbeddedKafkaError(f"fewer than {count} free ports between {CHOSEN_FROM.start} and {CHOSEN_FROM.stop}")


def for_brokers(brokers: int, port: int | None, chance: random.Random) -> list[int]:
    """`port`, `port`+1, … when asked for by number (PortTakenError names the first that is in use); else from 9092
    upwards when all of those are free; else any."""
    first = DEFAULT_PORT if port is None else port
    wanted = list(range(first, first + brokers))
    taken = [each for each in wanted if not is_free(each)]
    if not taken:
        return wanted
    if port is not None:
        raise PortTakenError(f"port {taken[0]} on {HOST} is in use; choose another with --port, or leave --port out")
    return choose(brokers, chance)
