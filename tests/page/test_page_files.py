"""The web page as files, without a browser: small, whole, and nothing in it that its security policy would refuse."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from openclaw.control import static
from openclaw.control.static import FOLDER, KINDS

MOST = 150_000  # bytes, all of it, uncompressed
FILES = sorted(FOLDER.iterdir())
MODULES = [path for path in FILES if path.suffix == ".js"]
ALLOWED_ADDRESSES = ("http://www.w3.org/2000/svg",)  # a name, and nothing that is fetched


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags:
            self.words.append((self.tags[-1][0], data))


def index() -> Tags:
    tags = Tags()
    tags.feed((FOLDER / static.INDEX).read_text("utf-8"))
    return tags


def imports(path: Path) -> set[str]:
    return set(re.findall(r'(?:from|import)\s*\(?"([^"]+)"', path.read_text("utf-8")))


def test_the_page_is_small_and_every_file_is_of_a_kind_that_is_served() -> None:
    assert {path.suffix for path in FILES} <= set(KINDS)
    assert sum(path.stat().st_size for path in FILES) < MOST
    assert max(len(path.read_text("utf-8").splitlines()) for path in FILES if path.suffix != ".html") <= 350


def test_nothing_is_inline() -> None:
    tags = index()
    for name, attributes in tags.tags:
        assert not [one for one in attributes if one.startswith("on") or one == "style"], name
        assert name != "style"
        assert name != "script" or attributes.get("src")
    assert not [words for name, words in tags.words if name == "script" and words.strip()]


def test_everything_comes_from_here_and_is_there() -> None:
    named = [value for _, attributes in index().tags for key, value in attributes.items() if key in ("src", "href")]
    wanted = {str(value) for value in named if not str(value).startswith("#")}
    assert {value.removeprefix("/page/") for value in wanted} <= {path.name for path in FILES}
    preloaded = {value.removeprefix("/page/") for value in wanted if value.endswith(".js")}
    assert preloaded == {path.name for path in MODULES}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_file_names_another_server(path: Path) -> None:
    addresses = re.findall(r"\b(?:https?|wss?):(?://|\\?/\\?/)[^\s\"'`)]*", path.read_text("utf-8"))
    outside = [one for one in addresses if not one.startswith(ALLOWED_ADDRESSES) and re.search(r"//[\w[]", one)]
    assert outside == []
    assert "url(" not in path.read_text("utf-8") and "@import" not in path.read_text("utf-8")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_a_module_imports_only_its_neighbours_and_makes_no_markup_of_text(path: Path) -> None:
    source = path.read_text("utf-8")
    assert source.startswith("// "), "a module says what it does"
    assert "Law: " in source
    assert {name.removeprefix("./") for name in imports(path)} <= {one.name for one in MODULES}
    code = "\n".join(line for line in source.splitlines() if not line.lstrip().startswith(("//", "/*", "*")))
    sinks = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc|DOMParser|\.style\b"
    assert re.findall(sinks, code) == []


def test_what_a_module_imports_is_exported_there_and_used_here() -> None:
    exported = {
        path.name: set(
            re.findall(r"^export (?:async )?(?:function\*?|const|class) (\w+)", path.read_text("utf-8"), re.M)
        )
        for path in MODULES
    }
    for path in MODULES:
        source = path.read_text("utf-8")
        for names, neighbour in re.findall(r'import \{([^}]*)\} from "\./([^"]+)"', source):
            wanted = {name.strip() for name in names.split(",")}
            assert wanted <= exported[neighbour], path.name
            assert not [name for name in wanted if len(re.findall(rf"\b{name}\b", source)) < 2], path.name


def test_no_two_modules_import_one_another() -> None:
    above: dict[str, set[str]] = {path.name: {name.removeprefix("./") for name in imports(path)} for path in MODULES}
    while free := [name for name, needs in above.items() if not needs & set(above)]:
        for name in free:
            del above[name]
    assert above == {}
