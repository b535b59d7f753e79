"""`openclaw test` as a user runs it: what it prints, how it ends, what it writes, and that it touches nothing else."""

from __future__ import annotations

import re
import signal
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from casebook import FILES, WORLD, judged, scenario

from doubles import warm
from openclaw.cli import main
from openclaw.errors import OpenClawError
from openclaw.scenarios import record, reports
from openclaw.scenarios.check import Checked
from openclaw.scenarios.results import Result, collected, matching
from openclaw.scenarios.suite import Suite

GOLDEN = Path(__file__).with_name("golden")
TOP = Path(__file__).resolve().parent.parent.parent
CASES = "tests/scenarios/cases.yaml"

CONTRACT = """\
given: {now: "2026-03-28T12:00:00Z", channel: discord, room: ops, from: ana}
routes:
  - {text: "/research who wrote X", expect: {agent: researcher, text: who wrote X}}
  - {text: hello, from: "discord:999", expect: {refused: sender}}
decisions:
  - {agent: "*", command: ["rm -rf x", "ls; sudo ls"], expect: deny, rule: no-root}      # a list means each
  - {agent: ops, tool: restart_service, input: {unit: web}, expect: ask, approvers: [ana]}
schedules:
  - {heartbeat: morning-check, expect: {fires: ["2026-03-30T07:30:00+01:00"]}}
conversations:
  restart-after-approval:
    given: {agent: ops}
    tools: {restart_service: restarted}          # stubs; an unstubbed shell, python or web tool fails the test
    steps:
      - user: please restart web
      - model: {calls: [{restart_service: {unit: web}}]}
      - expect: {ask: restart_service}
      - approve: {by: ana, decision: allow-once}
      - model: web is back.
      - expect: {reply: {contains: is back}, calls: [restart_service]}
"""

