"""Talking to a running runtime through its control socket, from a command.

Law: a socket file that nobody listens on is no runtime; everything else that goes wrong is said in words.
The web client is imported only where somebody does listen.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import termios
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TextIO
from urllib.parse import quote

from openclaw.channels._pipes import for_eyes
from openclaw.channels._typed import can_ask
from openclaw.control.places import SOCKET, reachable
from openclaw.errors import OpenClawError, OverBudget, StateError, UsageError
from openclaw.messages import Progress, TextDelta, ToolCall, ToolFinished, ToolResult, ToolStarted, quote_line

if TYPE_CHECKING:
    import httpx2

_WRONG = ("sender", "agent", "empty", "too_large")  # codes of what the person who asks has to mend
_TIMEOUT = 60.0  # seconds without a byte; a stream carries a sign of life every 15
Json = Mapping[str, Any]


@contextmanager
def running(state: Path) -> Iterator[Runtime | None]:
    """The runtime that serves this state folder, or None where none does."""
    folder(state)
    with reachable(state / SOCKET) if state.is_dir() else _nowhere() as name:
        if name is None or not _listens(name):
            yield None
            return
        import httpx2

        transport = httpx2.HTTPTransport(uds=name)
        with httpx2.Client(transport=transport, base_url="http://runtime", timeout=_TIMEOUT) as client:
            yield Runtime(client)


def folder(state: Path) -> None:
    """Raises StateError where something else than a folder stands in its place."""
    if state.exists() and not state.is_dir():
        raise StateError(f"the state folder {state} cannot be used: not a directory; choose another with --state")


@contextmanager
def _nowhere() -> Iterator[None]:
    yield None


def _listens(name: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(5)
        try:
            probe.connect(name)
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except OSError as error:
            raise StateError(f"the control socket cannot be opened: {error.strerror or error}") from error
    return True


class Runtime:
    """Requests that give JSON; a problem becomes an OpenClawError with its detail."""

    def __init__(self, client: httpx2.Client) -> None:
        self._client = client

    def get(self, *path: str, query: Mapping[str, str] | None = None) -> Any:
        return self._ask("GET", path, None, query)

    def post(self, *path: str, body: Json | None = None) -> Any:
        return self._ask("POST", path, body or {})

    def delete(self, *path: str) -> Any:
        return self._ask("DELETE", path, None)

    def events(self, body: Json) -> Iterator[tuple[str, Json]]:
        """Posts a message and gives the events of its turn, to the last."""
        return self._streamed("POST", "/api/messages", body)

    def follow(self, message: str) -> Iterator[tuple[str, Json]]:
        """The events of the turn of a message that was accepted, to the last."""
        return self._streamed("GET", f"/api/messages/{quote(message, safe='')}/events", None)

    def _streamed(self, method: str, place: str, body: Json | None) -> Iterator[tuple[str, Json]]:
        import httpx2

        headers = {"Accept": "text/event-stream"}
        try:
            with self._client.stream(method, place, json=body, headers=headers) as response:
                if response.is_error:
                    response.read()
                    raise _problem(response)
                yield from _events(_lines(response.iter_bytes()))
        except httpx2.TransportError as error:
            raise OpenClawError(f"the runtime went away: {error or type(error).__name__}") from error

    def _ask(
        self, method: str, path: tuple[str, ...], body: Json | None, query: Mapping[str, str] | None = None
    ) -> Any:
        import httpx2

        place = "/api/" + "/".join(quote(part, safe="") for part in path)
        try:
            response = self._client.request(method, place, json=body, params=query)
        except httpx2.TransportError as error:
            raise OpenClawError(f"the runtime does not answer: {error or type(error).__name__}") from error
        if response.is_error:
            raise _problem(response)
        return response.json()


def _problem(response: httpx2.Response) -> OpenClawError:
    try:
        found = response.json()
        return refusal(str(found["code"]), str(found["detail"]))
    except (ValueError, KeyError, TypeError):
        return OpenClawError(f"the runtime answered with status {response.status_code}")


def refusal(code: str, reason: str) -> OpenClawError:
    """A message that was not taken: wrong usage, where asking again in the same way cannot help."""
    return UsageError(reason) if code in _WRONG else OpenClawError(reason)


def _lines(chunks: Iterator[bytes]) -> Iterator[str]:
    """Lines of a stream of events. What else Unicode calls the end of a line is text there."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line.decode().removesuffix("\r") for line in whole)


