"""What a data directory says, and whose processes are whose."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pushcast.kafka import embedded
from pushcast.kafka.embedded import cluster, process, readiness, state, storage
from pushcast.kafka.embedded.errors import SettingError, StorageError
from pushcast.kafka.embedded.runtime import Runtime, silent
from pushcast.kafka.embedded.state import ClusterInfo, Layout

LAYOUT = Layout("abcdefghijklmnopqrstuv", (9092, 9093), (20001, 20002))


def broker(data_dir: Path, index: int = 0, *, meta: str | None = None) -> Path:
    folder = state.broker_dir(data_dir, index)
    (folder / "data").mkdir(parents=True)
    if meta is not None:
        (folder / "data" / "meta.properties").write_text(f"#\nversion=1\ncluster.id={meta}\nnode.id=1\n")
    return folder


def test_a_layout_reads_as_it_was_written(tmp_path: Path) -> None:
    state.write(tmp_path, LAYOUT)
    assert state.read(tmp_path) == LAYOUT
    assert LAYOUT.brokers == 2
    assert LAYOUT.bootstrap_servers == "127.0.0.1:9092,127.0.0.1:9093"


def test_an_empty_or_absent_directory_holds_no_cluster(tmp_path: Path) -> None:
    assert state.read(tmp_path) is None
    assert state.read(tmp_path / "absent") is None
    with state.exclusive(tmp_path / "new"):
        assert state.read(tmp_path / "new") is None


def test_somebody_else_s_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(StorageError, match="not empty and not a data directory of `pushcast kafka`"):
        state.read(tmp_path)
    with pytest.raises(StorageError, match="not empty"):
        embedded.start(data_dir=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "thesis.tex"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        '{"cluster_id": "x", "ports": 3}',
        "[1]",
        '{"cluster_id": "x", "ports": ["9092"], "controller_ports": [20001], "kafka_version": "4.3.0"}',
        '{"cluster_id": "x", "ports": [], "controller_ports": [], "kafka_version": "4.3.0"}',
        '{"cluster_id": "x", "ports": [9092, 9093], "controller_ports": [20001], "kafka_version": "4.3.0"}',
    ],
)
def test_a_damaged_state_file_is_explained(tmp_path: Path, text: str) -> None:
    (tmp_path / "cluster.json").write_text(text)
    with pytest.raises(StorageError, match=r"cluster\.json is damaged"):
        state.read(tmp_path)


def test_the_json_form_is_the_contract_s(tmp_path: Path) -> None:
    info = ClusterInfo("127.0.0.1:9092", 1, (42,), tmp_path, (tmp_path / "kafka.log",))
    assert json.loads(json.dumps(info.to_dict())) == {
        "bootstrap_servers": "127.0.0.1:9092",
        "brokers": 1,
        "pids": [42],
        "data_dir": str(tmp_path),
        "log_files": [str(tmp_path / "kafka.log")],
    }


@pytest.mark.parametrize(
    "arguments", [{"brokers": 0}, {"brokers": 6}, {"port": 0}, {"port": 65_536}], ids=lambda value: str(value)
)
def test_numbers_out_of_range_are_refused_before_anything_is_made(tmp_path: Path, arguments: dict[str, int]) -> None:
    with pytest.raises(SettingError, match="must be 1 to"):
        embedded.start(data_dir=tmp_path / "kafka", **arguments)  # type: ignore[arg-type]
    assert not (tmp_path / "kafka").exists()


def test_a_directory_made_for_other_brokers_is_refused(tmp_path: Path) -> None:
    state.write(tmp_path, LAYOUT)
    with pytest.raises(SettingError, match=r"was made for 2 brokers, not 3"):
        embedded.start(data_dir=tmp_path, brokers=3)


def test_nothing_runs_where_nothing_was_started(tmp_path: Path) -> None:
    assert embedded.status(tmp_path / "absent") is None
    assert embedded.stop(tmp_path / "absent") is False
    state.write(tmp_path, LAYOUT)
    assert embedded.status(tmp_path) is None
    assert embedded.stop(tmp_path) is False


def test_a_folder_is_formatted_once_meta_properties_is_there(tmp_path: Path) -> None:
    assert storage.is_formatted(broker(tmp_path, 0, meta="mine"), "mine")
    empty = broker(tmp_path, 1)
    assert not storage.is_formatted(empty, "mine")
    assert not storage.is_half_formatted(empty)


def test_formatting_that_was_cut_short_is_told_from_lost_metadata(tmp_path: Path) -> None:
    folder = broker(tmp_path)
    (folder / "data" / "bootstrap.checkpoint").touch()
    (folder / "data" / "__cluster_metadata-0").mkdir()
    assert not storage.is_formatted(folder, "mine")
    assert storage.is_half_formatted(folder)
    (folder / "data" / "orders-0").mkdir()
    with pytest.raises(StorageError, match=r"holds topics \(orders-0, …\) but no meta\.properties"):
        storage.is_formatted(folder, "mine")


def test_storage_of_another_cluster_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"belongs to the Kafka cluster theirs, cluster\.json says mine"):
        storage.is_formatted(broker(tmp_path, meta="theirs"), "mine")


def test_cluster_ids_have_kafka_s_form() -> None:
    for _ in range(200):
        text = storage.new_cluster_id()
        assert len(text) == 22
        assert not text.startswith("-")


@pytest.mark.parametrize("text", ["", "not a number", "999999999", "99999999999999999999", "0", "-1"])
def test_a_stale_pid_file_is_no_broker(tmp_path: Path, text: str) -> None:
    (tmp_path / "pid").write_text(text)
    assert process.pid_of(tmp_path) is None
    assert process.pid_of(tmp_path / "absent") is None


@pytest.mark.parametrize("text", ["0", "-1"])
def test_a_damaged_pid_file_reaps_no_other_child(tmp_path: Path, text: str) -> None:
    (tmp_path / "pid").write_text(text)
    with subprocess.Popen([sys.executable, "-c", "raise SystemExit(7)"]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert process.pid_of(tmp_path) is None
    assert child.returncode == 7


def test_a_pid_that_another_program_has_by_now_is_no_broker(tmp_path: Path) -> None:
    (tmp_path / "pid").write_text(str(os.getpid()))
    assert process.pid_of(tmp_path) is None


def test_a_broker_is_known_by_its_folder_and_not_by_a_longer_name(tmp_path: Path) -> None:
    tenth = tmp_path / "broker-10"
    program = "import sys; print(flush=True); sys.stdin.read()"
    waiting = [sys.executable, "-c", program, f"-Dpushcast.broker={tenth}", "kafka.Kafka"]
    with subprocess.Popen(waiting, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        # Until it runs its command line may be empty, which is taken for a broker that is just starting.
        assert running.stdout is not None
        running.stdout.readline()
        assert process.alive(running.pid, tenth)
        assert not process.alive(running.pid, tmp_path / "broker-1")
        running.kill()
        assert process.wait_gone(running.pid, tenth, timeout_seconds=10)


@pytest.mark.parametrize(
    ("group", "code"), [("", 0), ("a", 97), ("abc", 96354), ("pushcast-plan-urgent", None), ("polygenelubricants", 0)]
)
def test_groups_are_placed_by_the_absolute_java_hash(group: str, code: int | None) -> None:
    # "polygenelubricants" hashes to the smallest int, whose absolute value Kafka takes as 0.
    if code is not None:
        assert readiness.group_partition(group, 1 << 31) == code
    assert 0 <= readiness.group_partition(group, 8) < 8


def test_the_warm_up_reaches_every_coordinator_partition() -> None:
    for partitions in (1, 8, 50):
        groups = readiness.groups_of_all_partitions(partitions)
        assert [readiness.group_partition(group, partitions) for group in groups] == list(range(partitions))


@pytest.fixture
def running(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """What looks like the broker of a cluster in `real/kafka`."""
    data_dir = tmp_path / "real" / "kafka"
    folder = broker(data_dir)
    state.write(data_dir, Layout(LAYOUT.cluster_id, LAYOUT.ports[:1], LAYOUT.controller_ports[:1]))
    program = "import sys; print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", program, process.mark(state.directory_of(folder)), "kafka.Kafka"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as found:
        assert found.stdout is not None
        found.stdout.readline()
        (folder / "pid").write_text(str(found.pid))
        yield found
        found.kill()


@pytest.mark.parametrize("name", ["real/kafka", "link", "other/../real/kafka", "folder/kafka"])
def test_a_cluster_is_stopped_by_whatever_name_its_directory_is_called(
    running: subprocess.Popen[bytes], tmp_path: Path, name: str
) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real" / "kafka")
    (tmp_path / "folder").symlink_to(tmp_path / "real")
    assert embedded.Cluster(tmp_path / name).pid(0) == running.pid
    assert embedded.stop(tmp_path / name) is True
    assert embedded.Cluster(tmp_path / name).pid(0) is None


def test_a_cluster_behind_a_link_is_deleted(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    state.write(tmp_path / "real", LAYOUT)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert embedded.delete(tmp_path / "link") is True
    assert not (tmp_path / "real").exists()


def test_what_the_system_refuses_is_a_sentence_with_its_reason(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="No space left on device"), state.exclusive(tmp_path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    (tmp_path / "cluster.json").mkdir()
    for ask in (embedded.status, embedded.stop, embedded.delete):
        with pytest.raises(StorageError, match=r"cannot read .*cluster\.json: Is a directory"):
            ask(tmp_path)


def test_a_start_that_was_killed_while_it_wrote_its_first_file_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / ".cluster.json.new").write_text('{"cluster')
    assert state.read(tmp_path) is None


def test_settings_of_ones_own_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "extra.properties").write_bytes(b"a=\xff\n")
    one = Layout(LAYOUT.cluster_id, LAYOUT.ports[:1], LAYOUT.controller_ports[:1])
    with pytest.raises(StorageError, match=r"extra\.properties, byte 3: not UTF-8"):
        cluster._prepare(tmp_path, one, [0], Runtime(Path(sys.executable), []), silent)
