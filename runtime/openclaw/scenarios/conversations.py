"""A conversation, step by step, through a whole runtime: what people say, what the model is made to answer, what must
come of it.

The law: nothing waits and nothing is guessed. Each step begins when all that the one before led to has happened. The
model says what the steps give it, in their order, and a step that nothing asked for fails where it stands. What was
said or asked and no step expects fails at the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from openclaw.attempts import ASKED, Attempt
from openclaw.durations import seconds
from openclaw.errors import ApprovalError
from openclaw.manifest.diagnostic import Span
from openclaw.manifest.people import sender
from openclaw.messages import Address, Answered, Approval, Finished, Message, Progress, Refused, Text, ToolResult
from openclaw.providers.steps import Answer, Steps
from openclaw.reading import Reading
from openclaw.scenarios import lives
from openclaw.scenarios.document import Conversation, Correction, Failure, Outcome, Place, Step, Used
from openclaw.scenarios.expectations import held
from openclaw.scenarios.files import Files
from openclaw.scenarios.lives import Ended, Lives
from openclaw.scenarios.routes import ways
from openclaw.scenarios.situation import Loose, Situation, Unmet, among, asked
from openclaw.scenarios.stage import Said, Stage
from openclaw.scenarios.standstill import StandstillLoop, Stuck
from openclaw.scenarios.world import Impossible, standing, unheard

NOW: Final = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
"""What time it is where none is given: a Monday morning."""


MOST_RUNS: Final = 10_000  # of heartbeats that are counted


def run_conversation(project: Reading, case: Conversation) -> Outcome:
    """`project` is sound, and nobody looked at the environment when it was compiled. Waits for nothing."""
    steps, complaints = Steps(), list[str]()
    files, stage = Files(project, steps), Stage(_results(case.tools))
    with lives.folder() as folder, closing(StandstillLoop()) as loop:
        living = Lives(files, stage, loop, case.given.now or NOW, folder)
        course = _Course(case, files, Situation(stage, steps, living), complaints)
        try:
            lives.run(loop, course.run(), complaints)
        except Stuck as stuck:
            course.fail(course.span, "the step to end", str(stuck))
    return course.outcome()


@dataclass(slots=True, eq=False)
class _Course:
    case: Conversation
    files: Files
    now: Situation
    complaints: list[str]
    failures: list[Failure] = field(default_factory=list)
    corrections: list[Correction] = field(default_factory=list)
    at: int = 0  # the number of the step
    posted: int = 0
    ways: set[str] = field(default_factory=set)
    rules: set[tuple[str, int, int]] = field(default_factory=set)  # that had decided before the first edit

    @property
    def step(self) -> Step:
        return self.case.steps[min(self.at, len(self.case.steps) - 1)]

    @property
    def span(self) -> Span:
        return self.step.span

    def outcome(self) -> Outcome:
        used = Used(frozenset(self.ways), frozenset(self.rules if self.files.edits else self._decided()))
        failures, corrections = tuple(self.failures), tuple(self.corrections)
        return Outcome("conversations", self.case.name, self.case.span, failures, corrections, used)

    def _decided(self) -> set[tuple[str, int, int]]:
        snapshot = self.files.base.compiled.snapshot
        return {*self.now.rules(snapshot)} if snapshot is not None else set()

    def fail(self, span: Span, expected: str, *got: str) -> None:
        self.failures.append(Failure(span, (expected,), got))

    async def run(self) -> None:
        try:
            await self.now.lives.begin()
            while self.at < len(self.case.steps):
                await self._take(self.step)
                self._mind_troubles()
                self.at += 1
            await self._close()
        except Unmet as unmet:
            self.fail(self._at(unmet.path) if unmet.path else self.span, unmet.expected, *unmet.got)
        except (Ended, Impossible) as error:
            self.fail(self.span, "the step to be possible", str(error))
        finally:
            await self.now.lives.end()
            self.ways |= await self._beaten()

    async def _beaten(self) -> set[str]:
        """The heartbeats that ran, by the names that coverage knows."""
        runs = await self.now.lives.store.marks.runs(None, MOST_RUNS, ran=True)
        return {f"heartbeat {run.schedule}" for run in runs}

    async def _take(self, step: Step) -> None:
        if step.kind == "expect":
            self._expect(step.value)
            return
        self._nothing_loose()
        match step.kind:
            case "user":
                await self._user(step.value)
            case "model":
                await self._model(step.value)
            case "approve":
                await self._approve(step.value)
            case "heartbeat":
                await self._heartbeat(step.value)
            case "advance":
                await self._advance(seconds(step.value) or 0.0)
            case "restart":
                await self._restart(step.value)
            case "reload":
                await self._reload(step.value)

    def _at(self, path: tuple[str | int, ...]) -> Span:
        """The place of a value below the step."""
        return self.case.at("steps", self.step.path[-1], *path)

    def _expect(self, expect: Mapping[str, Any]) -> None:
        for wrong in held(expect, self.now):
            self.fail(self._at(wrong.path), wrong.expected, wrong.got)
            if wrong.corrected is not None:
                self.corrections.append(Correction((*self.step.path, *wrong.path), wrong.corrected))
        self._nothing_loose()

    def _nothing_loose(self) -> None:
        loose, self.now.loose = self.now.loose, None
        if loose is not None and not loose.sound:
            self.at = loose.step
            expected = f"this to succeed, or `expect: {{{loose.key}: {loose.value}}}` behind it"
            raise Unmet(expected, f"{loose.value}: {loose.words}")

    def _mind_troubles(self) -> None:
        if troubles := self.now.stage.troubles:
            raise Unmet("a result for every call", *troubles)
        if self.complaints:
            raise Unmet("a runtime without errors of its own", *self.complaints)

    async def _close(self) -> None:
        """Nothing is left that nobody expected, and nobody waits in line behind a question that may stay open."""
        self.at = len(self.case.steps) - 1
        self._nothing_loose()
        if left := self.now.left():
            raise Unmet("nothing to be left at the end that no step expects", *left)
        if count := await self.now.lives.store.inbox.waiting():
            words = "a message waits" if count == 1 else f"{count} messages wait"
            raise Unmet("every message to be answered at the end", f"{words} behind what is still open")

    # ── what happens ─────────────────────────────────────────────────────────────────────────────

    async def _user(self, value: str | Mapping[str, Any]) -> None:
        given: Mapping[str, Any] = {"text": value} if isinstance(value, str) else value
        place = Place(given.get("from"), given.get("channel"), given.get("room"), given.get("chat"))
        who = standing(place, self.case.given, self.now.snapshot)
        post = self.now.stage.posts.get(who.sender.channel)
        if post is None:
            raise Unmet(f"channel {who.sender.channel} to take part", self._off(who.sender.channel))
        self.now.mark()
        self.posted += 1
        message = Message(
            id=f"step-{self.posted}",
            sender=who.sender,
            parts=(Text(given["text"]),),
            at=self.now.lives.clock.now(),
            name=sender(who.sender, self.now.snapshot).person or who.sender.id,
            chat=who.chat,
            agent=given.get("agent", self.case.given.agent),
            agents=who.agents,
            untrusted="strangers' material that is given" if self.case.given.tainted else "",
        )
        self.ways |= {*ways(message, self.now.lives.app.sessions.routed(message), self.now.snapshot)}
        taken = await post(message)
        if isinstance(taken, Answered):
            self.now.stage.said.append(Said(taken.text, who.sender, who.chat))
        elif isinstance(taken, Refused):
            self._refused(taken.code, taken.reason)
        await self.now.lives.rest()

    def _refused(self, code: str, why: str) -> None:
        self.now.loose = Loose(self.at, "refused", code, why)

    def _off(self, channel: str) -> str:
        states = self.now.lives.app.roll.states
        return f"it is {states[channel]}" if channel in states else among("channel", channel, states)

    async def _model(self, value: str | Mapping[str, Any]) -> None:
        answer, waiting = _answer(value), self.now.steps.waiting
        if not waiting:
            raise Unmet("the model to be asked", *self.now.going_on())
        known = [spec.name for spec in waiting[0].request.tools]
        for tool, _ in answer.calls:
            if tool not in known:
                raise Unmet("calls of tools that the model has", among("tool", tool, known), path=("model", "calls"))
        self.now.steps.give(answer)
        await self.now.lives.rest()

    async def _approve(self, value: Mapping[str, Any]) -> None:
        questions = self.now.questions()
        if not questions:
            raise Unmet("an open question", *self.now.going_on())
        id, by = questions[0].id, self._by(value["by"], questions[0])
        if why := unheard(by, self.now.snapshot):
            self._refused("approval", why)
            return
        try:
            await self.now.lives.app.desk.answer(id, value["decision"], by)
        except ApprovalError as error:
            self._refused("approval", str(error).replace(f"approval {id}", "this question"))
        await self.now.lives.rest()

    def _by(self, who: str, question: Approval) -> Address:
        """A person answers with an id that counts, if they have one."""
        if ":" in who:
            return Address.parse(who)
        people = self.now.snapshot.people
        if who not in people:
            raise Unmet("a person who answers", among("person", who, people), path=("approve", "by"))
        ids = sorted(people[who].ids, key=lambda id: unheard(id, self.now.snapshot) != "")
        return next((id for id in ids if str(id) in question.approvers), ids[0])

    async def _heartbeat(self, name: str) -> None:
        beats = self.now.lives.app.heartbeats.all()
        if name not in beats:
            raise Unmet("a heartbeat that runs", among("heartbeat", name, beats))
        self.now.mark()
        desk, said = self.now.lives.app.desk, self.now.stage.said

        def hears(event: Progress) -> None:
            """Whoever runs one sees it fail; nobody else is told."""
            if isinstance(event, Finished) and event.reply.failed:
                said.append(Said.of(event.reply))

        taken = await desk.run_heartbeat(name)
        if isinstance(taken, Refused):
            self._refused(taken.code, taken.reason)
        else:
            desk.watch(taken.id, hears)
        await self.now.lives.rest()

    async def _advance(self, seconds: float) -> None:
        """What the model is asked meanwhile, the `model` steps behind this one answer at once."""
        steps, behind = self.now.steps, self.case.steps[self.at + 1 :]
        count = next((number for number, step in enumerate(behind) if step.kind != "model"), len(behind))
        if not self.now.busy:
            self.now.mark()
        before, waiting = len(steps.asked), {one.request.session for one in steps.waiting}
        steps.ahead.extend(_answer(step.value) for step in behind[:count])
        await self.now.lives.rest(seconds)
        used = count - len(steps.ahead)
        steps.ahead.clear()
        # What waited already may be asked anew, or another model in its place: that is what waiting comes to.
        more = [request for request in steps.asked[before + used :] if request.session not in waiting]
        if more:
            raise Unmet("a `model` step behind this one each time the model is asked meanwhile", asked(more[0]))
        self.at += used

    async def _restart(self, how: bool | Mapping[str, Any]) -> None:
        value: Mapping[str, Any] = how if isinstance(how, Mapping) else {}
        if value.get("crash"):
            await self.now.lives.crash()
        else:
            await self.now.lives.end()
        if down := value.get("down"):
            await self.now.lives.rest(seconds(down) or 0.0)
        await self.now.lives.begin()

    async def _reload(self, edits: Mapping[str, str | None]) -> None:
        if not self.files.edits:  # rules that decide from now on may stand elsewhere
            self.rules = self._decided()
        self.files.edits.update(edits)
        attempt = await self.now.lives.app.reload.attempt(ASKED)  # a step writes whole files
        await self.now.lives.rest()
        sound = attempt.outcome == "applied"
        self.now.loose = Loose(self.at, "reload", attempt.outcome, _words(attempt), sound)


def _results(tools: Mapping[str, Any]) -> Mapping[str, Sequence[ToolResult]]:
    """What is laid out for tools, as they would give it."""
    return {name: [*map(_result, given if isinstance(given, list) else [given])] for name, given in tools.items()}


def _result(given: str | Mapping[str, Any]) -> ToolResult:
    return ToolResult(given) if isinstance(given, str) else ToolResult(given["text"], given.get("error", False))


def _answer(value: str | Mapping[str, Any]) -> Answer:
    if isinstance(value, str):
        return Answer(value)
    calls = tuple((tool, input) for call in value.get("calls", ()) for tool, input in call.items())
    return Answer(value.get("text", ""), calls, value.get("fault"))


def _words(attempt: Attempt) -> str:
    errors = [one for one in attempt.diagnostics if one.severity == "error"]
    told = [f"{one.file}:{one.line}:{one.column}: {one.message}" for one in errors]
    return "; ".join([attempt.error, *told] if attempt.error else told)
