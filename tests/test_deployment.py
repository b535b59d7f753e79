"""What a runtime is deployed with: the image, its health check, the composition, and the page that tells of them.

No image is built here. The Dockerfile is read: everything that it copies is there and is let through, what it copies is
enough for a wheel, whoever runs in it is not root, and every command of ours that it or the page names is one.
"""

from __future__ import annotations

import argparse
import asyncio
import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from doubles.house import lived, project
from openclaw import adapters

TOP = Path(__file__).resolve().parent.parent
DEPLOY = TOP / "docs" / "deploy"
HEALTHY = DEPLOY / "healthy.py"


def instructions() -> list[tuple[str, str]]:
    """Each instruction of the Dockerfile with what stands behind it, in order."""
    lines = [line for line in (DEPLOY / "Dockerfile").read_text("utf-8").splitlines() if not line.startswith("#")]
    whole = "\n".join(lines).replace("\\\n", " ")
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in whole.splitlines() if line.strip()]


def of(name: str, stage: int | None = None) -> list[str]:
    """What stands behind one instruction, in one stage or in all."""
    found, at = [], -1
    for each, rest in instructions():
        at += each == "FROM"
        if each == name and stage in (None, at):
            found.append(rest)
    return found


def copied() -> list[str]:
    """What is copied out of the repository."""
    words = [shlex.split(line) for line in of("COPY")]
    return [source for line in words if not line[0].startswith("--from") for source in line[:-1]]


def composed() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
    return found


def is_ours(words: list[str]) -> None:
    """Raises SystemExit where this is no command line of ours."""
    start = argparse.ArgumentParser(prog="openclaw", add_help=False)
    start.add_argument("-C")
    start.add_argument("--state")
    start.add_argument("command", nargs="?", default="run")
    start.add_argument("rest", nargs=argparse.REMAINDER)
    given = start.parse_args(words)
    module = adapters.command(given.command)
    assert module is not None, f"there is no command {given.command}"
    parser = argparse.ArgumentParser(prog=f"openclaw {given.command}")
    module.arguments(parser)
    parser.parse_args(given.rest)


# ── the image ────────────────────────────────────────────────────────────────────────────────────


def test_everything_that_the_image_is_made_of_is_there_and_let_through() -> None:
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text("utf-8").splitlines()
    admitted = [line[1:] for line in ignored if line.startswith("!")]
    assert ignored[2] == "*" and "**/.env" in ignored, "nothing enters that is not named"
    for source in copied():
        assert (TOP / source).exists(), source
        assert any(source == one or source.startswith(f"{one}/") for one in admitted), f"{source} is left out"
    assert [one for one in admitted if not (TOP / one).exists()] == []
    assert not any(fnmatch.fnmatch(".env", one) or one.startswith(".git") for one in admitted)


