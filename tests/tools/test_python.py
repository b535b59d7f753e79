"""A Python tool gets what its signature promises and ends in one result, whatever it does."""

from __future__ import annotations

import asyncio
import base64
import enum
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

import openclaw
from openclaw import output
from openclaw.clock import SystemClock
from openclaw.errors import ToolError
from openclaw.messages import Call, ToolResult, ToolSpec
from openclaw.ports import Place
from openclaw.tools.python import THREADS, Tools

SECRET = "s3cr3t/+ü'key"


class Unit(enum.Enum):
    KG = "kg"


@dataclass
class Weight:
    grams: int
    unit: Unit


def spec(function: Callable[..., Any] | None, *, timeout: float = 30, **options: Any) -> ToolSpec:
    return ToolSpec("t", "", {}, "python", {"reference": "m:f", "function": function, **options}, timeout=timeout)


def caller(workspace: Path) -> Call:
    return Call("main", "agent:main:repl:local", "repl:local", workspace, "call1")


def run(
    function: Any, input: dict[str, Any] | None = None, *, workspace: Path = Path("/"), **options: Any
) -> ToolResult:
    tools = Tools({"t": spec(function, **options)}, Place("/", "/"), SystemClock())
    return asyncio.run(tools.run("t", input or {}, caller(workspace)))


def test_sync_and_async_functions_get_input_fixed_arguments_and_the_call() -> None:
    def weigh(path: Path, unit: Unit, api_key: str, who: openclaw.Call) -> str:
        in_loop = threading.current_thread() is threading.main_thread()
        return f"{path.name} {unit.name} {len(api_key)} {who.sender} {in_loop}"

    async def weigh_soon(path: Path, unit: Unit, api_key: str, who: openclaw.Call) -> str:
        await asyncio.sleep(0)
        return weigh(path, unit, api_key, who)

    for function, in_loop in ((weigh, False), (weigh_soon, True)):
        result = run(function, {"path": "a/b", "unit": "kg"}, **{"with": {"api_key": "abc"}, "call": "who"})
        assert result == ToolResult(f"b KG 3 repl:local {in_loop}")


@pytest.mark.parametrize(
    ("returned", "text"),
    [
        ("as it is\n", "as it is\n"),
        (None, "(no result)"),
        (3, "3"),
        ({"ü": [1, None]}, '{\n  "ü": [\n    1,\n    null\n  ]\n}'),
        (Weight(5, Unit.KG), '{\n  "grams": 5,\n  "unit": "kg"\n}'),
        ([Path("/a"), date(2026, 1, 2), datetime(2026, 1, 2, tzinfo=UTC)],
         '[\n  "/a",\n  "2026-01-02",\n  "2026-01-02T00:00:00+00:00"\n]'),
        ({"b", "a"} | set(), '[\n  "a",\n  "b"\n]'),
    ],
)  # fmt: skip
def test_results_become_text(returned: Any, text: str) -> None:
    assert run(lambda: returned) == ToolResult(text)


def test_what_no_text_can_be_made_of_is_an_error_that_says_so() -> None:
    circular: list[Any] = []
    circular.append(circular)
    for returned, words in ((b"x", "bytes"), (object(), "`object`"), (circular, "Circular"), ({(1,): 2}, "JSON")):
        result = run(lambda returned=returned: returned)
        assert result.is_error
        assert words in result.text


def test_long_output_is_cut_and_kept(tmp_path: Path) -> None:
    result = run(lambda: "x" * 100_000, workspace=tmp_path)
    assert len(result.text) < output.LIMIT + 200
    assert (tmp_path / ".openclaw/outputs/call1.txt").read_text() == "x" * 100_000


ERRORS = [
    ValueError("no such town"),
    SystemExit(3),
    KeyboardInterrupt(),
    asyncio.CancelledError(),
    StopIteration(1),
    TimeoutError("slow"),
    GeneratorExit(),
    ToolError("as said"),
]


@pytest.mark.parametrize("error", ERRORS)
def test_every_exception_is_a_result_and_the_runtime_lives(error: BaseException) -> None:
    def fail() -> None:
        raise error

    async def fail_soon() -> None:
        await asyncio.sleep(0)
        raise error

    expected = "as said" if isinstance(error, ToolError) else f"{type(error).__name__}: {error}".removesuffix(": ")
    assert run(fail) == ToolResult(expected, is_error=True)
    if not isinstance(error, StopIteration | GeneratorExit):  # which Python turns into others in a coroutine
        assert run(fail_soon) == ToolResult(expected, is_error=True)


