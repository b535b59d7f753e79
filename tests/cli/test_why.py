"""`openclaw why`: the runtime's own decisions, told to people and programs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from doubles import warm
from openclaw.cli import main

TOOLS = """\
policies:
  floor:
    rules:
      - {id: no-root, deny: run_command, commands: [sudo], reason: a person does this by hand}
  careful:
    default: ask
    rules:
      - {id: look, allow: run_command, commands: [ls, cat]}
      - {allow: write_file, paths: ["notes/**"]}
      - {deny: write_file, paths: ["**/*.draft"], except: {from: nader}}
"""
CHANNELS = """\
channels:
  repl: {kind: repl}
people:
  nader: {ids: ["repl:1"], owner: true}
"""
AGENT = """\
name: Main
description: Answers
tools: [run_command, write_file]
policy: careful
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / "agents").mkdir(parents=True)
    (root / "agents" / "main.yaml").write_text(AGENT)
    (root / "tools.yaml").write_text(TOOLS)
    (root / "channels.yaml").write_text(CHANNELS)
    (tmp_path / "ws").mkdir()
    return root


def why(project: Path, *arguments: str, stdin: str | bytes = b"") -> subprocess.CompletedProcess[str]:
    state = project.parent / "state"
    command = [sys.executable, "-m", "openclaw", "-C", str(project), "--state", str(state), "why", *arguments]
    given = stdin if isinstance(stdin, bytes) else stdin.encode()
    done = warm.run(command, input=given, timeout=50)
    assert not state.exists(), "deciding leaves nothing behind"
    return subprocess.CompletedProcess(command, done.returncode, done.stdout.decode(), done.stderr.decode())


