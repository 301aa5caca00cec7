"""docker-compose.kafka.yml and the Dockerfile, checked without a Docker engine."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from pushcast.config.settings import Settings, load
from pushcast.kafka.embedded import KAFKA_VERSION
from pushcast.model.roles import ProcessRole
from pushcast.model.words import Lane, Platform
from pushcast.simulators import start

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((Path(__file__).parent / "data" / "compose.schema.json").read_text())
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.kafka.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"] == "pushcast:local"}
ONE_SHOT = {"topology"}


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """What the roles read from the inline configuration."""
    file = tmp_path / "pushcast.yaml"
    file.write_text(COMPOSE["configs"]["pushcast"]["content"])
    monkeypatch.setenv("PUSHCAST_CONFIG", str(file))
    return load()


def test_it_follows_the_compose_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(COMPOSE, SCHEMA, cls=jsonschema.Draft202012Validator)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("services", "kafka", "port"), ["9092:9092"]),
        (("services", "kafka", "healthcheck", "intervall"), "5s"),
        (("services", "kafka", "healthcheck", "interval"), "5"),
        (("services", "kafka", "restart"), False),
        (("services", "topology", "depends_on"), {"kafka": {"condition": "healthy"}}),
        (("services", "kafka", "environment"), {"KAFKA_AUTO_CREATE_TOPICS_ENABLE": False}),
        (("volume",), {}),
    ],
)
def test_the_schema_finds_typing_mistakes(path: tuple[str, ...], value: object) -> None:
    broken = json.loads(json.dumps(COMPOSE))
    inner = broken
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, SCHEMA, cls=jsonschema.Draft202012Validator)


def test_images_are_pinned_to_exact_versions_and_the_broker_is_the_embedded_one() -> None:
    foreign = {service["image"] for name, service in SERVICES.items() if name not in OURS}
    broker = f"apache/kafka:{KAFKA_VERSION}"
    assert foreign == {broker, "kafbat/kafka-ui:v1.5.0", "prom/prometheus:v3.5.0", "grafana/grafana:12.1.1"}
    bases = re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert len(bases) == 2
    assert all(re.fullmatch(r"python:\d+\.\d+\.\d+-slim-\w+", base) for base in bases)


def test_published_ports_are_on_loopback_and_can_be_moved() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(ports) == 6
    assert all(re.fullmatch(r"127\.0\.0\.1:\$\{[A-Z_]+:-\d+\}:\d+", port) for port in ports)
    # A shell that sets them must still be able to run `pushcast`, which refuses unknown PUSHCAST_* names.
    assert not any("PUSHCAST" in port for port in ports)


def test_what_runs_on_has_a_health_check() -> None:
    in_image = "HEALTHCHECK" in (ROOT / "Dockerfile").read_text()
    for name, service in SERVICES.items():
        check = service.get("healthcheck", {})
        if name in ONE_SHOT:
            assert check == {"disable": True}
            assert service["restart"] == "no"
        else:
            assert "test" in check or (name in OURS and in_image and not check), name
            assert service["restart"] == "unless-stopped", name


def test_every_role_lane_and_simulated_platform_is_there_once(settings: Settings) -> None:
    found = sorted(covered())
    configured = sorted(settings.apps["news"].platforms())
    planners = [("planner", lane.value) for lane in Lane]
    senders = [("sender", platform.value) for platform in configured]
    laneless = [("registrar", ""), ("settler", ""), ("keeper", ""), ("gateway", ""), ("reporter", ""), ("console", "")]
    assert found == sorted([*laneless, *planners, *senders])
    assert {ProcessRole(role) for role, _ in found} == set(ProcessRole)
    simulated = sorted(service["command"][1] for service in OURS.values() if service["command"][0] == "sim")
    assert simulated == [platform.value for platform in configured]


def covered() -> Iterator[tuple[str, str]]:
    """What each `run` service takes: (role, lane or platform)."""
    for service in OURS.values():
        verb, role, *options = service["command"]
        if verb == "run":
            values = [options[i + 1] for i, word in enumerate(options) if word in {"--lane", "--platform"}]
            yield from ((role, value) for value in values or [""])


def test_roles_wait_for_the_topics_and_the_topics_for_the_broker() -> None:
    assert SERVICES["topology"]["depends_on"] == {"kafka": {"condition": "service_healthy"}}
    for name, service in OURS.items():
        if service["command"][0] == "run":
            assert service["depends_on"]["topology"] == {"condition": "service_completed_successfully"}, name


def test_what_a_service_names_is_declared() -> None:
    for name, service in SERVICES.items():
        assert set(service.get("depends_on", {})) <= SERVICES.keys(), name
        mounted = {volume.split(":")[0] for volume in service.get("volumes", [])}
        folders = {source for source in mounted if source.startswith("./")}
        assert all((ROOT / folder).is_dir() for folder in folders), name
        assert mounted - folders <= COMPOSE["volumes"].keys(), name
        assert {each["source"] for each in service.get("configs", [])} <= COMPOSE["configs"].keys(), name
    used = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    assert {volume for volume in used if not volume.startswith("./")} == set(COMPOSE["volumes"])


def test_no_two_roles_share_a_data_directory() -> None:
    private = [volume for service in OURS.values() for volume in service.get("volumes", []) if "/var/lib" in volume]
    assert len(private) == len(set(private)) == sum(1 for service in OURS.values() if service["command"][0] == "run")


def test_prometheus_scrapes_every_process_of_ours_where_it_listens() -> None:
    tree = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())
    [job] = tree["scrape_configs"]
    [targets] = [each["targets"] for each in job["static_configs"]]
    listening = {}
    for name, service in OURS.items():
        if service["command"][0] == "run":
            host = service.get("network_mode", f"service:{name}").removeprefix("service:")
            listening[name] = f"{host}:{service['environment'].get('PUSHCAST_OBSERVE__PORT', '9464')}"
    assert len(set(listening.values())) == len(listening), "two processes in one network need ports of their own"
    assert set(targets) == set(listening.values())
    assert all((ROOT / "deploy" / "prometheus" / name).is_file() for name in tree["rule_files"])


def test_our_services_run_without_rights_they_do_not_need() -> None:
    for name, service in OURS.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
    assert re.search(r"^USER 10001:10001$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)


def test_the_broker_is_configured_like_the_embedded_one() -> None:
    environment = SERVICES["kafka"]["environment"]
    assert environment["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
    assert environment["KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS"] == 0
    inside = re.search(r"INTERNAL://([a-z]+:\d+)", environment["KAFKA_ADVERTISED_LISTENERS"])
    assert inside is not None
    assert inside[1] in COMPOSE["configs"]["pushcast"]["content"]
    assert SERVICES["ui"]["environment"]["KAFKA_CLUSTERS_0_BOOTSTRAPSERVERS"] == inside[1]
    assert SERVICES["ui"]["profiles"] == ["ui"]


@pytest.mark.parametrize("platform", [Platform.APNS, Platform.FCM])
async def test_the_configuration_names_the_credentials_that_the_simulator_makes(
    platform: Platform, settings: Settings, tmp_path: Path
) -> None:
    _, _, *words = SERVICES[f"sim-{platform.value}"]["command"]
    options = dict(zip(words[::2], words[1::2], strict=True))
    assert SERVICES[f"sender-{platform.value}"]["network_mode"] == f"service:sim-{platform.value}"
    async with start(platform.value, work_dir=tmp_path, seed=int(options["--seed"])) as simulator:
        made = simulator.credentials["apps"]["news"]
        made |= {"ca_file": str(simulator.ca_file), "endpoint": simulator.url}
        own_port = f":{simulator.port}"
    configured = getattr(settings.apps["news"], platform.value)
    for field, value in made.items():
        in_compose = value.replace(str(tmp_path), options["--work-dir"]).replace(own_port, f":{options['--port']}")
        assert str(getattr(configured, field)) == in_compose, field


def test_the_image_sends_nothing_that_is_not_listed() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert lines[0] == "*"
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    sources = {word.rstrip("/") for line in copied for word in line.split()}
    assert sources == {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert all((ROOT / source).exists() for source in sources)


def test_the_image_can_be_built_with_the_packages_of_every_extra() -> None:
    chosen = re.findall(r"^ARG REQUIREMENTS=(\w+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert chosen == ["base"]
    locked = {
        name: dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "requirements" / f"{name}.txt").read_text(), re.MULTILINE))
        for name in ("base", "extras")
    }
    assert locked["base"].items() <= locked["extras"].items(), "the same versions with extras and without"
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    wanted = {re.split(r"[<>=!~ ]", each)[0] for group in extras.values() for each in group}
    assert wanted <= locked["extras"].keys()
