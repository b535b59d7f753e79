"""A marked Python function, read as a tool: description and JSON Schema from docstring and annotations.

The law: what cannot be said in JSON, or could swallow inputs unseen (`*args`, `**kwargs`), is a
`SignatureProblem` and never guessed. The parameter annotated `openclaw.Call` and the arguments a
manifest fixes are hidden from the model. `arguments` is the way back: JSON values become what the
annotations promise.

Imports no project module and knows no manifest; an `Importer` is handed to those who compile.
"""

from __future__ import annotations

import functools
import inspect
import json
import sys
import types
import typing
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from enum import Enum
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin

from openclaw.marker import MARK
from openclaw.words import Call

Schema: TypeAlias = dict[str, Any]

_DEEPEST = 8  # records within records; one that holds itself would never end
_PLAIN: Mapping[Any, str] = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}
_LISTS = (list, Sequence, Iterable, Collection, set, frozenset, tuple)
_SPREAD = {
    inspect.Parameter.VAR_POSITIONAL: "`*{}` would take inputs without names",
    inspect.Parameter.VAR_KEYWORD: "`**{}` would take inputs nobody declared",
    inspect.Parameter.POSITIONAL_ONLY: "`{}` is positional-only, but inputs are passed by name",
}


@dataclass(frozen=True, slots=True)
class Derived:
    """A function as a tool. `parameters` are all but the `Call` one; `required` those without a default.

    `input_schema` is what the model fills in: without the `Call` parameter and without fixed arguments.
    """

    description: str
    input_schema: Schema
    call: str | None
    parameters: tuple[str, ...]
    required: tuple[str, ...]
    types: Mapping[str, Schema] = field(default_factory=dict)  # of every parameter; {} where nothing is said


@dataclass(frozen=True, slots=True)
class SignatureProblem:
    """Why a function that was found cannot be a tool."""

    message: str


@dataclass(frozen=True, slots=True)
class ImportProblem:
    """Why `module:function` names no tool. `candidates` are near names; file and line lead to the fault."""

    kind: Literal["no_module", "import_failed", "endless", "no_attribute", "not_callable", "not_marked"]
    message: str
    candidates: tuple[str, ...] = ()
    file: str | None = None
    line: int | None = None


Found: TypeAlias = Callable[..., Any] | ImportProblem
Importer: TypeAlias = Callable[[Collection[str]], Mapping[str, Found]]
"""All functions of a project at once, by `module:function`: they share the modules that they are in."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A name on which a manifest and a signature disagree; `place` is the manifest's key, if it has one."""

    name: str
    place: Literal["input", "with", "missing"]
    message: str


@dataclass(frozen=True, slots=True)
class _Scope:
    """Where an annotation stands: the names it may use, and how deep in other annotations."""

    names: dict[str, Any]
    depth: int = 0

    def below(self) -> _Scope:
        if self.depth >= _DEEPEST:
            raise _Unsayable("its type holds itself or is nested too deeply")
        return _Scope(self.names, self.depth + 1)


class _Unsayable(Exception):
    """An annotation that no JSON Schema says; caught in `derive`."""


def marked(function: object) -> bool:
    return getattr(function, MARK, None) is True and not inspect.isclass(function)


def derive(
    function: Callable[..., Any], *, fixed: Collection[str] = (), declared: bool = False
) -> Derived | SignatureProblem:
    """What a manifest need not say about a Python tool.

    `fixed` are the names under `with`. With `declared`, the manifest states the inputs itself, and
    parameters may lack annotations.
    """
    if not marked(function):
        return SignatureProblem("it is not marked as a tool; put `@openclaw.tool` above its `def`")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        return SignatureProblem("it is a generator; a tool returns its result once")
    try:
        return _derived(function, frozenset(fixed), declared)
    except (_Unsayable, ValueError, TypeError) as error:
        return SignatureProblem(str(error))


