"""The audit: a line for every decision and execution, chained, secrets struck out, and able to bear a crash."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from doubles import warm
from doubles.counter import Counting
from openclaw import audit
from openclaw.clock import ManualClock
from openclaw.errors import StorageFailed, ToolError
from openclaw.messages import ToolResult
from openclaw.permissions.decide import Effect, Origin, Rule
from openclaw.secrecy import SECRETS
from openclaw.stores._audit import Trail
from openclaw.stores.files import Store


def written(folder: Path, number: int, *, largest: int = 1 << 20) -> Trail:
    trail = Trail(folder, largest)
    for n in range(number):
        trail.append([{"type": "decided", "tool": f"tool{n}"}])
    return trail


def lines(folder: Path) -> list[bytes]:
    return (folder / audit.NAME).read_bytes().splitlines(keepends=True)


def rewrite(folder: Path, changed: list[bytes]) -> None:
    (folder / audit.NAME).write_bytes(b"".join(changed))


# ── the chain ────────────────────────────────────────────────────────────────────────────────────


def test_every_line_carries_the_hash_of_the_line_before_it(tmp_path: Path) -> None:
    written(tmp_path, 3).close()
    found = [line.rstrip(b"\n") for line in lines(tmp_path)]
    assert [json.loads(line)["before"] for line in found] == [audit.GENESIS, *map(audit.seal, found[:2])]
    assert [json.loads(line)["n"] for line in found] == [1, 2, 3]
    assert audit.verify(tmp_path) == audit.Verdict(3)


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    written(tmp_path / "logs", 1).close()
    assert (tmp_path / "logs" / audit.NAME).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "logs").stat().st_mode & 0o777 == 0o700


FORGERIES: dict[str, tuple[Callable[[list[bytes]], list[bytes]], int]] = {
    "edited": (lambda ls: [*ls[:2], ls[2].replace(b"tool2", b"tool9"), *ls[3:]], 4),
    "taken away": (lambda ls: [*ls[:2], *ls[3:]], 3),
    "the first taken away": (lambda ls: [ls[0].replace(b'"n":1', b'"n":1 '), *ls[1:]], 2),
    "added": (lambda ls: [*ls[:2], ls[1], *ls[2:]], 3),
    "swapped": (lambda ls: [ls[0], ls[2], ls[1], *ls[3:]], 2),
    "made unreadable": (lambda ls: [ls[0], b"{" + ls[1], *ls[2:]], 3),
    "emptied": (lambda ls: [ls[0], b"\n", *ls[2:]], 3),
    "begun anew": (lambda ls: [ls[0].replace(audit.GENESIS.encode(), b"f" * 64), *ls[1:]], 1),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_chain_shows_what_was_changed(tmp_path: Path, name: str) -> None:
    written(tmp_path, 6).close()
    forge, line = FORGERIES[name]
    rewrite(tmp_path, forge(lines(tmp_path)))
    assert places(audit.verify(tmp_path))[0] == (audit.NAME, line)


@pytest.mark.parametrize("name", FORGERIES)
def test_no_change_hides_a_later_one(tmp_path: Path, name: str) -> None:
    written(tmp_path, 9).close()
    forge, _ = FORGERIES[name]
    rewrite(tmp_path, forge(lines(tmp_path)))
    before = places(audit.verify(tmp_path))
    *found, _, last = lines(tmp_path)
    rewrite(tmp_path, [*found, b'{"n":8,"type":"decided","tool":"evil"}\n', last])
    end = len(found)
    assert places(audit.verify(tmp_path)) == [*before, (audit.NAME, end + 1), (audit.NAME, end + 2)]


def test_of_very_many_breaks_the_first_are_named_and_the_others_counted(tmp_path: Path) -> None:
    rewrite(tmp_path, [b'{"n":5}\n'] * 1500)
    verdict = audit.verify(tmp_path)
    assert len(verdict.broken) == 1000
    assert verdict.notes[-1] == "500 more places are broken; the first 1000 are named"


def test_the_next_run_goes_on_with_the_chain(tmp_path: Path) -> None:
    written(tmp_path, 2).close()
    written(tmp_path, 2).close()
    assert audit.verify(tmp_path) == audit.Verdict(4)


def test_a_full_file_is_put_aside_and_the_chain_goes_on_over_all(tmp_path: Path) -> None:
    written(tmp_path, 40, largest=1000).close()
    written(tmp_path, 5, largest=1000).close()
    assert len(audit.files(tmp_path)) > 4
    assert audit.verify(tmp_path) == audit.Verdict(45)
    assert [record["n"] for record in audit.records(tmp_path)] == list(range(1, 46))
    first = audit.files(tmp_path)[0]
    first.write_bytes(first.read_bytes().replace(b"tool0", b"tool1"))
    assert places(audit.verify(tmp_path)) == [(first.name, 2)]


def test_parts_that_are_not_there_any_more_are_named_and_one_missing_in_the_middle_breaks_it(tmp_path: Path) -> None:
    written(tmp_path, 40, largest=1000).close()
    first, second, third, *_ = audit.files(tmp_path)
    first.unlink()
    verdict = audit.verify(tmp_path)
    assert not verdict.broken
    assert [note for note in verdict.notes if note.startswith(second.name)] == list(verdict.notes)
    noted = audit.verify(tmp_path, [(1, "0" * 64)]).broken
    assert [one.why for one in noted] == ["line 1, which was noted when it was written, is not there"]
    third.unlink()
    assert audit.verify(tmp_path).broken


def anchored(folder: Path, number: int, *, largest: int = 1 << 20) -> Trail:
    """As the store writes it: with the anchor outside of the log's folder."""
    trail = Trail(folder / "logs", largest, head=folder / audit.HEAD)
    for n in range(number):
        trail.append([{"type": "decided", "tool": f"tool{n}"}])
    return trail


