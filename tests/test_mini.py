"""The program in one file, as whoever reads it would try it: in a terminal, in a pipe, and with the power cut."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any
from zoneinfo import ZoneInfo

import pexpect
import pytest

from doubles.messages_server import HttpError, MessagesServer, Reply, text, tool

WORDS = {"type": "text", "text": "slow and steady " * 20}
SCRIPT = Path(__file__).parents[1] / "scripts/mini-openclaw.py"


def environment(home: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANTHROPIC_")}
    return {**kept, "MINI_OPENCLAW_HOME": str(home), "PYTHONUTF8": "1", **more}


def claude(server: MessagesServer) -> dict[str, str]:
    return {"ANTHROPIC_API_KEY": "sk-not-for-tools", "ANTHROPIC_BASE_URL": server.url}


def begin(home: Path, *words: str, **more: str) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    command = [sys.executable, str(SCRIPT), *words]
    return subprocess.Popen(command, env=environment(home, **more), stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def say(home: Path, *said: str, **more: str) -> str:
    """What it prints to what was piped in."""
    with begin(home, **more) as process:
        out, wrong = process.communicate("".join(f"{line}\n" for line in said), timeout=60)
    assert (process.returncode, wrong) == (0, "")
    return out


def entries(home: Path, agent: str = "main") -> list[Any]:
    return [json.loads(line) for line in (home / f"sessions/{agent}.jsonl").read_text("utf-8").splitlines()]


def until(found: Callable[[], object], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)


@pytest.fixture
def mini(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.setenv("MINI_OPENCLAW_HOME", str(tmp_path / "home"))
    spec = importlib.util.spec_from_file_location("mini_openclaw", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["mini_openclaw"] = module
    spec.loader.exec_module(module)
    module.WORKSPACE.mkdir(parents=True)
    yield module
    del sys.modules["mini_openclaw"]


@pytest.mark.parametrize(
    ("command", "decision"),
    [
        ("ls", "allow"),
        ("ls -la notes", "allow"),
        ("cat notes/a.txt", "allow"),
        ("head -n 5 a.txt", "allow"),
        ("touch a", "ask"),
        ("cat /etc/passwd", "ask"),
        ("cat ../../secret", "ask"),
        ("cat leaving/passwd", "ask"),
        ("wc --files0-from=/etc/passwd", "ask"),
        ("du -X/etc/passwd", "ask"),
        ("ls -RL leaving", "ask"),
        ("tail -f a.txt", "ask"),
        ("ls; rm a", "ask"),
        ("ls | sh", "ask"),
        ("echo $HOME", "ask"),
        ("echo $(id)", "ask"),
        ("cat 'a b'", "ask"),
        ("ls\nrm a", "ask"),
        ("cat *", "ask"),
        ("cat ~/x", "ask"),
        ("", "ask"),
        ("sudo ls", "deny"),
        ("ls && sudo ls", "deny"),
        ("/usr/bin/sudo ls", "deny"),
    ],
)
def test_what_is_not_understood_is_asked(mini: ModuleType, command: str, decision: str) -> None:
    (mini.WORKSPACE / "leaving").symlink_to("/etc")
    assert mini.decide("run_command", {"command": command}) == decision


def test_other_tools_are_asked_about_unless_they_are_free(mini: ModuleType) -> None:
    assert [mini.decide(name, {}) for name in mini.TOOLS] == ["allow", "ask", "ask", "allow", "allow", "ask"]


@pytest.mark.parametrize("path", ["", ".", "../workspace-else", "/etc/passwd", "leaving/x", "loop"])
def test_a_path_that_is_no_file_in_the_workspace_is_refused(mini: ModuleType, path: str) -> None:
    (mini.WORKSPACE / "leaving").symlink_to("/etc")
    (mini.WORKSPACE / "loop").symlink_to("loop")
    call = {"id": "1", "name": "write_file", "input": {"path": path, "content": "x"}}

    async def agreed(question: str) -> str:
        return "y"

    assert mini.asyncio.run(mini.run("main", call, agreed))["is_error"]
    assert sorted(file.name for file in mini.WORKSPACE.iterdir()) == ["leaving", "loop"]
    assert sorted(file.name for file in mini.HOME.iterdir()) == ["workspace"]


def test_a_line_that_was_cut_short_was_never_there(mini: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "some.jsonl").write_text('{"a": 1}\n{"b": 2}\n{"cut sh')
    assert mini.lines(tmp_path / "some.jsonl") == [{"a": 1}, {"b": 2}]
    mini.append(tmp_path / "some.jsonl", {"c": 3})
    assert mini.lines(tmp_path / "some.jsonl") == [{"a": 1}, {"b": 2}, {"c": 3}]


def test_a_damaged_file_ends_the_program_with_a_failure(tmp_path: Path) -> None:
    (tmp_path / "queue.jsonl").write_text("not json\n")
    with begin(tmp_path) as process:  # which is not told that nothing more comes
        assert process.wait(timeout=60) == 1


def test_a_slash_and_a_word_that_nobody_goes_by_is_no_message(tmp_path: Path) -> None:
    assert say(tmp_path, "/nwe").count("/scout ... asks the scout") == 2  # at the start, and as an answer
    assert not (tmp_path / "queue.jsonl").exists()


def test_a_prefix_is_a_whole_word(mini: ModuleType) -> None:
    assert mini.route("/scout where?") == ("scout", "where?")
    assert mini.route("/scouting where?") == ("main", "/scouting where?")


def test_a_file_outside_of_the_workspace_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hidden words")
    assert "hidden words" not in say(tmp_path / "home", "read_file ../../secret", f"read_file {tmp_path / 'secret'}")


def test_a_long_result_is_cut_and_says_so(mini: ModuleType) -> None:
    (mini.WORKSPACE / "long").write_text("x" * 30_000)
    call = {"id": "1", "name": "read_file", "input": {"path": "long"}}
    told = mini.asyncio.run(mini.run("main", call, None))
    assert told["content"] == "x" * 20_000 + "\n(cut off; it has 30000 characters)"


def test_what_is_no_text_is_read_as_far_as_it_is(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT)]
    done = subprocess.run(command, env=environment(tmp_path), input=b"a\xffb\n", capture_output=True, timeout=60)
    assert "You said: a\ufffdb." in done.stdout.decode() and done.stderr == b""


def test_a_pipe_in_the_workspace_is_waited_for_by_nobody(tmp_path: Path) -> None:
    (tmp_path / "workspace").mkdir()
    os.mkfifo(tmp_path / "workspace/p")
    assert "'p' is no file in the workspace" in say(tmp_path, "read_file p")


def test_what_failed_is_told_and_not_answered_with_the_next_message(tmp_path: Path) -> None:
    with MessagesServer() as model:
        model.say(HttpError(400, "invalid_request_error"), "It is.")
        assert "that did not work" in say(tmp_path, "is it Monday?", **claude(model))
        say(tmp_path, "is it Tuesday?", **claude(model))
        roles = [message["role"] for message in model.requests[-1].body["messages"]]
    assert roles == ["user", "assistant", "user"]
    assert "not answered" in json.dumps(entries(tmp_path)[1])


def test_what_one_agent_is_told_the_other_finds_in_the_next_run(tmp_path: Path) -> None:
    say(tmp_path, "remember cat my cat is called Minka")
    assert "cat: my cat is called Minka" in say(tmp_path, "/scout recall my dog and cat")
    assert "nothing is noted about that" in say(tmp_path, "/scout recall dog")


def test_what_an_agent_has_no_tool_for_it_cannot_do(mini: ModuleType) -> None:
    async def agreed(question: str) -> str:
        return "y"

    call = {"id": "1", "name": "write_file", "input": {"path": "a", "content": "b"}}
    told = mini.asyncio.run(mini.run("scout", call, agreed))
    assert told["is_error"] and "scout may never do this" in told["content"]


def test_words_on_the_command_line_are_answered_with_what_it_is(tmp_path: Path) -> None:
    with begin(tmp_path, "--help") as process:
        _, wrong = process.communicate(timeout=60)
    assert process.returncode == 1 and "An assistant in one file" in wrong


def test_a_home_that_is_in_use_is_left_alone(tmp_path: Path) -> None:
    with begin(tmp_path) as first:
        assert first.stdout is not None
        first.stdout.readline()
        with begin(tmp_path) as second:
            _, wrong = second.communicate(timeout=60)
        first.communicate("/quit\n", timeout=60)
    assert (second.returncode, first.returncode) == (1, 0) and "somebody else is at work" in wrong


def test_a_heartbeat_that_fell_due_meanwhile_is_answered_once(tmp_path: Path) -> None:
    tmp_path.joinpath("heartbeats.jsonl").write_text('{"when": "0 0 1 * *", "message": "the month", "since": ""}\n')
    assert "the month" in say(tmp_path, "hello")
    assert "the month" not in say(tmp_path, "hello")


def test_a_cron_line_that_is_none_is_told_to_the_model(mini: ModuleType) -> None:
    with pytest.raises(ValueError, match="five cron fields"):
        mini.asyncio.run(mini.every("every day", "x"))


def test_a_cron_line_that_never_comes_is_not_kept_and_stops_no_other(mini: ModuleType) -> None:
    with pytest.raises(ValueError, match=r"no next date|failed to find"):
        mini.asyncio.run(mini.every("0 0 30 2 *", "never"))
    assert mini.lines(mini.BEATS) == []


@pytest.mark.parametrize("day", ["2026-03-27", "2026-10-23"])
@pytest.mark.parametrize("when", ["0 9 * * *", "30 1 * * *"])
def test_a_daily_heartbeat_comes_once_a_day_over_a_change_of_the_clock(mini: ModuleType, day: str, when: str) -> None:
    start = datetime.fromisoformat(f"{day}T12:00:00+00:00")
    mini.append(mini.BEATS, {"when": when, "message": "good morning", "since": day})
    for n in range(4 * 288):
        clock = (start + timedelta(minutes=5 * n)).astimezone(ZoneInfo("Europe/London"))
        mini.accept_what_is_due(clock.replace(tzinfo=None))
    assert len(mini.unanswered()) == 5  # the one before the start, and one on each of the four days


def test_an_answer_that_a_crash_kept_from_the_screen_is_shown_by_the_next_run(tmp_path: Path) -> None:
    tmp_path.joinpath("queue.jsonl").write_text('{"id": "one", "agent": "main", "text": "hello"}\n')
    tmp_path.joinpath("sessions").mkdir()
    said = [
        {"role": "user", "content": [{"type": "text", "text": "hello"}], "id": "one"},
        {"role": "assistant", "content": [{"type": "text", "text": "Good morning."}]},
    ]
    tmp_path.joinpath("sessions/main.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in said))
    assert say(tmp_path).count("Good morning.") == 1
    assert "Good morning." not in say(tmp_path)


@pytest.mark.parametrize(
    ("answer", "agreed"), [("y", True), ("Yes", True), ("actually, no", False), ("you may not", False)]
)
def test_only_a_plain_yes_agrees(mini: ModuleType, answer: str, agreed: bool) -> None:
    async def asked(question: str) -> str:
        return answer

    refused = mini.asyncio.run(mini.refused("main", "write_file", {"path": "a", "content": "b"}, asked))
    assert (refused == "") is agreed and mini.lines(mini.AGREED) == []


@pytest.mark.slow
def test_the_real_client_is_sent_nothing_that_the_service_refuses(tmp_path: Path) -> None:
    with MessagesServer() as server:
        server.say(Reply(tool("remember", title="tea", text="Ada likes tea")), text("Noted."), text("Tea."))
        out = say(tmp_path, "Ada likes tea", "what does Ada like?", **claude(server))
        assert "Noted." in out and "Tea." in out
        assert server.violations == []
    assert (tmp_path / "memory/tea.md").read_text() == "Ada likes tea"


@pytest.mark.slow
def test_a_soul_that_was_edited_counts_at_once(tmp_path: Path) -> None:
    with MessagesServer(otherwise=text("Arr.")) as server:
        say(tmp_path, "hello", **claude(server))
        (tmp_path / "souls/main.md").write_text("You are a pirate.")
        say(tmp_path, "hello", **claude(server))
        assert [request.body["system"] for request in server.requests][-1] == "You are a pirate."


@pytest.mark.slow
def test_a_command_sees_no_key(tmp_path: Path) -> None:
    (tmp_path / "agreed.jsonl").write_text(json.dumps('run_command {"command": "env"}') + "\n")
    with MessagesServer() as server:
        server.say(Reply(tool("run_command", command="env")), text("Done."))
        say(tmp_path, "show me", **claude(server))
        shown = server.requests[-1].body["messages"][-1]["content"][0]["content"]
    assert "PATH=" in shown and "sk-not-for-tools" not in shown


@pytest.mark.slow
def test_an_answer_that_breaks_off_leaves_no_half_in_the_session(tmp_path: Path) -> None:
    with MessagesServer() as server:
        server.say(Reply(WORDS, fault="ended", after=2), text("Whole."))
        assert "broke off" in say(tmp_path, "hello", **claude(server))
        assert "Whole." in say(tmp_path, "again", **claude(server))
        assert server.violations == []
    assert [entry["role"] for entry in entries(tmp_path)] == ["user", "assistant", "user", "assistant"]


@pytest.mark.slow
def test_a_message_that_the_power_cut_off_is_answered_after_it_and_once(tmp_path: Path) -> None:
    with MessagesServer(otherwise=Reply(WORDS, delay=30)) as server, begin(tmp_path, **claude(server)) as process:
        assert process.stdin is not None
        process.stdin.write("hello\n")
        process.stdin.flush()
        until(lambda: server.requests)
        process.kill()
    with MessagesServer(otherwise=text("Here.")) as server:
        assert "Here." in say(tmp_path, **claude(server))
        assert "Here." not in say(tmp_path, **claude(server))
        assert server.violations == []
    assert [entry["role"] for entry in entries(tmp_path)] == ["user", "assistant"]


@pytest.mark.slow
def test_a_call_that_the_power_cut_off_is_not_run_again(tmp_path: Path) -> None:
    command = "echo once >> log; sleep 60"
    (tmp_path / "agreed.jsonl").write_text(json.dumps(f'run_command {{"command": "{command}"}}') + "\n")
    log = tmp_path / "workspace/log"
    with MessagesServer() as server:
        server.say(Reply(tool("run_command", command=command)), text("It may have run."))
        with begin(tmp_path, **claude(server)) as process:
            assert process.stdin is not None
            process.stdin.write("do it\n")
            process.stdin.flush()
            until(log.exists)
            process.kill()
        assert "It may have run." in say(tmp_path, **claude(server))
        assert server.violations == []
        last = server.requests[-1].body["messages"][-1]["content"][0]
    assert log.read_text() == "once\n" and "not known" in last["content"]


@pytest.mark.slow
def test_a_long_talk_is_summed_up_and_the_old_one_kept(tmp_path: Path) -> None:
    def answer(body: dict[str, Any]) -> Reply:
        sums = body["system"] == "You sum up."
        return text("The boat is called Nautilus." if sums else "word " * 100)

    with MessagesServer(otherwise=answer) as server:
        say(tmp_path, *(f"message {number}" for number in range(12)), MINI_OPENCLAW_COMPACT_AT="4000", **claude(server))
        assert server.violations == []
        said = server.requests[-1].body["messages"]
    assert "Nautilus" in said[0]["content"][0]["text"] and said[-1]["content"][0]["text"] == "message 11"
    assert len(json.dumps(entries(tmp_path))) < 6000
    old = sorted((tmp_path / "sessions").glob("*.old"))
    assert old and "message 0" in old[0].read_text()


@pytest.mark.slow
def test_a_summary_that_fails_changes_nothing(tmp_path: Path) -> None:
    with MessagesServer(otherwise=text("word " * 100)) as server:
        say(tmp_path, *(f"message {number}" for number in range(8)), **claude(server))
    before = entries(tmp_path)
    with MessagesServer(otherwise=Reply()) as server:
        assert "summary" in say(tmp_path, "one more", MINI_OPENCLAW_COMPACT_AT="4000", **claude(server))
    assert entries(tmp_path) == before


@pytest.mark.slow
def test_a_person_at_the_terminal_is_asked_and_can_agree_for_good(tmp_path: Path) -> None:
    terminal = pexpect.spawn(sys.executable, [str(SCRIPT)], env=environment(tmp_path), encoding="utf-8", timeout=60)
    try:
        terminal.expect("you: ")
        for name, answer in (("first", "n"), ("second", "y"), ("third", "a")):
            terminal.sendline(f"run_command touch {name}")
            terminal.expect(r"\[n\]o\? ")
            terminal.sendline(answer)
            terminal.expect("you: ")
        terminal.sendline("run_command touch third")
        terminal.expect("exit code 0")
        terminal.sendline("/quit")
        terminal.expect(pexpect.EOF)
    finally:
        terminal.close(force=True)
    assert sorted(file.name for file in (tmp_path / "workspace").iterdir()) == ["second", "third"]


@pytest.mark.slow
def test_ctrl_c_stops_an_answer_and_at_rest_the_program(tmp_path: Path) -> None:
    with MessagesServer(otherwise=Reply(WORDS, pace=1)) as server:
        more = environment(tmp_path, **claude(server))
        terminal = pexpect.spawn(sys.executable, [str(SCRIPT)], env=more, encoding="utf-8", timeout=60)
        try:
            terminal.expect("you: ")
            terminal.sendline("hello")
            terminal.expect("slow")
            terminal.kill(signal.SIGINT)
            terminal.expect("you: ")
            terminal.kill(signal.SIGINT)
            terminal.expect(pexpect.EOF)
        finally:
            terminal.close(force=True)
    assert terminal.exitstatus == 0
    assert [entry["role"] for entry in entries(tmp_path)] == ["user"]
    say(tmp_path, "and now?")
    told = entries(tmp_path)
    assert [entry["role"] for entry in told] == ["user", "assistant", "user", "assistant"]
    assert "not answered" in told[1]["content"][0]["text"]