def _derived(function: Callable[..., Any], fixed: frozenset[str], declared: bool) -> Derived:
    parameters = _parameters(function)
    scope = _Scope(_names(function))
    hints = _hints(function)
    calls = [name for name in parameters if _is_call(hints.get(name))]
    if len(calls) > 1:
        raise _Unsayable(f"`{calls[0]}` and `{calls[1]}` are both annotated `openclaw.Call`; one is enough")
    visible = {name: parameter for name, parameter in parameters.items() if name not in calls}
    description, texts = _documentation(function)
    types = {
        name: _property(name, hints, scope, texts.get(name), parameter, declared or name in fixed)
        for name, parameter in visible.items()
    }
    properties = {name: schema for name, schema in types.items() if name not in fixed}
    required = tuple(name for name, parameter in visible.items() if parameter.default is parameter.empty)
    asked = [name for name in required if name not in fixed]
    return Derived(description, _object(properties, asked), next(iter(calls), None), tuple(visible), required, types)


def mismatches(derived: Derived, inputs: Collection[str], fixed: Collection[str] = ()) -> tuple[Mismatch, ...]:
    """Where the names a manifest declares under `input` and fixes under `with` do not fit the function."""
    takes = f"it takes {_listed(derived.parameters)}"
    found = [Mismatch(name, "input", f"the function has no parameter `{name}`; {takes}")
             for name in inputs if name not in derived.parameters]  # fmt: skip
    found += [Mismatch(name, "with", f"the function has no parameter `{name}`; {takes}")
              for name in fixed if name not in derived.parameters]  # fmt: skip
    found += [Mismatch(name, "with", f"`{name}` is fixed under `with` and declared under `input`; keep one")
              for name in fixed if name in inputs and name in derived.parameters]  # fmt: skip
    found += [Mismatch(name, "missing", f"the function needs `{name}`, which is neither an input nor under `with`")
              for name in derived.required if name not in inputs and name not in fixed]  # fmt: skip
    return tuple(found)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "nothing"


# ── reading the function ─────────────────────────────────────────────────────────────────────────


def _parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    parameters = dict(inspect.signature(function).parameters)
    for name, parameter in parameters.items():
        if parameter.kind in _SPREAD:
            raise _Unsayable(f"{_SPREAD[parameter.kind].format(name)}; name every parameter")
    return parameters


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    """Annotations resolved one by one: a name imported for type checkers only spoils no other."""
    names = _names(function)
    written = _plain_function(function).__annotations__
    return {name: _resolved(name, hint, names) for name, hint in written.items() if name != "return"}


def _plain_function(function: Callable[..., Any]) -> Any:
    """What carries the annotations, below decorators, partials, bound methods and callable objects."""
    plain: Any = inspect.unwrap(function)
    if isinstance(plain, functools.partial):
        plain = plain.func
    if not hasattr(plain, "__annotations__"):
        plain = type(plain).__call__
    return inspect.unwrap(getattr(plain, "__func__", plain))


def _names(function: Callable[..., Any]) -> dict[str, Any]:
    """The names of its module, which may be loaded without being in `sys.modules`."""
    names: dict[str, Any] = getattr(_plain_function(function), "__globals__", {})
    return names


def _resolved(name: str, hint: Any, names: dict[str, Any]) -> Any:
    if not isinstance(hint, str):
        return hint
    if hint in ("Call", "openclaw.Call"):
        return Call
    try:
        holder = types.SimpleNamespace(__annotations__={name: hint})
        return typing.get_type_hints(holder, globalns=names, include_extras=True)[name]
    except Exception as error:  # whatever the project's annotation raises when it is evaluated
        return _Unsayable(f"the annotation `{hint}` of `{name}` cannot be resolved: {error}")


def _is_call(hint: Any) -> bool:
    return hint is Call or (_is_union(hint) and Call in get_args(hint))


