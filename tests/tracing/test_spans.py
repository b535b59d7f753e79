"""Spans of real turns, as a provider of the SDK records them: which there are, whose parts they are, what they hold."""

from __future__ import annotations

import asyncio
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from opentelemetry.semconv.attributes import error_attributes

from doubles.house import AGENT, Program, lived, project, until
from doubles.messages_server import HttpError, MessagesServer, Reply, tool
from openclaw import cli, tracing
from openclaw.app import App
from openclaw.cli._tracing import register, wanted
from openclaw.logbook import Reader, parsed
from openclaw.secrecy import SECRETS

SESSION = "agent:main:http:operator"
TOKEN = "sk-ant-api03-AbCdEfGh1234567890abcdefXYZ"
TOOLS = """\
tools:
  add: {python: "sums:add"}
  fail: {python: "sums:fail"}
  environment: {description: Its own environment, shell: env}
policies:
  works:
    default: deny
    sandbox: "off"
    rules: [{allow: [list_files, add, fail, environment]}]
"""
SUMS = '''\
import openclaw
from opentelemetry import trace


@openclaw.tool
def add(a: int, b: int) -> str:
    """Adds two numbers."""
    with trace.get_tracer("sums").start_as_current_span("adding"):
        return str(a + b)


@openclaw.tool
async def fail() -> str:
    """Fails."""
    raise RuntimeError("quite a private matter")
'''
FILES = {
    "agents/main.yaml": AGENT.replace("[list_files, add]", "[list_files, add, fail, environment]"),
    "tools.yaml": TOOLS,
    "sums.py": SUMS,
    "heartbeats.yaml": 'heartbeats: {check: {cron: "0 3 1 1 *", prompt: how are the disks}}\n',
}
Scene = Callable[[App, Program], Awaitable[None]]


@pytest.fixture(scope="module")
def recorder() -> Iterator[InMemorySpanExporter]:
    """A process has one provider for ever; after these tests it records nothing any more."""
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    yield exporter
    provider.shutdown()


@pytest.fixture
def spans(recorder: InMemorySpanExporter) -> Callable[[], Sequence[ReadableSpan]]:
    recorder.clear()
    return recorder.get_finished_spans


@pytest.fixture
def model() -> Iterator[MessagesServer]:
    with MessagesServer(key="test-key") as server:
        yield server
    assert server.violations == []


def run(tmp_path: Path, model: MessagesServer, scene: Scene) -> None:
    root = project(tmp_path / "project", model.url, files=FILES)

    async def whole() -> None:
        async with lived(root, tmp_path / "state") as (app, operator):
            await asyncio.wait_for(scene(app, operator), 60)

    asyncio.run(whole())


def one(spans: Sequence[ReadableSpan], name: str) -> ReadableSpan:
    [found] = [span for span in spans if span.name == name]
    return found


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def parent(span: ReadableSpan) -> int | None:
    return span.parent.span_id if span.parent else None


def test_a_turn_is_a_span_whose_parts_are_its_models_and_its_tools(
    tmp_path: Path, model: MessagesServer, spans: Callable[[], Sequence[ReadableSpan]]
) -> None:
    model.say(Reply(tool("add", id="toolu_1", a=1, b=2)), "It is three, dear.")

    async def scene(app: App, operator: Program) -> None:
        assert (await operator.say("one and two, dear?")).json()["reply"] == "It is three, dear."

    run(tmp_path, model, scene)
    found = spans()
    turn, add = one(found, "invoke_agent Main"), one(found, "execute_tool add")
    asked = [span for span in found if span.name == "chat claude-sonnet-5-5"]
    assert len(asked) == 2 and len(found) == 5, "each call of a model is one span, whoever makes it"
    assert turn.parent is None
    assert {parent(span) for span in (add, *asked)} == {turn.context.span_id}
    assert parent(one(found, "adding")) == add.context.span_id, "a tool's own spans are parts of its call"
    assert attributes(turn) == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.agent.id": "main",
        "gen_ai.agent.name": "Main",
        "gen_ai.conversation.id": SESSION,
        "gen_ai.request.model": "claude-sonnet-5-5",
        "gen_ai.response.model": "claude-sonnet-5-5",
        "gen_ai.usage.input_tokens": 20,
        "gen_ai.usage.output_tokens": attributes(turn)["gen_ai.usage.output_tokens"],
        "openclaw.channel": "http",
        "openclaw.outcome": "answered",
    }
    assert attributes(add) == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "add",
        "gen_ai.tool.call.id": "toolu_1",
        "gen_ai.tool.type": "function",
        "gen_ai.agent.id": "main",
        "gen_ai.conversation.id": SESSION,
        "openclaw.decision": "allow",
    }
    assert asked[0].kind is trace.SpanKind.CLIENT and attributes(asked[0])["gen_ai.response.finish_reasons"] == (
        "tool_use",
    )
    assert "dear" not in "".join(span.to_json() for span in found)
    assert not any("trace" in name.lower() for request in model.requests for name in request.headers)
    with closing(Reader(tmp_path / "state/logs")) as reader:
        told = [parsed(line) or {} for line in reader.lines()]
    assert {line.get("trace") for line in told if line.get("event") == "tool called"} == {
        f"{turn.context.trace_id:032x}"
    }


