"""Rules about the types of what a Python function is given: declared inputs, their defaults, and fixed arguments, each
against the annotation of its parameter. What an annotation does not say is not judged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from openclaw.manifest import conform, scalars
from openclaw.manifest.diagnostic import Diagnostic, Span, see, warning
from openclaw.manifest.nodes import ListNode, MapNode, Node, Scalar, Unknown, plain
from openclaw.manifest.project import Definition, Project
from openclaw.signature import Derived

_SHOWN: Final = {
    "string": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "array": "list",
    "object": "dict",
}


def inputs_have_the_types_of_their_parameters(project: Project) -> Iterator[Diagnostic]:
    for tool, derived in _functions(project):
        for declared in tool.entries("input"):
            wanted = _types(derived.types.get(declared.name))
            type = declared.text("type")
            if wanted is None or type is None or _json(type.value) in wanted:
                continue
            if type.value == "integer" and "number" in wanted:
                continue
            yield warning(
                "input-type",
                type.span,
                f"`{declared.name}` is given as `{type.value}`, and the function's parameter is annotated "
                f"`{' | '.join(_SHOWN.get(each, 'None') for each in wanted)}`",
                f"write `type: {next(each for each in wanted if each != 'null')}`, or correct the annotation",
                _where(tool),
            )


def fixed_arguments_have_the_types_of_their_parameters(project: Project) -> Iterator[Diagnostic]:
    for tool, derived in _functions(project):
        fixed = tool.get("with")
        for name, entry in fixed.entries.items() if isinstance(fixed, MapNode) else ():
            schema = derived.types.get(name)
            if not schema or not _is_known(entry.value):
                continue
            value = plain(entry.value)
            if value is None and name not in derived.required and "default" not in schema:
                continue  # the function's own default
            if next(conform.misfits(_judged(schema), value), None) is not None:
                yield warning(
                    "input-type",
                    entry.value.span,
                    f"`{name}` is fixed to {scalars.kind(value)}, "
                    f"and the function's parameter is annotated `{_said(schema)}`",
                    "write a value of that type, or correct the annotation",
                    _where(tool),
                )


def defaults_have_the_types_of_their_parameters(project: Project) -> Iterator[Diagnostic]:
    """Of the function itself: what it takes where nothing is given."""
    for tool, derived in _functions(project):
        reference = tool.text("python")
        if reference is None:
            continue
        for name, schema in derived.types.items():
            if "default" in schema and next(conform.misfits(_judged(schema), schema["default"]), None) is not None:
                yield warning(
                    "input-type",
                    reference.span,
                    f"the default of `{name}` is {scalars.kind(schema['default'])}, and the parameter is annotated "
                    f"`{_said(schema)}`",
                    "correct the default or the annotation in the function",
                )


def _functions(project: Project) -> Iterator[tuple[Definition, Derived]]:
    for tool in project.all("tool").values():
        derived = project.derived.get(tool.name)
        if tool.sound and isinstance(derived, Derived):
            yield tool, derived


def _where(tool: Definition) -> list[Any]:
    at: Span = tool.node.key("python")
    return [see(at, "the function")]


def _json(type: str) -> str:
    return "string" if type == "path" else type


def _types(schema: Mapping[str, Any] | None) -> tuple[str, ...] | None:
    """The types that an annotation says; None where it says none, or too much to be compared."""
    found = schema.get("type") if schema else None
    if isinstance(found, str):
        return (found,)
    if isinstance(found, list) and any(each != "null" for each in found):
        return tuple(found)
    return None


def _judged(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of a schema what is compared: its types and its values."""
    return {key: value for key, value in schema.items() if key in ("type", "enum")}


def _all(type: Any) -> list[str]:
    return [type] if isinstance(type, str) else list(type or ())


def _said(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return f"one of {', '.join(map(str, schema['enum'][:8]))}"
    return " | ".join(_SHOWN.get(each, "None") for each in _all(schema.get("type"))) or "something else"


def _is_known(node: Node) -> bool:
    """Whether the value stands there as it is: what a placeholder is filled with is text to YAML."""
    match node:
        case Scalar(value=value, filled=filled):
            return value is not Unknown and not filled
        case ListNode(items):
            return all(map(_is_known, items))
        case MapNode(entries):
            return all(_is_known(entry.value) for entry in entries.values())
