"""The OpenAPI document against the running runtime: no status, type or body comes that it does not tell."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from doubles.house import TOKEN, Process, project
from doubles.http_house import CHANNELS, FILES, echoing
from doubles.messages_server import MessagesServer

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "unsupported_method",
    "allow_header_conformance",
    "missing_required_header",
)
HOOKS = (
    "    limits: {requests_per_minute: 1000000}\n"
    "    hooks:\n"
    "      issues: {prompt: '{body.title}', secret: hook-secret-0123, verify: hmac-sha256}\n"
)


EXAMPLES = os.environ.get("EXAMPLES", "15")


@pytest.fixture
def model() -> Iterator[MessagesServer]:
    yield from echoing()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_schemathesis_finds_nothing_that_the_document_does_not_tell(
    tmp_path: Path, model: MessagesServer, capsys: pytest.CaptureFixture[str]
) -> None:
    channels = CHANNELS.replace("    tokens:", f"{HOOKS}    tokens:")
    beats = "heartbeats:\n  night: {cron: '0 3 29 2 *', timezone: Europe/London, prompt: x}\n"
    files = {**FILES, "channels.yaml": channels, "heartbeats.yaml": beats}
    with Process(project(tmp_path / "project", model.url, files=files), tmp_path / "state") as runtime:
        address = asyncio.run(runtime.address())
        # Few, because whoever shows ten wrong tokens is not listened to, which is another status than the check knows.
        few = ("--include-path", "/api/status", "--include-path", "/v1/models", "--max-examples", "1")
        guessed = schemathesis(tmp_path, address, "ignored_auth", "fuzzing", *few)
        assert guessed.returncode == 0, guessed.stdout
        phases = "examples,coverage,fuzzing"
        done = schemathesis(tmp_path, address, ",".join(CHECKS), phases, "--max-examples", EXAMPLES)
        with capsys.disabled():
            print("\n" + re.sub(r"\n{2,}", "\n", done.stdout.partition("SUMMARY")[2]).strip("= \n"))
        assert done.returncode == 0, done.stdout
        assert runtime.process.poll() is None and "Traceback" not in runtime.log, runtime.log


def schemathesis(folder: Path, address: str, checks: str, phases: str, *more: str) -> subprocess.CompletedProcess[str]:
    command = (
        str(Path(sys.executable).with_name("schemathesis")), "run", f"{address}/openapi.json", "--checks", checks,
        "--phases", phases, "--header", f"Authorization: Bearer {TOKEN}", "--seed", "4", "--request-timeout", "20",
        "--no-color", "--continue-on-failure", *more,
    )  # fmt: skip
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=840, stdin=subprocess.DEVNULL)
