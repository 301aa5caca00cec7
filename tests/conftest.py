"""Fixtures for the whole run. The broker is started once, and only when a test asks for it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import structlog
import uvloop
from hypothesis import HealthCheck, settings

import shuffle
from pushcast.kafka.embedded import Cluster, temporary_cluster

#: How long an example takes says nothing of it where others share the cores.
settings.register_profile("loaded", parent=settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("loaded")


_ORDER: Final = "pushcast_order_seed"
_LAWS: Final = Path(__file__).parent / "laws"


def pytest_addoption(parser: pytest.Parser) -> None:
    told = "order of unit tests and laws: a number that a run has told; 0: as they are written"
    parser.addoption("--order-seed", type=int, help=told)


def pytest_configure(config: pytest.Config) -> None:
    if config.option.order_seed is None:
        told: dict[str, Any] = getattr(config, "workerinput", {})  # of pytest-xdist, in a worker
        config.option.order_seed = told.get(_ORDER, shuffle.any_seed())


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_configure_node(node: Any) -> None:
    """Workers have to find the same tests in the same order."""
    node.workerinput[_ORDER] = node.config.option.order_seed


def pytest_report_header(config: pytest.Config) -> str:
    return f"order of unit tests and laws: --order-seed {config.option.order_seed}"


def pytest_terminal_summary(terminalreporter: Any, exitstatus: int, config: pytest.Config) -> None:
    """Once more, where whoever looks at failures finds it."""
    if exitstatus:
        terminalreporter.write_line(pytest_report_header(config))


@pytest.hookimpl(tryfirst=True)  # pytest itself then brings together what shares a costly fixture
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    items[:] = shuffle.within_files(items, lambda item: item.path, Path(__file__).parent, config.option.order_seed)
    for item in items:
        # The same steps thousands of times: tracing them takes longer than they do, and unit tests reach the branches.
        if _LAWS in item.path.parents:
            item.add_marker(pytest.mark.no_cover)


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_handlecrashitem(crashitem: str) -> None:
    """The run ends: tests that this worker had still to run may never run, and nobody would miss them."""
    pytest.exit(f"{crashitem} ended the process of its worker", returncode=pytest.ExitCode.INTERRUPTED)


@pytest.fixture(scope="session")
def event_loop_policy() -> asyncio.AbstractEventLoopPolicy:
    """Tests run on the loop that roles run on. It reads more at once than asyncio's own, counts time in milliseconds,
    and refuses what is written to a closed transport."""
    return uvloop.EventLoopPolicy()


@pytest.fixture(autouse=True, scope="session")
def loggers_follow_their_configuration() -> Iterator[None]:
    """A logger that was used once keeps what structlog said then (`observe.logs` asks for that, since it is quicker). A
    test that listens to it later would hear nothing, depending on which tests ran before it in the same worker."""
    configure = structlog.configure

    def without_cache(*arguments: Any, **options: Any) -> None:
        configure(*arguments, **{**options, "cache_logger_on_first_use": False})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(structlog, "configure", without_cache)
        yield


@pytest.fixture(autouse=True)
def signals_as_before() -> Iterator[None]:
    """A test that hosts Apps takes signals for its loop. What the next one forks must end by them all the same."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        if handler is not None:  # None: not one of Python's
            signal.signal(number, handler)


@pytest.fixture(scope="session")
def kafka_cluster() -> Iterator[Cluster]:
    """One embedded broker for the run, or for each worker of a run with several. A broker that does not start is an
    error of every test that needs it, never a skip."""
    with temporary_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def kafka(kafka_cluster: Cluster) -> str:
    """The bootstrap servers of the run's broker. Tests share it: give topics and groups names of their own."""
    return kafka_cluster.bootstrap_servers