def test_no_form_of_a_fixed_value_appears_in_an_error() -> None:
    forms = [SECRET, quote(SECRET, safe=""), base64.b64encode(SECRET.encode()).decode(), repr(SECRET)]

    def fail(headers: dict[str, list[str]], folder: str) -> None:
        raise RuntimeError(f"GET https://x/?k={' '.join(forms)} with {headers!r} in folder {folder}")

    result = run(fail, **{"with": {"headers": {"Authorization": [SECRET]}, "folder": "documents"}})
    assert result.is_error
    assert "***" in result.text
    for form in forms:
        assert form.strip("'\"=") not in result.text
    assert "s3cr3t" not in result.text and "documents" not in result.text and "Traceback" not in result.text


def test_a_result_keeps_plain_fixed_values_and_hides_secret_ones() -> None:
    def echo(folder: str, api_key: str) -> str:
        return f"{folder} {api_key}"

    result = run(echo, **{"with": {"folder": "documents", "api_key": SECRET}})
    assert result == ToolResult("documents ***")


def test_an_exception_that_cannot_be_shown_and_a_long_one_are_told_shortly() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise ValueError

    def fail(error: Exception) -> None:
        raise error

    assert run(fail, **{"with": {"error": Mute()}}).text == "Mute"
    assert len(run(fail, **{"with": {"error": ValueError("x" * 50_000)}}).text) < 2_200


def test_a_tool_without_function_or_with_unfit_input_says_so() -> None:
    assert run(None) == ToolResult("`m:f` could not be imported", is_error=True)

    def weigh(unit: Unit) -> str:
        return unit.name

    assert run(weigh, {"unit": "lb"}).text.startswith("the input does not fit: ValueError")
    assert run(weigh, {}).text.startswith("TypeError")


def test_a_sync_tool_that_does_not_end_is_reported_in_time() -> None:
    gate = threading.Event()
    result = run(gate.wait, timeout=0.05)
    gate.set()
    assert result == ToolResult("it did not end within 0.05 s", is_error=True)


def test_an_async_tool_that_does_not_end_is_cancelled() -> None:
    ended = []

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    assert run(forever, timeout=0.05) == ToolResult("it did not end within 0.05 s", is_error=True)
    assert ended == [True]


def test_cancelling_a_call_cancels_its_tool() -> None:
    async def scene() -> list[str]:
        events: list[str] = []
        started = asyncio.Event()

        async def forever() -> None:
            started.set()
            try:
                await asyncio.Event().wait()
            finally:
                events.append("cancelled")

        tools = Tools({"t": spec(forever)}, Place("/", "/"), SystemClock())
        task = asyncio.create_task(tools.run("t", {}, caller(Path("/"))))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return events

    assert asyncio.run(scene()) == ["cancelled"]


def test_calls_run_side_by_side_but_never_more_than_there_are_places() -> None:
    gate = threading.Event()
    running, most = 0, 0
    lock = threading.Lock()

    def work() -> str:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            if running == THREADS:
                gate.set()
        assert gate.wait(20)
        with lock:
            running -= 1
        return "done"

    async def scene() -> list[ToolResult]:
        tools = Tools({"t": spec(work)}, Place("/", "/"), SystemClock())
        return await asyncio.gather(*(tools.run("t", {}, caller(Path("/"))) for _ in range(THREADS * 2)))

    assert {result.text for result in asyncio.run(scene())} == {"done"}
    assert most == THREADS


def test_full_places_are_named_and_come_free_again() -> None:
    gate = threading.Event()

    async def scene() -> list[str]:
        tools = Tools({"t": spec(gate.wait, timeout=0.1)}, Place("/", "/"), SystemClock())
        stuck = await asyncio.gather(*(tools.run("t", {}, caller(Path("/"))) for _ in range(THREADS + 1)))
        gate.set()
        async with asyncio.timeout(20):
            while (last := await tools.run("t", {}, caller(Path("/")))).is_error:
                pass
        return [stuck[-1].text, last.text]

    assert asyncio.run(scene()) == ["it did not end within 0.1 s; 16 earlier calls have not ended either", "true"]


def test_a_stuck_tool_does_not_keep_the_process_alive() -> None:
    code = """
        import asyncio, threading
        from pathlib import Path
        from openclaw.clock import SystemClock
        from openclaw.messages import Call, ToolSpec
        from openclaw.ports import Place
        from openclaw.tools.python import Tools
        spec = ToolSpec("t", "", {}, "python", {"function": threading.Event().wait}, timeout=0.1)
        tools = Tools({"t": spec}, Place("/", "/"), SystemClock())
        print(asyncio.run(tools.run("t", {}, Call("a", "s", "r:l", Path("/")))).text)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout == "it did not end within 0.1 s\n"
