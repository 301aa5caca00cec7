"""A gateway says where others ask it, and says that it goes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from pushcast.config.doors import Sharing
from pushcast.gateway.access import Door
from pushcast.gateway.keyring import ApiKeyring
from pushcast.model.errors import ConfigurationError
from pushcast.observe.catalogue import MetricName
from pushcast.runtime.gateway_sharing import GatewaySharing
from pushcast.stream.errors import Full
from twins.gateway import ProducerTwin


def sharing(producer: ProducerTwin, options: Sharing) -> GatewaySharing:
    twin: Any = producer
    return GatewaySharing(options, Door(ApiKeyring()), twin)


async def test_it_says_where_it_is_until_it_goes() -> None:
    producer = ProducerTwin()
    found = sharing(producer, Sharing(advertised_host="gate-1"))
    await found.start()
    await asyncio.sleep(0)
    [said] = producer.puts
    found.peers.apply(said.key, said.value)
    [url] = found.peers.urls().values()
    assert (said.topic, url.rpartition(":")[0]) == ("push.where.v1", "http://gate-1")
    assert found.peers.home_of("key") == (said.key.removeprefix(b"gateway/").decode(), url)
    assert {sample.name: sample.value for sample in found.samples()} == {
        MetricName.GATEWAY_PEERS: 1,
        MetricName.GATEWAY_UNSHARED: 0,
    }
    await found.close()
    assert producer.puts[-1] == said._replace(value=None)


async def test_an_address_of_ipv6_is_one_that_others_can_ask() -> None:
    producer = ProducerTwin()
    found = sharing(producer, Sharing(advertised_host="fd00::7"))
    await found.start()
    await asyncio.sleep(0)
    found.peers.apply(producer.puts[0].key, producer.puts[0].value)
    [url] = found.peers.urls().values()
    assert url.startswith("http://[fd00::7]:")
    await found.close()


async def test_a_producer_without_room_is_told_of_and_nothing_ends() -> None:
    producer = ProducerTwin(refusal=Full("10000 records"))
    found = sharing(producer, Sharing())
    await found.start()
    await asyncio.sleep(0)
    assert producer.puts == []
    await found.close()


async def test_a_port_that_is_taken_and_a_token_that_is_not_there_are_named() -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    found = sharing(ProducerTwin(), Sharing(port=port))
    with pytest.raises(ConfigurationError, match=rf"gateway\.sharing: 127\.0\.0\.1:{port}"):
        await found.start()
    await found.close()
    server.close()
    with pytest.raises(ConfigurationError, match=r"gateway\.sharing\.token_file: .*absent"):
        sharing(ProducerTwin(), Sharing(token_file=Path("absent")))


def test_beyond_this_machine_a_token_is_demanded() -> None:
    with pytest.raises(ValueError, match="token_file is needed"):
        Sharing(host="0.0.0.0")