WRONG = """\
# What is wrong on purpose, in every way there is.
given: {now: "2026-03-28T12:00:00Z", from: ana}
routes:
  - {text: hello, channel: discord, expect: {agent: main}}
  - {text: "/research who", channel: discord, expect: {agent: main, text: who}}   # not hers
decisions:
  - {agent: main, command: [ls, "ls; sudo ls"], expect: allow, rule: looks}
  - agent: ops
    tool: restart_service
    input: {unit: web}
    expect: ask
    approvers:
      - ana
schedules:
  - {heartbeat: morning-check, expect: {fires: ["2026-03-30T07:30:00Z"]}}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    for name, text in {**FILES, CASES: WRONG}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, "utf-8")
    return root


def run(project: Path, *arguments: str) -> int:
    return main(["-C", str(project), "--state", str(project.parent / "state"), "test", *arguments])


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_example_of_the_documentation_passes_word_for_word(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / CASES).write_text(CONTRACT)
    tools = FILES["tools.yaml"].replace('[ana, "group:oncall"]', "[ana]")
    (project / "tools.yaml").write_text(tools)
    before = everything(project.parent)
    assert run(project) == 0
    assert capsys.readouterr().out.splitlines()[0] == "openclaw: 6 cases in 1 file: 6 passed"
    assert everything(project.parent) == before, "nothing is written, and no state folder made"


def test_what_is_wrong_is_told_readably(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(project, "--coverage") == 1
    assert capsys.readouterr().out == (GOLDEN / "wrong.txt").read_text("utf-8")


def test_junit_tells_the_same_cases_at_the_same_places(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "tests/scenarios/broken.yaml").write_text("routes:\n  - {text: x, exspect: {agent: main}}\n")
    assert run(project, "--format", "junit") == 1
    out, err = capsys.readouterr()
    root = ElementTree.fromstring(out)
    assert {key: root.get(key) for key in ("tests", "failures", "errors")} == {
        "tests": "6",
        "failures": "4",
        "errors": "1",
    }
    failed = [case for case in root.iter("testcase") if case.find("failure") is not None]
    assert [f"{case.get('file')}:{case.get('line')}" for case in failed] == [f"{CASES}:{n}" for n in (5, 7, 13, 15)]
    (broken,) = root.iter("error")
    assert broken.get("type") == "unknown-key" and "did you mean `expect`" in str(broken.get("message"))
    assert err.splitlines()[0] == "openclaw: 5 cases in 1 file: 1 passed, 4 failed, 1 file with mistakes"


def test_a_misspelt_key_fails_and_the_other_files_are_judged_all_the_same(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / CASES).write_text("routes:\n  - {text: x, exspect: {agent: main}}\n")
    (project / "tests/scenarios/sound.yaml").write_text("routes: [{text: x, expect: {agent: main}}]\n")
    assert run(project, "-v") == 1
    assert capsys.readouterr().out == (GOLDEN / "misspelt.txt").read_text("utf-8")


def test_update_rewrites_what_fails_says_so_and_leaves_the_rest(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / CASES).chmod(0o640)
    assert run(project, "--update") == 1, "the two commands come out differently, so nothing can be recorded"
    out, err = capsys.readouterr()
    assert err == (GOLDEN / "updated.txt").read_text("utf-8")
    assert (project / CASES).read_text() == (
        WRONG.replace("expect: {agent: main, text: who}", "expect: {agent: researcher, text: who}")
        .replace("      - ana\n", '      - ana\n      - "group:oncall"\n')
        .replace('["2026-03-30T07:30:00Z"]', '["2026-03-30T07:30:00+01:00"]')
    )
    assert (project / CASES).stat().st_mode & 0o777 == 0o640
    assert "5 cases in 1 file: 4 passed, 1 failed" in out
    assert sorted(path.name for path in (project / "tests/scenarios").iterdir()) == ["cases.yaml"]
    before = (project / CASES).read_text()
    assert run(project, "--update") == 1
    assert (project / CASES).read_text() == before


def test_update_follows_a_link_and_keeps_a_byte_order_mark(project: Path) -> None:
    real = project / "elsewhere.yaml"
    real.write_bytes(b"\xef\xbb\xbf" + b"decisions: [{command: ls, expect: deny}]\r\n")
    (project / CASES).unlink()
    (project / CASES).symlink_to(real)
    assert run(project, "--update") == 0
    assert (project / CASES).is_symlink()
    assert real.read_bytes() == b"\xef\xbb\xbf" + b"decisions: [{command: ls, expect: allow}]\r\n"


def test_a_file_that_nobody_may_write_is_left_as_it_is(project: Path) -> None:
    (project / CASES).chmod(0o444)
    assert run(project, "--update") != 0
    assert (project / CASES).read_text() == WRONG and (project / CASES).stat().st_mode & 0o777 == 0o444


def test_a_file_that_was_edited_meanwhile_is_not_written(project: Path) -> None:
    text = "decisions: [{agent: main, command: ls, expect: deny}]"
    (outcome,) = judged(text)
    (project / CASES).write_text(f"{text}  # edited")
    with pytest.raises(OpenClawError, match="was changed while its cases ran"):
        list(record.write(project, scenario(text), text.encode(), [Result(CASES, outcome)]))
    assert (project / CASES).read_text() == f"{text}  # edited"


def test_only_the_chosen_cases_are_judged(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(project, "-k", "HELLO") == 0
    assert "1 case in 1 file: 1 passed, 4 not chosen" in capsys.readouterr().out
    assert run(project, "--filter", "*cases.yaml:15 schedules: *") == 1
    assert "1 case in 1 file: 0 passed, 1 failed, 4 not chosen" in capsys.readouterr().out
    (project / "other.yaml").write_text("routes: [{text: x, expect: {agent: main}}]\n")
    assert run(project, str(project / "other.yaml"), "-v") == 0
    assert capsys.readouterr().out.startswith('ok    other.yaml:1:10  routes: "x"\n')


@pytest.mark.parametrize("format", ["text", "junit"])
def test_what_looks_like_a_secret_is_struck_out(project: Path, capsys: pytest.CaptureFixture[str], format: str) -> None:
    key = "sk-ant-api03-" + "a1B2c3D4" * 4
    case = f"{{agent: main, tool: write_file, input: {{path: a, content: {key}}}, expect: allow}}"
    (project / CASES).write_text(f"decisions:\n  - {case}\n")
    assert run(project, "--format", format, "-v") == 1
    out, err = capsys.readouterr()
    assert key not in out + err and "1 failed" in out + err


def test_no_case_at_all_is_no_success(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(project, "-k", "nothing like this") == 2
    assert "no case matches `nothing like this`" in capsys.readouterr().err
    (project / CASES).unlink()
    assert run(project) == 2
    assert "there is no scenario file in" in capsys.readouterr().err
    assert run(project, "nowhere.yaml") == 2
    assert main(["-C", str(project / "nowhere"), "test"]) == 2


def test_manifests_with_errors_are_told_and_nothing_is_judged(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "agents/main.yaml").write_text(FILES["agents/main.yaml"].replace("careful", "carefull"))
    assert run(project) == 3
    out, err = capsys.readouterr()
    assert out == "" and "did you mean `careful`" in err and "no scenario was judged" in err


def test_validate_checks_scenario_files_and_the_runtime_does_without_them(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / CASES).write_text("routes:\n  - {text: x, expect: {agent: man}}\n")
    assert main(["-C", str(project), "validate", "--no-env"]) == 1
    assert capsys.readouterr().out.startswith(f"{CASES}:2:31: error: no agent `man`; did you mean `main`")
    assert main(["-C", str(project), "why", "run_command", "--command", "ls", "--sandbox", "assume"]) == 0


def test_the_default_project_meets_its_own_scenarios_and_they_use_all_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(TOP, "--coverage", "-k", "s: ") == 0
    assert capsys.readouterr().out.startswith("every way and every rule was put to use\n")


def test_what_the_documentation_shows_is_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = (TOP / "docs/testing.md").read_text("utf-8")
    files = dict(re.findall(r"^```yaml (\S+)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL))
    files["agents/main.yaml"] = FILES["agents/main.yaml"]
    telegram = '{kind: telegram, token: "${TELEGRAM_BOT_TOKEN}"}'
    files["channels.yaml"] = f"channels: {{repl: {{kind: repl}}, telegram: {telegram}}}\n"
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    assert run(tmp_path) == 0, capsys.readouterr()
    capsys.readouterr()
    calls = files["tests/scenarios/calls.yaml"].replace('expect: ask, approvers: "repl:local"', "expect: allow")
    (tmp_path / "tests/scenarios/calls.yaml").write_text(calls)
    assert run(tmp_path, "-k", "rm notes") == 1
    assert capsys.readouterr().out.partition("\n\n")[0] in page


def test_cases_whose_turn_did_not_come_are_counted_and_no_success(project: Path) -> None:
    found, every = scenario(WRONG), matching(None)
    suite = Suite(Checked({}, {}, ()), (found,))
    some = [Result(found.file, judged(WRONG)[0])]
    results = collected(some, suite, WORLD, every)
    assert reports.summary(results, suite) == "1 case in 1 file: 1 passed, 4 not judged"
    root = ElementTree.fromstring(reports.junit(results, suite))
    assert (root.get("tests"), root.get("errors")) == ("2", "1")
    [wrong] = root.iter("error")
    assert wrong.get("message") == "4 cases not judged"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_it_with_what_there_was_until_then(project: Path, number: signal.Signals) -> None:
    """Its results are more than a pipe holds, so that it cannot end before the signal, which comes after the first."""
    talk = "    steps: [{user: hello}, {model: hello}, {expect: {reply: hello}}]\n"
    many = "".join(f"  talk-{number}:\n{talk}" for number in range(2000))
    (project / CASES).write_text(f"conversations:\n{many}")
    command = [
        sys.executable,
        "-m",
        "openclaw",
        "-C",
        str(project),
        "--state",
        str(project.parent / "state"),
        "test",
        "-v",
    ]
    process = warm.Popen(command, stdout=-1, stderr=-1, text=True, cwd=project)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("ok ")
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "openclaw: interrupted; what follows is what there was until then\n" in out
    assert "Traceback" not in out + err
