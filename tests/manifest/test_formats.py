"""Five formats, one truth: the same places under the same codes, each readable by what it is written for."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import unquote

import jsonschema
import pytest

from doubles import warm
from openclaw.adapters import formats, importer, report
from openclaw.manifest.build import compile
from openclaw.manifest.diagnostic import Diagnostic, Span, error, see, warning
from openclaw.manifest.folder import Folder, kind_of
from openclaw.manifest.reports import Look

TESTS = Path(__file__).parent.parent
FIXTURES = sorted(TESTS.joinpath("manifests").rglob("*.txt"))
SCHEMA = json.loads(TESTS.joinpath("data/sarif-2.1.0.json").read_text("utf-8"))
TODAY = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
PROJECT = {
    "agents/main.yaml": "name: Jarvis\ndescription: Helps\ntools: [read_file]\npolicy: careful\n",
    "tools.yaml": "policies:\n  careful:\n    rules:\n      - allow: [read_file]\n",
}
HEAD = re.compile(r"(\S.*?):(\d+):(\d+): (?:error|warning): .* \[([a-z-]+)\]")
COMMAND = re.compile(r"::(?:error|warning) file=([^,]*),line=(\d+),col=(\d+),(?:[a-zA-Z]+=\d+,)*title=([a-z-]+)::(.*)")

Place: TypeAlias = tuple[str, int, int, str]


def laid(fixture: Path, root: Path) -> Folder:
    files = dict(PROJECT)
    for part in fixture.read_text("utf-8").split("=== ")[1:]:
        name, _, content = part.partition("\n")
        files |= {} if name == "expect" else {name: content}
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content, "utf-8")
    return Folder.read(root)


def diagnostics(folder: Folder) -> tuple[Diagnostic, ...]:
    return compile(folder, environment={}, importer=importer(Path(folder.root)), today=TODAY).diagnostics


def head(line: str) -> Place:
    found = HEAD.fullmatch(line)
    assert found, line
    return found[1], int(found[2]), int(found[3]), found[4]


def of_text(told: str) -> Iterator[Place]:
    return (head(line) for line in told.splitlines() if line[:1].strip())


def of_json(told: str) -> Iterator[Place]:
    return ((each["file"], each["line"], each["column"], each["code"]) for each in json.loads(told))


def of_github(told: str) -> Iterator[Place]:
    for line in told.splitlines():
        found = COMMAND.fullmatch(line)
        assert found, line
        yield unescaped(found[1]), int(found[2]), int(found[3]), found[4]


def unescaped(text: str) -> str:
    for sign, code in ((":", "%3A"), (",", "%2C"), ("\r", "%0D"), ("\n", "%0A"), ("%", "%25")):
        text = text.replace(code, sign)
    return text


def of_sarif(told: str) -> Iterator[Place]:
    (run,) = json.loads(told)["runs"]
    for result in run["results"]:
        (location,) = (each["physicalLocation"] for each in result["locations"])
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        region = location["region"]
        yield unquote(location["artifactLocation"]["uri"]), region["startLine"], region["startColumn"], result["ruleId"]


def of_junit(told: str) -> Iterator[Place]:
    for case in ElementTree.fromstring(told).iter("testcase"):
        for below in case:
            place = head((below.text or "").splitlines()[0])
            assert place[0] == case.get("name")
            if below.tag == "failure":
                assert (head(below.get("message", "")), below.get("type")) == (place, place[3])
            yield place


READ = {"text": of_text, "json": of_json, "github": of_github, "sarif": of_sarif, "junit": of_junit}


def told(found: tuple[Diagnostic, ...], folder: Folder, look: Look = Look()) -> dict[str, str]:  # noqa: B008
    return {format: report(format).render(found, folder, look) for format in formats()}


def test_there_are_five() -> None:
    assert set(formats()) == set(READ)


@pytest.mark.parametrize("fixture", FIXTURES, ids=lambda path: path.stem)
def test_all_formats_tell_the_same_places_under_the_same_codes(fixture: Path, tmp_path: Path) -> None:
    folder = laid(fixture, tmp_path)
    found = diagnostics(folder)
    expected = [(each.file, each.line, each.column, each.code) for each in found]
    for format, shown in told(found, folder).items():
        assert sorted(READ[format](shown)) == sorted(expected), format
        assert "AAHfake" not in shown


@pytest.mark.parametrize(
    "fixture", [path if path.stem == "x-all-at-once" else pytest.param(path, marks=pytest.mark.slow)
                for path in FIXTURES], ids=lambda path: path.stem,
)  # fmt: skip
def test_sarif_follows_its_schema(fixture: Path, tmp_path: Path) -> None:
    folder = laid(fixture, tmp_path)
    valid(report("sarif").render(diagnostics(folder), folder, Look(below="a b/c#/")))


def valid(log: str) -> Any:
    read = json.loads(log)
    jsonschema.Draft202012Validator(SCHEMA).validate(read)
    return read


# ── hostile names and words ──────────────────────────────────────────────────────────────────────

HOSTILE = [
    "agents/a%0A::error::b.yaml", "agents/a\n::error::b.yaml", "agents/a,line=9:col.yaml", "agents/<&\"'>.yaml",
    "agents/a\x1b[31m\u202e.yaml", "agents/日本 語#?%41.yaml", "agents/]]>.yaml", "agents/a\r\x00b\ufffe.yaml",
]  # fmt: skip
WORDS = "100% <b>&amp; ]]> [a](file:///x) {0} :: , %0A ‮ \x1b[31m \x00 \ufffe \ud800"


@pytest.mark.parametrize("file", HOSTILE)
def test_hostile_names_and_words_stay_inside_their_format(file: str) -> None:
    folder = Folder.of({file: f"name: {WORDS}\n".encode("utf-8", "surrogatepass")})
    span, other = Span(file, 1, 7, 1, 10), Span(file, 1, 1)
    found = (error("yaml", span, WORDS, WORDS, (see(other, WORDS),)), warning("empty", replace(span, column=8), WORDS))
    shown = told(found, folder)
    for format, text in shown.items():
        text.encode("utf-8")
        assert not set("\x1b\x00\r") & set(text), format
        assert [place[1:] for place in READ[format](text)] == [(1, 7, "yaml"), (1, 8, "empty")], format
    assert len(shown["github"].splitlines()) == 2
    assert {place[0] for place in of_sarif(shown["sarif"])} == {file}
    assert {place[0] for place in of_json(shown["json"])} == {file}
    log = valid(shown["sarif"])
    assert "](" not in json.dumps(log["runs"][0]["results"])


def test_a_secret_is_in_no_format(tmp_path: Path) -> None:
    secret = "correct-horse-battery-staple-9"
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents/main.yaml").write_text(PROJECT["agents/main.yaml"])
    (tmp_path / "tools.yaml").write_text(PROJECT["tools.yaml"])
    (tmp_path / "channels.yaml").write_text(
        f"channels:\n  http: {{kind: http, token: {secret}, prot: 1}}\n  web: {{kind: http, host: '${{MY_TOKEN}}'}}\n"
    )
    folder = Folder.read(tmp_path)
    compiled = compile(folder, environment={"MY_TOKEN": secret}, importer=None, today=TODAY)
    assert len(compiled.diagnostics) >= 2
    assert secret not in repr(compiled)
    for format, shown in told(compiled.diagnostics, folder).items():
        assert secret not in shown, format


def test_a_line_of_any_file_hides_what_looks_like_a_secret() -> None:
    folder = Folder.of({"tests/scenarios/one.yaml": b"text: use 123456789:AAHfakefakefakefakefakefakefakefake now\n"})
    shown = report("text").render((error("yaml", Span("tests/scenarios/one.yaml", 1, 1, 1, 5), "x"),), folder)
    assert "text: use ****" in shown and "AAHfake" not in shown


def test_what_takes_no_column_is_named_and_the_mark_stands_under_its_token(tmp_path: Path) -> None:
    folder = Folder.of(
        {**{name: each.encode() for name, each in PROJECT.items()},
         "agents/main.yaml": 'name: J\ndescription: d\ntools: ["\u200b\u200bx", zork]\npolicy: careful\n'.encode()},
    )  # fmt: skip
    first, second = (each for each in diagnostics(folder) if each.code == "unknown-tool")
    assert first.message == "no tool `\\u{200b}\\u{200b}x`"
    line, mark = report("text").render([second], folder).splitlines()[1:3]
    assert line.index("zork") == mark.index("^")


# ── each for its reader ──────────────────────────────────────────────────────────────────────────

SPAN = Span("agents/main.yaml", 2, 3, 2, 9)
FOLDER = Folder.of({"agents/main.yaml": b"name: x\n  wrong\n", "tools.yaml": b"", "agents/main.md": b"soul"})


def test_github_names_files_from_the_top_of_the_repository_and_holds_one_line_each() -> None:
    found = (error("yaml", SPAN, "50% of it", "do that", (see(Span("tools.yaml", 4, 1), "here"),)),)
    assert report("github").render(found, FOLDER, Look(below="my,bots/")) == (
        "::error file=my%2Cbots/agents/main.yaml,line=2,col=3,endLine=2,endColumn=9,title=yaml::"
        "50%25 of it%0Ahelp: do that%0Asee: tools.yaml:4:1: here"
    )


def test_github_is_given_no_columns_that_its_runner_would_throw_away() -> None:
    shown = report("github").render((warning("yaml", replace(SPAN, end_line=3), "x"),), FOLDER)
    assert shown == "::warning file=agents/main.yaml,line=2,col=3,title=yaml::x"


def test_sarif_explains_its_rules_and_points_to_what_belongs_to_them() -> None:
    found = (error("prefix", SPAN, "taken", "take another", (see(Span("agents/a b.yaml", 4, 1), "here"),)),)
    (run,) = valid(report("sarif").render(found, FOLDER, Look(below="my bots/")))["runs"]
    (rule,) = run["tool"]["driver"]["rules"]
    assert run["columnKind"] == "unicodeCodePoints"
    assert rule["id"] == "prefix" and rule["shortDescription"]["text"] in rule["help"]["text"]
    assert "~~~yaml" in rule["help"]["markdown"] and "helpUri" not in rule
    (result,) = run["results"]
    assert result["message"]["text"] == "taken\nhelp: take another"
    (other,) = result["relatedLocations"]
    assert other["physicalLocation"]["artifactLocation"] == {
        "uri": "my%20bots/agents/a%20b.yaml",
        "uriBaseId": "%SRCROOT%",
    }


def test_a_mistake_keeps_its_fingerprint_when_its_line_moves() -> None:
    def marks(text: str, *lines: int) -> list[str]:
        folder = Folder.of({"tools.yaml": text.encode()})
        found = [error("yaml", Span("tools.yaml", line, 1, line, 2), "x") for line in lines]
        (run,) = json.loads(report("sarif").render(found, folder))["runs"]
        return [result["partialFingerprints"]["openclaw/v1"] for result in run["results"]]

    before = marks("a: 1\nb: 2\na: 1\n", 1, 2, 3)
    assert len(set(before)) == 3
    assert marks("# new\na: 1\nb: 2\na: 1\n", 2, 3, 4) == before


def test_junit_fails_by_warnings_only_where_the_command_does() -> None:
    found = (error("yaml", SPAN, "x"), warning("empty", SPAN, "y"))
    for strict, failures in ((False, "1"), (True, "2")):
        root = ElementTree.fromstring(report("junit").render(found, FOLDER, Look(strict=strict)))
        assert (root.get("tests"), root.get("failures")) == ("2", failures)
        assert len(list(root.iter("failure"))) == int(failures)
        assert [case.get("name") for case in root.iter("testcase")] == ["agents/main.yaml", "tools.yaml"]


def test_without_a_mistake_each_format_is_still_whole() -> None:
    shown = told((), FOLDER)
    assert (shown["text"], shown["github"], json.loads(shown["json"])) == ("", "", [])
    assert valid(shown["sarif"])["runs"][0]["results"] == []
    assert len(list(ElementTree.fromstring(shown["junit"]).iter("testcase"))) == len(
        list(filter(kind_of, FOLDER.files))
    )


# ── the command ──────────────────────────────────────────────────────────────────────────────────


def validate(root: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if name != "GITHUB_WORKSPACE"}
    command = [sys.executable, "-m", "openclaw", "--state", str(root / "state"), "validate", *arguments]
    return warm.run(command, cwd=root, env={**environ, **environment}, text=True, timeout=60)


@pytest.mark.parametrize("format", READ)
def test_every_format_has_the_same_exit_codes_and_keeps_the_count_on_stderr(format: str, tmp_path: Path) -> None:
    project = tmp_path / "bots"
    laid(TESTS / "manifests/bad/75-rule-matches-nothing.txt", project)  # a warning
    for strict, code in (((), 0), (("--strict",), 1)):
        done = validate(tmp_path, "bots", "--format", format, *strict)
        assert done.returncode == code, done.stderr
        assert done.stderr == "openclaw: 1 warning in 2 manifests\n"
        assert len(list(READ[format](done.stdout))) == 1
        assert ("bots/tools.yaml" in done.stdout) is (format in ("github", "sarif", "junit"))
    elsewhere = validate(project, "--format", format, GITHUB_WORKSPACE=str(tmp_path))
    assert ("bots/tools.yaml" in elsewhere.stdout) is (format in ("github", "sarif", "junit"))
    assert validate(tmp_path, "nowhere", "--format", format).returncode == 2