def verified(folder: Path) -> audit.Verdict:
    return audit.verify(folder / "logs", head=folder / audit.HEAD)


def places(verdict: audit.Verdict) -> list[tuple[str, int]]:
    return [(one.file, one.line) for one in verdict.broken]


def resealed(found: list[bytes]) -> list[bytes]:
    """The same records as a chain of their own, as somebody would write it who knows how."""
    made, before = [], audit.GENESIS
    for number, line in enumerate(found, 1):
        record = {key: value for key, value in json.loads(line).items() if key not in ("n", "before")}
        made.append(audit.sealed(record, number, before) + b"\n")
        before = audit.seal(made[-1][:-1])
    return made


WHOLESALE: dict[str, tuple[Callable[[list[bytes]], list[bytes]], str]] = {
    "one cut off": (lambda ls: ls[:-1], "line 6 to 6 would follow"),
    "half cut off": (lambda ls: ls[:3], "line 4 to 6 would follow"),
    "torn by hand": (lambda ls: [*ls[:-1], ls[-1][:30]], "line 6 to 6 would follow"),
    "all": (lambda ls: [], "line 1 to 6 would follow"),
    "edited and sealed again": (
        lambda ls: resealed([*ls[:2], ls[2].replace(b"tool2", b"tool9"), *ls[3:]]),
        "another line",
    ),
    "turned round and sealed again": (lambda ls: resealed(ls[::-1]), "another line"),
    "one taken away and sealed again": (lambda ls: resealed([*ls[:2], *ls[3:]]), "line 6 to 6 would follow"),
    "one added and sealed again": (lambda ls: resealed([*ls[:2], *ls[1:]]), "another line"),
}


@pytest.mark.parametrize("name", WHOLESALE)
def test_an_anchor_shows_what_a_chain_alone_cannot(tmp_path: Path, name: str) -> None:
    anchored(tmp_path, 6).close()
    assert verified(tmp_path) == audit.Verdict(6)
    forge, why = WHOLESALE[name]
    rewrite(tmp_path / "logs", forge(lines(tmp_path / "logs")))
    assert any(why in broken.why for broken in verified(tmp_path).broken)
    anchored(tmp_path, 2).close()
    later = verified(tmp_path)
    assert later.broken, "the next run makes it whole"
    anchored(tmp_path, 2).close()
    assert verified(tmp_path).broken == later.broken


