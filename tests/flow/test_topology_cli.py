"""`pushcast topology` on a real broker: output and exit codes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient
from typer.testing import CliRunner

from flow.topology_tools import alter
from pushcast.cli.topology import app
from pushcast.kafka.embedded import temporary_cluster
from pushcast.wire import topics

ALTERED = topics.dead_letter(topics.PARKED)


@pytest.fixture(scope="module")
def kafka() -> Iterator[str]:
    """Of this file alone: it applies the whole topology, whose topics others make with fewer partitions."""
    with temporary_cluster() as cluster:
        yield cluster.bootstrap_servers


@pytest.fixture
def topology(kafka: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("PUSHCAST_KAFKA__BOOTSTRAP_SERVERS", kafka)

    def run(*arguments: str) -> tuple[int, Any]:
        result = CliRunner().invoke(app, [*arguments, "--output", "json"], catch_exceptions=False)
        return result.exit_code, json.loads(result.stdout)

    return run


def test_plan_exits_with_3_until_apply_has_put_the_cluster_right(kafka: str, topology: Any) -> None:
    code, applied = topology("apply")
    assert (code, applied["in_sync"]) == (0, True)
    assert topology("plan") == (0, {"in_sync": True, "changes": []})

    alter(AdminClient({"bootstrap.servers": kafka}), ALTERED, {"retention.ms": "3600000"})

    code, planned = topology("plan")
    assert (code, planned["in_sync"]) == (3, False)
    (change,) = planned["changes"]
    assert (change["action"], change["topic"]) == ("alter", ALTERED)
    assert change["settings"] == {"retention.ms": {"before": "3600000", "after": "1209600000"}}

    code, applied = topology("apply")
    assert (code, applied["changes"]) == (0, [change])
    assert topology("plan")[0] == 0