def _documentation(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """The description without its parameter section, and the text for each parameter."""
    text = inspect.getdoc(function) or ""
    if not text or (not inspect.isroutine(function) and text == inspect.getdoc(type(function))):
        # What its class or `partial` says is about every such object.
        text = inspect.cleandoc(_plain_function(function).__doc__ or "")
    if not text:
        return "", {}
    from docstring_parser import ParseError, parse

    try:
        read = parse(text)
    except ParseError:
        return text, {}
    parts = [read.short_description, read.long_description]
    if read.returns and read.returns.description:
        parts.append(f"Returns: {read.returns.description}")
    texts = {p.arg_name.lstrip("*"): " ".join((p.description or "").split()) for p in read.params}
    return "\n\n".join(part.strip() for part in parts if part), texts


def _property(
    name: str, hints: Mapping[str, Any], scope: _Scope, text: str | None, parameter: inspect.Parameter, declared: bool
) -> Schema:
    try:
        schema = _schema(_annotation(name, hints), scope)
    except _Unsayable as error:
        if not declared:
            raise _Unsayable(f"parameter `{name}`: {error}") from None
        schema = {}
    if text:
        schema = {**schema, "description": text}
    return _with_default(schema, parameter.default, parameter.empty)


def _annotation(name: str, hints: Mapping[str, Any]) -> Any:
    hint = hints.get(name)
    if isinstance(hint, _Unsayable):
        raise hint
    if name not in hints:
        raise _Unsayable(f"it has no annotation; write its type, for example `{name}: str`")
    return hint


def _with_default(schema: Schema, default: Any, empty: Any) -> Schema:
    """The schema with its default, if it has one that JSON can say; `None` only means "may be left out"."""
    if default is empty or default is None:
        return schema
    if isinstance(default, Enum):
        default = default.value
    elif isinstance(default, PurePath):
        default = str(default)
    try:
        json.dumps(default, allow_nan=False)
    except (TypeError, ValueError):
        return schema
    return {**schema, "default": list(default) if isinstance(default, tuple) else default}


# ── annotation to schema ─────────────────────────────────────────────────────────────────────────


def _schema(hint: Any, scope: _Scope) -> Schema:
    if hint in (Any, inspect.Parameter.empty, object):
        return {}
    origin = get_origin(hint)
    if origin is None and hint in _PLAIN:
        return {"type": _PLAIN[hint]}
    if origin is Annotated:
        return _annotated(hint, scope)
    if origin is Literal:
        return _choices(get_args(hint))
    if _is_union(hint):
        return _union(get_args(hint), scope)
    if inspect.isclass(hint) and issubclass(hint, Enum):
        return _choices([member.value for member in hint])
    if inspect.isclass(hint) and issubclass(hint, PurePath):
        return {"type": "string"}
    if (origin or hint) in _LISTS:
        return _list(hint, origin or hint, scope)
    if (origin or hint) in (dict, Mapping):
        return _map(get_args(hint), scope)
    if typing.is_typeddict(hint) or (is_dataclass(hint) and inspect.isclass(hint)):
        return _record(hint, scope)
    raise _Unsayable(f"`{_shown(hint)}` cannot be said in JSON; use str, int, float, bool, list, dict, Literal or Enum")


def _annotated(hint: Any, scope: _Scope) -> Schema:
    inner, *notes = get_args(hint)
    text = next((note for note in notes if isinstance(note, str)), None)
    schema = _schema(inner, scope)
    return {**schema, "description": text} if text else schema


def _choices(values: Collection[Any]) -> Schema:
    if not all(type(value) in _PLAIN for value in values):
        raise _Unsayable("its choices must be texts, numbers, booleans or None")
    kinds = list(dict.fromkeys(_PLAIN[type(value)] for value in values))
    return {"type": kinds[0] if len(kinds) == 1 else kinds, "enum": list(values)}


def _is_union(hint: Any) -> bool:
    return get_origin(hint) in (Union, types.UnionType)


def _union(members: Sequence[Any], scope: _Scope) -> Schema:
    schemas = [_schema(member, scope.below()) for member in members]
    if all(set(schema) == {"type"} and isinstance(schema["type"], str) for schema in schemas):
        return {"type": [schema["type"] for schema in schemas]}
    return {"anyOf": schemas}


def _list(hint: Any, origin: Any, scope: _Scope) -> Schema:
    items = get_args(hint)
    if origin is tuple and items and items[-1] is not Ellipsis:
        prefix = [_schema(item, scope.below()) for item in items]
        return {"type": "array", "prefixItems": prefix, "items": False, "minItems": len(items)}
    schema: Schema = {"type": "array"}
    if items and (inner := _schema(items[0], scope.below())):
        schema["items"] = inner
    if origin in (set, frozenset):
        schema["uniqueItems"] = True
    return schema


def _map(arguments: Sequence[Any], scope: _Scope) -> Schema:
    if not arguments:
        return {"type": "object"}
    key, value = arguments
    if key is not str:
        raise _Unsayable(f"the keys of a JSON object are texts, not `{_shown(key)}`")
    inner = _schema(value, scope.below())
    return {"type": "object", "additionalProperties": inner} if inner else {"type": "object"}


def _record(hint: Any, scope: _Scope) -> Schema:
    hints = _fields(hint, scope.names)
    if typing.is_typeddict(hint):
        properties = {name: _schema(_bare(inner), scope.below()) for name, inner in hints.items()}
        # Postponed annotations hide NotRequired from __required_keys__, so the hints are asked as well.
        optional = {name for name, inner in hints.items() if get_origin(inner) is typing.NotRequired}
        return _object(properties, sorted(hint.__required_keys__ - optional))
    parts = [part for part in fields(hint) if part.init]
    properties = {
        part.name: _with_default(_schema(hints[part.name], scope.below()), part.default, MISSING) for part in parts
    }
    return _object(properties, [p.name for p in parts if p.default is MISSING and p.default_factory is MISSING])


def _fields(hint: Any, names: dict[str, Any]) -> dict[str, Any]:
    module = sys.modules.get(hint.__module__)
    try:
        return typing.get_type_hints(hint, globalns=vars(module) if module else names, include_extras=True)
    except Exception as error:  # whatever the project's annotations raise when they are evaluated
        raise _Unsayable(f"the annotations of `{hint.__name__}` cannot be resolved: {error}") from None


def _bare(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) in (typing.Required, typing.NotRequired) else hint


def _object(properties: Schema, required: Sequence[str]) -> Schema:
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**schema, "required": list(required)} if required else schema


