"""One call of a tool: is it a call at all, may it be made, does a person agree, and what came of it.

The law: nothing runs that was not decided, what was decided is what runs, and the tighter of the policy the
turn began under and the policy in force now decides. Every refusal is a result that tells the model why, and
every decision and every execution is a line of the audit. No secret leaves in a result.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from openclaw.approvals import Approvals
from openclaw.clock import Clock, Waits
from openclaw.errors import DiskFull, StorageFailed, ToolError
from openclaw.inputs import completed, input_problem
from openclaw.manifest.people import Sender, approvers_of
from openclaw.manifest.snapshot import Agent, Snapshot
from openclaw.messages import (
    Approval,
    Asked,
    Call,
    Message,
    Settled,
    ToolCall,
    ToolFinished,
    ToolResult,
    ToolSpec,
    ToolStarted,
    quote_line,
)
from openclaw.outcomes import UNKNOWN, Outcomes
from openclaw.permissions import record
from openclaw.permissions.binding import bind
from openclaw.permissions.decide import Attempt, Decision, Effect, decide, unasked
from openclaw.permissions.facts import Facts
from openclaw.permissions.taint import strangers
from openclaw.ports import Audit, Begin, Tools, Watcher
from openclaw.secrecy import NOTE, SECRETS, masked
from openclaw.tighter import Both, tightest
from openclaw.transcript import Transcript
from openclaw.words import cut_to, time_json

log = logging.getLogger(__name__)

GRACE = 30.0  # seconds a tool gets beyond its own timeout before it is cut off from outside
REMEMBERED = "remembered"  # an answer that was given for ever before


@dataclass(frozen=True, slots=True)
class Scene:
    """Who calls, for whom, from where: the same for every call of a turn."""

    agent: Agent
    session: str
    message: Message
    sender: Sender
    room: str | None
    workspace: Path
    memory: str | None
    protected: tuple[Path, ...]
    heartbeat: str | None = None  # the one that rules are to see
    transcript: Transcript = field(default_factory=Transcript)  # of the session, as it grows
    others: Callable[[], Iterable[Sender]] = tuple  # who is answered with the sender by now: what one of them may not,
    # is not done
    rooms: Callable[[Snapshot], str | None] | None = None  # what the room is called in another snapshot


@dataclass(frozen=True, slots=True)
class Bench:
    """What a call is made with: the turn's own snapshot, its open tools, and the snapshot in force by now."""

    snapshot: Snapshot
    tools: Callable[[ToolSpec], Tools]
    current: Callable[[], Snapshot]
    approvals: Approvals
    facts: Facts
    clock: Clock
    reachable: Callable[[tuple[str, ...]], bool]
    audit: Audit


@dataclass(frozen=True, slots=True)
class Agreed:
    """How a person's answer came to a decision: the question's id, or that of what is remembered."""

    id: str
    answer: str
    by: str = ""