def test_a_folder_that_was_deleted_is_missed(tmp_path: Path) -> None:
    anchored(tmp_path, 6).close()
    shutil.rmtree(tmp_path / "logs")
    assert [*map(str, verified(tmp_path).broken)] == [
        "audit.jsonl:0: line 1 to 6 would follow: they were cut off, or lost with the power"
    ]
    anchored(tmp_path, 2).close()
    assert [*map(str, verified(tmp_path).broken)] == [
        "audit.jsonl:1: line 1 to 6 were not there when the writer began again here"
    ]


@pytest.mark.parametrize("torn", [b"", b'{"n":5,"type":"deci'])
def test_the_next_run_notes_a_gap_and_what_follows_it_stays_guarded(tmp_path: Path, torn: bytes) -> None:
    anchored(tmp_path, 6).close()
    noted = audit.head(tmp_path / audit.HEAD)
    rewrite(tmp_path / "logs", [*lines(tmp_path / "logs")[:4], torn])
    anchored(tmp_path, 3).close()
    gap = 5 + bool(torn)
    told = f"audit.jsonl:{gap}: line 5 to 6 were not there when the writer began again here"
    assert [*map(str, verified(tmp_path).broken)] == [told]
    assert [record["n"] for record in audit.records(tmp_path / "logs")] == [1, 2, 3, 4, 8, 9, 10]
    assert noted is not None
    missed = audit.verify(tmp_path / "logs", [noted]).broken
    assert [one.why for one in missed[1:]] == ["line 6, which was noted when it was written, is not there"]
    found = lines(tmp_path / "logs")
    for edited in (3, gap, gap + 1):
        changed = [line.replace(b"tool", b"TOOL") if n == edited else line for n, line in enumerate(found)]
        rewrite(tmp_path / "logs", changed)
        assert places(verified(tmp_path)) == [(audit.NAME, gap), (audit.NAME, max(edited + 2, gap))]


BEHIND = "audit.jsonl:3: audit-head did not fit when the writer began again here: lines before may be lost or changed"


@pytest.mark.parametrize("end", [b"x", b"\0", b"9:" + b"0" * 64])
def test_an_anchor_that_was_spoilt_is_told_now_and_after_the_next_run(tmp_path: Path, end: bytes) -> None:
    anchored(tmp_path, 5).close()
    head = tmp_path / audit.HEAD
    head.write_bytes(head.read_bytes() + end)
    rewrite(tmp_path / "logs", lines(tmp_path / "logs")[:2])
    told = "audit-head:0: it holds no anchor, so lines that were cut off would not be missed"
    assert [*map(str, verified(tmp_path).broken)] == [told]
    for _ in range(2):
        anchored(tmp_path, 2).close()
        assert [*map(str, verified(tmp_path).broken)] == [BEHIND]
    assert head.stat().st_size == 86


def test_an_anchor_that_the_disk_does_not_give_is_not_told_to_be_wrong(tmp_path: Path) -> None:
    anchored(tmp_path, 5).close()
    (tmp_path / audit.HEAD).unlink()
    (tmp_path / audit.HEAD).symlink_to("/proc/self/mem")  # whose first bytes nobody can read
    with pytest.raises(OSError) as failure:
        anchored(tmp_path, 1)
    assert failure.value.errno == errno.EIO
    assert len(lines(tmp_path / "logs")) == 5


def test_what_is_appended_to_an_anchor_while_it_is_written_goes(tmp_path: Path) -> None:
    trail = anchored(tmp_path, 2)
    with (tmp_path / audit.HEAD).open("ab") as head:
        head.write(b"x")
    assert verified(tmp_path).broken
    trail.append([{"type": "decided"}])
    assert verified(tmp_path) == audit.Verdict(3)
    trail.close()


def test_an_anchor_that_is_gone_is_missed_where_there_are_lines(tmp_path: Path) -> None:
    assert verified(tmp_path) == audit.Verdict(0)
    anchored(tmp_path, 2).close()
    (tmp_path / audit.HEAD).unlink()
    told = "audit-head:0: it is not there, so lines that were cut off would not be missed"
    assert [*map(str, verified(tmp_path).broken)] == [told]
    anchored(tmp_path, 2).close()
    assert [*map(str, verified(tmp_path).broken)] == [BEHIND]