def _shown(hint: Any) -> str:
    return hint.__qualname__ if inspect.isclass(hint) else str(hint).removeprefix("typing.")


# ── the way back ─────────────────────────────────────────────────────────────────────────────────


def arguments(function: Callable[..., Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Validated JSON values as the annotations promise them: paths, enum members, tuples, sets, dataclasses."""
    hints, names = _hints(function), _names(function)
    return {name: _converted(value, hints.get(name), names) for name, value in values.items()}


def _converted(value: Any, hint: Any, names: dict[str, Any]) -> Any:
    origin = get_origin(hint)
    if origin is Annotated:
        return _converted(value, get_args(hint)[0], names)
    if _is_union(hint):
        return _one_of(value, get_args(hint), names)
    if inspect.isclass(hint) and issubclass(hint, Enum):
        return hint(value)
    if inspect.isclass(hint) and issubclass(hint, PurePath):
        return (Path if hint is PurePath else hint)(value)
    if hint in (int, float) and isinstance(value, int | float) and not isinstance(value, bool):
        return hint(value)
    if isinstance(value, list) and (origin or hint) in _LISTS:
        return _collected(value, origin or hint, get_args(hint), names)
    if isinstance(value, dict):
        return _filled(value, hint, names)
    return value


def _one_of(value: Any, members: Sequence[Any], names: dict[str, Any]) -> Any:
    """The first member that takes the value; a plain text stays one where `str` is among them."""
    if value is None or type(value) in members:
        return value
    for member in members:
        try:
            if member is not type(None) and (made := _converted(value, member, names)) is not value:
                return made
        except (ValueError, TypeError):
            continue
    return value


def _collected(values: list[Any], origin: Any, inner: Sequence[Any], names: dict[str, Any]) -> Any:
    if origin is tuple and inner and inner[-1] is not Ellipsis:
        return tuple(_converted(value, hint, names) for value, hint in zip(values, inner, strict=True))
    made = [_converted(value, inner[0] if inner else None, names) for value in values]
    return origin(made) if origin in (tuple, set, frozenset) else made


def _filled(value: dict[str, Any], hint: Any, names: dict[str, Any]) -> Any:
    if is_dataclass(hint) and inspect.isclass(hint):
        hints = _fields(hint, names)
        return hint(**{name: _converted(inner, hints.get(name), names) for name, inner in value.items()})
    if typing.is_typeddict(hint):
        hints = {name: _bare(inner) for name, inner in _fields(hint, names).items()}
        return {name: _converted(inner, hints.get(name), names) for name, inner in value.items()}
    inner = get_args(hint)[1] if len(get_args(hint)) == 2 else None
    return {name: _converted(item, inner, names) for name, item in value.items()}
