"""docs/simulators.md names everything that can be asked of a simulator."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pushcast.simulators import PLATFORMS, start
from pushcast.simulators.apns import prefixes as apns
from pushcast.simulators.control import __doc__ as control
from pushcast.simulators.expo import messages as expo
from pushcast.simulators.fcm import prefixes as fcm

PAGE = (Path(__file__).parents[3] / "docs" / "simulators.md").read_text()


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_state_is_named(platform: str, tmp_path: Path) -> None:
    simulator = start(platform, work_dir=tmp_path)
    settable = {"network", *simulator.provider._setters()}
    assert {name for name in settable if f"`{name}`" not in PAGE} == set()


def test_every_field_of_the_quota_is_named(tmp_path: Path) -> None:
    quota = start("fcm", work_dir=tmp_path).state()["quota"]
    assert [name for name in quota if name not in PAGE] == []


def test_every_token_prefix_is_named() -> None:
    prefixes = [prefix.decode() for prefix in apns._EXACT]
    prefixes += [f"{prefix.decode()}:" for prefix in fcm._EXACT]
    prefixes += [f"{prefix}-" for prefix in (*expo._TICKET_ERRORS, *expo._RECEIPT_ERRORS)]
    assert [prefix for prefix in prefixes if f"`{prefix}`" not in PAGE] == []


def test_every_route_is_named() -> None:
    routes = set(re.findall(r"(?:GET|PUT|POST) (/[a-z]+)", control or ""))
    assert len(routes) >= 12
    assert {route for route in routes if route not in PAGE} == set()
