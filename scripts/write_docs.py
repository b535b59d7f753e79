"""Writes what docs/ derives from the code: keys, commands, diagnostics, tools, programs, routes, floors.

A page says where: between `<!-- begin NAME -->` and `<!-- end -->` stands what `PARTS[NAME]` gives, and nothing
else there is written by hand. With --check nothing is written; the exit code is 1 where a page is out of date.
"""

from __future__ import annotations

import argparse
import inspect
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import street

from openclaw import adapters, bundle
from openclaw.cli import _examples
from openclaw.commands import COMMANDS
from openclaw.control.document import TABLE
from openclaw.control.shapes import PROBLEMS
from openclaw.manifest.builtins import BUILTINS, MODELS
from openclaw.manifest.codes import PARTS as PARTS_OF_CODES
from openclaw.manifest.codes.code import Code, fenced
from openclaw.permissions import profiles

DOCS = Path(__file__).resolve().parent.parent / "docs"
_PART = re.compile(r"(<!-- begin ([a-z -]+) -->\n).*?(<!-- end -->)", re.DOTALL)

Schema = Mapping[str, Any]
Lines = Iterator[str]


def pages(folder: Path = DOCS) -> dict[Path, str]:
    """Every page as it should be."""
    return {path: written(path.read_text("utf-8")) for path in sorted(folder.glob("*.md"))}


def written(text: str) -> str:
    return _PART.sub(lambda found: found[1] + "\n".join(PARTS[found[2]]()) + "\n" + found[3], text)


# ── manifests ────────────────────────────────────────────────────────────────────────────────────


def manifest(kind: str) -> Callable[[], Lines]:
    return lambda: _object(bundle.schema(kind), bundle.schema(kind))


def _object(schema: Schema, root: Schema) -> Lines:
    yield from _table(_keys(schema))
    for definition in root.get("$defs", {}).values():
        properties = definition.get("properties", {})
        if "$ref" in str(definition.get("then", "")) or definition.get("title") == "items":
            continue  # only chooses between the others
        if set(properties) == {"kind"} and "allOf" in definition:
            continue
        yield ""
        yield f"#### {definition['title']}"
        yield ""
        yield definition["description"]
        yield ""
        yield from _table(_keys(definition))


def _keys(schema: Schema, before: str = "") -> Lines:
    """A row for each key, those of maps inside it after it."""
    for key, value in schema.get("properties", {}).items():
        name = f"{before}{key}"
        required = "**required** " if key in schema.get("required", ()) else ""
        default = f" Default: `{_plain(value['default'])}`." if "default" in value else ""
        example = f" For example `{_plain(value['examples'][0])}`." if "examples" in value else ""
        text = _words(value.get("description", _referred(value)))
        yield f"| `{name}` | {_type(value)} | {required}{text}{default}{example} |"
        yield from _keys(value, f"{name}.")


def _referred(value: Schema) -> str:
    return f"See {value['$ref'].rpartition('/')[2]} below." if "$ref" in value else ""


def _type(value: Schema) -> str:
    if "const" in value:
        return f"`{value['const']}`"
    if "enum" in value:
        return ", ".join(f"`{one}`" for one in value["enum"])
    if "duration" in value.get("patternErrorMessage", ""):
        return "duration"
    types = value.get("type", "map" if "$ref" in value else "any")
    names = [types] if isinstance(types, str) else list(types)
    if str(value.get("pattern", "")).startswith("^\\$\\{"):
        names.remove("string")  # a placeholder may stand for the value
    if "object" in names and isinstance(value.get("additionalProperties"), dict):
        return "map"
    return " or ".join({"array": "list", "object": "map", "string": "text"}.get(name, name) for name in names)