def test_an_anchor_is_there_before_the_first_line(tmp_path: Path) -> None:
    trail = anchored(tmp_path, 0)
    trail.append([])
    trail.close()
    assert audit.head(tmp_path / audit.HEAD) == (0, audit.GENESIS)
    assert verified(tmp_path) == audit.Verdict(0)


def test_the_anchor_is_found_again_in_the_part_before(tmp_path: Path) -> None:
    """A process was killed when it had begun a new part with a line, and not yet noted that."""
    trail = anchored(tmp_path, 10, largest=1)
    head = (tmp_path / audit.HEAD).read_bytes()
    trail.append([{"type": "decided"}])
    trail.close()
    (tmp_path / audit.HEAD).write_bytes(head)
    anchored(tmp_path, 2, largest=1).close()
    assert verified(tmp_path) == audit.Verdict(13)


def test_a_process_that_is_killed_between_a_line_and_its_anchor_leaves_a_whole_log(tmp_path: Path) -> None:
    anchored(tmp_path, 3).close()
    before = (tmp_path / audit.HEAD).read_bytes()
    anchored(tmp_path, 2).close()
    (tmp_path / audit.HEAD).write_bytes(before)
    assert verified(tmp_path) == audit.Verdict(5)
    anchored(tmp_path, 1).close()
    assert verified(tmp_path) == audit.Verdict(6)
    assert (tmp_path / audit.HEAD).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("left", [b"", b"no anchor\n", b"\xff" * 40])
def test_an_anchor_that_cannot_be_read_is_made_anew_and_the_log_says_so(tmp_path: Path, left: bytes) -> None:
    anchored(tmp_path, 3).close()
    (tmp_path / audit.HEAD).write_bytes(left)
    assert [one.file for one in verified(tmp_path).broken] == [audit.HEAD]
    anchored(tmp_path, 1).close()
    assert places(verified(tmp_path)) == [(audit.NAME, 4)]
    assert audit.head(tmp_path / audit.HEAD) is not None


def test_a_clock_that_was_set_back_is_told_and_breaks_nothing(tmp_path: Path) -> None:
    trail = Trail(tmp_path)
    for at in ("12:00:05.000", "12:00:04.999", "12:00:05.001", "11:00:00.000", "11:00:01.000"):
        trail.append([{"type": "decided", "at": f"2026-11-23T{at}Z"}])
    trail.close()
    verdict = audit.verify(tmp_path)
    assert (verdict.lines, verdict.broken) == (5, ())
    assert verdict.notes == ("the clock was set back before audit.jsonl:2, audit.jsonl:4",)


def test_it_is_verified_beside_whoever_writes_it(tmp_path: Path) -> None:
    """A part becomes full, and lines come, while the chain is followed."""
    trail = anchored(tmp_path, 5, largest=600)
    begun, done = threading.Event(), threading.Event()

    def write() -> None:
        for n in range(1500):
            if n == 700:
                begun.wait(30)
            trail.append([{"type": "decided", "tool": str(n)}])
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    looked = 0
    while not done.is_set():
        assert not verified(tmp_path).broken
        looked += 1
        begun.set()
    writer.join()
    trail.close()
    assert looked and verified(tmp_path) == audit.Verdict(1505)


# ── crashes ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kept", [1, 40, -2])
def test_a_line_torn_by_a_crash_is_named_and_the_chain_goes_on(tmp_path: Path, kept: int) -> None:
    written(tmp_path, 3).close()
    *whole, last = lines(tmp_path)
    rewrite(tmp_path, [*whole, last[:kept]])
    verdict = audit.verify(tmp_path)
    assert (verdict.lines, verdict.broken) == (2, ())
    assert verdict.notes == ("audit.jsonl:3 is torn: the last line was not written to its end",)
    written(tmp_path, 2).close()
    verdict = audit.verify(tmp_path)
    assert not verdict.broken
    assert verdict.notes == ("audit.jsonl:3 was torn by a crash; what it was to say is lost",)
    assert [record["tool"] for record in audit.records(tmp_path)] == ["tool0", "tool1", "tool0", "tool1"]


