"""Figures of models' calls, as a provider of the SDK counts them: which there are, how they are cut, what they hold."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from opentelemetry.semconv._incubating.metrics import gen_ai_metrics

from doubles.house import Program, lived, project
from doubles.messages_server import HttpError, MessagesServer, Reply
from openclaw import metering
from openclaw.cli._tracing import METRICS, register, wanted
from openclaw.clock import ManualClock
from openclaw.errors import ProviderError
from openclaw.messages import Usage
from openclaw.ports import Completed, Request

TOKEN = "sk-ant-api03-AbCdEfGh1234567890abcdefXYZ"
TOKENS, SECONDS = gen_ai_metrics.GEN_AI_CLIENT_TOKEN_USAGE, gen_ai_metrics.GEN_AI_CLIENT_OPERATION_DURATION
Points = Mapping[str, list[Any]]


@pytest.fixture(scope="module")
def reader() -> Iterator[InMemoryMetricReader]:
    """A process has one provider for ever; after these tests it counts nothing any more."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    metrics.set_meter_provider(provider)
    yield reader
    provider.shutdown()


@pytest.fixture
def fresh(reader: InMemoryMetricReader) -> Callable[[str], Points]:
    """The points of one model, by the name of what is counted: no test sees those of another."""

    def found(model: str) -> Points:
        points: dict[str, list[Any]] = {}
        data = reader.get_metrics_data()
        for resource in data.resource_metrics if data else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    of = [one for one in metric.data.data_points if one.attributes["gen_ai.request.model"] == model]
                    points[f"{metric.name} ({metric.unit})"] = of
        return points

    return found


def asked(model: str, ends: Completed | Exception, seconds: float) -> None:
    """One call of a model that takes so long."""
    clock = ManualClock(datetime(2026, 11, 28, tzinfo=UTC))

    async def answer() -> Completed:
        await clock.advance(seconds)
        if isinstance(ends, Exception):
            raise ends
        return ends

    request = Request(model, "", (), (), 100, None, "agent:main:repl:local")
    asyncio.run(metering.chat(clock, request, answer(), clock))


def test_each_call_counts_its_tokens_and_its_time(fresh: Callable[[str], Points]) -> None:
    asked("one", Completed((), "end_turn", Usage(10, 5, 30, 2), "one-2026"), 1.5)
    asked("one", Completed((), "end_turn", Usage(), "one-2026"), 0.25)  # a server that says nothing of tokens
    found = fresh("one")
    about = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "clock",
        "gen_ai.request.model": "one",
        "gen_ai.response.model": "one-2026",
    }
    [took] = found[f"{SECONDS} (s)"]
    assert (dict(took.attributes), took.count, took.sum) == (about, 2, 1.75)
    assert list(took.explicit_bounds) == pytest.approx(
        [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92]
    )
    used = {point.attributes["gen_ai.token.type"]: point for point in found[f"{TOKENS} ({{token}})"]}
    assert {kind: (point.count, point.sum) for kind, point in used.items()} == {"input": (1, 42), "output": (1, 5)}
    assert dict(used["input"].attributes) == {**about, "gen_ai.token.type": "input"}
    assert list(used["input"].explicit_bounds) == [
        1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864,
    ]  # fmt: skip
    known = {value for name, value in vars(gen_ai_attributes).items() if name.startswith("GEN_AI_")}
    assert set(used["input"].attributes) <= known


def test_a_call_that_fails_counts_its_time_and_names_its_fault(fresh: Callable[[str], Points]) -> None:
    with pytest.raises(ProviderError):
        asked("two", ProviderError("overloaded", "quite a private matter"), 3.0)
    found = fresh("two")
    [took] = found[f"{SECONDS} (s)"]
    assert (took.attributes["error.type"], took.sum) == ("overloaded", 3.0)
    assert "gen_ai.response.model" not in took.attributes and not found.get(f"{TOKENS} ({{token}})")


def test_no_figure_holds_a_secret(fresh: Callable[[str], Points]) -> None:
    asked("three", Completed((), "end_turn", Usage(1, 1), TOKEN), 1.0)
    [took] = fresh("three")[f"{SECONDS} (s)"]
    assert took.attributes["gen_ai.response.model"] == "***"


def test_attempts_of_a_real_turn_are_counted_one_by_one(tmp_path: Path, fresh: Callable[[str], Points]) -> None:
    with MessagesServer(key="test-key") as model:
        model.say(HttpError(400, message="the model dislikes this"), Reply({"type": "text", "text": "Well."}))
        root = project(tmp_path / "project", model.url)

        async def scene(operator: Program) -> None:
            assert (await operator.say("try")).status_code == 502
            assert (await operator.say("again")).status_code == 200

        async def whole() -> None:
            async with lived(root, tmp_path / "state") as (_, operator):
                await asyncio.wait_for(scene(operator), 60)

        asyncio.run(whole())
    found = fresh("claude-sonnet-5-5")
    took = {point.attributes.get("error.type"): point.count for point in found[f"{SECONDS} (s)"]}
    assert took == {"rejected": 1, None: 1}
    assert sorted(point.sum for point in found[f"{TOKENS} ({{token}})"]) == [5, 10]


# ── set up by variables ──────────────────────────────────────────────────────────────────────────


def test_variables_name_the_exporters_of_figures() -> None:
    assert wanted({}, METRICS) == ()
    assert wanted({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, METRICS) == ("otlp_proto_http",)
    assert wanted({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x"}, METRICS) == ()
    assert wanted({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://x"}, METRICS) == ("otlp_proto_http",)
    off = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_METRICS_EXPORTER": "none"}
    assert wanted(off, METRICS) == () and wanted(off) == ("otlp_proto_http",)
    grpc = {"OTEL_METRICS_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "grpc"}
    assert wanted(grpc, METRICS) == ("otlp_proto_grpc",)


def test_a_run_under_variables_sends_its_figures_at_its_end(tmp_path: Path) -> None:
    files = {"channels.yaml": "channels: {repl: {kind: repl}}\n"}
    project(tmp_path / "project", "http://127.0.0.1:9", files=files)
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("ANTHROPIC_", "OTEL_"))}
    where = ["-C", str(tmp_path / "project"), "--state", str(tmp_path / "state")]
    done = subprocess.run(
        [sys.executable, "-m", "openclaw", *where, "chat", "--demo", "hello"],
        env={**plain, "OTEL_METRICS_EXPORTER": "console"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert f'"name": "{SECONDS}"' in done.stdout and '"service.name": "openclaw"' in done.stdout, done.stderr
    assert '"name": "invoke_agent Main"' not in done.stdout


def test_a_run_whose_exporter_of_figures_is_not_installed_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    register(("carrier_pigeon",), METRICS)
    assert capsys.readouterr().err.startswith("openclaw: no figures are sent: no exporter `carrier_pigeon`")
