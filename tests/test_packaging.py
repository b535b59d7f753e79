"""What is installed is whole: a wheel carries schemas and project, an editable install reads the repository's."""

from __future__ import annotations

import ast
import re
import shutil
import site
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from openclaw import bundle
from openclaw.control.static import Static

TOP = Path(__file__).resolve().parent.parent
PINNED = ("requirements.txt", "requirements-dev.txt", "constraints.txt", "requirements-build.in", "pyproject.toml")
FROM_ANOTHER = {
    "yaml": "pyyaml",
    "dotenv": "python-dotenv",
    "markdown_it": "markdown-it-py",
    "telegram": "python-telegram-bot",
    "pyromark": "telegramify-markdown",  # its parser
    **dict.fromkeys(("discord", "aiohttp", "yarl"), "discord.py"),  # whose own interface hands out the other two
}
"""Packages whose import has another name, or that come with another by its nature."""


def project() -> Any:
    return tomllib.loads((TOP / "pyproject.toml").read_text("utf-8"))["project"]


def named(requirement: str) -> str:
    """`prompt_toolkit>=3` -> `prompt-toolkit`."""
    return re.split(r"[^A-Za-z0-9._-]", requirement)[0].lower().replace("_", "-")


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what a clone holds, as far as it is packaged."""
    copy = tmp_path_factory.mktemp("sources") / "clone"
    unwanted = (".git", ".venv*", ".*_cache", ".hypothesis", "__pycache__", "dist", "tests", ".env")
    shutil.copytree(TOP, copy, ignore=shutil.ignore_patterns(*unwanted))
    shutil.copytree(TOP / "tests" / "scenarios", copy / "tests" / "scenarios")
    return copy


def built(sources: Path, what: str, folder: Path) -> Path:
    """What hatchling, the build backend, makes of the sources: `wheel`, `editable` or `sdist`."""
    folder.mkdir(parents=True, exist_ok=True)
    code = f"import sys, hatchling.build as b; print(b.build_{what}(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], cwd=sources, capture_output=True, text=True, timeout=50
    )
    assert done.returncode == 0, done.stderr
    return folder / done.stdout.split()[-1]


@pytest.fixture(scope="module")
def wheel(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(sources, "wheel", tmp_path_factory.mktemp("wheel"))


def test_a_wheel_carries_every_schema_and_the_default_project(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = {name.partition("_bundle/")[2] for name in archive.namelist() if "_bundle/" in name}
        assert "openclaw/py.typed" in archive.namelist()
        page = {path.relative_to(TOP / "runtime").as_posix() for path in Static().files()}
        assert page and page <= set(archive.namelist())
    schemas = {f"schemas/{kind}.schema.json" for kind in bundle.KINDS}
    agents = {f"project/agents/{path.name}" for path in (TOP / "agents").iterdir() if path.is_file()}
    scenarios = {f"project/tests/scenarios/{path.name}" for path in (TOP / "tests" / "scenarios").iterdir()}
    top = {"tools.yaml", "channels.yaml", "heartbeats.yaml", "models.yaml", "desk_tools.py", ".env.example"}
    assert inside == schemas | agents | scenarios | {f"project/{name}" for name in top}


@pytest.mark.slow
def test_a_wheel_in_an_environment_of_its_own_makes_a_valid_project(wheel: Path, tmp_path: Path) -> None:
    python = installed(wheel, tmp_path / "environment")
    openclaw = str(python.with_name("openclaw"))
    origin = "import openclaw, sys; sys.exit(not openclaw.__file__.startswith(sys.prefix))"
    for command in (
        [str(python), "-c", origin],
        [openclaw, "init", "x"],
        [openclaw, "-C", "x", "validate", "--strict"],
        [openclaw, "-C", "x", "test"],
        [openclaw, "-C", "x", "--state", "state", "chat", "--demo", "remember that it works"],
    ):
        done = subprocess.run(
            command, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=50
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"


def installed(wheel: Path, environment: Path) -> Path:
    """An environment that holds the wheel and shares this one's other packages: nothing is fetched."""
    venv.create(environment, with_pip=False, symlinks=True)
    python = environment / "bin" / "python"
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(environment)}))
    # A path in a .pth file is searched, but its own .pth files are not read: no editable install gets through.
    (packages / "others.pth").write_text("\n".join(site.getsitepackages()))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    entry = environment / "bin" / "openclaw"
    entry.write_text(f"#!{python}\nimport sys\nfrom openclaw.cli import main\nsys.exit(main())\n")
    entry.chmod(0o755)
    return python


def test_an_editable_install_reads_the_files_of_the_repository(sources: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(built(sources, "editable", tmp_path)) as archive:
        assert [name for name in archive.namelist() if "_bundle" in name] == []
        paths = [archive.read(name).decode() for name in archive.namelist() if name.endswith(".pth")]
    assert paths == [str(sources / "runtime")]


def test_a_source_distribution_builds_the_same_wheel(sources: Path, wheel: Path, tmp_path: Path) -> None:
    with tarfile.open(built(sources, "sdist", tmp_path / "sdist")) as archive:
        archive.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.glob("openclaw_runtime-*")
    again = built(unpacked, "wheel", tmp_path / "again")
    assert zipfile.ZipFile(again).namelist() == zipfile.ZipFile(wheel).namelist()


def test_what_is_imported_is_declared_and_what_is_declared_is_imported() -> None:
    declared = {named(requirement) for requirement in project()["dependencies"]}
    found = {FROM_ANOTHER.get(name, name.replace("_", "-")) for name in imported(TOP / "runtime" / "openclaw")}
    assert declared - {"tzdata"} == found  # zoneinfo reads tzdata where the system has no zones


def imported(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            match node:
                case ast.Import(names=names):
                    modules = [alias.name for alias in names]
                case ast.ImportFrom(module=str(module), level=0):
                    modules = [module]
                case _:
                    continue
            for top in {module.partition(".")[0] for module in modules}:
                if top not in sys.stdlib_module_names and top != "openclaw":
                    yield top


def test_requirements_pin_every_dependency_by_hash_and_name_no_index() -> None:
    for name in PINNED:
        text = (TOP / name).read_text("utf-8")
        assert not re.search(r"^\s*--(?!hash)|://|\bindex-url\b", text, re.MULTILINE), name
    pinned = re.findall(r"^([a-z0-9.-]+)==", (TOP / "requirements.txt").read_text("utf-8"), re.MULTILINE)
    wanted = {named(requirement).replace(".", "-") for requirement in (*project()["dependencies"], "hatchling")}
    assert wanted <= set(pinned)
    for name in ("requirements.txt", "requirements-dev.txt"):
        for block in re.split(r"\n(?=[a-z])", (TOP / name).read_text("utf-8").strip()):
            assert "--hash=sha256:" in block, block
