"""Questions to people, and their answers: each bound to exactly what was shown, used once, gone when late.

The law: an answer counts if it comes in time, from an approver, for a question still open, and is one
that was offered; the first such answer settles the question and no other can. What was agreed to is
compared again at the launch, and spent. `allow-always` is remembered in the Marks document
`exec-approvals`, for exact calls only, until revoked. A restart forgets every open question.
Knows no channel, and nothing of how a question is put.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Literal, TypeAlias

from openclaw import logbook
from openclaw.clock import Clock
from openclaw.errors import ApprovalError, DiskFull, StateTooNew
from openclaw.messages import Address, Answer, Approval, Asked, Settled, Step
from openclaw.names import CHANCE, Chance
from openclaw.permissions import binding, display, profiles, programs
from openclaw.permissions.decide import Attempt, Decision, Policy, Rule, label
from openclaw.permissions.policy import policy_digest
from openclaw.ports import Marks, Watcher
from openclaw.secrecy import SECRETS
from openclaw.words import dated, time_json

log = logging.getLogger(__name__)

DOCUMENT = "exec-approvals"
SPENT = "spent-approvals"  # ids of answers that were used, until they would have expired
VERSION = 1  # of that document
MOST_PENDING = 20  # open questions of one session; a flood is refused, not shown
_KEPT = 1000  # settled questions that are still known by name

Outcome: TypeAlias = Answer | Literal["expired", "cancelled"]


@dataclass(slots=True)
class _Question:
    approval: Approval
    bound: binding.Binding
    record: dict[str, Any]  # what `allow-always` would remember
    settled: asyncio.Future[Outcome] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    over: tuple[Outcome, str] | None = None  # ended while an answer was being written down; what a late one hears


@dataclass(frozen=True, slots=True)
class _Built:
    """What `build` worked out, until `ask` takes it up."""

    bound: binding.Binding
    record: dict[str, Any]


class Approvals:
    def __init__(self, marks: Marks, clock: Clock, chance: Chance = CHANCE) -> None:
        self._marks = marks
        self._chance = chance
        self._clock = clock
        self._built: OrderedDict[str, _Built] = OrderedDict()
        self._open: dict[str, _Question] = {}
        self._writing: dict[str, _Question] = {}  # those whose answer is being written down
        self._granted: OrderedDict[str, binding.Binding] = OrderedDict()
        self._settled: OrderedDict[str, str] = OrderedDict()  # what a late answer is told
        self._withdrawn: OrderedDict[str, str] = OrderedDict()  # why; only of those that were, while they were open
        self._denied: OrderedDict[tuple[str, str], str] = OrderedDict()  # a "no" holds for the session; by whom
        self._answered_by: OrderedDict[str, str] = OrderedDict()
        self._remembered: dict[str, dict[str, Any]] = {}  # by standing digest
        self._listeners: list[tuple[str, Watcher]] = []  # by the channel whose approvers they speak to

    async def open(self) -> None:
        """Reads what is remembered. An entry that cannot be read permits nothing; a document of a newer version
        raises StateTooNew and is left as it is."""
        document, _ = await self._marks.get(DOCUMENT)
        self._remembered = {entry["digest"]: entry for entry in _entries(document)}

    # ── asking ───────────────────────────────────────────────────────────────────────────────────

    def build(
        self,
        attempt: Attempt,
        decision: Decision,
        policy: Policy,
        *,
        session: str,
        sender: str,
        approvers: tuple[str, ...],
        chat: str | None = None,
        topic: str | None = None,
        there: bool = True,
    ) -> Approval:
        """The question for a decision to ask, with what its answer will be bound to."""
        now = self._clock.now()
        bound = binding.bind(attempt, decision, session)
        approval = Approval(
            id=self._chance.fresh(),
            session=session,
            agent=attempt.agent,
            tool=attempt.tool.name,
            sender=sender,
            lines=_lines(attempt, decision),
            cwd=display.escaped(str(decision.details.get("cwd", attempt.workspace))),
            reason=_why(attempt, decision),
            rules=tuple(_told(rule) for rule in decision.rules),
            approvers=approvers,
            offers=("allow-once", "allow-always", "deny") if may_be_remembered(decision) else ("allow-once", "deny"),
            digest=bound.digest,
            created=now,
            expires=now + timedelta(seconds=policy.answer_within),
            chat=chat,
            topic=topic,
            there=there,
            policy=policy_digest(policy),
        )
        self._built[approval.id] = _Built(bound, _record(attempt, decision))
        _trim(self._built)
        return approval

    async def ask(self, approval: Approval, *, announce: Callable[[Approval], None]) -> Outcome:
        """Waits for the answer. A call that was refused in this session is refused again, unasked."""
        built = self._built.pop(approval.id, None)
        if built is None or built.bound.digest != approval.digest:
            raise ApprovalError(f"approval {approval.id} was not built here, or was asked before")
        if (approval.session, approval.digest) in self._denied:
            return "deny"
        if sum(open.approval.session == approval.session for open in self._open.values()) >= MOST_PENDING:
            return "cancelled"
        question = _Question(approval, built.bound, built.record)
        self._open[approval.id] = question
        outcome: Outcome = "cancelled"
        try:
            announce(approval)
            self._tell(approval, Asked(approval))
            outcome = await self._outcome(question)
            return outcome
        finally:
            if self._open.pop(approval.id, None) is not None:
                self._note(approval.id, "was withdrawn")
            question.settled.cancel()  # nobody waits for it any more
            self._tell(approval, Settled(approval.id, outcome, self.withdrawn(approval.id)))

    async def _outcome(self, question: _Question) -> Outcome:
        approval = question.approval
        left = (approval.expires - self._clock.now()).total_seconds()
        timer: asyncio.Future[Any] = asyncio.ensure_future(self._clock.sleep(max(left, 0)))
        answered: asyncio.Future[Any] = question.settled
        try:
            await asyncio.wait({timer, answered}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
        if not question.settled.done() and self._open.pop(approval.id, None) is not None:
            self._note(approval.id, "has expired")
            return "expired"
        # Taken out by an answer that is still being written down: its outcome counts, not the time, if it fits.
        question.over = question.over or ("expired", "has expired")
        return await question.settled

    def listen(self, channel: str, watcher: Watcher) -> Callable[[], None]:
        """Tells of every question that somebody on this channel may answer, those that are open now first."""
        listener = (channel, watcher)
        self._listeners.append(listener)
        for approval in self.pending():
            if _concerns(approval, channel):
                watcher(Asked(approval))
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    def _tell(self, approval: Approval, event: Asked | Settled) -> None:
        self._log(approval, event)
        for channel, watcher in [*self._listeners]:
            if not _concerns(approval, channel):
                continue
            try:
                watcher(event)
            except Exception:
                log.exception("telling %s of approval %s failed", channel, approval.id)

    def _log(self, approval: Approval, event: Asked | Settled) -> None:
        id, tool, asked = approval.id, approval.tool, isinstance(event, Asked)
        became = "" if isinstance(event, Asked) else event.answer
        by = self.answered_by(approval) if became in ("allow-once", "allow-always", "deny") else ""
        kind = "approval asked" if asked else "approval settled"
        facts = logbook.event(kind, approval=id, tool=tool, outcome=became, by=by)
        words = "asked" if asked else f"{became} by {by}" if by else became
        log.info("approval %s of %s: %s", id, tool, words, extra=facts)

    def pending(self) -> list[Approval]:
        """Open questions, oldest first."""
        return [question.approval for question in self._open.values()]

    def cancel(self, which: Callable[[Approval], bool] = lambda _: True, *, reason: str) -> None:
        """Withdraws every open question of these; `reason` is what a late answer is told."""
        self.withdraw(lambda approval: reason if which(approval) else "")

    def withdraw(self, why: Callable[[Approval], str]) -> None:
        """Withdraws every open question that there is a reason for, which whoever asked, where it was put and a late
        answer are told; also those whose answer is being written down at this moment."""
        for id, question in list(self._open.items()):
            if reason := why(question.approval):
                del self._open[id]
                self._withdraw(id, reason)
                question.settled.set_result("cancelled")
        for id, question in self._writing.items():
            if question.over is None and (reason := why(question.approval)):
                question.over = "cancelled", f"was withdrawn: {reason}"
                self._withdrawn[id] = reason

    def _withdraw(self, id: str, reason: str) -> None:
        self._note(id, f"was withdrawn: {reason}")
        self._withdrawn[id] = reason
        _trim(self._withdrawn)

    def withdrawn(self, id: str) -> str:
        """Why the question was withdrawn; "" where it was not."""
        return self._withdrawn.get(id, "")

    # ── answering ────────────────────────────────────────────────────────────────────────────────

    async def answer(self, id: str, answer: Answer, by: Address) -> None:
        """Settles a question; raises ApprovalError and changes nothing where this answer does not count, nor where it
        raises DiskFull."""
        question = self._answerable(id, answer, by)
        # From here to the next await nobody else runs: the first answer takes the question out.
        self._writing[id] = self._open.pop(id)
        self._note(id, "was answered before")
        self._answered_by[id] = str(by)
        _trim(self._answered_by)
        try:
            if answer == "allow-always":
                await self._remember(question.record, by)
        except DiskFull:
            self._put_back(question)
            raise
        except BaseException:
            if not question.settled.done():
                question.settled.set_result("deny")
            raise
        finally:
            del self._writing[id]
        if answer != "deny" and question.over is not None and question.over[0] == "cancelled":
            await self._too_late(question, answer)
        if answer == "deny":
            self._denied[question.approval.session, question.approval.digest] = str(by)
            _trim(self._denied)
        else:
            self._granted[id] = question.bound
            _trim(self._granted)
        if not question.settled.done():
            question.settled.set_result(answer)

    def _answerable(self, id: str, answer: Answer, by: Address) -> _Question:
        """The open question; raises ApprovalError where this answer does not count."""
        question = self._open.get(id)
        if question is None:
            raise ApprovalError(f"approval {id} {self._settled.get(id, 'is not known')}")
        approval = question.approval
        if str(by) not in approval.approvers:
            raise ApprovalError(f"{by} may not answer approval {id}")
        if answer not in approval.offers:
            raise ApprovalError(f"approval {id} can be answered with: {', '.join(approval.offers)}")
        if self._clock.now() >= approval.expires:
            raise ApprovalError(f"approval {id} has expired")
        return question

    async def _too_late(self, question: _Question, answer: Answer) -> None:
        """The question was withdrawn while its answer was being written down: nothing of that counts."""
        id, digest = question.approval.id, question.record["digest"]
        self._put_back(question)
        if answer == "allow-always":
            await self._change(lambda entries: [entry for entry in entries if entry["digest"] != digest])
        raise ApprovalError(f"approval {id} {self._settled.get(id, 'is not open any more')}")

    def _put_back(self, question: _Question) -> None:
        """It may be answered again, if somebody waits for that and it did not end meanwhile."""
        if question.settled.done():
            return
        id = question.approval.id
        self._answered_by.pop(id, None)
        if question.over is not None:
            outcome, words = question.over
            self._note(id, words)
            question.settled.set_result(outcome)
        else:
            self._settled.pop(id, None)
            self._open[id] = question

    def answered_by(self, approval: Approval) -> str:
        """Who settled it, or said no to the same call before; "" where nobody did."""
        return self._answered_by.get(approval.id) or self._denied.get((approval.session, approval.digest), "")

    def forget(self, session: str) -> None:
        """The session starts afresh: its open questions are withdrawn, and what was refused in it may be asked."""
        self.cancel(lambda approval: approval.session == session, reason="the conversation was put aside")
        for key in [key for key in self._denied if key[0] == session]:
            del self._denied[key]

    async def verify(self, approval: Approval, attempt: Attempt, decision: Decision) -> str | None:
        """Spends the answer: None once, if running now is what was agreed to; else why it is not."""
        bound = self._granted.pop(approval.id, None)
        if bound is None:
            return "it was not given, or was used before"
        if bound.digest != approval.digest:
            return "it is another question now"
        if self._clock.now() >= approval.expires:
            return "it has expired"
        if not await self._spend(approval):
            return "it was used before"
        return bound.difference(binding.bind(attempt, decision, approval.session))

    async def _spend(self, approval: Approval) -> bool:
        """Writes down that the answer is used; False where that stands there already. Of two that try at the same
        time, in this process or another, one is told so by the version of the document."""
        while True:
            document, version = await self._marks.get(SPENT)
            spent = {id: at for id, at in (document or {}).items() if at > self._clock.now().isoformat()}
            if approval.id in spent:
                return False
            if await self._marks.put(SPENT, {**spent, approval.id: approval.expires.isoformat()}, version):
                return True

    def _note(self, id: str, words: str) -> None:
        self._settled[id] = words
        _trim(self._settled)

    # ── for ever ─────────────────────────────────────────────────────────────────────────────────

    def allows(self, attempt: Attempt, decision: Decision) -> Mapping[str, Any] | None:
        """What is remembered where a person has said `allow-always` to exactly this call."""
        if not self._remembered or not may_be_remembered(decision):
            return None
        return self._remembered.get(binding.standing(attempt, decision))

    async def remembered(self) -> list[dict[str, Any]]:
        """What is remembered, oldest first; `id` revokes it."""
        return [dated(entry) for entry in self._remembered.values()]

    async def revoke(self, id: str) -> None:
        if all(entry["id"] != id for entry in self._remembered.values()):
            raise ApprovalError(f"no remembered approval {id}")
        await self._change(lambda entries: [entry for entry in entries if entry["id"] != id])

    async def _remember(self, record: dict[str, Any], by: Address) -> None:
        entry = {"id": self._chance.hex(8), **record, "by": str(by), "at": time_json(self._clock.now())}
        await self._change(lambda entries: [*(e for e in entries if e["digest"] != entry["digest"]), entry])

    async def _change(self, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
        while True:
            document, version = await self._marks.get(DOCUMENT)
            entries = change(_entries(document))
            if await self._marks.put(DOCUMENT, {"version": VERSION, "approvals": entries}, version):
                self._remembered = {entry["digest"]: entry for entry in entries}
                return


def _concerns(approval: Approval, channel: str) -> bool:
    return any(approver.partition(":")[0] == channel for approver in approval.approvers)


def may_be_remembered(decision: Decision) -> bool:
    """The fixed menu of `allow-always`: exact calls of tools, exact commands that profiles hold, and templates of
    programs that run nothing else. What asks because of strangers' material asks each time."""
    if decision.refusal is not None or any(rule.when.tainted for rule in decision.rules):
        return False
    steps = decision.command.steps if decision.command is not None else ()
    held = _runs_itself if decision.details.get("template") else _is_vetted
    return all(step.program and held(step) for step in steps)


