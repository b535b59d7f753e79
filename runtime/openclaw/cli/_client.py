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
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TextIO
from urllib.parse import quote

from openclaw.channels._pipes import for_eyes
from openclaw.channels._typed import can_ask
from openclaw.control.places import SOCKET, reachable
from openclaw.errors import CredentialsError, OpenClawError, OverBudget, StateError, UsageError
from openclaw.manifest.people import TERMINAL
from openclaw.messages import (
    Approval,
    Asked,
    Progress,
    Retrying,
    TextDelta,
    ToolCall,
    ToolFinished,
    ToolResult,
    ToolStarted,
    Waiting,
    quote_line,
)

if TYPE_CHECKING:
    import httpx2

_WRONG = frozenset({  # codes of what the person who asks has to mend
    "sender", "agent", "empty", "too_large", "bad_field",
    "unknown_session", "unknown_memory", "unknown_heartbeat", "unknown_pairing", "unknown_approval",
})  # fmt: skip
_TIMEOUT = 60.0  # seconds without a byte; a stream carries a sign of life every 15
Json = dict[str, Any]


class Unanswered(OpenClawError):
    """It listens and does not answer."""


@contextmanager
def running(state: Path, patience: float = _TIMEOUT) -> Iterator[Runtime | None]:
    """The runtime that serves this state folder, or None where none does. `patience`: seconds without a byte."""
    folder(state)
    with reachable(state / SOCKET) if state.is_dir() else _nowhere() as name:
        if name is None or not _listens(name):
            yield None
            return
        import httpx2

        transport = httpx2.HTTPTransport(uds=name)
        with httpx2.Client(transport=transport, base_url="http://runtime", timeout=patience) as client:
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
            raise Unanswered(f"the runtime does not answer: {error or type(error).__name__}") from error
        if response.is_error:
            raise _problem(response)
        try:
            return response.json()
        except ValueError as error:
            raise OpenClawError("what answers on the control socket is no runtime of this kind") from error


def _problem(response: httpx2.Response) -> OpenClawError:
    try:
        found = response.json()
        return refusal(str(found["code"]), str(found["detail"]))
    except (ValueError, KeyError, TypeError):
        return OpenClawError(f"the runtime answered with status {response.status_code}")


def refusal(code: str, reason: str) -> OpenClawError:
    """Why a request is not served: wrong usage, where asking again in the same way cannot help."""
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


class Asking(Protocol):
    """One question, and what shows how it is answered."""

    text: str
    agent: str | None
    session: str | None
    as_json: bool

    def show(self, event: Progress) -> None: ...

    def answer(self, content: Json) -> None: ...


def ask(state: Path, question: Asking) -> None:
    """Asks the running runtime: what happens and the answer are shown by the question. An interrupt stops the turn."""
    with running(state) as runtime:
        if runtime is None:
            raise StateError(silent(state))
        given = {"text": question.text, "agent": question.agent, "session": question.session}
        body: Json = {"ask": can_ask(), **{key: value for key, value in given.items() if value}}
        asked_in = ""
        try:
            for name, content in runtime.events(body):
                if name in ("reply", "error"):
                    return question.answer(content)
                if question.as_json:
                    line(name, content)
                if name == "accepted":
                    asked_in = content["session"]
                elif (what := progress(name, content)) is not None:
                    question.show(what)
                    if isinstance(what, Asked) and for_me(what.approval):
                        _answer(runtime, what.approval)
        except KeyboardInterrupt:
            if asked_in:
                runtime.post("sessions", asked_in, "stop")
            raise
    raise OpenClawError("the runtime ended before it answered; it will answer when it runs again")


def silent(state: Path) -> str:
    """Of a runtime that is about to serve, as a rule."""
    return f"a process holds the state folder {state}, but does not answer on its control socket yet; ask again"


def exit_code(content: Json) -> int:
    """Of a turn that ended in `error`."""
    by_fault = {"credentials": CredentialsError.exit_code, "budget": OverBudget.exit_code}
    return by_fault.get(content.get("fault", ""), 1)


def line(event: str, content: Json) -> None:
    """An event as `--json` tells it: as it goes over HTTP, with its name."""
    print(json.dumps({"event": event, **content}, ensure_ascii=False), flush=True)


def progress(name: str, content: Json) -> Progress | None:
    """What an event of a turn told."""
    match name:
        case "text" if content.get("restart"):
            return Retrying(content["reason"], content["seconds"])
        case "text":
            return TextDelta(content["text"])
        case "tool_call":
            return ToolStarted(ToolCall(content["call"], content["tool"], content["input"]), content["line"])
        case "tool_result":
            call = ToolCall(content["call"], content["tool"], {})
            return ToolFinished(call, ToolResult(content["text"], content["is_error"]), content["seconds"])
        case "waiting":
            return Waiting(content["seconds"], content["model"], content.get("doing", ""))
        case "approval" if content["status"] == "waiting":
            return Asked(_approval(content["approval"]))
    return None


def _approval(told: Json) -> Approval:
    """All of a question that one who is asked is told."""
    times = {name: datetime.fromisoformat(told[name]) for name in ("created", "expires")}
    lists = {name: tuple(told[name]) for name in ("lines", "rules", "approvers", "offers")}
    return Approval(**{**told, **lists, **times}, digest="")


def _answer(runtime: Runtime, approval: Approval) -> None:
    try:
        runtime.post("approvals", approval.id, body={"decision": decision()})
    except OpenClawError as error:  # somebody else was faster, for example; the turn goes on
        _note(f"openclaw: {error}")


def for_me(approval: Approval) -> bool:
    """Whether the person at this terminal may answer it, and can."""
    return str(TERMINAL) in approval.approvers and can_ask()


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
