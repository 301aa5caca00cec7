"""Fetching jars from a Maven repository that we play ourselves."""

from __future__ import annotations

import hashlib
import os
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme

from pushcast.kafka.embedded import jars
from pushcast.kafka.embedded.environment import Environment
from pushcast.kafka.embedded.errors import DownloadError, SettingError
from pushcast.kafka.embedded.lock import render

CONTENT = {
    f"/maven2/org/example/{name}/1.0/{name}-1.0.jar": f"the jar {name}".encode() * 5000
    for name in ("one", "two", "three")
}
NAMES = ["one-1.0.jar", "two-1.0.jar", "three-1.0.jar"]


class Repository:
    """A Maven repository over HTTP: what it serves may be changed, what was asked of it is kept."""

    def __init__(self) -> None:
        self.content = dict(CONTENT)
        self.requested: list[str] = []
        repository = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                repository.requested.append(self.path)
                path = urlsplit(self.path).path  # as a proxy we are asked with a whole URL
                body = repository.content.get(path)
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]

    @property
    def jars_requested(self) -> list[str]:
        return sorted(path for path in self.requested if path.endswith(".jar"))


@contextmanager
def serving(tls: ssl.SSLContext | None = None) -> Iterator[Repository]:
    repository = Repository()
    if tls is not None:
        repository.server.socket = tls.wrap_socket(repository.server.socket, server_side=True)
    thread = threading.Thread(target=repository.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield repository
    finally:
        repository.server.shutdown()
        repository.server.server_close()
        thread.join()


@pytest.fixture
def repository() -> Iterator[Repository]:
    with serving() as found:
        yield found


@pytest.fixture(autouse=True)
def no_proxy_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "lock.toml"
    rows = [
        jars.Jar(
            "org.example",
            name,
            "1.0",
            hashlib.sha256(CONTENT[f"/maven2/org/example/{name}/1.0/{name}-1.0.jar"]).hexdigest(),
        )
        for name in ("one", "two", "three")
    ]
    path.write_text(render(rows))
    return path


@pytest.fixture
def fetch(tmp_path: Path, lock: Path, repository: Repository) -> Callable[..., list[Path]]:
    def run(mirror: str = f"http://127.0.0.1:{repository.port}/maven2", offline: bool = False) -> list[Path]:
        return jars.fetch(tmp_path / "cache", environment(mirror), offline=offline, lock=lock)

    return run


def environment(mirror: str, **values: str) -> Environment:
    return Environment.read({"PUSHCAST_MAVEN_MIRROR": mirror, **values})


def test_every_jar_is_fetched_once_and_then_taken_from_the_cache(
    fetch: Callable[..., list[Path]], repository: Repository
) -> None:
    first = fetch()
    assert [path.name for path in first] == NAMES
    assert [path.read_bytes() for path in first] == list(CONTENT.values())
    assert repository.jars_requested == sorted(CONTENT)
    assert fetch() == first
    assert fetch(offline=True) == first
    assert repository.jars_requested == sorted(CONTENT)


def test_a_short_jar_in_the_cache_is_fetched_again(fetch: Callable[..., list[Path]], repository: Repository) -> None:
    _, two, _ = fetch()
    two.write_bytes(two.read_bytes()[:100])
    repository.requested.clear()
    assert fetch()[1].read_bytes() == CONTENT["/maven2/org/example/two/1.0/two-1.0.jar"]
    assert len(repository.jars_requested) == 1


def test_an_altered_jar_is_refused_and_not_kept(
    fetch: Callable[..., list[Path]], repository: Repository, tmp_path: Path
) -> None:
    path = "/maven2/org/example/two/1.0/two-1.0.jar"
    repository.content[path] = b"something else"
    with pytest.raises(DownloadError, match=r"two-1\.0\.jar from .* has SHA-256 .*, the lock says"):
        fetch()
    assert not (tmp_path / "cache" / "two-1.0.jar").exists()
    assert list((tmp_path / "cache").glob(".scratch-*")) == []
    repository.content[path] = CONTENT[path]
    assert len(fetch()) == 3


def test_what_a_killed_download_left_is_cleared(fetch: Callable[..., list[Path]], tmp_path: Path) -> None:
    left = tmp_path / "cache" / ".scratch-of-a-killed-process"
    left.mkdir(parents=True)
    (left / "half.jar").write_bytes(b"x")
    fetch()
    assert not left.exists()


def test_two_at_once_fetch_every_jar_only_once(fetch: Callable[..., list[Path]], repository: Repository) -> None:
    with ThreadPoolExecutor(4) as pool:
        results = [each.result() for each in [pool.submit(fetch) for _ in range(4)]]
    assert all(result == results[0] for result in results)
    assert repository.jars_requested == sorted(CONTENT)


def test_a_disk_that_is_full_is_a_sentence(fetch: Callable[..., list[Path]], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pushcast.kafka.embedded.jars.os.replace", full)
    with pytest.raises(DownloadError, match=r"cannot write to the jar cache .*: No space left on device"):
        fetch()


def test_a_jar_that_cannot_be_read_is_missing(
    fetch: Callable[..., list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch()

    def refused(path: Path) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(jars, "file_sha256", refused)
    with pytest.raises(DownloadError, match="3 of 3 Kafka jars are missing or damaged"):
        fetch(offline=True)


def test_offline_names_what_is_missing(fetch: Callable[..., list[Path]], repository: Repository) -> None:
    fetch()[2].unlink()
    repository.requested.clear()
    with pytest.raises(DownloadError, match=r"offline, but 1 of 3 .* three-1\.0\.jar"):
        fetch(offline=True)
    assert repository.requested == []


def test_an_unreachable_mirror_is_named_without_its_password(fetch: Callable[..., list[Path]]) -> None:
    with pytest.raises(DownloadError) as caught:
        fetch(mirror="http://robot:hunter2@127.0.0.1:1/maven2")
    text = str(caught.value)
    assert "http://127.0.0.1:1/maven2" in text
    assert "hunter2" not in text
    assert "HTTPS_PROXY" in text
    assert "--offline" in text


def test_a_mirror_without_the_jar_is_named(fetch: Callable[..., list[Path]], repository: Repository) -> None:
    del repository.content["/maven2/org/example/one/1.0/one-1.0.jar"]
    with pytest.raises(
        DownloadError, match=rf"one-1\.0\.jar from http://127\.0\.0\.1:{repository.port}/maven2: .* not serve"
    ):
        fetch()


def test_a_proxy_is_used(
    fetch: Callable[..., list[Path]], repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{repository.port}")
    assert len(fetch(mirror="http://mirror.invalid/maven2")) == 3
    assert all(path.startswith("http://mirror.invalid/") for path in repository.requested)


def test_a_mirror_with_its_own_authority_needs_the_ca_file(tmp_path: Path, lock: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with serving(context) as repository:
        mirror = f"https://127.0.0.1:{repository.port}/maven2"
        with pytest.raises(DownloadError, match=r"(?i)certificate"):
            jars.fetch(tmp_path / "cache", environment(mirror), lock=lock)
        told = environment(mirror, PUSHCAST_CA_FILE=str(tmp_path / "ca.pem"))
        assert len(jars.fetch(tmp_path / "cache", told, lock=lock)) == 3


def test_fetching_leaves_the_process_as_it_was(
    fetch: Callable[..., list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/its/own")
    before = ssl.SSLContext
    with pytest.raises(DownloadError):
        fetch(mirror="http://127.0.0.1:1/maven2")
    assert ssl.SSLContext is before

    assert os.environ["REQUESTS_CA_BUNDLE"] == "/its/own"


def test_a_cache_path_that_java_cannot_name_is_refused(tmp_path: Path, lock: Path) -> None:
    with pytest.raises(SettingError, match="class path"):
        jars.fetch(tmp_path / "a:b", environment("http://127.0.0.1:1"), lock=lock)


def test_the_committed_lock_is_the_kafka_we_say() -> None:
    rows = jars.read_lock()
    versions = {row.artifact: row.version for row in rows}
    assert versions["kafka_2.13"] == versions["kafka-clients"] == versions["kafka-server"] == jars.KAFKA_VERSION
    assert "log4j-core" in versions
    assert len(versions) == len(rows)
    assert all(len(bytes.fromhex(row.sha256)) == 32 for row in rows)
    assert render(rows) == jars.LOCK_FILE.read_text()
