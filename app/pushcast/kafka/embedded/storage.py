"""Formatting: a broker's `data` folder is made by Kafka's own StorageTool, once."""

from __future__ import annotations

import base64
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path

from pushcast.kafka.embedded.errors import StorageError

FORMAT_TIMEOUT_SECONDS = 60
_METADATA_LOG = "__cluster_metadata-0"


def new_cluster_id() -> str:
    """A random id in Kafka's form: 16 bytes in URL-safe base64 without padding, and no leading dash."""
    while (text := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return text


def is_formatted(broker_dir: Path, cluster_id: str) -> bool:
    """Whether the broker can start on its `data` folder. StorageTool writes meta.properties last, so a folder without
    it was never finished. Raises StorageError when that folder holds topics all the same, or is of another cluster."""
    data = broker_dir / "data"
    try:
        meta = (data / "meta.properties").read_text(encoding="latin-1")
    except FileNotFoundError:
        topics = sorted(each.name for each in data.glob("*-[0-9]*") if each.name != _METADATA_LOG)
        if topics:
            raise StorageError(
                f"{data} holds topics ({topics[0]}, …) but no meta.properties: it was removed or half copied, and "
                "Kafka cannot open it. Restore the file, or remove the data directory to begin anew."
            ) from None
        return False
    found = dict(line.split("=", 1) for line in meta.splitlines() if "=" in line).get("cluster.id")
    if found != cluster_id:
        raise StorageError(f"{data} belongs to the Kafka cluster {found}, cluster.json says {cluster_id}")
    return True


def is_half_formatted(broker_dir: Path) -> bool:
    """Whether an earlier formatting was cut short; call it only where `is_formatted` said False."""
    data = broker_dir / "data"
    return data.is_dir() and any(data.iterdir())


def start_format(
    broker_dir: Path, cluster_id: str, java: Callable[..., list[str]], environment: dict[str, str]
) -> subprocess.Popen[bytes]:
    """Begins formatting beside others; `java` makes the command line of a main class with arguments."""
    command = java(
        "kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", "server.properties", "--ignore-formatted"
    )
    return subprocess.Popen(
        command,
        cwd=broker_dir,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
    )


def finish_format(broker_dir: Path, formatting: subprocess.Popen[bytes]) -> None:
    """Waits for it. Raises StorageError with the tool's last lines."""
    try:
        output, _ = formatting.communicate(timeout=FORMAT_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise StorageError(f"formatting {broker_dir / 'data'} took longer than {FORMAT_TIMEOUT_SECONDS} s") from error
    finally:
        if formatting.poll() is None:
            formatting.kill()
            formatting.wait()
    if formatting.returncode != 0:
        said = " / ".join(output.decode(errors="replace").strip().splitlines()[-3:])
        raise StorageError(f"formatting {broker_dir / 'data'} failed with status {formatting.returncode}: {said}")
