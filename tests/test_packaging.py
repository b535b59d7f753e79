"""What is installed is whole: a wheel carries schemas and project, an editable install reads the repository's.

And it is the same from wherever and whenever it is built: no byte of it depends on the folder, the clock, the rights of
files or what an editor left among them.
"""

from __future__ import annotations

import ast
import email
import importlib.util
import os
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
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from markdown_it import MarkdownIt

from openclaw import bundle
from openclaw.control.static import Static

TOP = Path(__file__).resolve().parent.parent
HASHED = ("requirements.txt", "requirements-otel.txt", "requirements-dev.txt")
PINNED = (*HASHED, "constraints.txt", "requirements-build.in", "pyproject.toml")
LEFT_BEHIND = (
    "agents/.env", "agents/main.yaml~", "agents/.main.yaml.swp", "agents/main.yaml.orig", "agents/__pycache__/x.pyc",
    "schemas/agent.schema.json~", "tests/scenarios/.env", "runtime/openclaw/.env", "runtime/openclaw/app.py~",
    "runtime/openclaw/.app.py.swp", "runtime/openclaw/__pycache__/app.cpython-311.pyc", "runtime/openclaw/app.py.rej",
    "runtime/openclaw/examples/team/.env",
)  # fmt: skip
"""What editors, runs and merges leave among the sources, or is a secret."""
FROM_ANOTHER = {
    "yaml": "pyyaml",
    "dotenv": "python-dotenv",
    "markdown_it": "markdown-it-py",
    "telegram": "python-telegram-bot",
    "opentelemetry": "opentelemetry-api",
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
    unwanted = shutil.ignore_patterns(".git", ".venv*", ".*_cache", ".hypothesis", "__pycache__", "dist", ".env")

    def left_out(folder: str, names: list[str]) -> set[str]:
        return unwanted(folder, names) | ({"tests"} if Path(folder) == TOP else set())

    shutil.copytree(TOP, copy, ignore=left_out)
    shutil.copytree(TOP / "tests" / "scenarios", copy / "tests" / "scenarios")
    return copy


@pytest.fixture(scope="module")
def elsewhere(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same sources in another folder, at another time, with other rights, and with what should not be there."""
    copy = tmp_path_factory.mktemp("elsewhere") / "deep down" / "Zoë"
    shutil.copytree(sources, copy)
    for path in copy.rglob("*"):
        path.chmod(path.stat().st_mode & 0o700)
        os.utime(path, (981173106, 981173106))
    for name in LEFT_BEHIND:
        (copy / name).parent.mkdir(exist_ok=True)
        (copy / name).write_text("left behind")
    return copy


def built(sources: Path, *what: str, folder: Path, **more: str) -> list[Path]:
    """What hatchling, the build backend, makes of the sources: `wheel`, `editable` or `sdist`, in one process."""
    folder.mkdir(parents=True, exist_ok=True)
    code = "import sys, hatchling.build as b; [print(getattr(b, f'build_{w}')(sys.argv[1])) for w in sys.argv[2:]]"
    environment = {name: value for name, value in os.environ.items() if name != "SOURCE_DATE_EPOCH"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder), *what],
        cwd=sources, capture_output=True, text=True, timeout=100, env={**environment, **more},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [folder / name for name in done.stdout.split()]


@pytest.fixture(scope="module")
def distributions(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return built(sources, "wheel", "sdist", folder=tmp_path_factory.mktemp("distributions"))


@pytest.fixture(scope="module")
def wheel(distributions: list[Path]) -> Path:
    return distributions[0]


def hook() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bundle_hook", TOP / "scripts" / "bundle_hook.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_wheel_carries_every_schema_and_the_default_project(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = {name.partition("_bundle/")[2] for name in archive.namelist() if "_bundle/" in name}
    schemas = {f"schemas/{kind}.schema.json" for kind in bundle.KINDS}
    agents = {f"project/agents/{path.name}" for path in (TOP / "agents").iterdir() if path.is_file()}
    scenarios = {f"project/tests/scenarios/{path.name}" for path in (TOP / "tests" / "scenarios").iterdir()}
    top = {"tools.yaml", "channels.yaml", "heartbeats.yaml", "models.yaml", "desk_tools.py", ".env.example"}
    assert inside == schemas | agents | scenarios | {f"project/{name}" for name in top}


def test_a_wheel_holds_the_package_the_page_the_examples_and_the_licence_and_nothing_else(
    sources: Path, wheel: Path
) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if "/_bundle/" not in name}
    runtime = sources / "runtime"
    files = {path.relative_to(runtime).as_posix() for path in runtime.rglob("*") if path.is_file()}
    about = f"{wheel.name.removesuffix('-py3-none-any.whl')}.dist-info"
    wanted = {f"{about}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")}
    assert names == wanted | files
    page = {path.relative_to(TOP / "runtime").as_posix() for path in Static().files()}
    assert page and page < names and "openclaw/py.typed" in names
    examples = [name for name in bundle.examples() if name != "assistant"]
    assert examples and all(f"openclaw/examples/{name}/tests/scenarios" in " ".join(names) for name in examples)


def test_the_same_sources_give_the_same_bytes_wherever_they_lie_and_whatever_lies_among_them(
    distributions: list[Path], elsewhere: Path, tmp_path: Path
) -> None:
    again = built(elsewhere, "wheel", folder=tmp_path, TZ="Asia/Tokyo")
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in distributions[:1]]


@pytest.mark.slow
def test_source_distributions_are_the_same_too_and_a_time_that_is_given_is_the_only_one(
    distributions: list[Path], sources: Path, elsewhere: Path, tmp_path: Path
) -> None:
    for name in LEFT_BEHIND:
        (elsewhere / name).unlink()
    [again] = built(elsewhere, "sdist", folder=tmp_path / "again", TZ="Asia/Tokyo")
    assert again.read_bytes() == distributions[1].read_bytes()
    here = built(sources, "wheel", "sdist", folder=tmp_path / "here", SOURCE_DATE_EPOCH="1750000000")
    there = built(elsewhere, "wheel", "sdist", folder=tmp_path / "there", SOURCE_DATE_EPOCH="1750000000")
    dated = [[path.read_bytes() for path in both] for both in (here, there)]
    assert dated[0] == dated[1] != [path.read_bytes() for path in distributions]


def test_a_source_distribution_builds_the_same_wheel(distributions: list[Path], tmp_path: Path) -> None:
    wheel, sdist = distributions
    with tarfile.open(sdist) as archive:
        # Before 3.11.4 there is no filter.
        archive.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)
        archive.extractall(tmp_path)
    (unpacked,) = tmp_path.glob("openclaw_runtime-*")
    assert (unpacked / "requirements-otel.txt").is_file() and (unpacked / "Makefile").is_file()
    [again] = built(unpacked, "wheel", folder=tmp_path / "again")
    assert again.read_bytes() == wheel.read_bytes()


def test_no_link_or_picture_of_the_description_needs_the_repository(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith("/METADATA")]
        metadata = email.message_from_bytes(archive.read(name))
    assert metadata["Description-Content-Type"] == "text/markdown"
    text = metadata.get_payload(decode=True).decode()
    readme = (TOP / "README.md").read_text("utf-8")
    tokens = [each for token in MarkdownIt("js-default").parse(text) for each in token.children or ()]
    places = [str(value) for each in tokens for name, value in each.attrs.items() if name in {"href", "src"}]
    assert [place for place in places if not re.match(r"#|https?:", place)] == []
    assert "<img" not in text and "make run" in text
    assert re.findall(r"^```.*?^```", text, re.M | re.S) == re.findall(r"^```.*?^```", readme, re.M | re.S)


@pytest.mark.parametrize(
    ("readme", "alone"),
    [
        ("a [b](docs/c.md#d) e", "a b e\n\n{pages}\n"),
        ("![a](docs/b.svg)\n\nc", "c\n"),
        ("a\n<img src='docs/b.svg'>\nc", "a\nc\n"),
        ("[a](https://b.example) [c](#d) [e](mailto:f@g)", "[a](https://b.example) [c](#d) [e](mailto:f@g)\n"),
        ("```\n[a](b)\n```", "```\n[a](b)\n```\n"),
    ],
)
def test_the_words_of_the_readme_stay_and_links_into_the_repository_go(readme: str, alone: str) -> None:
    assert hook().standing_alone(readme) == alone.format(pages=hook().PAGES)


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
        [openclaw, "schema", "agent"],
        [openclaw, "init", "--from", "team", "team"],
        [openclaw, "-C", "team", "validate", "--strict"],
        [openclaw, "init", "--from", "watcher", "watcher"],
        [openclaw, "-C", "watcher", "test"],
        [str(python), "-m", "openclaw", "-C", "x", "why", "run_command", "--command", "ls"],
    ):
        done = subprocess.run(
            command, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=200
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
    [editable] = built(sources, "editable", folder=tmp_path)
    with zipfile.ZipFile(editable) as archive:
        assert [name for name in archive.namelist() if "_bundle" in name] == []
        paths = [archive.read(name).decode() for name in archive.namelist() if name.endswith(".pth")]
    assert paths == [str(sources / "runtime")]


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
    wanted = {named(requirement).replace(".", "-") for requirement in (*project()["dependencies"], "hatchling")}
    assert wanted <= set(pins("requirements.txt"))
    for name in HASHED:
        for block in re.split(r"\n(?=[a-z])", (TOP / name).read_text("utf-8").strip()):
            assert "--hash=sha256:" in block, block


def test_every_extra_has_requirements_of_its_own_and_all_of_them_pin_the_same_versions() -> None:
    core, everything = pins("requirements.txt"), pins("requirements-dev.txt")
    assert core.items() <= everything.items()
    for extra, requirements in project()["optional-dependencies"].items():
        more = pins(f"requirements-{extra}.txt")
        assert {named(requirement) for requirement in requirements} <= set(more) - set(core)
        assert core.items() <= more.items() <= everything.items()
        assert more.items() - pins("constraints.txt").items() <= build_only(core.items())


def pins(name: str) -> dict[str, str]:
    """Package -> version."""
    return dict(re.findall(r"^([a-z0-9.-]+)==([^\s;]+)", (TOP / name).read_text("utf-8"), re.MULTILINE))


def build_only(core: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """What builds the package and is not needed by what is built."""
    return set(core) - pins("constraints.txt").items()
