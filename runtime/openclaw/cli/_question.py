"""One question to a running runtime: its turn as it goes on, and what the person here says to approvals.

Knows no terminal beyond its standard streams; who asks shows what happens.
"""

from __future__ import annotations

import json
import os
import sys
import termios
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol, TextIO

from openclaw.channels._pipes import for_eyes
from openclaw.channels._typed import can_ask
from openclaw.cli._client import Runtime, running
from openclaw.errors import CredentialsError, OpenClawError, OverBudget, StateError
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

Json = dict[str, Any]


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