def test_a_tool_that_fails_or_is_not_there_is_an_error_without_its_words(
    tmp_path: Path, model: MessagesServer, spans: Callable[[], Sequence[ReadableSpan]]
) -> None:
    model.say(Reply(tool("fail"), tool("made_up_by_a_stranger"), tool("add", a="x", b=2)), "Nothing worked.")

    async def scene(app: App, operator: Program) -> None:
        await operator.say("try")

    run(tmp_path, model, scene)
    found = spans()
    kinds = {span.name: attributes(span).get("error.type") for span in found if "tool" in span.name}
    assert kinds == {"execute_tool fail": "failed", "execute_tool unknown": "not_run", "execute_tool add": "not_run"}
    assert one(found, "execute_tool fail").status.status_code is trace.StatusCode.ERROR
    assert "error.type" not in attributes(one(found, "invoke_agent Main"))
    told = "".join(span.to_json() for span in found)
    assert "private matter" not in told and "stranger" not in told and not any(span.events for span in found)


def test_a_turn_that_fails_names_the_fault_of_its_model(
    tmp_path: Path, model: MessagesServer, spans: Callable[[], Sequence[ReadableSpan]]
) -> None:
    model.say(HttpError(400, message="the model dislikes this very much"))

    async def scene(app: App, operator: Program) -> None:
        assert (await operator.say("try")).status_code == 502

    run(tmp_path, model, scene)
    found = spans()
    kinds = {span.name: attributes(span).get("error.type") for span in found}
    assert kinds == {"chat claude-sonnet-5-5": "rejected", "invoke_agent Main": "rejected"}
    assert attributes(one(found, "invoke_agent Main"))["openclaw.outcome"] == "failed"
    assert "dislikes" not in "".join(span.to_json() for span in found)


