"""Whether a broker answers: one sentence with the address, the reason and what to do."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from pushcast.kafka.reach import Unreachable, require_broker


@pytest.fixture
def listener() -> Iterator[int]:
    """A port that takes connections."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def closed() -> int:
    """A port that refuses them."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_one_of_several_servers_is_enough(listener: int, closed: int) -> None:
    require_broker(f"127.0.0.1:{closed}, PLAINTEXT://127.0.0.1:{listener}")


def test_a_refusal_names_address_reason_and_the_command_that_helps(closed: int) -> None:
    with pytest.raises(Unreachable) as raised:
        require_broker(f"127.0.0.1:{closed}")
    advice = "for a local one: pushcast up, or pushcast kafka start alone"
    assert str(raised.value) == f"no broker answers at 127.0.0.1:{closed} (connection refused); {advice}"


def test_nobody_is_told_to_start_a_local_kafka_in_place_of_another(closed: int) -> None:
    with pytest.raises(Unreachable) as raised:
        require_broker(f"127.0.0.1:{closed},kafka.invalid:9092")
    assert "kafka start" not in str(raised.value)


@pytest.mark.parametrize("servers", ["", "127.0.0.1:99999", "[::1]:1", "host..invalid"])
def test_an_address_that_cannot_be_is_a_sentence_too(servers: str) -> None:
    with pytest.raises(Unreachable, match="no broker answers at"):
        require_broker(servers)