def test_a_line_that_only_lacks_its_end_counts_and_gets_it(tmp_path: Path) -> None:
    written(tmp_path, 3).close()
    rewrite(tmp_path, [line.removesuffix(b"\n") if n == 2 else line for n, line in enumerate(lines(tmp_path))])
    assert audit.verify(tmp_path) == audit.Verdict(3)
    written(tmp_path, 2).close()
    assert audit.verify(tmp_path) == audit.Verdict(5)


def test_a_torn_line_that_is_changed_afterwards_breaks_the_chain(tmp_path: Path) -> None:
    written(tmp_path, 3).close()
    *whole, last = lines(tmp_path)
    rewrite(tmp_path, [*whole, last[:40]])
    written(tmp_path, 2).close()
    found = lines(tmp_path)
    rewrite(tmp_path, [*found[:2], found[2].replace(b"decided", b"DECIDED"), *found[3:]])
    assert audit.verify(tmp_path).broken


def test_the_line_before_a_torn_one_stays_guarded(tmp_path: Path) -> None:
    written(tmp_path, 3).close()
    *whole, last = lines(tmp_path)
    rewrite(tmp_path, [*whole, last[:40]])
    written(tmp_path, 2).close()
    rewrite(tmp_path, [line.replace(b"tool1", b"tool9") if n == 1 else line for n, line in enumerate(lines(tmp_path))])
    assert places(audit.verify(tmp_path)) == [(audit.NAME, 4)]


def test_a_process_that_is_killed_loses_nothing_that_the_store_had_taken(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys\n"
        "from openclaw.clock import SystemClock\n"
        "from openclaw.stores.files import Store\n"
        "async def main():\n"
        "    store = Store(sys.argv[1], SystemClock())\n"
        "    await store.open()\n"
        "    for n in range(100000):\n"
        "        store.audit.note({'type': 'decided', 'tool': str(n)})\n"
        "        if n % 10 == 0:\n"
        "            await store.journal.load('s')\n"
        "            print(n, flush=True)\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = [int(process.stdout.readline()) for _ in range(8)]
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)
    verdict = audit.verify(tmp_path / "logs")
    assert not verdict.broken
    assert {int(record["tool"]) for record in audit.records(tmp_path / "logs")} >= set(range(said[-1] + 1))


def test_what_was_noted_is_written_before_what_was_asked_for_after_it(tmp_path: Path) -> None:
    async def play() -> None:
        store = Store(str(tmp_path), ManualClock(datetime(2026, 11, 23, tzinfo=UTC)))
        await store.open()
        for n in range(50):
            store.audit.note({"type": "decided", "tool": str(n)})
            await store.journal.load("s")
            assert len(list(audit.records(tmp_path / "logs"))) == n + 1
        await store.close()

    asyncio.run(play())


def test_a_disk_that_takes_no_line_ends_the_runtime_rather_than_go_on_unseen(tmp_path: Path) -> None:
    async def play() -> None:
        store = Store(str(tmp_path), ManualClock(datetime(2026, 11, 23, tzinfo=UTC)))
        await store.open()
        (tmp_path / "logs").write_text("a file where the folder should be")
        store.audit.note({"type": "decided"})
        with pytest.raises(StorageFailed):
            await store.journal.load("s")
        await store.close()

    asyncio.run(play())


# ── the whole runtime ────────────────────────────────────────────────────────────────────────────
# ── what is noted ────────────────────────────────────────────────────────────────────────────────

ALLOW = Rule(Effect.ALLOW, ("pay",), id="payments", policy="works", origin=Origin("tools.yaml", 7, 9))


def test_an_allowed_call_is_a_line_for_the_decision_and_one_for_what_came_of_it(tmp_path: Path) -> None:
    counting = Counting(tmp_path, [ALLOW])
    asyncio.run(counting.call("pay", to="ana"))
    decided, ran = counting.lines
    assert decided["call"] == ran["call"]
    assert {key: decided[key] for key in ("type", "session", "agent", "sender", "person", "tool", "decision")} == {
        "type": "decided", "session": "s", "agent": "main", "sender": "telegram:1", "person": "nader", "tool": "pay",
        "decision": "allow",
    }  # fmt: skip
    assert decided["rules"] == ["tools.yaml:7:9 works/payments allow"]
    assert decided["input"] == {"to": "ana"}
    assert len(decided["digest"]) == 64
    assert (ran["type"], ran["outcome"], ran["seconds"]) == ("ran", "done", 0.0)