def decided(project: Path, *arguments: str) -> dict[str, Any]:
    done = why(project, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_a_command_is_explained_with_its_rule(project: Path) -> None:
    answer = decided(project, "run_command", "--command", "ls -la | wc -l")
    assert answer["decision"] == "ask"
    assert [segment["decision"] for segment in answer["segments"]] == ["allow", "ask"]
    assert answer["rules"] == [
        {"file": "tools.yaml", "line": 8, "column": 20, "effect": "allow", "policy": "careful", "id": "look"}
    ]
    assert answer["refusal"] is None


def test_the_floor_denies_in_every_policy(project: Path) -> None:
    answer = decided(project, "run_command", "--command", "echo $(sudo ls)")
    assert answer["decision"] == "deny"
    assert answer["rules"][0]["id"] == "no-root" and answer["rules"][0]["policy"] == "floor"
    assert answer["refusal"]["code"] == "dollar"


def test_the_answer_depends_on_who_asks(project: Path) -> None:
    input = json.dumps({"path": "notes/a.draft", "content": ""})
    assert decided(project, "write_file", "--input", input)["decision"] == "deny"
    for who, decision in (("nader", "allow"), ("repl:1", "allow"), ("repl:2", "deny")):
        assert decided(project, "write_file", "--input", input, "--from", who)["decision"] == decision


def test_whoever_is_never_heard_is_told_to_be_so(project: Path) -> None:
    channels = """\
channels:
  repl: {kind: repl}
  telegram: {kind: telegram, token: "1:x"}
  http: {kind: http, token: operator-token-0123456789, tokens: {shop: {secret: shop-secret-0123, agents: [other]}}}
people:
  nader: {ids: ["telegram:9", "repl:1"], owner: true}
"""
    (project / "channels.yaml").write_text(channels)
    (project / "agents" / "other.yaml").write_text(AGENT.replace("Main", "Other"))
    (project / "agents" / "main.yaml").write_text(f"{AGENT}default: true\n")
    look = ("run_command", "--command", "ls", "--from")
    for who, code, reason in (
        ("nochannel:5", "sender", "there is no channel `nochannel`"),
        ("telegram:5", "sender", "hears them only once a code let them in"),
        ("http:nosuch/x", "sender", "channel http has no token `nosuch`"),
        ("http:shop/shop", "agent", "agent `main` does not answer here"),
    ):
        done = why(project, *look, who, "--json")
        assert f"nothing that {who} says would be taken: " in done.stderr and reason in done.stderr, done.stderr
        answer = json.loads(done.stdout)
        assert (answer["decision"], answer["heard"], answer["refused"]) == ("allow", False, code)
    for who in ("nader", "telegram:9", "http:operator/ana"):
        done = why(project, *look, who, "--json")
        assert (done.stderr, "heard" in json.loads(done.stdout)) == ("", False)
    (project / "channels.yaml").write_text(channels.replace('token: "1:x"', 'token: "1:x", enabled: false'))
    assert "telegram is switched off" in why(project, *look, "telegram:9").stderr
    assert why(project, *look, "nader").stderr == ""


def test_people_are_told_in_words(project: Path) -> None:
    done = why(project, "run_command", "--command", "ls; cat ../x")
    assert done.stdout.splitlines()[0] == "ask: `../x` lies outside the workspace"
    assert "tools.yaml:8:20  allow  careful/look" in done.stdout
    assert done.returncode == 0


@pytest.mark.parametrize(("command", "code"), [("ls", 0), ("make", 5), ("sudo ls", 5)])
def test_the_exit_code_tells_on_request(project: Path, command: str, code: int) -> None:
    assert why(project, "run_command", "--command", command, "--exit-code").returncode == code
    assert why(project, "run_command", "--command", command).returncode == 0


def test_arguments_that_fit_no_schema_are_denied(project: Path) -> None:
    answer = decided(project, "write_file", "--input", '{"path": "notes/a"}')
    assert answer["decision"] == "deny"
    assert answer["refusal"]["code"] == "invalid_input"


def test_a_call_without_its_arguments_is_wrong_usage(project: Path) -> None:
    done = why(project, "run_command")
    assert (2, "") == (done.returncode, done.stdout)
    assert "say what `run_command` would be called with, by --command TEXT" in done.stderr


def test_arguments_that_fit_no_schema_have_no_character_to_point_at(project: Path) -> None:
    assert "at character" not in why(project, "write_file", "--input", '{"path": "notes/a"}').stdout


def test_a_batch_answers_every_line_in_order(project: Path) -> None:
    lines = [
        b'{"command": "ls -la"}',
        b"",
        b"not json",
        b'{"command": "sort x"}',
        b'{"command": "sort x", "allow": ["sort", "make"]}',
        b'{"command": "make", "allow": ["sort", "make"]}',
        b'{"command": "ls", "allow": 5}',
        b'{"input": {"command": "ls", "cwd": ".."}}',
        b'{"input": 5}',
        b'{"command": "ls", "input": {}}',
        b'{"command": null}',
        b"[]",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"command": "ls \\ud800"}',
        b'{"command": "ls"}',
    ]
    done = why(project, "run_command", "--batch", "--cwd", str(project.parent / "ws"), stdin=b"\n".join(lines) + b"\n")
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    expected = ["allow", "deny", "deny", "ask", "allow", "ask", *["deny"] * 8, "ask", "allow"]
    assert [answer["decision"] for answer in answers] == expected
    assert [bool(answer["refusal"]) for answer in answers[:4]] == [False, True, True, False]
    assert answers[1]["refusal"]["code"] == "bad_line"


def test_a_bad_line_is_told_in_words_for_whoever_wrote_it(tmp_path: Path) -> None:
    allow, big = 'is a list of names of programs, for example ["ls", "git"]', "a number too long or a nesting too deep"
    lines = {
        **{b'{"command": "ls", "allow": %s}' % given: allow for given in (
            b"null", b'"ls"', b'{"ls": 1}', b'[["ls"]]', b"[1e400]", b"[null]",
        )},
        b'{"command": %s}' % (b"5" * 5000): big,
        b"[" * 100_000: big,
        b"{'command': 1}": "the line is not JSON at character 2",
        b'{"command": "\xff"}': "the line is not UTF-8 at byte 14",
        '{"command": "ls"}'.encode("utf-16-be"): "the line is not JSON at character 1",
        b'{"input": 5}': '"input" is a JSON object',
    }  # fmt: skip
    stdin = b"\n".join(lines) + b"\n"
    done = why(tmp_path, "run_command", "--batch", "--allow", "ls", "--cwd", str(tmp_path), stdin=stdin)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    for answer, words in zip(answers, lines.values(), strict=True):
        assert answer["decision"] == "deny" and answer["refusal"]["code"] == "bad_line"
        assert words in answer["reason"]


