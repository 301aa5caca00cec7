"""What an App is declared with. Nothing connects."""

from __future__ import annotations

from pathlib import Path

import pytest

from pushcast.config.settings import Kafka
from pushcast.model.errors import ConfigurationError
from pushcast.transport.app import make_app


@pytest.mark.parametrize("seconds", [6.0, 10.0, 41.0, 90.0, 300.0])
def test_o5_every_session_timeout_that_the_configuration_takes_is_one_that_a_role_starts_with(
    seconds: float, tmp_path: Path
) -> None:
    """A rolling restart needs one that is longer than a member is away."""
    assert Kafka(session_timeout_seconds=seconds).session_timeout_seconds == seconds
    app = make_app(
        "group", bootstrap_servers="k:1", partitions=1, data_dir=tmp_path, slot="a", session_timeout_seconds=seconds
    )
    assert app.conf.broker_session_timeout == seconds
    assert app.conf.broker_request_timeout >= max(40.0, seconds)
    assert app.conf.consumer_group_instance_id == "group-a"


def test_a_session_that_three_heartbeats_do_not_fit_in_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="three heartbeat intervals"):
        make_app(
            "group",
            bootstrap_servers="k:1",
            partitions=1,
            data_dir=tmp_path,
            session_timeout_seconds=6.0,
            heartbeat_interval_seconds=3.0,
        )
