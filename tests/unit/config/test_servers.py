"""One form of addresses for every Kafka client (faults.md, section 3, row 24)."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from pushcast.config.settings import Kafka

TLS = {"protocol": "SSL"}


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("a:9092", "a:9092"),
        (" a.example:9092 , ,b-2:19092,", "a.example:9092,b-2:19092"),
        ("PLAINTEXT://a:9092,plaintext://b:1", "a:9092,b:1"),
        ("[::1]:9092,[fe80::1%eth0]:65535", "[::1]:9092,[fe80::1%eth0]:65535"),
        ("a", "a"),
    ],
)
def test_row_24_what_one_client_takes_all_take_in_the_same_form(written: str, read: str) -> None:
    assert Kafka(bootstrap_servers=written).bootstrap_servers == read
    assert Kafka(bootstrap_servers=read).bootstrap_servers == read


def test_the_listeners_protocol_is_the_one_that_is_configured() -> None:
    assert Kafka.model_validate({"bootstrap_servers": "SSL://a:1", "security": TLS}).bootstrap_servers == "a:1"
    with pytest.raises(ValidationError, match=r"entry 2 says SSL, and kafka\.security\.protocol is PLAINTEXT"):
        Kafka(bootstrap_servers="a:1,SSL://b:1")


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("", "is empty"),
        (" , ", "is empty"),
        ("a:1,b:0", "entry 2: a port is 1 to 65535"),
        ("a:65536", "entry 1: a port is 1 to 65535"),
        ("a:", "entry 1 is not host:port"),
        ("a:nine", "entry 1 is not host:port"),
        ("::1:9092", "stands in brackets"),
        ("a b:1", "entry 1 is not host:port"),
        ("http://a:1", "entry 1 is not host:port"),
        ("a:1/path", "entry 1 is not host:port"),
        ("\u00e4:1", "entry 1 is not host:port"),
    ],
)
def test_another_form_is_refused_with_the_number_of_its_entry(written: str, said: str) -> None:
    with pytest.raises(ValidationError, match=r"bootstrap_servers: .*" + said.replace(".", r"\.")):
        Kafka(bootstrap_servers=written)


def test_a_refusal_quotes_no_password() -> None:
    with pytest.raises(ValidationError) as refused:
        Kafka(bootstrap_servers="user:hunter2@a:1")
    (error,) = refused.value.errors(include_input=False, include_context=False)
    assert "hunter2" not in error["msg"]