def test_a_line_is_answered_before_the_next_and_by_the_disk_as_it_is_then(project: Path) -> None:
    """Whoever writes one line and waits gets its answer; what the disk said is not remembered for the next."""
    workspace = project.parent / "ws"
    (workspace / "f").write_text("x")
    state = str(project.parent / "state")
    command = [sys.executable, "-m", "openclaw", "-C", str(project), "--state", state, "why", "run_command", "--batch"]
    asked = warm.Popen([*command, "--cwd", str(workspace)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert asked.stdin is not None and asked.stdout is not None

    def answer(line: bytes) -> str:
        asked.stdin.write(line)
        asked.stdin.flush()
        return str(json.loads(asked.stdout.readline())["decision"])

    try:
        assert answer(b'{"command": "cat f"}\n') == "allow"
        (workspace / "f").unlink()
        (workspace / "f").symlink_to("/etc/passwd")
        assert answer(b'{"command": "cat f"}\n{"comm') == "ask"
        assert answer(b'and": "cat g"}\n') == "allow"
        last, _ = asked.communicate(b'{"command": "sudo ls"}', timeout=50)
        assert [json.loads(line)["decision"] for line in last.splitlines()] == ["deny"]
    finally:
        asked.kill()
        asked.wait(timeout=20)


def test_a_batch_decides_as_single_questions_do(project: Path) -> None:
    commands = ["ls -la | wc -l", "cat ../x; ls", "echo $(sudo ls)", "cat f > g", "/usr/bin/sudo ls", "make 'a", ""]
    folder = ("--cwd", str(project.parent / "ws"), "--sandbox", "assume")
    lines = "".join(json.dumps({"command": command}) + "\n" for command in commands)
    together = why(project, "run_command", "--batch", *folder, stdin=lines).stdout.splitlines()
    single = [decided(project, "run_command", "--command", command, *folder) for command in commands]
    assert [json.loads(line) for line in together] == single


def test_each_program_of_a_line_is_told_with_its_rules(project: Path) -> None:
    answer = decided(project, "run_command", "--command", "ls; sudo ls; make")
    places = [[(rule["line"], rule["column"]) for rule in segment["rules"]] for segment in answer["segments"]]
    assert places == [[(8, 20)], [(4, 23)], []]
    assert all(rule in answer["rules"] for segment in answer["segments"] for rule in segment["rules"])
    lines = why(project, "run_command", "--command", "ls; sudo ls").stdout.splitlines()
    below = lines.index("  deny   sudo ls")
    assert lines[below + 2] == "         tools.yaml:4:23  deny  floor/no-root: a person does this by hand"


@pytest.mark.parametrize(
    ("command", "column", "shown"),
    [
        ("ls; echo $HOME", 10, ["    1 | ls; echo $HOME", "      |          ^"]),
        ("cat é 猫 $x", 9, ["    1 | cat é 猫 $x", "      |          ^"]),
        ("ls\nsudo ls", 3, ["    1 | ls", "      |   ^"]),
        ("echo 'a", 6, ["    1 | echo 'a", "      |      ^"]),
        ("ls |", 4, ["    1 | ls |", "      |    ^"]),
    ],
)
def test_the_character_that_is_not_understood_is_shown(
    project: Path, command: str, column: int, shown: list[str]
) -> None:
    assert decided(project, "run_command", "--command", command)["refusal"]["column"] == column
    assert "\n".join(shown) in why(project, "run_command", "--command", command).stdout


def test_what_is_refused_as_a_whole_has_no_column(project: Path) -> None:
    assert decided(project, "write_file", "--input", '{"path": "notes/a"}')["refusal"]["column"] is None
    answer = why(project, "run_command", "--batch", stdin="no json\n").stdout
    assert json.loads(answer)["refusal"]["column"] is None


def test_an_ad_hoc_policy_needs_no_project(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    workspace = tmp_path / "ws"
    workspace.mkdir()
    (workspace / "out").symlink_to("/etc")
    for command, decision in [
        ("ls -la", "allow"),
        ("cat a", "ask"),
        ("ls out/", "ask"),
        ("ls /etc", "ask"),
        ("make", "ask"),
        ("git status", "ask"),
    ]:
        policy = ("--cwd", str(workspace), "--allow", "ls", "make", "git")
        answer = decided(nowhere, "run_command", "--command", command, *policy)
        assert answer["decision"] == decision, command
    assert decided(nowhere, "run_command", "--command", "cat a | wc", "--allow-profiled")["decision"] == "allow"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["no_such_tool"], 2, "there is no tool `no_such_tool`; there are: "),
        (["run_comand"], 2, "there is no tool `run_comand`; did you mean `run_command`?"),
        (["run_command", "--agent", "nobody"], 2, "there is no agent `nobody`; there are: main"),
        (["run_command", "--agent", "mian"], 2, "there is no agent `mian`; did you mean `main`?"),
        (["run_command", "--from", "nobody"], 2, "not an address"),
        (["run_command", "--input", "{"], 2, "not JSON"),
        (["run_command", "--input", "[]"], 2, "JSON object"),
        (["write_file", "--command", "ls"], 2, "takes no command"),
        (["write_file", "--allow", "ls"], 2, "the tool is run_command"),
        (["run_command", "--cwd", "/no/such/folder"], 2, "is not a folder"),
    ],
)
def test_wrong_usage_is_told(project: Path, arguments: list[str], code: int, words: str) -> None:
    done = why(project, *arguments)
    assert (done.returncode, words in done.stderr) == (code, True), done.stderr


