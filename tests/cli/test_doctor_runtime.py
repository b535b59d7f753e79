"""What `openclaw doctor` says of who holds the state folder: a runtime that hangs, one of another version, one whose
project is broken on disk, and what is no runtime at all."""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import openclaw
from doubles.house import lived, project
from openclaw.cli import _doctor_project as looked
from openclaw.cli import _doctor_state as kept
from openclaw.cli._doctor_finding import Finding


@contextmanager
def held(state: Path) -> Iterator[None]:
    with (state / "lock").open("w") as lock:
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def answering(state: Path, answer: bytes) -> Iterator[None]:
    """A server on the control socket that says the same to everybody."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(state / "control.sock"))
        server.listen(8)

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    if connection.recv(65536):
                        connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(10)


def http(body: str) -> bytes:
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return (head + body).encode()


def told(state: Path, patience: float = 30) -> tuple[Finding, object]:
    [finding], serving = kept.runtime(state, patience=patience)
    return finding, serving


def test_a_runtime_that_hangs_is_named_with_the_way_to_end_it(tmp_path: Path) -> None:
    with held(tmp_path), socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(tmp_path / "control.sock"))
        deaf.listen(8)
        finding, serving = told(tmp_path, 0.3)
        assert kept.left_behind(tmp_path) is None
    assert finding.state == "warning" and serving == {"pid": os.getpid()}
    assert (
        f"process {os.getpid()} holds the state folder, but gives no answer that makes sense within 0.3 s"
        in finding.found
    )
    assert f"kill -9 {os.getpid()}" in finding.cure


def test_a_port_that_a_silent_runtime_may_hold_is_not_called_another_program_s(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        channels = f"channels: {{http: {{kind: http, port: {port}, token: operator-token-0123456789}}}}\n"
        root = project(tmp_path / "p", "http://127.0.0.1:9", files={"channels.yaml": channels})
        finding, read = looked.manifests(root)
        assert read is not None, finding
        found = next(iter(looked.channels(read.snapshot, {"pid": 4711})))
    assert found.state == "warning" and "process 4711" in found.found and "another program" not in found.found


@pytest.mark.parametrize("answer", [b"hi\n", http("hi"), http("[]"), http('"x"')])
def test_what_answers_without_sense_is_told_and_not_stumbled_over(tmp_path: Path, answer: bytes) -> None:
    with answering(tmp_path, answer):
        finding, serving = told(tmp_path)
        assert (
            finding.state == "warning" and finding.cure == f"end what listens there: lsof {tmp_path / 'control.sock'}"
        )
        assert serving is None
        with held(tmp_path):
            finding, serving = told(tmp_path)
    assert serving == {"pid": os.getpid()} and f"process {os.getpid()} holds" in finding.found


@pytest.mark.parametrize(
    ("answer", "version"),
    [
        ('{"pid": 12}', "unknown"),
        ('{"pid": 12, "version": "0.0.1", "channels": 7}', "0.0.1"),
        (
            f'{{"pid": 12, "version": "{openclaw.__version__}", "channels": {{"http": "running"}}}}',
            openclaw.__version__,
        ),
    ],
)
def test_a_runtime_of_another_version_is_told_by_its_version_alone(tmp_path: Path, answer: str, version: str) -> None:
    with answering(tmp_path, http(answer)):
        finding, serving = told(tmp_path)
    assert finding.state == "warning" and finding.cure == "start it anew"
    assert f"process 12 serves, and is not of the version of this command ({version}; here" in finding.found
    assert serving == {"pid": 12}


def test_an_edit_that_is_not_in_force_is_told_and_the_channels_all_the_same(tmp_path: Path) -> None:
    root, state = project(tmp_path / "p", "http://127.0.0.1:9"), tmp_path / "state"

    async def lives() -> tuple[list[Finding], list[Finding]]:
        async with lived(root, state, demo=True) as (app, _):
            (root / "tools.yaml").write_text("tolls: {}\n")
            await app.desk.reload()
            while True:
                found, serving = await asyncio.to_thread(kept.runtime, state, root)
                if serving is not None and "channels" in serving:
                    return list(found), list(looked.serving(serving))

    found, channels = asyncio.run(asyncio.wait_for(lives(), 60))
    assert [finding.state for finding in found] == ["ok", "warning"]
    assert "not all edits are in force" in found[1].found
    assert "channel http" in [finding.about for finding in channels]