def _events(lines: Iterator[str]) -> Iterator[tuple[str, Json]]:
    name = ""
    for line in lines:
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


# ── one question ─────────────────────────────────────────────────────────────────────────────────


def ask(
    state: Path,
    text: str,
    *,
    agent: str | None = None,
    session: str | None = None,
    show: Callable[[Progress], None],
    as_json: bool = False,
) -> int:
    """Asks the running runtime: progress goes to `show`, the answer to standard output. The exit code.

    An interrupt stops the turn.
    """
    with running(state) as runtime:
        if runtime is None:
            raise StateError(f"a process holds the state folder {state}, but does not answer on its control socket yet")
        given = {"text": text, "agent": agent, "session": session}
        body: Json = {"ask": can_ask(), **{key: value for key, value in given.items() if value}}
        asked_in = ""
        try:
            for name, content in runtime.events(body):
                if name == "accepted":
                    asked_in = content["session"]
                elif name in ("reply", "error"):
                    return _answer(name, content, as_json)
                elif name == "approval":
                    _approve(runtime, content, as_json)
                elif (what := progress(name, content)) is not None:
                    show(what)
        except KeyboardInterrupt:
            if asked_in:
                runtime.post("sessions", asked_in, "stop")
            raise
    raise OpenClawError("the runtime ended before it answered; it will answer when it runs again")


def _answer(name: str, content: Json, as_json: bool) -> int:
    text = content["reply"] if name == "reply" else content["detail"]
    if as_json:
        print(json.dumps({"event": name, "text": text}, ensure_ascii=False), flush=True)
    else:
        tell(text, sys.stdout if name == "reply" else sys.stderr)
    if name == "reply":
        return 0
    return OverBudget.exit_code if content.get("code") == "over_budget" else 1


def progress(name: str, content: Json) -> Progress | None:
    match name:
        case "text":
            return TextDelta(content["text"])
        case "tool_call":
            return ToolStarted(ToolCall(content["call"], content["tool"], content["input"]), content["line"])
        case "tool_result":
            call = ToolCall(content["call"], content["tool"], {})
            return ToolFinished(call, ToolResult(content["text"], content["is_error"]), content["seconds"])
    return None


def _approve(runtime: Runtime, content: Json, as_json: bool) -> None:
    """Puts a question of the turn to the person at this terminal, if it is for them."""
    if content["status"] != "waiting":
        return
    approval = content["approval"]
    if as_json:
        print(json.dumps({"event": "approval", "id": approval["id"], "lines": approval["lines"]}), flush=True)
    _note(f"{approval['agent']} wants to run {approval['tool']}: {approval['reason']}")
    for line in approval["lines"]:
        _note(f"    {line}")
    if "repl:local" not in approval["approvers"] or not can_ask():
        _note(f"waits for {', '.join(approval['approvers'])}")
        return
    runtime.post("approvals", approval["id"], body={"decision": decision()})


def decision() -> Literal["allow-once", "deny"]:
    """What the person here says to a question that was just shown."""
    termios.tcflush(sys.stdin, termios.TCIFLUSH)  # what was typed before the question is no answer to it
    print("run it once? y or n: ", end="", file=sys.stderr, flush=True)
    # Read past sys.stdin, whose lock a thread that is left waiting here would hold at the end of the process.
    said = os.read(sys.stdin.fileno(), 4096).decode(errors="replace")
    return "allow-once" if said.strip().lower() in ("y", "yes") else "deny"


def tell(text: str, to: TextIO) -> None:
    """A model's words, as they are for a program and harmless for a terminal."""
    print(for_eyes(to.fileno(), text), file=to, flush=True)


def _note(text: str) -> None:
    print(quote_line(text), file=sys.stderr, flush=True)
