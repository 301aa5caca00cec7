"""Kafka's jars: fetched by jgo, held by a committed lock of SHA-256 sums, safe against killed and parallel downloads.

jgo 3.2 alone does not give that: a wrong checksum is only logged, a killed download leaves a short jar that later runs
use, and two processes that download at once end in an AssertionError. So each artifact is resolved alone into a scratch
repository, verified, and renamed into the cache.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pushcast.kafka.embedded.environment import Environment
from pushcast.kafka.embedded.errors import DownloadError, SettingError

KAFKA_VERSION = "4.3.0"
LOCK_FILE = Path(__file__).with_name("kafka-jars.lock.toml")
REQUEST_TIMEOUT_SECONDS = 20
PARALLEL_DOWNLOADS = 8
_SCRATCH_PREFIX = ".scratch-"


@dataclass(frozen=True, slots=True)
class Jar:
    """One row of the lock: Maven coordinates and the SHA-256 of the file."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        return f"{self.artifact}-{self.version}.jar"

    def intact(self, path: Path) -> bool:
        try:
            return path.is_file() and file_sha256(path) == self.sha256
        except OSError:  # nobody can run what cannot be read
            return False


def read_lock(path: Path = LOCK_FILE) -> list[Jar]:
    """The jars that the lock names, with their sums."""
    return [Jar(**row) for row in tomllib.loads(path.read_text())["jar"]]


def file_sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def default_cache(environment: Environment) -> Path:
    """Where the jars of this Kafka version lie."""
    return environment.cache_dir / f"kafka-{KAFKA_VERSION}"


def fetch(
    cache: Path,
    environment: Environment,
    *,
    offline: bool = False,
    progress: Callable[[str], None] = lambda _: None,
    lock: Path = LOCK_FILE,
) -> list[Path]:
    """Paths of every jar in the lock, each verified against its SHA-256; downloads what `cache` lacks.

    A jar that is short or altered is fetched again. A complete cache may be read-only. Blocks while another process
    fills the same cache. Raises DownloadError, which names what could not be reached, or SettingError.
    """
    if os.pathsep in str(cache):
        raise SettingError(
            f"the jar cache {cache} has a {os.pathsep!r} in its path, which a Java class path cannot hold"
        )
    jars = read_lock(lock)
    if missing := _missing(jars, cache):
        if offline:
            names = ", ".join(jar.file_name for jar in missing[:3]) + (", …" if len(missing) > 3 else "")
            raise DownloadError(
                f"offline, but {len(missing)} of {len(jars)} Kafka jars are missing or damaged in {cache}: {names}. "
                "Run once without --offline, or copy the directory from a machine that has it."
            )
        try:
            _fill(missing, cache, environment, progress)
        except OSError as error:  # a full disk, a file system that is read-only
            reason = f"cannot write to the jar cache {cache}: {error.strerror or error}"
            raise DownloadError(f"{reason}; PUSHCAST_CACHE_DIR names another place") from error
    return [cache / jar.file_name for jar in jars]


def _missing(jars: list[Jar], cache: Path) -> list[Jar]:
    with ThreadPoolExecutor(PARALLEL_DOWNLOADS) as pool:
        intact = pool.map(lambda jar: jar.intact(cache / jar.file_name), jars)
        return [jar for jar, good in zip(jars, intact, strict=True) if not good]


def _fill(jars: list[Jar], cache: Path, environment: Environment, progress: Callable[[str], None]) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / ".lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        for left in cache.glob(f"{_SCRATCH_PREFIX}*"):
            shutil.rmtree(left)
        jars = _missing(jars, cache)
        source = _without_credentials(environment.maven_mirror) if environment.maven_mirror else "Maven Central"
        if jars:
            progress(f"fetching {len(jars)} jars of Apache Kafka {KAFKA_VERSION} from {source} into {cache}")
        with _trust(environment.ca_file), ThreadPoolExecutor(PARALLEL_DOWNLOADS) as pool:
            try:
                for _ in pool.map(lambda jar: _download(jar, cache, environment), jars):
                    pass
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise


def _download(jar: Jar, cache: Path, environment: Environment) -> None:
    # Imported late: requests and jgo cost 0.2 s, and a warm start needs neither.
    import requests
    from jgo.constants import MAVEN_CENTRAL_URL
    from jgo.maven import MavenContext

    repository = environment.maven_mirror or MAVEN_CENTRAL_URL
    with tempfile.TemporaryDirectory(dir=cache, prefix=_SCRATCH_PREFIX) as scratch:
        context = MavenContext(
            repo_cache=Path(scratch), remote_repos={"repository": repository}, timeout=REQUEST_TIMEOUT_SECONDS
        )
        artifact = context.project(jar.group, jar.artifact).at_version(jar.version).artifact()
        try:
            path = artifact.resolve()
        except requests.RequestException as error:
            raise DownloadError(_unreachable(jar, repository, _reason(error, repository))) from error
        except RuntimeError as error:  # jgo's answer to any status but 200
            raise DownloadError(_unreachable(jar, repository, "the repository does not serve it")) from error
        if (found := file_sha256(path)) != jar.sha256:
            raise DownloadError(
                f"{jar.file_name} from {_without_credentials(repository)} has SHA-256 {found}, the lock says "
                f"{jar.sha256}: the download was altered or cut short; nothing was kept"
            )
        os.replace(path, cache / jar.file_name)


def _unreachable(jar: Jar, repository: str, reason: str) -> str:
    return (
        f"could not fetch {jar.file_name} from {_without_credentials(repository)}: {reason}. "
        "Settable: PUSHCAST_MAVEN_MIRROR (repository URL), HTTPS_PROXY, PUSHCAST_CA_FILE; "
        "or fill the cache elsewhere and pass --offline."
    )


def _reason(error: Exception, repository: str) -> str:
    text = f"{type(error).__name__}: {error}"
    return text.replace(repository, _without_credentials(repository))[:400]


def _without_credentials(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


@contextlib.contextmanager
def _trust(ca_file: Path | None) -> Iterator[None]:
    """The machine's own certificates for jgo's requests, and only while jars are fetched: both truststore's patch and
    the environment are process-wide."""
    import truststore

    before = os.environ.get("REQUESTS_CA_BUNDLE")
    truststore.inject_into_ssl()
    try:
        if ca_file is not None:
            os.environ["REQUESTS_CA_BUNDLE"] = str(ca_file)
        yield
    finally:
        truststore.extract_from_ssl()
        if ca_file is not None:
            if before is None:
                del os.environ["REQUESTS_CA_BUNDLE"]
            else:
                os.environ["REQUESTS_CA_BUNDLE"] = before
