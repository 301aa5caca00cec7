"""The load of `bench devices`, and the command."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from pushcast.bench import devices, registry
from pushcast.bench.base import Options, Result, Row
from pushcast.cli import bench
from pushcast.wire.devices.devices import DeviceChangeDecoder

NOW_MS = 1_800_000_000_000


def test_every_registration_of_the_load_is_valid_and_of_a_device_of_its_own() -> None:
    decoder = DeviceChangeDecoder({"news"})
    decoded = [decoder.decode(key.decode(), value, NOW_MS) for key, value in devices.registrations("u", 300, NOW_MS)]
    assert len({(change.user, change.device) for change in decoded}) == 300
    assert {change.platform for change in decoded} == {"apns", "fcm"}
    assert len({change.user for change in decoded}) == 100


def test_the_load_is_the_same_every_time() -> None:
    assert list(devices.registrations("u", 50, 1)) == list(devices.registrations("u", 50, 1))


def test_the_command_prints_the_contracts_json(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Options] = []

    def run(options: Options) -> Result:
        asked.append(options)
        return Result([Row("devices/import", 10, 1.0, 1.0, 1)])

    monkeypatch.setattr(devices, "run", run)
    done = CliRunner().invoke(bench.app, ["devices", "--items", "10", "--shape", "import", "--output", "json"])
    assert done.exit_code == 0, done.output
    shown = json.loads(done.stdout)
    assert [row["name"] for row in shown["rows"]] == ["devices/import"]
    assert (asked[0].items, asked[0].shapes) == (10, ("import",))


def test_the_command_shows_a_table_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    row = Row("devices/import", 10, 1.0, 1.0, 1, {"p50": 1.0, "p95": 2.0, "p99": 3.0})
    monkeypatch.setattr(devices, "run", lambda options: Result([row]))
    done = CliRunner(env={"COLUMNS": "200"}).invoke(bench.app, ["devices"])
    assert done.exit_code == 0, done.output
    assert "devices/import" in done.stdout
    assert "1.0 / 2.0 / 3.0" in done.stdout


@pytest.mark.parametrize(
    ("name", "option", "taken"),
    [("send", "--sink", True), ("sim", "--sink", False), ("start", "--devices", True), ("devices", "--devices", False)],
)
def test_a_benchmark_offers_only_options_that_mean_something_to_it(name: str, option: str, taken: bool) -> None:
    """faults.md P3-27: `bench sim` offered what `bench send` alone understands."""
    shown = CliRunner(env={"COLUMNS": "200"}).invoke(bench.app, [name, "--help"])
    assert shown.exit_code == 0, shown.output
    assert (option in shown.stdout) is taken
    refused = CliRunner().invoke(bench.app, [name, option, "1"])
    assert refused.exit_code == 2, "a value that is none, or an option that is none"
    assert ("No such option" in refused.output) is not taken


@pytest.mark.parametrize("name", registry.BENCHES)
def test_every_name_has_a_benchmark_behind_it(name: str) -> None:
    module = __import__(registry.BENCHES[name].module, fromlist=["run"])
    assert callable(module.run)
