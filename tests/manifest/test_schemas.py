"""The schemas as a linter reads them: nothing unsaid, nothing unused, no example or default that they refuse."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from openclaw import bundle
from openclaw.adapters import importer
from openclaw.manifest.build import compile
from openclaw.manifest.folder import Folder
from openclaw.manifest.snapshot import Snapshot

SCHEMAS = {kind: bundle.schema(kind) for kind in bundle.KINDS}
REGISTRY: Registry[Any] = Registry().with_resources(
    [(f"{kind}.schema.json", DRAFT202012.create_resource(schema)) for kind, schema in SCHEMAS.items()]
)
ALL = pytest.mark.parametrize("kind", bundle.KINDS)
_ONE = ("items", "additionalProperties", "propertyNames", "if", "then", "else", "not", "contains")
_NAMED = ("properties", "$defs", "patternProperties", "dependentSchemas")
_SEVERAL = ("allOf", "anyOf", "oneOf", "prefixItems")


def walk(schema: Any, at: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema in a schema, with its JSON Pointer."""
    if not isinstance(schema, dict):
        return
    yield at, schema
    for keyword in _NAMED:
        for name, each in schema.get(keyword, {}).items():
            yield from walk(each, f"{at}/{keyword}/{name}")
    for keyword in _ONE:
        yield from walk(schema.get(keyword), f"{at}/{keyword}")
    for keyword in _SEVERAL:
        for index, each in enumerate(schema.get(keyword, ())):
            yield from walk(each, f"{at}/{keyword}/{index}")


def refused(kind: str, at: str, value: Any) -> list[str]:
    """What a schema says against a value, its references followed."""
    root = {"$id": f"{kind}.schema.json", **SCHEMAS[kind]}
    registry = REGISTRY.with_resource(f"{kind}.schema.json", DRAFT202012.create_resource(root))
    place = {"$ref": f"{kind}.schema.json#{at}"}
    return [error.message for error in Draft202012Validator(place, registry=registry).iter_errors(value)]


def target(kind: str, reference: str) -> Any:
    file, _, pointer = reference.partition("#")
    found: Any = SCHEMAS[file.removesuffix(".schema.json") if file else kind]
    for part in pointer.strip("/").split("/") if pointer.strip("/") else ():
        found = found[part]
    return found


@ALL
def test_every_key_has_a_description_of_its_own_or_of_what_it_refers_to(kind: str) -> None:
    for at, schema in walk(SCHEMAS[kind]):
        for name, each in schema.get("properties", {}).items():
            if set(each) == {"const"} or "/if" in at:
                continue  # a test, not a key
            said = each.get("description") or target(kind, each["$ref"]).get("description")
            assert said and said.endswith((".", ".)")), f"{at}/{name}: {said}"


@ALL
def test_examples_and_defaults_are_valid_where_they_stand(kind: str) -> None:
    found = []
    for at, schema in walk(SCHEMAS[kind]):
        values = [*schema.get("examples", ()), *([schema["default"]] if "default" in schema else [])]
        found += [f"{at}: {value!r}: {said}" for value in values for said in refused(kind, at, value)]
    assert found == []


@ALL
def test_everything_that_is_defined_is_used_and_everything_that_is_used_defined(kind: str) -> None:
    referred = {ref for each in SCHEMAS.values() for _, schema in walk(each) if (ref := schema.get("$ref"))}
    mine = {ref.removeprefix(f"{kind}.schema.json") for ref in referred}
    for name in SCHEMAS[kind].get("$defs", {}):
        assert f"#/$defs/{name}" in mine, f"nothing refers to {name}"
    for at, schema in walk(SCHEMAS[kind]):
        if "$ref" in schema:
            assert isinstance(target(kind, schema["$ref"]), dict), at


@ALL
def test_what_is_required_is_a_key_and_no_value_is_listed_twice(kind: str) -> None:
    for at, schema in walk(SCHEMAS[kind]):
        values = [json.dumps(value) for value in schema.get("enum", ())]
        assert len(values) == len(set(values)), at
        if "properties" in schema and schema.get("additionalProperties") is False:
            assert set(schema.get("required", ())) <= set(schema["properties"]), at


