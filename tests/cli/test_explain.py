"""`openclaw explain`: a code in words, in examples, in JSON; and what it says of a code that is none."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

from doubles import warm
from openclaw.cli import _examples
from openclaw.manifest.codes import CODES


def explain(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "openclaw", "--state", str(place / "state"), "explain", *arguments]
    return warm.run(command, cwd=place, text=True, timeout=60)


def test_a_code_is_told_with_its_law_its_examples_and_the_diagnostic_as_printed(tmp_path: Path) -> None:
    done = explain(tmp_path, "unknown-policy")
    assert (done.returncode, done.stderr) == (0, "")
    printed = textwrap.indent(_examples.printed(CODES["unknown-policy"].bad), "    ")
    assert "    agents/main.yaml:4:9: error: no policy `carefull`" in printed
    agent = "    name: Jarvis\n    description: Helps with everything\n    tools: [read_file]\n"
    assert done.stdout == (
        "unknown-policy: No policy of this name is described.\n\n"
        f"Wrong, in agents/main.yaml:\n{agent}    policy: carefull\n\n"
        f"`openclaw validate` says:\n{printed}\n\n"
        f"Right, in agents/main.yaml:\n{agent}    policy: careful\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_json_holds_the_same(tmp_path: Path) -> None:
    said = json.loads(explain(tmp_path, "unknown-policy", "--json").stdout)
    assert (said["code"], said["what"]) == ("unknown-policy", CODES["unknown-policy"].what)
    assert (said["bad"], said["good"]) == (CODES["unknown-policy"].bad, CODES["unknown-policy"].good)
    assert [(each["line"], each["column"], each["code"]) for each in said["diagnostics"]] == [(4, 9, "unknown-policy")]


def test_without_a_code_all_are_listed(tmp_path: Path) -> None:
    lines = explain(tmp_path).stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["CODE", *CODES]
    assert json.loads(explain(tmp_path, "--json").stdout)[0] == {"code": "file", "what": CODES["file"].what}


def test_a_code_that_no_file_shows_says_why(tmp_path: Path) -> None:
    assert CODES["file"].unshown in explain(tmp_path, "file").stdout


def test_brackets_and_capitals_are_forgiven_and_an_unknown_code_is_wrong_usage(tmp_path: Path) -> None:
    assert explain(tmp_path, "[Cron]").stdout.startswith("cron: ")
    done = explain(tmp_path, "unknown-polcy")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no code `unknown-polcy`; did you mean `unknown-policy`?" in done.stderr
