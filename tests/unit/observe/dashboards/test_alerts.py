"""deploy/prometheus: rules that parse, name what there is, and send to a runbook that exists."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from pushcast.observe.dashboards.alerts import ALERTS, RUNBOOK, Alert
from pushcast.observe.dashboards.burning import SHARES, WINDOWS, late_expression, thresholds

pytest.importorskip("promql_parser", reason="promql-parser is not installed: PromQL of alerts is not judged")
from unit.observe.dashboards.promql import unknown

ROOT = Path(__file__).parents[4]
PROMETHEUS = ROOT / "deploy" / "prometheus"
TESTS = ("tests.yml", "tests_long.yml")
HEADINGS = re.findall(r"^#+ (.+)$", (ROOT / RUNBOOK).read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_an_alert_names_only_what_the_catalogue_has(alert: Alert) -> None:
    assert unknown(alert.expression) == []


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_an_alerts_runbook_is_a_heading_of_the_operations_page(alert: Alert) -> None:
    assert alert.name in HEADINGS


def test_every_alert_has_a_name_of_its_own_and_a_case_that_fires_it() -> None:
    assert len({alert.name for alert in ALERTS}) == len(ALERTS)
    files = [yaml.safe_load((PROMETHEUS / file).read_text(encoding="utf-8")) for file in TESTS]
    cases = [case for file in files for case in file["tests"]]
    fired = {
        check["alertname"] for case in cases for check in case.get("alert_rule_test", ()) if check.get("exp_alerts")
    }
    assert {alert.name for alert in ALERTS} <= fired


def test_recorded_shares_name_only_what_the_catalogue_has() -> None:
    for window in WINDOWS:
        assert [unknown(late_expression(window, by)) for by in SHARES.values()] == [[], []]


@pytest.mark.parametrize(
    ("target", "shares"), [(0.9, (0.5, 0.3, 0.2, 0.1)), (0.99, (0.144, 0.144, 0.02, 0.01)), (0.5, (0.5, 0.3, 0.2, 0.1))]
)
def test_o4_the_alarm_can_fire_whatever_the_target_is(target: float, shares: tuple[float, ...]) -> None:
    """doors.md 0.3: with a target of 0.9 the usual burn rate of 14.4 would be more than everything."""
    assert thresholds(target) == pytest.approx(shares)
    assert max(thresholds(target)) < 1


def test_promtool_takes_the_rules_and_their_cases() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not here (Debian: prometheus): rules are not judged by Prometheus itself")
    for words in (["check", "rules", "rules.yml", "alerts.yml"], ["test", "rules", *TESTS]):
        done = subprocess.run([promtool, *words], cwd=PROMETHEUS, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
