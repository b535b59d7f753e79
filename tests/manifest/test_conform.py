"""Our judge of JSON Schemas agrees with the jsonschema package on every schema that ships."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from openclaw import bundle
from openclaw.manifest import conform
from openclaw.manifest.document import read
from openclaw.manifest.folder import kind_of
from openclaw.manifest.nodes import Unknown, plain

ROOT = Path(__file__).parent.parent.parent
NOTES = {"$schema", "$defs", "title", "description", "default", "examples", "writeOnly", "patternErrorMessage"}
REGISTRY: Registry[Any] = Registry().with_resources(
    [(f"{kind}.schema.json", DRAFT202012.create_resource(bundle.schema(kind))) for kind in bundle.KINDS]
)


def oracle(kind: str) -> Draft202012Validator:
    return Draft202012Validator(bundle.schema(kind), registry=REGISTRY)


def samples() -> list[tuple[str, Any]]:
    """Manifests of the default project and of every fixture, each with its kind."""
    found: list[tuple[str, Any]] = []
    paths = [*ROOT.glob("*.yaml"), *ROOT.glob("agents/*.yaml"), *ROOT.glob("tests/manifests/*/*.txt")]
    for path in sorted(paths):
        parts = (
            path.read_text("utf-8").split("=== ")
            if path.suffix == ".txt"
            else [f"{path.relative_to(ROOT)}\n{path.read_text('utf-8')}"]
        )
        for part in parts:
            name, _, text = part.partition("\n")
            kind, root = kind_of(name), read(name, text.encode()).root
            if kind and root is not None and Unknown not in values(plain(root)):
                found.append((kind, plain(root)))
    return found


def values(value: Any) -> list[Any]:
    match value:
        case dict():
            return [each for inner in value.values() for each in values(inner)]
        case list():
            return [each for inner in value for each in values(inner)]
        case _:
            return [value]


def compare(kind: str, value: Any) -> None:
    ours = {(fault.path, fault.keyword) for fault in conform.faults(kind, value)}
    theirs = set()
    for failure in oracle(kind).iter_errors(value):
        named = "propertyNames" in failure.relative_schema_path
        theirs.add((tuple(failure.absolute_path), "propertyNames" if named else str(failure.validator)))
    assert ours == theirs


@pytest.mark.parametrize("kind", bundle.KINDS)
def test_a_schema_is_a_schema_and_says_what_every_key_is_for(kind: str) -> None:
    Draft202012Validator.check_schema(bundle.schema(kind))
    for schema in schemas(bundle.schema(kind)):
        for name, each in schema.get("properties", {}).items():
            # In a condition, a property is a test and not a description.
            assert "description" in each or "$ref" in each or set(each) == {"const"}, name


@pytest.mark.parametrize("kind", bundle.KINDS)
def test_schemas_keep_to_the_keywords_that_are_judged(kind: str) -> None:
    for schema in schemas(bundle.schema(kind)):
        assert set(schema) <= conform.KEYWORDS | NOTES


def schemas(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield schema
    for keyword in ("properties", "$defs"):
        for each in schema.get(keyword, {}).values():
            yield from schemas(each)
    for keyword in ("items", "additionalProperties", "propertyNames", "if", "then", "else"):
        if isinstance(schema.get(keyword), dict):
            yield from schemas(schema[keyword])
    for keyword in ("allOf", "oneOf"):
        for each in schema.get(keyword, ()):
            yield from schemas(each)


def test_defaults_take_the_keys_of_agents_and_require_none() -> None:
    agent, defaults = bundle.schema("agent"), bundle.schema("defaults")
    assert defaults["properties"] == agent["properties"]
    assert "required" not in defaults


def test_both_agree_on_every_manifest_we_have() -> None:
    for kind, value in samples():
        compare(kind, value)


MUTANTS = [
    None,
    True,
    False,
    0,
    1,
    -1,
    30.0,
    1.5,
    "",
    "x",
    "10s",
    "${X}",
    "Bad Name!",
    "ask",
    "http",
    "repl",
    [],
    ["x"],
    ["x", "x"],
    [1, True],
    {},
    {"kind": "http"},
    {"shell": "ls"},
]


def test_both_agree_on_manifests_with_something_wrong() -> None:
    chance = random.Random(7)
    for kind, value in samples():
        for _ in range(12):
            mutant = copy.deepcopy(value)
            mutate(mutant, chance)
            compare(kind, mutant)


def mutate(value: Any, chance: random.Random) -> None:
    """Somewhere in the tree: another value, a lost key, a new key, a key under another name."""
    while isinstance(value, dict | list) and value:
        key = chance.choice(list(value)) if isinstance(value, dict) else chance.randrange(len(value))
        if isinstance(value[key], dict | list) and value[key] and chance.random() < 0.75:
            value = value[key]
            continue
        match chance.randrange(4):
            case 0 if isinstance(value, dict):
                del value[key]
            case 1 if isinstance(value, dict):
                value[chance.choice(["extra", "kind", "allow", "deny", "shell", "python", "Bad Name!"])] = (
                    chance.choice(MUTANTS)
                )
            case _:
                value[key] = chance.choice(MUTANTS)
        return


def test_a_name_that_ends_in_a_line_break_is_no_name() -> None:
    value = {"tools": {"ls\n": {"shell": "ls", "description": "Lists"}}}
    assert [fault.keyword for fault in conform.faults("tools", value)] == ["propertyNames"]


def test_what_is_unknown_conforms_to_everything() -> None:
    assert (
        list(conform.faults("agent", {"name": Unknown, "description": "x", "limits": Unknown, "tools": [Unknown, "a"]}))
        == []
    )