def _table(rows: Lines) -> Lines:
    yield "| key | type | |"
    yield "|---|---|---|"
    yield from rows


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _words(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


# ── commands ─────────────────────────────────────────────────────────────────────────────────────


def parsers() -> dict[str, argparse.ArgumentParser]:
    """Every command's parser, in the order of `--help`."""
    found = {}
    for name in adapters.commands():
        module = adapters.command(name)
        parser = argparse.ArgumentParser(prog=f"openclaw {name}", description=module.__doc__, add_help=False)
        module.arguments(parser)
        found[name] = parser
    return found


def commands() -> Lines:
    for name, parser in parsers().items():
        first, _, rest = inspect.cleandoc(parser.description or "").partition("\n")
        yield from ("", f"## {name}", "", first, *rest.splitlines())
        if not _actions(parser):
            yield from ("", *_options(parser, f"openclaw {name}{_usage(parser)}"))
        for action in _actions(parser):
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for sub, below in action.choices.items():
                yield from ("", f"### {name} {sub}", "", f"{helps[sub][:1].upper()}{helps[sub][1:]}.", "")
                yield from _options(below, f"openclaw {name} {sub}{_usage(below)}")


def _actions(parser: argparse.ArgumentParser) -> list[Any]:
    return [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]


def _options(parser: argparse.ArgumentParser, usage: str) -> Lines:
    yield from ("```", usage, "```")
    rows = [f"| `{_spelt(action)}` | {_words(action.help)} |" for action in _arguments(parser) if action.help]
    if rows:
        yield from ("", "| | |", "|---|---|", *rows)


def _arguments(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    return [action for action in parser._actions if not isinstance(action, argparse._HelpAction)]


def _usage(parser: argparse.ArgumentParser) -> str:
    words = []
    for action in _arguments(parser):
        spelt = _spelt(action)
        words.append(spelt if action.required and action.nargs != "*" else f"[{spelt}]")
    return "".join(f" {word}" for word in words)


def _spelt(action: argparse.Action) -> str:
    """`--limit N`, `ID`, `allow-once|deny`."""
    value = "|".join(map(str, action.choices)) if action.choices else str(action.metavar or "")
    value += " ..." if action.nargs in ("+", "*") else ""
    return " ".join(part for part in (", ".join(action.option_strings), value) if part) or action.dest.upper()


def slash_commands() -> Lines:
    yield from ("| | |", "|---|---|")
    for command in COMMANDS:
        yield f"| `/{command.name}{' ' + command.argument if command.argument else ''}` | {command.help} |"


# ── the rest ─────────────────────────────────────────────────────────────────────────────────────


def diagnostics() -> Lines:
    for part in PARTS_OF_CODES:
        title = inspect.cleandoc(part.__doc__ or "").splitlines()[0].rstrip(".")
        yield from ("", f"## {title}")
        for code, told in part.CODES.items():
            yield from ("", f"### `{code}`", "", *_example(told))


def _example(code: Code) -> Lines:
    """Paragraphs: what is right, what is wrong and how that is told, the same put right."""
    yield code.what
    for paragraph in (*filter(None, [code.unshown]), *fenced("Wrong", code.bad)):
        yield from ("", *paragraph.splitlines())
    if code.bad:
        printed = _examples.printed(code.bad).splitlines()
        yield from ("", "`openclaw validate` says:", "", "~~~text", *printed, "~~~")
    for paragraph in fenced("Right", code.good):
        yield from ("", *paragraph.splitlines())


def tools() -> Lines:
    yield from ("| tool | inputs | told to the model |", "|---|---|---|")
    for tool in BUILTINS.values():
        required = tool.input_schema["required"]
        inputs = ", ".join(f"`{name}`" + ("" if name in required else "?") for name in tool.input_schema["properties"])
        yield f"| `{tool.name}` | {inputs} | {_words(tool.description)} |"


def programs() -> Lines:
    yield ", ".join(f"`{name}`" for name in sorted(profiles.names())) + "."


def models() -> Lines:
    yield ", ".join(f"`{name}`" for name in MODELS) + "."


def kinds() -> Lines:
    yield from ("| folder | kinds |", "|---|---|")
    for folder in ("channels", "providers", "tools", "stores", "doorbells"):
        yield f"| `{folder}/` | {', '.join(f'`{kind}`' for kind in adapters.kinds(folder))} |"


def routes() -> Lines:
    yield from ("| route | scope | |", "|---|---|---|")
    for row in TABLE:
        path = re.sub(r"\{(\w+):\w+\}", r"{\1}", row.path)
        scope = "no token" if row.open else row.scope or "any"
        yield f"| `{row.method} {path}` | {scope} | {_words(row.summary)} |"


def problems() -> Lines:
    yield from ("| code | |", "|---|---|")
    for code, text in PROBLEMS.items():
        yield f"| `{code}` | {_words(text)} |"


PARTS: Mapping[str, Callable[[], Lines]] = {
    **{f"schema {kind}": manifest(kind) for kind in bundle.KINDS},
    "commands": commands,
    "slash-commands": slash_commands,
    "diagnostics": diagnostics,
    "tools": tools,
    "programs": programs,
    "models": models,
    "kinds": kinds,
    "street": street.drawing,
    "rooms": street.rooms,
    "routes": routes,
    "problems": problems,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; say which pages are out of date")
    args = parser.parse_args()
    stale = {path: text for path, text in pages().items() if path.read_text("utf-8") != text}
    for path, text in stale.items():
        if not args.check:
            path.write_text(text, "utf-8")
        print(f"{path.name}: {'out of date; run `make docs`' if args.check else 'written'}")
    return 1 if stale and args.check else 0


if __name__ == "__main__":
    sys.exit(main())