def test_an_invalid_project_is_told(project: Path) -> None:
    (project / "tools.yaml").write_text("policies: {careful: {rules: [{allow: run_command, commands: [bash]}]}}\n")
    done = why(project, "run_command", "--command", "ls")
    assert done.returncode == 3
    assert "tools.yaml:1" in done.stderr


# ── the sandbox and trusted repositories ─────────────────────────────────────────────────────────


def test_git_is_judged_by_trust_and_by_the_sandbox(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "repo" / ".git").mkdir(parents=True)
    (tmp_path / "repo" / "sub").mkdir()

    def effect(folder: str, *more: str) -> str:
        place = str(tmp_path / folder)
        main(["why", "run_command", "--allow", "git", "--command", "git status", "--cwd", place, "--json", *more])
        return str(json.loads(capsys.readouterr().out)["decision"])

    assert effect("repo", "--sandbox", "assume") == "ask"
    assert effect("repo", "--sandbox", "assume", "--trust-repo") == "allow"
    assert effect("repo/sub", "--sandbox", "assume", "--trust-repo") == "allow"


def test_it_tells_what_would_be_once_strangers_were_heard(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = """\
      - {id: after-strangers, ask: write_file, tainted: true}
      - {allow: run_command, commands: [wc], tainted: false}
"""
    (project / "tools.yaml").write_text(TOOLS + more)

    def effect(*call: str) -> str:
        main(["-C", str(project), "--state", str(project.parent / "state"), "why", *call, "--json"])
        return str(json.loads(capsys.readouterr().out)["decision"])

    write = ("write_file", "--input", '{"path": "notes/a.md", "content": "x"}')
    assert (effect(*write), effect(*write, "--tainted")) == ("allow", "ask")
    count = ("run_command", "--command", "wc -l", "--sandbox", "assume")
    assert (effect(*count), effect(*count, "--tainted")) == ("allow", "ask")
