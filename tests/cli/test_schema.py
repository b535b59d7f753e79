"""`openclaw schema`: the schemas that editors use, as the validator has them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from doubles import warm
from openclaw import bundle


def schema(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "openclaw", "--state", str(place / "state"), "schema", *arguments]
    return warm.run(command, cwd=place, text=True, timeout=60)


def test_each_kind_is_printed_as_it_is(tmp_path: Path) -> None:
    for kind in bundle.KINDS:
        assert json.loads(schema(tmp_path, kind).stdout) == bundle.schema(kind)


def test_without_a_kind_they_are_listed(tmp_path: Path) -> None:
    listed = json.loads(schema(tmp_path, "--json").stdout)
    assert {each["kind"] for each in listed} == set(bundle.KINDS)
    assert [line.split()[0] for line in schema(tmp_path).stdout.splitlines()] == ["KIND", *(x["kind"] for x in listed)]


def test_an_unknown_kind_is_wrong_usage(tmp_path: Path) -> None:
    done = schema(tmp_path, "agnt")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no kind `agnt`; did you mean `agent`?; there are: agent, " in done.stderr