class Calls:
    def __init__(
        self,
        scene: Scene,
        bench: Bench,
        specs: tuple[ToolSpec, ...],
        tell: Watcher,
        waits: Waits | None = None,
        *,
        listed: bool = True,
    ) -> None:
        """`waits`: where the time goes in which people are waited for. `listed`: these are tools of the agent's list,
        as a heartbeat's check needs not be."""
        self._scene = scene
        self._bench = bench
        self._specs = {spec.name: spec for spec in specs}
        self._tell = tell
        self._listed = listed
        self._asking = asyncio.Lock()  # one question at a time
        self._waits = waits or Waits(bench.clock)
        self._outcomes = Outcomes(scene.agent.id, scene.session, bench.clock)

    async def perform(self, call: ToolCall, begin: Begin) -> ToolResult:
        """The call's one result. `begin` is awaited after the decision and before the effect."""
        started = self._bench.clock.monotonic()
        self._tell(ToolStarted(call, line(call)))
        try:
            name = call.name if call.name in self._specs else UNKNOWN
            result = await self._outcomes.told(name, call.id, self._perform(call, begin))
        except (asyncio.CancelledError, StorageFailed):
            raise
        except DiskFull as error:  # that it was agreed to could not be noted; its intent would have been waited for
            result = ToolResult(f"not run: {error}", is_error=True)
        except Exception as error:
            log.exception("calling %s failed", call.name)
            result = ToolResult(f"the call failed inside the runtime: {type(error).__name__}", is_error=True)
        self._tell(ToolFinished(call, result, self._bench.clock.monotonic() - started))
        return result

    def has(self, tool: str) -> bool:
        return tool in self._specs

    def free(self, call: ToolCall) -> bool:
        """Whether this call would be made as it stands, without anybody being asked."""
        spec = self._specs.get(call.name)
        if spec is None:
            return False
        return self._decided(self._attempt(spec, completed(spec, call.input))).effect is Effect.ALLOW

    async def check(self, call: ToolCall, secrets: tuple[str, ...] = ()) -> ToolResult:
        """A call that no model made and nobody is asked about: what is not allowed as it stands does not run.
        `secrets` are of its input, and are in nothing that comes of it."""
        result = await self._outcomes.told(call.name, call.id, self._checked(call, secrets))
        plain = None if result.plain is None else masked(result.plain, secrets)
        return replace(result, text=masked(result.text, secrets), plain=plain)

    async def _checked(self, call: ToolCall, secrets: tuple[str, ...]) -> ToolResult:
        spec, input = self._specs[call.name], completed(self._specs[call.name], call.input)
        if wrong := input_problem(spec, input, secrets):
            return self._unmade(call, f"not run: {wrong}")
        attempt, under = self._attempt(spec, input), self._bench.current()
        decision = await self._decide(attempt)
        if decision.effect is not Effect.ALLOW:
            return self._unallowed(attempt, decision, call.id)
        self._note_decided(attempt, decision, call.id)
        await self._bench.audit.written()  # as an intent would be, which a check has none of
        decision = await self._by_now(attempt, decision, under, None)
        if decision.effect is not Effect.ALLOW:
            return self._unallowed(attempt, decision, call.id)
        try:
            return _masked(await self._run(spec, attempt, decision, call.id, secrets, check=True))
        except (asyncio.CancelledError, StorageFailed):
            raise
        except Exception as error:  # its words may quote the input
            log.error("the check %s failed: %s", call.name, type(error).__name__, exc_info=not secrets)
            return ToolResult(f"it failed inside the runtime: {type(error).__name__}", is_error=True)

    def _unallowed(self, attempt: Attempt, decision: Decision, id: str) -> ToolResult:
        why = f"it is not allowed without asking ({decision.reason})"
        self._note_decided(attempt, replace(decision, effect=Effect.DENY, reason=why), id)
        return ToolResult(SECRETS.mask(f"not run: {why}"), is_error=True)

    async def _perform(self, call: ToolCall, begin: Begin) -> ToolResult:
        spec = self._specs.get(call.name)
        if spec is None:
            known = ", ".join(sorted(self._specs)) or "none"
            return self._unmade(call, f"there is no tool `{call.name}`; there are: {known}")
        input = completed(spec, call.input)
        if wrong := input_problem(spec, input):
            return self._unmade(call, f"not run: {wrong}")
        attempt, under = self._attempt(spec, input), self._bench.current()
        decision, agreed = await self._permitted(attempt, await self._decide(attempt), call.id)
        self._note_decided(attempt, decision, call.id, agreed)
        if decision.effect is Effect.DENY:
            return _refused(decision)
        await begin()
        decision = await self._by_now(attempt, decision, under, agreed)
        if decision.effect is Effect.DENY:
            self._note_decided(attempt, decision, call.id, agreed)
            return _refused(decision)
        result = await self._run(spec, attempt, decision, call.id)
        shown = _masked(result)
        same = (shown.text, shown.plain) == (result.text, result.plain)
        return shown if same else replace(shown, text=f"{shown.text}\n{NOTE}")

    # ── may it ───────────────────────────────────────────────────────────────────────────────────

    def _attempt(self, spec: ToolSpec, input: Mapping[str, Any]) -> Attempt:
        scene = self._scene
        return Attempt(
            tool=spec,
            input=input,
            agent=scene.agent.id,
            sender=str(scene.sender.address),
            person=scene.sender.person,
            groups=scene.sender.groups,
            channel=scene.sender.address.channel,
            room=scene.room,
            heartbeat=scene.heartbeat,
            workspace=scene.workspace,
            protected=scene.protected,
            now=self._bench.clock.now().isoformat(),
            untrusted=scene.transcript.untrusted,
        )

    async def _decide(self, attempt: Attempt) -> Decision:
        """Of commands beside the loop: the walls may have to be tried out first, and the workspace be searched."""
        if attempt.tool.kind == "shell":
            return await asyncio.to_thread(self._decided, attempt)
        return self._decided(attempt)

    @property
    def _both(self) -> Both:
        return Both(self._scene.agent, self._bench.snapshot, self._bench.current())

    def _decided(self, attempt: Attempt) -> Decision:
        """Under the snapshot the turn began with and under the one in force; the stricter of the two holds, and of
        equals that of the one in force: a person is asked by the policy that is known as theirs now."""
        both, scene = self._both, self._scene
        if away := both.away(attempt.tool, listed=self._listed):
            return Decision(Effect.DENY, away)
        narrowed = both.narrowed(attempt.tool)
        if narrowed and (wrong := input_problem(narrowed, completed(narrowed, attempt.input))):
            return Decision(Effect.DENY, f"the tool was edited while this ran: {wrong}")
        asked = [attempt, *(_by(other, attempt) for other in scene.others())]
        rooms = scene.rooms or (lambda snapshot: scene.room)
        found = [decide(*each, self._bench.facts) for one in asked for each in both.judged(one, rooms)]
        return tightest(found)

    async def _by_now(self, attempt: Attempt, decision: Decision, under: Snapshot, agreed: Agreed | None) -> Decision:
        """The decision as it is at the very moment of the effect. An edit may have come since it was first looked for
        `under` a snapshot: while a person, the disk or the walls were waited for."""
        while (now := self._bench.current()) is not under:
            under, again = now, await self._decide(attempt)
            decision = self._overtaken(attempt, decision, again, agreed)
            if decision.effect is Effect.DENY:
                break
        return decision

    def _overtaken(self, attempt: Attempt, decision: Decision, again: Decision, agreed: Agreed | None) -> Decision:
        if again.effect is Effect.DENY:
            return again
        if agreed is not None and agreed.answer != REMEMBERED:
            session = self._scene.session
            differs = bind(attempt, decision, session).difference(bind(attempt, again, session))
            return self._agreed(agreed, differs, again)
        if again.effect is Effect.ALLOW or self._remembered(attempt, again) is not None:
            return replace(again, effect=Effect.ALLOW)
        why = f"{again.reason}; the manifests were edited at this moment, so call it again and a person is asked"
        return replace(again, effect=Effect.DENY, reason=why)

    async def _permitted(self, attempt: Attempt, decision: Decision, id: str) -> tuple[Decision, Agreed | None]:
        """The decision with nothing left to be asked, and the answer that it rests on."""
        if decision.effect is not Effect.ASK:
            return decision, None
        agreed = self._remembered(attempt, decision)
        if agreed is not None:
            return replace(decision, effect=Effect.ALLOW), agreed
        return await self._ask(attempt, decision, id)

    def _remembered(self, attempt: Attempt, decision: Decision) -> Agreed | None:
        """What somebody agreed to for ever, who may agree to it still."""
        found = self._bench.approvals.allows(attempt, decision)
        if found is None or found.get("by") not in approvers_of(self._scene.agent.id, self._bench.current()):
            return None
        return Agreed(str(found["id"]), REMEMBERED, str(found["by"]))

    async def _ask(self, attempt: Attempt, decision: Decision, id: str) -> tuple[Decision, Agreed | None]:
        """Puts the question to a person. What comes back allows or denies, and carries what was agreed to."""
        bench, both = self._bench, self._both
        if both.gone:
            return replace(decision, effect=Effect.DENY, reason=f"{both.gone}, and nobody is asked for it"), None
        approvers = approvers_of(self._scene.agent.id, both.now)
        if not bench.reachable(approvers):
            return unasked(decision), None
        approval = bench.approvals.build(
            attempt,
            decision,
            both.policy,
            session=self._scene.session,
            sender=str(self._scene.sender.address),
            approvers=approvers,
            chat=self._scene.message.chat,
            topic=self._scene.message.topic,
            there=self._scene.message.can_ask,
        )
        async with self._asking:
            if bench.current() is both.now:
                self._note_decided(attempt, decision, id, asked=approval)
                return await self._answered(attempt, decision, approval)
        return await self._permitted(attempt, await self._decide(attempt), id)  # edited before it could be put

    async def _answered(self, attempt: Attempt, decision: Decision, approval: Approval) -> tuple[Decision, Agreed]:
        approvals = self._bench.approvals
        with self._waits.waiting():
            answer = await approvals.ask(approval, announce=lambda asked: self._tell(Asked(asked)))
        why = approvals.withdrawn(approval.id)
        self._tell(Settled(approval.id, answer, why))
        agreed = Agreed(approval.id, answer, approvals.answered_by(approval))
        if answer not in ("allow-once", "allow-always"):
            return replace(decision, effect=Effect.DENY, reason=_declined(answer, why)), agreed
        again = await self._decide(attempt)
        differs = await approvals.verify(approval, attempt, again)
        return self._agreed(agreed, differs, again), agreed

    def _agreed(self, agreed: Agreed, differs: str | None, again: Decision) -> Decision:
        """What a person agreed to runs only if nothing about it has changed since they were asked."""
        if again.effect is Effect.DENY:
            return again
        if agreed.by not in approvers_of(self._scene.agent.id, self._bench.current()):
            differs = self._both.gone or f"{agreed.by} may not answer for agent `{self._scene.agent.id}` any more"
        if differs:
            return replace(again, effect=Effect.DENY, reason=f"approval {agreed.id} no longer fits: {differs}")
        return replace(again, effect=Effect.ALLOW)

    # ── write it down ────────────────────────────────────────────────────────────────────────────

    def _note_decided(
        self,
        attempt: Attempt,
        decision: Decision,
        id: str,
        agreed: Agreed | None = None,
        asked: Approval | None = None,
    ) -> None:
        """One place for all: calls of models and of heartbeats' checks, asked, allowed and denied."""
        found = record.decided(attempt, decision, self._scene.session)
        if agreed is not None:
            found["approval"] = {"id": agreed.id, "answer": agreed.answer, "by": agreed.by}
        if asked is not None:
            found["approval"] = {"id": asked.id, "approvers": list(asked.approvers)}
        who = record.call(attempt, self._scene.session, id)
        self._outcomes.decided(id, found["decision"], agreed.answer if agreed else "")
        self._outcomes.judged(attempt.tool.name, id, found["decision"], found["rules"])
        self._note("decided" if asked is None else "asked", {**who, **found})

    def _unmade(self, call: ToolCall, why: str) -> ToolResult:
        scene = self._scene
        who = {"session": scene.session, "agent": scene.agent.id, "sender": str(scene.sender.address)}
        self._outcomes.unmade(call.name if call.name in self._specs else UNKNOWN, call.id)
        self._note("decided", {**who, "call": call.id, "tool": call.name, **record.unmade(call, why)})
        return ToolResult(SECRETS.mask(why), is_error=True)

    def _note_ran(self, attempt: Attempt, id: str, began: float, outcome: str, size: int = 0) -> None:
        seconds = round(self._bench.clock.monotonic() - began, 3)
        self._outcomes.ran(id, outcome)
        who = record.call(attempt, self._scene.session, id)
        self._note("ran", {**who, "outcome": outcome, "seconds": seconds, "characters": size})

    def _note(self, type: str, found: Mapping[str, Any]) -> None:
        at = time_json(self._bench.clock.now())
        # What is secret goes first: half of it, left by a cut, is known by nobody for what it is.
        self._bench.audit.note(record.shortened(SECRETS.mask_all({"at": at, "type": type, **found})))

    # ── do it ────────────────────────────────────────────────────────────────────────────────────

    async def _run(
        self,
        spec: ToolSpec,
        attempt: Attempt,
        decision: Decision,
        id: str,
        secrets: tuple[str, ...] = (),
        *,
        check: bool = False,
    ) -> ToolResult:
        scene = self._scene
        call = Call(
            agent=scene.agent.id,
            session=scene.session,
            sender=str(scene.sender.address),
            workspace=scene.workspace,
            id=id,
            command=decision.command,
            memory=scene.memory,
            chat=scene.message.chat,
            topic=scene.message.topic,
            untrusted=attempt.untrusted,
            check=check,
            secrets=secrets,
        )
        began, outcome, result = self._bench.clock.monotonic(), "broken off", None
        try:
            outcome, result = await self._ended(spec, attempt.input, call)
        finally:
            self._note_ran(attempt, id, began, outcome, len(result.text) if result else 0)
        return replace(result, untrusted=result.untrusted or strangers(attempt, decision))

    async def _ended(self, spec: ToolSpec, input: Mapping[str, Any], call: Call) -> tuple[str, ToolResult]:
        try:
            async with asyncio.timeout(spec.timeout + GRACE):
                result = await self._bench.tools(spec).run(spec.name, input, call)
        except TimeoutError:
            text = f"{spec.name} did not end within {spec.timeout:g} s and was cut off"
            return "cut off", ToolResult(text, is_error=True)
        except ToolError as error:
            return "failed", ToolResult(str(error), is_error=True)
        return "failed" if result.is_error else "done", result


def _by(other: Sender, attempt: Attempt) -> Attempt:
    """The same attempt, made for somebody else."""
    address = other.address
    return replace(attempt, sender=str(address), person=other.person, groups=other.groups, channel=address.channel)


def _masked(result: ToolResult) -> ToolResult:
    plain = None if result.plain is None else SECRETS.mask(result.plain)
    return replace(result, text=SECRETS.mask(result.text), plain=plain)


def _refused(decision: Decision) -> ToolResult:
    return ToolResult(SECRETS.mask(f"refused: {decision.reason}"), is_error=True)


def _declined(answer: str, why: str) -> str:
    return {
        "deny": "the person said no; do not try it again in another way",
        "expired": "nobody answered in time, which counts as no",
    }.get(answer, f"the question was withdrawn{f': {why}' if why else ''}")


def line(call: ToolCall) -> str:
    """One line for a person: the tool and the gist of its arguments, at most 200 characters; secrets are struck out."""
    values = list(call.input.values()) if isinstance(call.input, Mapping) else [call.input]
    gist = values[0] if len(values) == 1 and isinstance(values[0], str) else json.dumps(call.input, ensure_ascii=False)
    return cut_to(quote_line(SECRETS.mask(f"{call.name}  {gist}")), 200)