def test_a_heartbeat_names_itself_and_a_child_process_is_given_nothing(
    tmp_path: Path,
    model: MessagesServer,
    spans: Callable[[], Sequence[ReadableSpan]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "team=disks")
    model.say(Reply(tool("environment")), "All is well.")

    async def scene(app: App, operator: Program) -> None:
        assert (await operator.http.post("/api/heartbeats/check/run")).status_code < 300
        await until(lambda: len(spans()) == 4, "the end of the run")

    run(tmp_path, model, scene)
    turn = attributes(one(spans(), "invoke_agent Main"))
    assert (turn["openclaw.heartbeat"], turn["gen_ai.conversation.id"]) == ("check", "cron:check")
    said = str(model.requests[1].body["messages"][-1])
    assert "PATH=" in said and not re.search(r"OTEL|TRACE|PYTHONPATH", said, re.IGNORECASE)


def test_spans_hold_no_secret_though_a_session_or_a_name_does(spans: Callable[[], Sequence[ReadableSpan]]) -> None:
    SECRETS.hold(spans, ["hunter2-hunter2"])
    try:
        with tracing.span("turn of hunter2-hunter2", gen_ai__conversation__id=f"agent:main:{TOKEN}", n=3) as told:
            told.note(gen_ai__response__finish_reasons=["end", TOKEN])
            told.failed("hunter2-hunter2")
    finally:
        SECRETS.drop(spans)
    [span] = spans()
    assert span.name == "turn of ***"
    assert attributes(span) == {
        "gen_ai.conversation.id": "agent:main:***",
        "gen_ai.response.finish_reasons": ("end", "***"),
        "error.type": "***",
        "n": 3,
    }


def test_names_are_those_of_the_conventions() -> None:
    source = "".join(
        path.read_text("utf-8") for path in Path(inspect.getfile(cli)).parent.parent.rglob("*.py") if path.is_file()
    )
    used = {name.replace("__", ".") for name in re.findall(r"\b(gen_ai__\w+|error__type)=", source)}
    known = {value for name, value in vars(gen_ai_attributes).items() if name.startswith("GEN_AI_")}
    newer = {"gen_ai.usage.cache_write.input_tokens"}  # what was `cache_creation` in the release that is installed
    assert used - newer <= known | {error_attributes.ERROR_TYPE} and newer <= used


# ── set up by variables ──────────────────────────────────────────────────────────────────────────


def test_variables_name_the_exporters() -> None:
    assert wanted({}) == ()
    assert wanted({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}) == ()
    assert wanted({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}) == ("otlp_proto_http",)
    assert wanted({"OTEL_TRACES_EXPORTER": "console, otlp"}) == ("console", "otlp_proto_http")
    assert wanted({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}) == ("otlp_proto_grpc",)
    assert wanted({"OTEL_TRACES_EXPORTER": "console", "OTEL_SDK_DISABLED": "TRUE"}) == ()


def started(tmp_path: Path, code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    files = {"channels.yaml": "channels: {repl: {kind: repl}}\n"}
    project(tmp_path / "project", "http://127.0.0.1:9", files=files)
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("ANTHROPIC_", "OTEL_"))}
    return subprocess.run(
        [sys.executable, "-c", code, "-C", str(tmp_path / "project"), "--state", str(tmp_path / "state")],
        env={**plain, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


SAYS = "import sys; from openclaw.cli import main; code = main([*sys.argv[1:], 'chat', '--demo', 'hello'])\n"


def test_without_a_provider_nothing_of_it_is_imported(tmp_path: Path) -> None:
    code = "from openclaw.cli import main\nimport sys\nmain([*sys.argv[1:], 'validate'])\n" + SAYS
    done = started(tmp_path, code + "print([name for name in sys.modules if name.startswith('opentelemetry')], code)")
    assert done.stdout.splitlines()[-1] == "[] 0", done.stderr


def test_a_run_under_variables_sends_its_spans_and_names_itself(tmp_path: Path) -> None:
    done = started(tmp_path, SAYS, OTEL_TRACES_EXPORTER="console")
    assert '"name": "invoke_agent Main"' in done.stdout and '"name": "chat demo"' in done.stdout, done.stderr
    assert '"service.name": "openclaw"' in done.stdout


def test_a_run_whose_exporter_is_not_installed_says_so_and_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    register(("carrier_pigeon",))
    assert capsys.readouterr().err.startswith("openclaw: no spans are sent: no exporter `carrier_pigeon` is installed")


@pytest.mark.slow
def test_a_run_whose_provider_is_named_says_that_it_sends_to_nobody_else(tmp_path: Path) -> None:
    named = "sdk_tracer_provider"
    done = started(tmp_path, SAYS, OTEL_TRACES_EXPORTER="console", OTEL_PYTHON_TRACER_PROVIDER=named)
    assert "openclaw: the provider of OTEL_PYTHON_TRACER_PROVIDER is used" in done.stderr
    assert "invoke_agent" not in done.stdout


HANGS = """\
import threading
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider


class Hanging(SpanProcessor):
    def shutdown(self):
        print("asked to end", flush=True)
        threading.Event().wait()


provider = TracerProvider()
provider.add_span_processor(Hanging())
trace.set_tracer_provider(provider)
"""


@pytest.mark.slow
def test_a_provider_that_was_set_up_by_somebody_else_does_not_hold_the_end_up(tmp_path: Path) -> None:
    done = started(tmp_path, HANGS + SAYS)
    assert done.returncode == 0 and done.stdout.endswith("asked to end\n"), done.stderr