@pytest.mark.slow
def test_what_is_copied_is_enough_for_a_wheel(tmp_path: Path) -> None:
    """Built as the image builds it, of these files and no others."""
    for source in copied():
        place = tmp_path / "source" / source
        place.parent.mkdir(parents=True, exist_ok=True)
        if (TOP / source).is_dir():
            shutil.copytree(TOP / source, place, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(TOP / source, place)
    code = "import sys, hatchling.build as b; print(b.build_wheel(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=tmp_path / "source", capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(tmp_path / done.stdout.split()[-1]) as wheel:
        names = wheel.namelist()
    assert "openclaw/_bundle/schemas/agent.schema.json" in names and "openclaw/cli/run.py" in names
    assert "openclaw/_bundle/project/tools.yaml" in names


def test_whoever_runs_in_the_image_is_not_root_and_its_state_is_a_volume() -> None:
    stages = of("FROM")
    assert all(re.fullmatch(r"python:3\.\d+-slim(?: AS \w+)?", stage) for stage in stages), "no name of a registry"
    last = len(stages) - 1
    defaults = dict(line.split("=", 1) for line in of("ARG", last))
    [user] = of("USER", last)
    assert [int(defaults[name.lstrip("$")]) > 0 for name in user.split(":")] == [True, True]
    names = [name for name, _ in instructions()]
    assert len(names) - 1 - names[::-1].index("USER") > len(names) - 1 - names[::-1].index("RUN"), (
        "nothing runs after it"
    )
    assert of("VOLUME", last) == ["/state"] and of("STOPSIGNAL", last) == ["SIGTERM"]
    environment = dict(word.split("=", 1) for line in of("ENV", last) for word in shlex.split(line))
    assert environment["OPENCLAW_STATE"] == "/state"
    secret = re.compile(r".*(?:TOKEN|KEY|SECRET|PASSWORD)")
    assert [name for name in (*environment, *defaults) if secret.fullmatch(name)] == []


def test_what_the_image_starts_is_a_command_of_ours() -> None:
    [entry], [command] = map(json.loads, of("ENTRYPOINT")), map(json.loads, of("CMD"))
    assert entry == ["openclaw"]
    is_ours(command)
    assert "hatchling" in (TOP / "requirements.txt").read_text("utf-8"), "the build needs it, without isolation"


def health(state: Path) -> int:
    """The health check's own command, as the image has it, with the interpreter of the tests."""
    [line] = of("HEALTHCHECK")
    program, script = json.loads(line.partition(" CMD ")[2])
    assert program == "python" and f"COPY {HEALTHY.relative_to(TOP)} {script}" in [
        " ".join(one) for one in instructions()
    ]
    environment = {**os.environ, "OPENCLAW_STATE": str(state)}
    done = subprocess.run([sys.executable, "-I", str(HEALTHY)], env=environment, capture_output=True, timeout=60)
    return done.returncode


def test_the_health_check_tells_a_runtime_that_lives_from_one_that_does_not(tmp_path: Path) -> None:
    state = tmp_path / ("deep" * 20) / "state"
    state.parent.mkdir()

    found = [health(state)]

    async def whole() -> None:
        async with lived(project(tmp_path / "p", "http://127.0.0.1:9"), state, demo=True):
            while await asyncio.to_thread(health, state):
                assert len(found) < 100
                found.append(1)
            found.append(0)

    asyncio.run(asyncio.wait_for(whole(), 60))
    assert (found[0], found[-1], health(state)) == (1, 0, 1)


# ── the composition ──────────────────────────────────────────────────────────────────────────────


def test_the_composition_runs_the_image_with_no_more_rights_than_it_needs() -> None:
    [(_, one)] = composed()["services"].items()
    assert one["read_only"] is True and one["cap_drop"] == ["ALL"] and one["init"] is True
    assert one["security_opt"] == ["no-new-privileges:true"] and "privileged" not in one and "user" not in one
    assert int(one["stop_grace_period"].removesuffix("s")) > 10
    assert "/" not in one["image"] and "environment" not in one, "no registry, no secret"
    assert [port.split(":")[0] for port in one["ports"]] == ["127.0.0.1"]
    mounts = {mount.rpartition(":/")[2]: mount.rpartition(":/")[0] for mount in one["volumes"]}
    assert mounts["state"] in composed()["volumes"] and "project:ro" in mounts
    assert any(mount.startswith("/tmp:") for mount in one["tmpfs"]), "commands are held with the help of /tmp"


def test_the_composition_builds_the_image_of_the_dockerfile() -> None:
    [(_, one)] = composed()["services"].items()
    build = one["build"]
    assert (DEPLOY / build["context"]).resolve() == TOP
    assert (TOP / build["dockerfile"]).is_file()
    assert set(build["args"]) == {line.split("=")[0] for line in of("ARG")}


# ── the page ─────────────────────────────────────────────────────────────────────────────────────


def told() -> Iterator[list[str]]:
    """Every command of ours that stands in a block of the page that is not run, or in the files themselves."""
    page = (TOP / "docs" / "deployment.md").read_text("utf-8")
    for block in re.findall(r"^```text\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            words = shlex.split(line)
            ours = [at for at, word in enumerate(words) if word.rpartition("/")[2] == "openclaw"]
            if ours and "restart" not in words and "useradd" not in words:
                yield words[ours[-1] + 1 :]


def test_every_command_of_ours_that_the_page_names_is_one() -> None:
    found = list(told())
    assert len(found) > 6
    for words in found:
        is_ours(words)


@pytest.mark.parametrize("wrong", [["service", "instal"], ["service", "install", "--nick", "x"], ["doctor", "--depth"]])
def test_a_command_that_is_not_ours_would_be_noticed(wrong: list[str]) -> None:
    with pytest.raises(SystemExit):
        is_ours(wrong)


def test_the_page_and_the_unit_warn_of_the_same_settings() -> None:
    from openclaw.cli import _service_systemd as systemd

    page = (TOP / "docs" / "deployment.md").read_text("utf-8")
    warned = set(re.findall(r"(\w+)=", "\n".join(systemd._HARDENING.splitlines()[1:6])))
    assert warned and [name for name in sorted(warned) if f"`{name}=" not in page] == []
