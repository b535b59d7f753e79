"""Faults of values and of sets of keys, in words: what was found, what is expected, what to write.

Shows values as they were typed, and secrets never.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from openclaw.manifest import scalars
from openclaw.manifest.diagnostic import Diagnostic, error, see
from openclaw.manifest.nodes import Entry, ListNode, MapNode, Node, Scalar
from openclaw.manifest.source import Source
from openclaw.near import meant
from openclaw.secrecy import shaped

Path = tuple[str | int, ...]

PLACEHOLDER: Final = r"^\$\{.+\}$"
_TYPES: Final = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "nothing",
}


def key_of(path: Path) -> str:
    return next((str(step) for step in reversed(path) if isinstance(step, str)), "the manifest")


def is_placeholder_pattern(schema: Mapping[str, Any]) -> bool:
    return schema.get("pattern") == PLACEHOLDER


def found(node: Node) -> str:
    """What stands there, as the user typed it."""
    match node:
        case Scalar(value=None):
            return f"`{node.text}`" if node.text else "nothing"
        case Scalar(value=str(), secret=False):
            return f'text "{_short(str(node.value))}"'
        case Scalar(value=str()):
            return "text"
        case Scalar(secret=True):
            return scalars.kind(node.value)
        case Scalar():
            return f"{scalars.kind(node.value).replace('a ', 'the ', 1)} {_short(node.text)}"
        case ListNode():
            return "a list"
        case _:
            return "a mapping"


def expected(schema: Mapping[str, Any]) -> str:
    if "patternErrorMessage" in schema and schema.get("type") == "string":
        return str(schema["patternErrorMessage"])
    types = schema.get("type", "string")
    wanted = [types] if isinstance(types, str) else list(types)
    if is_placeholder_pattern(schema) and len(wanted) > 1:
        wanted.remove("string")
    return " or ".join(_TYPES[each] for each in wanted)


# ── values ───────────────────────────────────────────────────────────────────────────────────────


def wrong_type(node: Node, key: str, schema: Mapping[str, Any]) -> Diagnostic:
    message = f"`{key}`: expected {expected(schema)}, got {found(node)}"
    if isinstance(node, Scalar) and not isinstance(node.value, str) and node.style == "":
        message += _lost(node)
    return error("wrong-type", node.span, message, _retype(node, key, schema))


def _lost(node: Scalar) -> str:
    """What reading the text as a number took away."""
    if isinstance(node.value, float) and str(node.value) != node.text and "e" not in str(node.value):
        return f" (read as {node.value})"
    if node.text.startswith("+"):
        return f" (read as {node.value}, without the plus)"
    return ""


def _retype(node: Node, key: str, schema: Mapping[str, Any]) -> str | None:
    types = schema.get("type", "string")
    wanted = {types} if isinstance(types, str) else set(types)
    if is_placeholder_pattern(schema):
        wanted = wanted - {"string"}
    match node:
        case Scalar(secret=True):
            return "quote it" if "string" in wanted and not isinstance(node.value, str) else None
        case Scalar(value=str() as text) if node.style and _fits(text, wanted):
            return f"remove the quotes: `{key}: {text}`"
        case Scalar(value=str() as text) if "boolean" in wanted:
            meaning = {"yes": "true", "on": "true", "no": "false", "off": "false"}.get(text.lower())
            return f"write `{key}: {meaning}`" if meaning else f"write `{key}: true` or `{key}: false`"
        case Scalar(value=str() as text) if "array" in wanted:
            return f"write a list: `{key}: [{_short(text)}]`"
        case Scalar(value=int() as number) if "patternErrorMessage" in schema and "duration" in str(
            schema["patternErrorMessage"]
        ):
            return f"name the unit: `{key}: {number}s`"
        case Scalar() if "string" in wanted:
            return f'quote it: "{node.text}"'
        case MapNode() if "array" in wanted:
            return "put `- ` before each item"
        case ListNode() if "object" in wanted:
            return f"give each item a name: `{key}: {{a_name: ...}}`"
        case _:
            return None


def _fits(text: str, wanted: set[str]) -> bool:
    try:
        value = scalars.resolve(text)
    except scalars.TooLarge:
        return False
    kinds = {bool: {"boolean"}, int: {"integer", "number"}, float: {"number"}}.get(type(value), set())
    return bool(kinds & wanted)


def empty(node: Scalar, entry: Entry | None, schema: Mapping[str, Any], source: Source) -> Diagnostic:
    """A key without a value; where an unquoted `#` swallowed the value, that is what is pointed at."""
    if node.text:
        return error(
            "wrong-type",
            node.span,
            f"expected {expected(schema)}, got `{node.text}`",
            "write a value, or remove the key",
        )
    name = str(entry.key.value) if entry else "the item"
    comment = re.compile(r"[ \t]*(#[^\s#][^\r\n]*)").match(source.text, node.end)
    if comment:
        start, text = comment.start(1), comment.group(1).rstrip()
        shown = f"{name}: " if entry else "- "
        return error(
            "empty-value",
            source.span(start, start + len(text)),
            f"`{name}` is empty: an unquoted `#` starts a comment",
            f'quote it: `{shown}"{text}"`',
        )
    types = schema.get("type", "")
    write = {"array": f"`{name}: []` for an empty list", "object": f"`{name}: {{}}` for an empty mapping"}
    if schema.get("minItems") or schema.get("minProperties"):
        write = {}  # it would be refused, too
    first = next((write[each] for each in ([types] if isinstance(types, str) else types) if each in write), "a value")
    return error(
        "empty-value",
        entry.key.span if entry else node.span,
        f"`{name}` has no value; expected {expected(schema)}",
        f"write {first}, or remove the key",
    )


def wrong_value(node: Node, key: str, keyword: str, schema: Mapping[str, Any]) -> Diagnostic:
    span = node.span
    if keyword in ("enum", "const"):
        return _not_among(node, key, [schema["const"]] if keyword == "const" else schema["enum"])
    if keyword == "uniqueItems" and isinstance(node, ListNode):
        return _twice(node, key)
    shown = node.shown if isinstance(node, Scalar) else ""
    limits = {
        "minimum": "at least {}", "maximum": "at most {}", "minLength": "at least {} character long",
        "maxLength": "at most {} characters long", "maxItems": "a list of at most {}",
        "minItems": "a list of at least {}", "minProperties": "a mapping of at least {} key",
        "exclusiveMinimum": "more than {}",
    }  # fmt: skip
    if keyword == "pattern":
        wanted = schema.get("patternErrorMessage", f"text that matches {schema['pattern']}")
        return error("wrong-value", span, f"`{key}`: `{_short(shown)}` is not {wanted}", _example(key, schema))
    if keyword in limits:
        got = f", not {_short(shown)}" if shown else "; it is empty"
        cure = _example(key, schema)
        if keyword in ("minItems", "minProperties"):
            cure = f"name something, or remove `{key}`"
        return error("wrong-value", span, f"`{key}` is {limits[keyword].format(schema[keyword])}{got}", cure)
    return error("wrong-value", span, f"`{key}` cannot be this", _example(key, schema))


def _not_among(node: Node, key: str, values: list[Any]) -> Diagnostic:
    options = [value if isinstance(value, str) else json.dumps(value) for value in values]
    shown = node.shown if isinstance(node, Scalar) else found(node)
    return error(
        "wrong-value",
        node.span,
        f"`{_short(shown)}` is not {_a(key)}{meant(shown, options)}",
        f"one of: {', '.join(options)}",
    )


def _twice(node: ListNode, key: str) -> Diagnostic:
    seen: dict[Any, Node] = {}
    for item in node.items:
        value = repr(item.value) if isinstance(item, Scalar) else repr(item)
        if value in seen and isinstance(item, Scalar):
            return error(
                "wrong-value",
                item.span,
                f"`{item.shown}` stands twice in `{key}`",
                "delete one of them",
                [see(seen[value].span, "first here")],
            )
        seen[value] = item
    return error("wrong-value", node.span, f"`{key}` holds something twice", "delete one of them")


def _example(key: str, schema: Mapping[str, Any]) -> str | None:
    examples = schema.get("examples") or ([schema["default"]] if "default" in schema else [])
    return f"for example `{key}: {_yaml(examples[0])}`" if examples else None


def flow(value: Any) -> str:
    """A value as YAML in flow style, quoted where it must be."""
    if isinstance(value, list):
        return f"[{', '.join(map(flow, value))}]"
    plain = isinstance(value, str) and re.fullmatch(r"[A-Za-z][\w./-]*", value) and scalars.resolve(value) == value
    return str(value) if plain else json.dumps(value, ensure_ascii=False)


def _yaml(value: Any) -> str:
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9][\w ,./+-]*", value):
        return value
    return json.dumps(value, ensure_ascii=False)


# ── keys ─────────────────────────────────────────────────────────────────────────────────────────


def missing(
    name: str,
    node: MapNode,
    path: Path,
    schema: Mapping[str, Any],
    title: str,
    suggested: tuple[str, str] | None = None,
) -> Diagnostic:
    whose = f" in {title} `{key_of(path)}`" if path else ""
    values: list[Any] = list(schema.get("examples", ()))
    if "enum" in schema:
        values = [each for each in schema["enum"] if path and each == path[-1]] or values
    example = _yaml(values[0]) if values else "..."
    also = f"; one of: {', '.join(schema['enum'])}" if "enum" in schema else ""
    if suggested is not None:
        example, also = suggested[1], f"; `{suggested[0]}` suggests it"
    return error(
        "missing-key", node.first, f"required key `{name}` is missing{whose}", f"add `{name}: {example}`{also}"
    )


def exclusive(node: MapNode, given: list[str]) -> Diagnostic:
    first, second = given[0], given[1]
    line = node.key(first).line
    return error(
        "exclusive-keys",
        node.key(second),
        f"`{first}` (line {line}) and `{second}` cannot both be given",
        "remove one",
        [see(node.key(first), f"`{first}` is given here")],
    )


def none_of(node: MapNode, group: tuple[str, ...], path: Path, title: str) -> Diagnostic:
    options = " or ".join(f"`{name}`" for name in group)
    whose = f"{title} `{path[-1]}`" if path and isinstance(path[-1], str) else f"this {title}"
    return error(
        "missing-key",
        node.first,
        f"{whose} has neither {options.replace(' or ', ' nor ')}",
        f"add one of: {', '.join(group)}",
    )


def bad_name(name: str, node: MapNode, schema: Mapping[str, Any]) -> Diagnostic:
    key = node.entries[name].key if name in node.entries else None
    return error(
        "wrong-value",
        key.span if key else node.first,
        f"`{_short(name)}` cannot be a name here; expected {schema.get('patternErrorMessage', 'a name')}",
        _renamed(name),
    )


def _renamed(name: str) -> str | None:
    if shaped(name):  # what looks like a secret is no name in other letters either
        return None
    close = re.sub(r"[^a-z0-9_-]+", "_", name.strip().lower()).strip("_-")
    return f"for example `{close}:`" if re.fullmatch(r"[a-z][a-z0-9_-]*", close) and close != name else None


def _a(key: str) -> str:
    return f"{'an' if key[:1] in 'aeiou' else 'a'} `{key}`"


def _short(text: str) -> str:
    line = text.replace("\n", "\\n").replace("\r", "\\r")
    return line if len(line) <= 80 else f"{line[:77]}..."