def test_a_question_its_answer_and_whoever_gave_it_are_noted(tmp_path: Path) -> None:
    counting = Counting(tmp_path)

    async def play() -> None:
        calling = await counting.asked("pay", to="ana")
        [approval] = counting.approvals.pending()
        await counting.approvals.answer(approval.id, "allow-once", counting.sender)
        await calling
        asked, decided, ran = counting.lines
        assert [line["type"] for line in counting.lines] == ["asked", "decided", "ran"]
        assert asked["decision"] == "ask"
        assert asked["approval"] == {"id": approval.id, "approvers": ["telegram:1", "discord:2", "repl:local"]}
        assert decided["decision"] == "allow"
        assert decided["approval"] == {"id": approval.id, "answer": "allow-once", "by": "telegram:1"}
        assert asked["digest"] == decided["digest"] == approval.digest
        assert ran["outcome"] == "done"

    asyncio.run(play())


def test_what_a_person_refused_once_is_noted_as_theirs_each_time(tmp_path: Path) -> None:
    counting = Counting(tmp_path)

    async def play() -> None:
        calling = await counting.asked("pay", to="ana")
        [approval] = counting.approvals.pending()
        await counting.approvals.answer(approval.id, "deny", counting.sender)
        await calling
        await counting.call("pay", to="ana")
        answers = [line["approval"] for line in counting.lines if line["type"] == "decided"]
        assert [(one["answer"], one["by"]) for one in answers] == [("deny", "telegram:1")] * 2
        assert counting.tools.ran == []

    asyncio.run(play())


def test_a_remembered_answer_is_noted_with_its_id(tmp_path: Path) -> None:
    counting = Counting(tmp_path)

    async def play() -> None:
        calling = await counting.asked("pay", to="ana")
        [approval] = counting.approvals.pending()
        await counting.approvals.answer(approval.id, "allow-always", counting.sender)
        await calling
        await counting.call("pay", to="ana")
        [kept] = await counting.approvals.remembered()
        assert counting.lines[-2]["approval"] == {"id": kept["id"], "answer": "remembered", "by": "telegram:1"}

    asyncio.run(play())


def test_calls_that_are_none_refused_failed_and_broken_off_are_noted(tmp_path: Path) -> None:
    deny = Rule(Effect.DENY, ("web_fetch",), id="no-web", reason="not here")
    counting = Counting(tmp_path, [ALLOW, deny])

    async def play() -> None:
        await counting.call("fly")
        await counting.call("pay")
        await counting.call("web_fetch", url="https://example.org")
        counting.tools.says["pay"] = ToolError("the till is empty")
        await counting.call("pay", to="ana")
        counting.tools.says["pay"] = ToolResult("no such account", is_error=True)
        await counting.call("pay", to="ana")

    asyncio.run(play())
    told = [(line["type"], line["tool"], line.get("decision") or line.get("outcome")) for line in counting.lines]
    assert told == [
        ("decided", "fly", "deny"),
        ("decided", "pay", "deny"),
        ("decided", "web_fetch", "deny"),
        ("decided", "pay", "allow"), ("ran", "pay", "failed"),
        ("decided", "pay", "allow"), ("ran", "pay", "failed"),
    ]  # fmt: skip


def test_a_command_is_noted_word_by_word_with_the_program_that_runs(tmp_path: Path) -> None:
    counting = Counting(tmp_path, [Rule(Effect.DENY, ("run_command",))])
    asyncio.run(counting.call("run_command", command="ls -l 'a b' | wc -l"))
    [line] = counting.lines
    assert line["argv"] == [["ls", "-l", "a b"], ["|", "wc", "-l"]]
    assert line["cwd"] == str(tmp_path.resolve())
    assert [Path(program).is_absolute() for program in line["programs"]] == [True, True]


