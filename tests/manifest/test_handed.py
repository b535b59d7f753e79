"""Templates that hand a program what the model writes, in the forms in which such commands are written."""

from __future__ import annotations

import pytest

from openclaw.manifest.rules.runners import handed
from openclaw.permissions.template import Template, compile_template

RUN = (
    "sed -n {x} f", "sed -e {x} f", "sed {x} f", "awk -F , {x} f", "env A=1 {x}", "ssh -p 22 host {x}",
    "ssh host ls {x}",
    "bash -c -- {x}", "bash -x {x}", "bash -lc {x}", "find . -exec {x} a +", "tar -xf a --to-command={x}",
    "git -c {x} status", "xargs -n 1 {x}", "xargs -I % sh -c {x}", "nice -n 5 {x}", "docker run --rm alpine {x}",
    "docker exec box {x}", "kubectl exec pod -- {x}", "npm run {x}", "uv run {x}", "make {x}", "echo {x} | sh",
    "cat {x} | bash -s", "node --eval={x}", "ruby -e{x}", "python3 -W ignore -c {x}", "python3 {x}",
    "timeout 5 bash -c {x}",
    "sqlite3 notes.db {x}", "psql -c {x}", "vim -c {x}", "tclsh {x}",
)  # fmt: skip
OWN = (
    "python3 report.py {x}", "python3 report.py -c {x}", "python3 -m pytest {x}", "cat {x} | python3 -m json.tool",
    "sed -n 5p {x}", "sed -e 5p {x}", "awk -F , '1' {x}", "timeout 5 sort {x}", "nice -n 5 sort {x}",
    "xargs -0 grep {x}",
    "find {x} -name a", "git log {x}", "git switch -c {x}", "git commit -m {x}", "docker logs {x}", "kubectl get {x}",
    "docker exec box ls {x}", "npm view {x}", "npm run build {x}", "uv run pytest {x}", "make -j 4 test X={x}",
    "cargo run {x}", "echo {x} | bc", "echo {x} | sort", "echo {x} && bash", "bash lint.sh {x}", "ls {x}",
    "tar -cf a {x}",
    "ssh {x} uptime", "grep -e {x} f",
)  # fmt: skip


def names(shell: str) -> set[str]:
    template = compile_template(shell, {"x": {"type": "string"}})
    assert isinstance(template, Template), template
    return {hole.name for index in range(len(template.shapes)) for hole in handed(template, index)}


@pytest.mark.parametrize("shell", RUN)
def test_what_is_run_is_told(shell: str) -> None:
    assert names(shell) == {"x"}


@pytest.mark.parametrize("shell", OWN)
def test_what_a_program_only_reads_is_not(shell: str) -> None:
    assert names(shell) == set()