def _is_vetted(step: Step) -> bool:
    """Within its profile, which starts nothing; outside of it, a flag of the plainest program may run another."""
    known = profiles.profile(step.argv[0])
    return known is not None and isinstance(known.vet(step.argv), tuple)


def _runs_itself(step: Step) -> bool:
    """A program of the system that is no shell and the like: what those run could be exchanged under the answer."""
    return "/" not in step.argv[0] and programs.kind(step.argv[0]) is None and programs.kind(step.program) is None


def _lines(attempt: Attempt, decision: Decision) -> tuple[str, ...]:
    """The call as it is shown. Secrets go before anything is escaped or cut into lines: afterwards they look other."""
    shown = replace(attempt, input=SECRETS.mask_all(attempt.input))
    if (command := decision.command) is not None:
        steps = tuple(replace(step, argv=tuple(map(SECRETS.mask, step.argv))) for step in command.steps)
        decision = replace(decision, command=replace(command, steps=steps))
    return display.lines(shown, decision)


def _record(attempt: Attempt, decision: Decision) -> dict[str, Any]:
    return {
        "agent": attempt.agent,
        "tool": attempt.tool.name,
        "lines": list(_lines(attempt, decision)),
        "cwd": str(decision.details.get("cwd", attempt.workspace)),
        "digest": binding.standing(attempt, decision),
    }


def _entries(document: Any) -> list[dict[str, Any]]:
    written = document.get("version") if isinstance(document, dict) else None
    if isinstance(written, int) and written > VERSION:
        raise StateTooNew(
            f"{DOCUMENT}.json was written by a newer version (format {written}, this one knows {VERSION}); "
            "use that version, or choose another state folder with --state"
        )
    found = document.get("approvals") if isinstance(document, dict) else None
    entries = [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []
    return [entry for entry in entries if isinstance(entry.get("digest"), str) and isinstance(entry.get("id"), str)]


def _why(attempt: Attempt, decision: Decision) -> str:
    """Why it is asked, and what of strangers' words is in the conversation that led to it."""
    brought = f"; in this conversation: {display.escaped(attempt.untrusted)}" if attempt.untrusted else ""
    return SECRETS.mask(decision.reason + brought)


def _told(rule: Rule) -> str:
    return f"{rule.origin.file}:{rule.origin.line} {label(rule)} {rule.effect.name.lower()}"


def _trim(kept: OrderedDict[Any, Any]) -> None:
    while len(kept) > _KEPT:
        kept.popitem(last=False)
