"""Approvals: answered once, in time, by an approver; bound to what was shown; remembered only where that is safe."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from openclaw.approvals import DOCUMENT, MOST_PENDING, Approvals, may_be_remembered
from openclaw.clock import ManualClock, settle
from openclaw.errors import ApprovalError, DiskFull, StateTooNew
from openclaw.messages import Address, Answer, Approval, ToolSpec
from openclaw.permissions.decide import Attempt, Condition, Decision, Effect, Policy, Rule, decide
from openclaw.permissions.facts import Disk
from openclaw.permissions.template import Template, compile_template
from openclaw.stores.volatile import Marks, Store
from openclaw.words import time_json

RUN = ToolSpec("run_command", "", {"properties": {}}, "shell", judged={"command": "command", "cwd": "path"})
FOLDERS = "/usr/local/bin:/usr/bin:/bin"
REFUND = ToolSpec("refund", "", {"properties": {}}, "python", {"reference": "desk:refund"})
POLICY = Policy("careful", answer_within=300)
NADER = Address("telegram", "1")
ANA = Address("discord", "2")


class Desk:
    """Approvals over a store in memory, with a clock that is moved by hand."""

    def __init__(self, workspace: Path) -> None:
        self.clock = ManualClock(datetime(2026, 11, 23, 12, tzinfo=UTC))
        self.store = Store("", self.clock)
        self.approvals = Approvals(self.store.marks, self.clock)
        self.workspace = workspace
        self.shown: list[Approval] = []

    def attempt(self, command: str = "sort -o b a", **input: Any) -> Attempt:
        return Attempt(RUN, {"command": command, **input}, "main", "repl:local", workspace=self.workspace)

    def decide(self, attempt: Attempt, policy: Policy = POLICY) -> Decision:
        return decide(attempt, policy, Disk())

    def build(self, attempt: Attempt, policy: Policy = POLICY, session: str = "s") -> Approval:
        return self.approvals.build(
            attempt,
            self.decide(attempt, policy),
            policy,
            session=session,
            sender="repl:local",
            approvers=(str(NADER), str(ANA)),
        )

    def ask(self, approval: Approval) -> asyncio.Task[str]:
        return asyncio.ensure_future(self.approvals.ask(approval, announce=self.shown.append))

    async def granted(self, attempt: Attempt, answer: Answer = "allow-once", policy: Policy = POLICY) -> Approval:
        approval = self.build(attempt, policy)
        asking = self.ask(approval)
        await settle()
        await self.approvals.answer(approval.id, answer, NADER)
        assert await asking == answer
        return approval


def scene(play: Callable[[Desk], Awaitable[None]], workspace: Path) -> None:
    async def run() -> None:
        desk = Desk(workspace)
        await desk.store.open()
        await desk.approvals.open()
        await play(desk)
        await desk.store.close()

    asyncio.run(run())


# ── one question, one answer ─────────────────────────────────────────────────────────────────────


def test_a_question_is_shown_answered_and_gone(tmp_path: Path) -> None:
    async def play(desk: Desk) -> None:
        approval = desk.build(desk.attempt())
        asking = desk.ask(approval)
        await settle()
        assert desk.shown == [approval] == desk.approvals.pending()
        await desk.approvals.answer(approval.id, "allow-once", NADER)
        assert await asking == "allow-once"
        assert desk.approvals.pending() == []

    scene(play, tmp_path)


def test_ids_are_long_and_never_the_same(tmp_path: Path) -> None:
    async def play(desk: Desk) -> None:
        ids = {desk.build(desk.attempt()).id for _ in range(100)}
        assert len(ids) == 100
        assert all(len(bytes.fromhex(id)) == 16 for id in ids)

    scene(play, tmp_path)


def test_an_answer_counts_once(tmp_path: Path) -> None:
    async def play(desk: Desk) -> None:
        approval = await desk.granted(desk.attempt())
        with pytest.raises(ApprovalError, match="was answered before"):
            await desk.approvals.answer(approval.id, "allow-once", ANA)

    scene(play, tmp_path)


@pytest.mark.parametrize("trials", [50, pytest.param(1000, marks=pytest.mark.slow)])
def test_two_channels_at_once_settle_it_once_in_a_thousand_trials(tmp_path: Path, trials: int) -> None:
    async def trial(desk: Desk, number: int) -> None:
        attempt = desk.attempt(f"sort -o b a{number}")
        approval = desk.build(attempt)
        asking = desk.ask(approval)
        await asyncio.sleep(0)
        answers: list[tuple[Answer, Address]] = [("allow-once", NADER), ("deny" if number % 2 else "allow-once", ANA)]
        if number % 3 == 0:
            answers.reverse()
        outcomes = await asyncio.gather(
            *(desk.approvals.answer(approval.id, answer, by) for answer, by in answers), return_exceptions=True
        )
        assert [type(outcome) for outcome in outcomes].count(ApprovalError) == 1
        winner = answers[[outcome is None for outcome in outcomes].index(True)][0]
        assert await asking == winner
        runs = [await desk.approvals.verify(approval, attempt, desk.decide(attempt)) for _ in range(2)]
        assert runs.count(None) == (1 if winner == "allow-once" else 0)

    async def play(desk: Desk) -> None:
        for number in range(trials):
            await trial(desk, number)

    scene(play, tmp_path)


def test_only_approvers_answer_only_what_is_offered(tmp_path: Path) -> None:
    async def play(desk: Desk) -> None:
        approval = desk.build(desk.attempt("make"))
        asking = desk.ask(approval)
        await settle()
        for by in (
            Address("telegram", "12"),
            Address("repl", "local"),
            Address("http", "1"),
            Address("telegram", "@nader"),
        ):
            with pytest.raises(ApprovalError, match="may not answer"):
                await desk.approvals.answer(approval.id, "allow-once", by)
        for answer in ("allow-always", "yes", ""):
            with pytest.raises(ApprovalError, match="can be answered with: allow-once, deny"):
                await desk.approvals.answer(approval.id, answer, NADER)  # type: ignore[arg-type]
        with pytest.raises(ApprovalError, match="not known"):
            await desk.approvals.answer("0" * 32, "allow-once", NADER)
        assert desk.approvals.pending() == [approval]
        await desk.approvals.answer(approval.id, "deny", ANA)
        assert await asking == "deny"

    scene(play, tmp_path)


def test_silence_is_no(tmp_path: Path) -> None:
    async def play(desk: Desk) -> None:
        approval = desk.build(desk.attempt())
        asking = desk.ask(approval)
        await settle()
        await desk.clock.advance(299)
        assert not asking.done()
        await desk.clock.advance(1)
        assert await asking == "expired"
        with pytest.raises(ApprovalError, match="has expired"):
            await desk.approvals.answer(approval.id, "allow-once", NADER)
        assert await desk.approvals.verify(approval, desk.attempt(), desk.decide(desk.attempt())) is not None

    scene(play, tmp_path)


def test_an_answer_after_its_time_by_the_wall_clock_does_not_count(tmp_path: Path) -> None:
    async def play(desk: Desk) -> None:
        approval = desk.build(desk.attempt())
        asking = desk.ask(approval)
        await settle()
        desk.clock.jump(301)
        with pytest.raises(ApprovalError, match="has expired"):
            await desk.approvals.answer(approval.id, "allow-once", NADER)
        await desk.clock.advance(300)
        assert await asking == "expired"

    scene(play, tmp_path)


def test_an_answer_at_the_very_end_of_its_time_does_not_count_and_one_before_does(tmp_path: Path) -> None:
    async def play(desk: Desk) -> None:
        for seconds, counts in ((300.0, False), (299.999, True)):
            approval = desk.build(desk.attempt())
            asking = desk.ask(approval)
            await settle()
            desk.clock.jump(seconds)
            if counts:
                await desk.approvals.answer(approval.id, "allow-once", NADER)
                assert await asking == "allow-once"
                desk.clock.jump(0.001)
                late = await desk.approvals.verify(approval, desk.attempt(), desk.decide(desk.attempt()))
                assert late == "it has expired"
            else:
                with pytest.raises(ApprovalError, match="has expired"):
                    await desk.approvals.answer(approval.id, "allow-once", NADER)
                await desk.clock.advance(300)
                assert await asking == "expired"

    scene(play, tmp_path)


class Crowded(Marks):
    """On a disk that is full until `room` is set; it takes a while to find that out."""

    def __init__(self, store: Store) -> None:
        super().__init__(store.inbox)
        self.room, self.found = False, asyncio.Event()

    async def put(self, name: str, document: Any, version: int) -> bool:
        if not self.room:
            await self.found.wait()
            raise DiskFull("the disk is full")
        return await super().put(name, document, version)


async def refused_for_want_of_room(desk: Desk, meanwhile: Callable[[asyncio.Task[str]], Awaitable[None]]) -> Approval:
    """A question whose answer did not fit on the disk, which was found out after `meanwhile`, told of who asks."""
    marks = Crowded(desk.store)
    desk.approvals = Approvals(marks, desk.clock)
    approval = desk.build(desk.attempt("sort b a"))
    asking = desk.ask(approval)
    await settle()
    answering = asyncio.ensure_future(desk.approvals.answer(approval.id, "allow-always", NADER))
    await settle()
    assert desk.approvals.pending() == []
    await meanwhile(asking)
    marks.found.set()
    with pytest.raises(DiskFull):
        await answering
    marks.room = True
    return approval


def test_an_answer_that_does_not_fit_on_the_disk_leaves_its_question_open(tmp_path: Path) -> None:
    async def play(desk: Desk) -> None:
        asked: list[asyncio.Task[str]] = []

        async def nothing(asking: asyncio.Task[str]) -> None:
            asked.append(asking)

        approval = await refused_for_want_of_room(desk, nothing)
        assert desk.approvals.pending() == [approval] and desk.approvals.answered_by(approval) == ""
        await desk.approvals.answer(approval.id, "allow-always", ANA)
        assert await asked[0] == "allow-always" and desk.approvals.answered_by(approval) == str(ANA)

    scene(play, tmp_path)


def test_it_is_not_open_any_more_when_it_ended_meanwhile_or_nobody_waits_for_it(tmp_path: Path) -> None:
    async def play(desk: Desk) -> None:
        async def late(asking: asyncio.Task[str]) -> None:
            await desk.clock.advance(300)
            desk.clock.jump(-10)  # somebody sets it back
            outcomes.append(asking)

        async def withdrawn(asking: asyncio.Task[str]) -> None:
            desk.approvals.cancel(reason="its policy was changed")
            outcomes.append(asking)

        async def gone(asking: asyncio.Task[str]) -> None:
            asking.cancel()
            await settle()

        outcomes: list[asyncio.Task[str]] = []
        told = ((late, "has expired"), (withdrawn, "its policy was changed"), (gone, "was answered before"))
        for meanwhile, words in told:
            approval = await refused_for_want_of_room(desk, meanwhile)
            assert desk.approvals.pending() == []
            with pytest.raises(ApprovalError, match=words):
                await desk.approvals.answer(approval.id, "allow-once", ANA)
            assert desk.approvals.answered_by(approval) == "" or meanwhile is gone
        assert [await outcome for outcome in outcomes] == ["expired", "cancelled"]

    scene(play, tmp_path)


def test_some_questions_are_withdrawn_and_the_others_stay(tmp_path: Path) -> None:
    async def play(desk: Desk) -> None:
        one, two = desk.build(desk.attempt(), session="one"), desk.build(desk.attempt(), session="two")
        asking_one, asking_two = desk.ask(one), desk.ask(two)
        await settle()
        desk.approvals.cancel(lambda approval: approval.session == "one", reason="the session was reset")
        assert await asking_one == "cancelled"
        with pytest.raises(ApprovalError, match="withdrawn: the session was reset"):
            await desk.approvals.answer(one.id, "allow-once", NADER)
        assert desk.approvals.pending() == [two]
        desk.approvals.cancel(reason="the runtime stops")
        assert await asking_two == "cancelled"

    scene(play, tmp_path)


def test_a_turn_that_is_stopped_takes_its_question_with_it(tmp_path: Path) -> None:
    async def play(desk: Desk) -> None:
        approval = desk.build(desk.attempt())
        asking = desk.ask(approval)
        await settle()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert desk.approvals.pending() == []
        with pytest.raises(ApprovalError, match="withdrawn"):
            await desk.approvals.answer(approval.id, "allow-once", NADER)

    scene(play, tmp_path)


def test_a_no_holds_for_the_same_call_until_the_conversation_is_put_aside(tmp_path: Path) -> None:
    async def play(desk: Desk) -> None:
        await desk.granted(desk.attempt(), "deny")
        assert await desk.ask(desk.build(desk.attempt())) == "deny"
        assert len(desk.shown) == 1
        other = desk.ask(desk.build(desk.attempt("sort -o b c")))
        elsewhere = desk.ask(desk.build(desk.attempt(), session="other"))
        await settle()
        assert len(desk.shown) == 3
        await desk.clock.advance(301)
        assert list(await asyncio.gather(other, elsewhere)) == ["expired", "expired"]
        assert await desk.ask(desk.build(desk.attempt())) == "deny"
        assert len(desk.shown) == 3
        desk.approvals.forget("s")
        again = desk.ask(desk.build(desk.attempt()))
        await settle()
        assert len(desk.shown) == 4
        again.cancel()

    scene(play, tmp_path)


def test_a_flood_of_questions_is_not_shown(tmp_path: Path) -> None:
    async def play(desk: Desk) -> None:
        asking = [desk.ask(desk.build(desk.attempt(f"make {number}"))) for number in range(MOST_PENDING + 5)]
        await settle()
        assert len(desk.shown) == MOST_PENDING
        assert [task.result() for task in asking if task.done()] == ["cancelled"] * 5
        desk.approvals.cancel(reason="enough")
        await asyncio.gather(*asking)

    scene(play, tmp_path)


def test_a_restart_forgets_open_questions(tmp_path: Path) -> None:
    async def play(desk: Desk) -> None:
        approval = desk.build(desk.attempt())
        asking = desk.ask(approval)
        await settle()
        later = Approvals(desk.store.marks, desk.clock)
        await later.open()
        with pytest.raises(ApprovalError, match="not known"):
            await later.answer(approval.id, "allow-once", NADER)
        asking.cancel()

    scene(play, tmp_path)


def test_a_question_made_elsewhere_or_altered_is_not_asked(tmp_path: Path) -> None:
    async def play(desk: Desk) -> None:
        approval = desk.build(desk.attempt())
        with pytest.raises(ApprovalError, match="not built here"):
            await desk.ask(replace(approval, digest="0" * 64))
        with pytest.raises(ApprovalError, match="not built here"):
            await desk.ask(approval)

    scene(play, tmp_path)


# ── what an answer is bound to ───────────────────────────────────────────────────────────────────


def test_an_answer_is_used_once(tmp_path: Path) -> None:
    async def play(desk: Desk) -> None:
        attempt = desk.attempt()
        approval = await desk.granted(attempt)
        assert await desk.approvals.verify(approval, attempt, desk.decide(attempt)) is None
        again = await desk.approvals.verify(approval, attempt, desk.decide(attempt))
        assert again == "it was not given, or was used before"

    scene(play, tmp_path)


def test_a_denied_question_verifies_nothing(tmp_path: Path) -> None:
    async def play(desk: Desk) -> None:
        approval = await desk.granted(desk.attempt(), "deny")
        assert await desk.approvals.verify(approval, desk.attempt(), desk.decide(desk.attempt())) is not None

    scene(play, tmp_path)


CHANGES: list[tuple[str, Callable[[Attempt], Attempt], str]] = [
    ("argv", lambda a: replace(a, input={"command": "sort -o c a"}), "arguments"),
    ("folder", lambda a: replace(a, input={**a.input, "cwd": "sub"}), "arguments"),
    ("workspace", lambda a: replace(a, workspace=a.workspace / "sub"), "folder"),
    ("agent", lambda a: replace(a, agent="other"), "another agent"),
    ("environment", lambda a: replace(a, tool=replace(a.tool, options={"env": {"A": "1"}})), "environment"),
    ("tool", lambda a: replace(a, tool=replace(a.tool, name="other")), "tool"),
]


@pytest.mark.parametrize(("name", "change", "words"), CHANGES, ids=[name for name, _, _ in CHANGES])
def test_nothing_about_the_call_may_change(
    tmp_path: Path, name: str, change: Callable[[Attempt], Attempt], words: str
) -> None:
    (tmp_path / "sub").mkdir()

    async def play(desk: Desk) -> None:
        approval = await desk.granted(desk.attempt())
        changed = change(desk.attempt())
        differs = await desk.approvals.verify(approval, changed, desk.decide(changed))
        assert differs is not None and words in differs

    scene(play, tmp_path)


def test_the_session_may_not_change(tmp_path: Path) -> None:
    async def play(desk: Desk) -> None:
        approval = await desk.granted(desk.attempt())
        elsewhere = replace(approval, session="other")
        assert await desk.approvals.verify(elsewhere, desk.attempt(), desk.decide(desk.attempt())) is not None

    scene(play, tmp_path)


def test_the_policy_may_not_change(tmp_path: Path) -> None:
    async def play(desk: Desk) -> None:
        approval = await desk.granted(desk.attempt())
        tighter = replace(POLICY, rules=(Rule(Effect.ASK, ("x",), Condition()),))
        assert (
            await desk.approvals.verify(approval, desk.attempt(), desk.decide(desk.attempt(), tighter))
            == "the policy was changed"
        )
        approval = await desk.granted(desk.attempt())
        same = replace(POLICY)
        assert await desk.approvals.verify(approval, desk.attempt(), desk.decide(desk.attempt(), same)) is None

    scene(play, tmp_path)


def test_the_program_may_not_be_exchanged(tmp_path: Path) -> None:
    tool = tmp_path / "bin" / "tool"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\necho a\n")
    tool.chmod(0o755)

    async def play(desk: Desk) -> None:
        attempt = desk.attempt(f"{tool} x")
        approval = await desk.granted(attempt)
        status = tool.stat()
        tool.write_text("#!/bin/sh\necho b\n")
        os.utime(tool, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert await desk.approvals.verify(approval, attempt, desk.decide(attempt)) == "a program was exchanged"

    scene(play, tmp_path)


def test_a_script_may_not_be_edited(tmp_path: Path) -> None:
    script = tmp_path / "report.sh"
    script.write_text("echo a\n")

    async def play(desk: Desk) -> None:
        attempt = desk.attempt("sh report.sh")
        approval = await desk.granted(attempt)
        script.write_text("echo b\n")
        assert await desk.approvals.verify(approval, attempt, desk.decide(attempt)) == "a script was changed"

    scene(play, tmp_path)


@pytest.mark.parametrize(
    ("command", "cwd"),
    [
        ("sort -o b a", "link"),
        ("cat link/a", "."),
        ("rm -r link", "."),
        ("tool --in=link/a", "."),
        ("cat ../link", "one"),
    ],
)
def test_a_link_may_not_be_turned(tmp_path: Path, command: str, cwd: str) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    link = tmp_path / "link"
    link.symlink_to("one")

    async def play(desk: Desk) -> None:
        attempt = desk.attempt(command, cwd=cwd)
        approval = await desk.granted(attempt)
        link.unlink()
        link.symlink_to("two")
        assert await desk.approvals.verify(approval, attempt, desk.decide(attempt)) is not None

    scene(play, tmp_path)


def test_the_folder_may_not_be_another_one_of_the_same_name(tmp_path: Path) -> None:
    folder = tmp_path / "sub"
    folder.mkdir()

    async def play(desk: Desk) -> None:
        attempt = desk.attempt("sort -o b a", cwd="sub")
        approval = await desk.granted(attempt)
        folder.rename(tmp_path / "old")
        folder.mkdir()
        assert await desk.approvals.verify(approval, attempt, desk.decide(attempt)) == "the folder is another one now"

    scene(play, tmp_path)


# ── for ever ─────────────────────────────────────────────────────────────────────────────────────


def test_what_was_remembered_with_a_time_in_an_older_form_is_told_in_the_form_of_today(tmp_path: Path) -> None:
    async def play(desk: Desk) -> None:
        await desk.granted(desk.attempt("sort b a"), "allow-always")
        document, version = await desk.store.marks.get("exec-approvals")
        [entry] = document["approvals"]
        await desk.store.marks.put(
            "exec-approvals", {**document, "approvals": [{**entry, "at": "2026-03-28T13:00:00.123456+01:00"}]}, version
        )
        later = Approvals(desk.store.marks, desk.clock)
        await later.open()
        assert [one["at"] for one in await later.remembered()] == ["2026-03-28T12:00:00.123Z"]

    scene(play, tmp_path)


def test_allow_always_is_remembered_for_exactly_this_call_until_revoked(tmp_path: Path) -> None:
    async def play(desk: Desk) -> None:
        attempt = desk.attempt("sort b a")
        assert not desk.approvals.allows(attempt, desk.decide(attempt))
        await desk.granted(attempt, "allow-always")
        later = Approvals(desk.store.marks, desk.clock)
        await later.open()
        for approvals in (desk.approvals, later):
            assert approvals.allows(attempt, desk.decide(attempt))
            for command in ("sort b c", "sort b a x", "sort b a; ls", "sort b a > f", "sort -o b a", "sort a b"):
                assert not approvals.allows(desk.attempt(command), desk.decide(desk.attempt(command)))
            other = replace(attempt, agent="other")
            assert not approvals.allows(other, desk.decide(other))
        [entry] = await later.remembered()
        assert entry["tool"] == "run_command" and entry["agent"] == "main" and entry["by"] == "telegram:1"
        assert entry["at"] == time_json(desk.clock.now())
        await later.revoke(entry["id"])
        assert not later.allows(attempt, desk.decide(attempt))
        assert await later.remembered() == []
        with pytest.raises(ApprovalError, match="no remembered approval"):
            await later.revoke(entry["id"])

    scene(play, tmp_path)


def test_a_tool_that_runs_no_command_is_remembered_by_its_exact_input(tmp_path: Path) -> None:
    async def play(desk: Desk) -> None:
        def refund(amount: object) -> Attempt:
            return Attempt(REFUND, {"amount": amount}, "main", "repl:local", workspace=tmp_path)

        await desk.granted(refund(5), "allow-always")
        assert desk.approvals.allows(refund(5), desk.decide(refund(5)))
        for amount in (6, "5", 5.5, None, True):
            assert not desk.approvals.allows(refund(amount), desk.decide(refund(amount)))

    scene(play, tmp_path)


@pytest.mark.parametrize(
    "command",
    ["bash -c ls", "python x.py", "env ls", "timeout 5 ls", "xargs ls", "make", "npm run x", "ls > f", "ls $(id)",
     "git push", "./ls", "/bin/ls", "no-such-program", "sort -o a b; sh x", "vim x", "sudo ls",
     "nohup ls", "find . -name x | xargs rm", "find . -exec ./x ';'", "find . -delete", "sort -o b a",
     "sort --compress-program=./x a", "rg --pre ./x y", "split --filter=./x a", "git status", "ls --no-such-flag"],
)  # fmt: skip
def test_what_could_run_anything_is_never_remembered(tmp_path: Path, command: str) -> None:
    async def play(desk: Desk) -> None:
        attempt = desk.attempt(command)
        assert desk.build(attempt).offers == ("allow-once", "deny")
        assert not may_be_remembered(desk.decide(attempt))

    scene(play, tmp_path)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("du -sh -- {what}", True), ("touch -- {what}", True), ("sh report.sh {what}", False), ("make {what}", False),
        ("python3 x.py {what}", False), ("env ls {what}", False), ("./report {what}", False),
        ("git pull {what}", False),
        ("wc -- {what} | xargs rm", False), ("/opt/report {what}", False), ("no-such-program {what}", False),
    ],
)  # fmt: skip
def test_a_template_is_remembered_only_where_nobody_can_exchange_what_it_runs(
    tmp_path: Path, text: str, kept: bool
) -> None:
    template = compile_template(text, {"what": {"type": "string"}})
    assert isinstance(template, Template)
    spec = ToolSpec("t", "", {"properties": {"what": {}}}, "shell", {"template": template})
    attempt = Attempt(spec, {"what": "x"}, "main", "repl:local", workspace=tmp_path)
    decision = decide(attempt, POLICY, Disk())
    assert decision.effect is Effect.ASK
    assert may_be_remembered(decision) is kept


def test_what_is_remembered_counts_only_while_its_links_lead_where_they_led(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("one")

    async def play(desk: Desk) -> None:
        attempt = desk.attempt("cat -n link")
        await desk.granted(attempt, "allow-always")
        assert desk.approvals.allows(attempt, desk.decide(attempt))
        (tmp_path / "link").unlink()
        (tmp_path / "link").symlink_to("two")
        assert not desk.approvals.allows(attempt, desk.decide(attempt))

    scene(play, tmp_path)


@pytest.mark.parametrize(
    "document", [None, 5, [], {}, {"approvals": 5}, {"approvals": [5, {}, {"id": "a"}, {"digest": 1, "id": "b"}]}]
)
def test_a_document_that_cannot_be_read_permits_nothing(tmp_path: Path, document: object) -> None:
    async def play(desk: Desk) -> None:
        await desk.store.marks.put(DOCUMENT, document, 0)
        approvals = Approvals(desk.store.marks, desk.clock)
        await approvals.open()
        assert await approvals.remembered() == []
        assert not approvals.allows(desk.attempt(), desk.decide(desk.attempt()))

    scene(play, tmp_path)


def test_a_document_of_a_newer_version_is_refused_and_kept(tmp_path: Path) -> None:
    async def play(desk: Desk) -> None:
        newer = {"version": 99, "approvals": []}
        await desk.store.marks.put(DOCUMENT, newer, 0)
        with pytest.raises(StateTooNew):
            await Approvals(desk.store.marks, desk.clock).open()
        approval = desk.build(desk.attempt("sort b a"))
        asking = desk.ask(approval)
        await settle()
        with pytest.raises(StateTooNew):
            await desk.approvals.answer(approval.id, "allow-always", ANA)
        assert "deny" == await asking
        assert newer == (await desk.store.marks.get(DOCUMENT))[0]

    scene(play, tmp_path)


def test_two_writers_lose_nothing(tmp_path: Path) -> None:
    async def play(desk: Desk) -> None:
        other = Approvals(desk.store.marks, desk.clock)
        await other.open()
        await desk.granted(desk.attempt("sort b one"), "allow-always")
        for number in range(3):
            attempt = desk.attempt(f"sort b {number}")
            approval = other.build(
                attempt, desk.decide(attempt), POLICY, session="s", sender="x:1", approvers=(str(NADER),)
            )
            asking = asyncio.ensure_future(other.ask(approval, announce=lambda _: None))
            await settle()
            await other.answer(approval.id, "allow-always", NADER)
            await asking
        await desk.approvals.open()
        assert len(await desk.approvals.remembered()) == 4

    scene(play, tmp_path)


# ── what a person sees ───────────────────────────────────────────────────────────────────────────


def test_the_whole_command_is_shown_one_argument_a_line(tmp_path: Path) -> None:
    async def play(desk: Desk) -> None:
        programs = {name: os.path.realpath(str(shutil.which(name, path=FOLDERS))) for name in ("grep", "sort")}
        approval = desk.build(desk.attempt("grep -n 'a b' '' x 2>/dev/null | sort -o out"))
        assert approval.lines == (
            "run_command",
            "  grep", "    -n", "    a b", "    ''", "    x", "    2>/dev/null",
            "  |",
            "  sort", "    -o", "    out",
            f"runs {programs['grep']}, {programs['sort']}",
        )  # fmt: skip
        assert approval.cwd == str(tmp_path)
        assert approval.reason

    scene(play, tmp_path)


def test_nothing_is_hidden_or_shortened(tmp_path: Path) -> None:
    async def play(desk: Desk) -> None:
        padded = desk.build(desk.attempt("echo ok" + " " * 3000 + "'" + "x" * 1000 + "' ; rm y"))
        assert "    " + "x" * 1000 in padded.lines
        assert "  rm" in padded.lines
        tricky = desk.build(desk.attempt("echo a\u202eb \u200b\x1b[31m \uff4c\uff53\nrm x"))
        assert tricky.lines[0].startswith("warning:")
        text = "\n".join(tricky.lines)
        assert text.isascii() and text.replace("\n", "").isprintable()
        for code in ("202e", "200b", "1b", "ff4c", "a"):
            assert f"\\u{{{code}}}" in text

    scene(play, tmp_path)


def test_the_arguments_of_other_tools_are_shown_whole(tmp_path: Path) -> None:
    async def play(desk: Desk) -> None:
        attempt = Attempt(
            REFUND, {"note": "first\nsecond \u202e مرحبا", "amount": 5}, "main", "repl:local", workspace=tmp_path
        )
        lines = desk.build(attempt).lines
        assert lines[1:] == ("refund", "  note: first", "    second \\u{202e} مرحبا", "  amount: 5")

    scene(play, tmp_path)