@ALL
def test_a_mapping_says_which_keys_it_takes(kind: str) -> None:
    """An open one takes a misspelt key for something else; those that must be open say what their keys are."""
    for at, schema in walk(SCHEMAS[kind]):
        condition = any(f"/{word}" in at for word in ("if", "then", "else", "not"))
        if schema.get("type") == "object" and "$ref" not in schema and not condition:
            open_ = not {"additionalProperties", "oneOf", "allOf"} & set(schema)
            assert not open_ or "description" in schema or schema == {"type": "object"}, at


@ALL
def test_a_pattern_says_in_words_what_it_wants(kind: str) -> None:
    for at, schema in walk(SCHEMAS[kind]):
        if "pattern" in schema and "/if" not in at:
            assert "patternErrorMessage" in schema or "/propertyNames" in at, at


# ── defaults are what the code does without the key ──────────────────────────────────────────────


def written_out(kind: str, schema: dict[str, Any], *, within: bool = False) -> dict[str, Any]:
    """Every default of a mapping, and of the mappings in it that hold some, as if somebody had written them."""
    if "$ref" in schema:
        schema = {**target(kind, schema["$ref"]), **{key: value for key, value in schema.items() if key != "$ref"}}
    found: dict[str, Any] = {}
    if within and schema.get("required"):
        return found  # there is none of it until somebody writes one
    for name, each in schema.get("properties", {}).items():
        if "default" in each:
            found[name] = each["default"]
        elif inner := written_out(kind, each, within=True):
            found[name] = inner
    return found


def snapshot(folder: Path, files: dict[str, Any]) -> Snapshot:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(content, indent=2), "utf-8")
    compiled = compile(
        Folder.read(folder), environment={}, importer=importer(folder), today=datetime(2026, 1, 1, tzinfo=UTC)
    )
    assert compiled.snapshot is not None, [f"{d.file}: {d.message}" for d in compiled.diagnostics]
    return compiled.snapshot


AGENT = {"name": "M", "description": "d", "default": True, "tools": [], "policy": "careful"}
BARE: dict[str, Any] = {
    "agents/main.yaml": AGENT,
    "tools.yaml": {
        "tools": {"list": {"description": "Lists", "shell": "ls {where}", "input": {"where": {"type": "string"}}}},
        "policies": {"careful": {"rules": [{"deny": "run_command"}]}},
    },
    "channels.yaml": {"channels": {"repl": {"kind": "repl"}, "web": {"kind": "http", "port": 8123}}},
    "heartbeats.yaml": {"heartbeats": {"tidy": {"agent": "main", "cron": "0 3 * * *", "prompt": "Tidy up"}}},
}
PLACES = [
    ("agent", "", ("agents/main.yaml",)),
    ("channels", "/$defs/repl", ("channels.yaml", "channels", "repl")),
    ("channels", "/$defs/http", ("channels.yaml", "channels", "web")),
    ("heartbeats", "/$defs/heartbeat", ("heartbeats.yaml", "heartbeats", "tidy")),
    ("policies", "/$defs/policy", ("tools.yaml", "policies", "careful")),
    ("tools", "/$defs/shell", ("tools.yaml", "tools", "list")),
]


@pytest.mark.parametrize(("kind", "at", "place"), PLACES, ids=lambda part: str(part))
def test_a_default_that_is_written_out_changes_nothing(
    tmp_path: Path, kind: str, at: str, place: tuple[str, ...]
) -> None:
    defaults = written_out(kind, target(kind, f"#{at}"))
    assert defaults, "it has some"
    files = json.loads(json.dumps(BARE))
    mapping = files
    for key in place:
        mapping = mapping[key]
    for key, value in defaults.items():
        mapping.setdefault(key, value)
    assert mapping != BARE
    without, within = snapshot(tmp_path / "a", BARE), snapshot(tmp_path / "b", files)
    for part in ("agents", "tools", "policies", "channels", "heartbeats", "models"):
        assert said(getattr(without, part)) == said(getattr(within, part)), part


def said(value: Any) -> str:
    """Without the places in files, and those folders' own names."""
    return re.sub(r"(line|column|end_line|end_column)=\d+", "", repr(value)).replace("/b/", "/a/")