def test_the_check_of_a_heartbeat_is_noted_by_the_same_place(tmp_path: Path) -> None:
    from openclaw.messages import ToolCall

    counting = Counting(tmp_path, [ALLOW])

    async def play() -> None:
        assert not (await counting.calls().check(ToolCall("check-1", "pay", {"to": "ana"}))).is_error
        assert (await counting.calls().check(ToolCall("check-2", "web_fetch", {"url": "https://a.example"}))).is_error
        assert (await counting.calls().check(ToolCall("check-3", "pay", {}))).is_error

    asyncio.run(play())
    told = [(line["call"], line["type"], line.get("decision") or line.get("outcome")) for line in counting.lines]
    assert told == [
        ("check-1", "decided", "allow"),
        ("check-1", "ran", "done"),
        ("check-2", "decided", "deny"),
        ("check-3", "decided", "deny"),
    ]


def test_a_long_text_is_noted_by_its_beginning_and_its_hash(tmp_path: Path) -> None:
    counting = Counting(tmp_path, [ALLOW])
    asyncio.run(counting.call("pay", to="x" * 5000))
    noted = counting.lines[0]["input"]["to"]
    assert noted.startswith("x" * 300 + "... (5000 characters, sha256 ") and len(noted) < 420


def test_no_secret_is_noted(tmp_path: Path) -> None:
    counting = Counting(tmp_path, [ALLOW])
    SECRETS.hold(counting, ["correct-horse-battery"])
    try:
        asyncio.run(counting.call("pay", to="the token correct-horse-battery"))
    finally:
        SECRETS.drop(counting)
    assert "correct-horse" not in json.dumps(counting.lines)
    assert counting.lines[0]["input"] == {"to": "the token ***"}


# ── the command ──────────────────────────────────────────────────────────────────────────────────


def openclaw(state: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "openclaw", "--state", str(state), "audit", *arguments]
    return warm.run(command, text=True, timeout=30)


def test_the_command_lists_and_verifies(tmp_path: Path) -> None:
    trail = Trail(tmp_path / "logs", head=tmp_path / audit.HEAD)
    for n in range(5):
        where = {"session": f"s{n % 2}", "agent": "main", "tool": "run_command" if n else "pay"}
        trail.append([{"at": "2026-11-23T12:00:00.000Z", "type": "decided", **where, "decision": "allow"}])
    trail.close()
    verified = openclaw(tmp_path, "verify")
    last = f"5:{audit.seal(lines(tmp_path / 'logs')[-1].rstrip())}"
    assert (verified.returncode, verified.stdout) == (0, f"whole: 5 lines, the last is {last}\n")
    assert openclaw(tmp_path, "verify", "--expect", last).returncode == 0
    assert openclaw(tmp_path, "verify", "--expect", f"6{last[1:]}").returncode == 1
    listed = json.loads(openclaw(tmp_path, "list", "--json", "--session", "s0", "--tool", "run_command").stdout)
    assert [one["n"] for one in listed] == [3, 5]
    assert [one["n"] for one in json.loads(openclaw(tmp_path, "list", "--json", "--limit", "2").stdout)] == [4, 5]
    assert openclaw(tmp_path, "list").stdout.count("run_command") == 4
    found = lines(tmp_path / "logs")
    rewrite(tmp_path / "logs", [found[0], found[1].replace(b"allow", b"deny!"), *found[2:]])
    broken = openclaw(tmp_path, "verify")
    assert broken.returncode == 1
    why = "the line before it is not the one that was written"
    assert broken.stdout == f"broken at audit.jsonl:3: {why}\nbroken: 5 lines, the last is {last}\n"
    told = json.loads(openclaw(tmp_path, "verify", "--json").stdout)
    assert told["broken"] == [{"file": "audit.jsonl", "line": 3, "why": why}]


def test_nothing_was_decided_yet(tmp_path: Path) -> None:
    assert openclaw(tmp_path, "list").stdout == "Nothing was decided yet.\n"
    assert openclaw(tmp_path, "verify").stdout == "whole: 0 lines\n"
