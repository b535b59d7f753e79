"""How things stand in a conversation between two of its steps: what was said, asked, run and refused so far, and what
of it no step has expected yet.

Tells only; nothing here makes anything happen. Everything is read off the runtime and the stage around it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from openclaw.manifest.snapshot import Snapshot
from openclaw.messages import Approval
from openclaw.near import near
from openclaw.permissions import record
from openclaw.ports import Request
from openclaw.providers.steps import Steps
from openclaw.scenarios import judging
from openclaw.scenarios.document import Path
from openclaw.scenarios.lives import Lives
from openclaw.scenarios.stage import Said, Stage


class Unmet(Exception):
    """The conversation cannot go on: what a step needs is not there. `path` leads from the step to what needs it."""

    def __init__(self, expected: str, *got: str, path: Path = ()) -> None:
        super().__init__(expected)
        self.expected = expected
        self.got = got
        self.path = path


@dataclass(frozen=True, slots=True)
class Loose:
    """What a step came to that the next one has to expect: a refusal, or an edit. `sound`: fine also without that."""

    step: int
    key: str  # of `expect`
    value: str
    words: str
    sound: bool = False


@dataclass(slots=True, eq=False)
class Situation:
    stage: Stage
    steps: Steps
    lives: Lives
    loose: Loose | None = None
    expected: set[str] = field(default_factory=set)  # ids of questions that a step expected
    question: Approval | None = None  # the one that was expected last
    heard: Said | None = None  # the reply that was expected last
    ran: int = 0  # how many calls had run when the latest message came
    judged: int = 0  # how many lines the audit had then
    asked: int = 0  # how often the model had been asked then

    @property
    def snapshot(self) -> Snapshot:
        return self.lives.app.supervisor.current.snapshot

    def mark(self) -> None:
        """From here on calls are counted anew."""
        self.ran, self.judged = len(self.stage.ran), len(self.lives.store.audit.records)
        self.asked = len(self.steps.asked)

    @property
    def busy(self) -> bool:
        return bool(self.steps.waiting or self.questions() or self.lives.app.sessions.busy)

    def questions(self) -> Sequence[Approval]:
        """Open ones, oldest first."""
        return self.lives.app.approvals.pending()

    def unexpected(self) -> Sequence[Approval]:
        return [question for question in self.questions() if question.id not in self.expected]

    def denials(self) -> Sequence[Mapping[str, Any]]:
        """Lines of the audit about calls that did not run since the latest message."""
        lines = self.lives.store.audit.records[self.judged :]
        return [line for line in lines if line["type"] == "decided" and line["decision"] == "deny"]

    def rules(self, snapshot: Snapshot) -> Iterator[tuple[str, int, int]]:
        """Where the rules of this project stand that decided calls: those whose own outcome it was."""
        judged = [line for line in self.lives.store.audit.records if "decision" in line]
        names = {name for line in judged for name in line["rules"] if name.endswith(f" {line['decision']}")}
        for policy in snapshot.policies.values():
            for rule in policy.rules:
                if record.named(rule) in names:
                    yield rule.origin.file, rule.origin.line, rule.origin.column

    # ── in words ─────────────────────────────────────────────────────────────────────────────────

    def going_on(self) -> Sequence[str]:
        """What there is in place of what was expected."""
        found = self.left()
        if self.loose is not None and not self.loose.sound:
            found = [*found, f"{self.loose.key} {self.loose.value}: {self.loose.words}"]
        return found or [f"nothing is going on{self.why()}"]

    def left(self) -> Sequence[str]:
        """What no step has expected or answered."""
        found = [asked(self.steps.waiting[0].request)] if self.steps.waiting else []
        found += [question(one) for one in self.unexpected()]
        found += [f"this was said: {judging.said(one)}" for one in self.stage.said]
        if not found and not self.questions() and self.lives.app.sessions.busy:
            found.append("an answer is on its way, and waits for time to pass")
        return found

    def why(self) -> str:
        """What did not run, and why not."""
        return "".join(f"; {line['tool']} did not run: {line['reason']}" for line in self.denials())

    def told(self) -> str:
        """All that the model was told when it was asked last. Raises Unmet where that was before the latest message."""
        if len(self.steps.asked) == self.asked and not self.steps.waiting:
            raise Unmet("the model to be asked", *self.going_on(), path=("expect", "told"))
        request = self.steps.asked[-1]
        return "\n".join([request.system, *(words(one) for said in request.messages for one in said["content"])])


def asked(request: Request) -> str:
    last = request.messages[-1]["content"] if request.messages else ()
    told = next(filter(None, map(words, reversed(last))), "")  # what stands before it is the time and the like
    quoted = judging.quoted(told)
    return f"the model is asked in session {request.session}, and no step answers for it; it was told {quoted}"


def question(open: Approval) -> str:
    return f"a person is asked whether {open.tool} may run: {' '.join(open.lines)}"


def words(block: Mapping[str, Any]) -> str:
    return str(block.get("text") or block.get("content") or block.get("input") or "")


def among(what: str, name: str, known: Any) -> str:
    close = near(name, list(known))
    hint = f"did you mean `{close}`?" if close else f"there are: {', '.join(known) or 'none'}"
    return f"there is no {what} `{name}`; {hint}"
