"""A function's signature and docstring become exactly the schema the model is shown, or a stated problem."""

from __future__ import annotations

import enum
import functools
import os
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Optional, TypedDict

import jsonschema
import pytest

import openclaw
from openclaw import signature
from openclaw.adapters import importer
from openclaw.signature import Derived, ImportProblem, SignatureProblem, derive, mismatches

if TYPE_CHECKING:
    from decimal import Decimal


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Point(TypedDict):
    x: int
    y: typing.NotRequired[int]


@dataclass
class Order:
    item: str
    count: int = 1
    folder: Path = Path()


def derived(function: Any, **options: Any) -> Derived:
    result = derive(openclaw.tool(function), **options)
    assert isinstance(result, Derived), result
    jsonschema.Draft202012Validator.check_schema(result.input_schema)
    return result


def problem(function: Any) -> str:
    result = derive(openclaw.tool(function))
    assert isinstance(result, SignatureProblem), result
    return result.message


def property_of(hint: Any) -> Any:
    def function(value):  # type: ignore[no-untyped-def]
        pass

    function.__annotations__ = {"value": hint}
    return derived(function).input_schema["properties"]["value"]


@pytest.mark.parametrize(
    ("hint", "schema"),
    [
        (str, {"type": "string"}),
        (int, {"type": "integer"}),
        (float, {"type": "number"}),
        (bool, {"type": "boolean"}),
        (Path, {"type": "string"}),
        (Any, {}),
        (list, {"type": "array"}),
        (list[str], {"type": "array", "items": {"type": "string"}}),
        (typing.Sequence[int], {"type": "array", "items": {"type": "integer"}}),
        (set[str], {"type": "array", "items": {"type": "string"}, "uniqueItems": True}),
        (tuple[int, ...], {"type": "array", "items": {"type": "integer"}}),
        (
            tuple[int, str],
            {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "items": False, "minItems": 2},
        ),
        (dict, {"type": "object"}),
        (dict[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
        (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}),
        (Literal["a", 1], {"type": ["string", "integer"], "enum": ["a", 1]}),
        (Colour, {"type": "string", "enum": ["red", "blue"]}),
        (Optional[int], {"type": ["integer", "null"]}),  # noqa: UP045
        (int | str, {"type": ["integer", "string"]}),
        (list[int] | None, {"anyOf": [{"type": "array", "items": {"type": "integer"}}, {"type": "null"}]}),
        (Annotated[int, "how many"], {"type": "integer", "description": "how many"}),
        (
            Point,
            {
                "type": "object",
                "properties": {"x": {"type": "integer"}, "y": {"type": "integer"}},
                "additionalProperties": False,
                "required": ["x"],
            },
        ),
        (
            Order,
            {
                "type": "object",
                "properties": {
                    "item": {"type": "string"},
                    "count": {"type": "integer", "default": 1},
                    "folder": {"type": "string", "default": "."},
                },
                "additionalProperties": False,
                "required": ["item"],
            },
        ),
    ],
)
def test_each_annotation_has_its_schema(hint: Any, schema: dict[str, Any]) -> None:
    assert property_of(hint) == schema


def google(text: str, lines: int = 20) -> int:
    """Count the words of a text.

    Words are split on white space.

    Args:
        text: The text, which
            may be long.
        lines (int): How many lines.

    Returns:
        The number of words.
    """
    return 0


def sphinx(text: str, lines: int = 20) -> int:
    """Count the words of a text.

    Words are split on white space.

    :param text: The text, which
        may be long.
    :param int lines: How many lines.
    :returns: The number of words.
    """
    return 0


def numpy(text: str, lines: int = 20) -> int:
    """Count the words of a text.

    Words are split on white space.

    Parameters
    ----------
    text : str
        The text, which
        may be long.
    lines : int
        How many lines.

    Returns
    -------
    int
        The number of words.
    """
    return 0


@pytest.mark.parametrize("function", [google, sphinx, numpy])
def test_every_docstring_style_describes_the_tool_and_its_inputs(function: Any) -> None:
    result = derived(function)
    assert result.description == (
        "Count the words of a text.\n\nWords are split on white space.\n\nReturns: The number of words."
    )
    assert result.input_schema == {
        "type": "object",
        "properties": {
            "text": {"type": "string", "description": "The text, which may be long."},
            "lines": {"type": "integer", "description": "How many lines.", "default": 20},
        },
        "additionalProperties": False,
        "required": ["text"],
    }


def test_a_plain_docstring_is_the_description_and_none_is_empty() -> None:
    def plain() -> None:
        """Ring the bell. Note: it is loud."""

    def silent() -> None: ...

    assert derived(plain).description == "Ring the bell. Note: it is loud."
    assert derived(silent).description == ""
    assert derived(silent).input_schema == {"type": "object", "properties": {}, "additionalProperties": False}


def test_the_call_parameter_is_found_however_it_is_written_and_hidden() -> None:
    def as_string(text: str, who: openclaw.Call) -> str:  # a string here: annotations are postponed
        return text

    def unresolvable(text: str, who: openclaw.Call) -> str:
        return text

    def optional(text: str, who: openclaw.Call | None = None) -> str:
        return text

    unresolvable.__annotations__["who"] = "Call"
    for function in (as_string, unresolvable, optional):
        result = derived(function)
        assert result.call == "who"
        assert result.parameters == ("text",)
        assert list(result.input_schema["properties"]) == ["text"]


def test_fixed_arguments_are_hidden_from_the_model_and_need_no_type() -> None:
    def priced(item: str, api_key, client: object = None) -> str:  # type: ignore[no-untyped-def]
        return item

    result = derived(priced, fixed=["api_key", "client"])
    assert list(result.input_schema["properties"]) == ["item"]
    assert result.input_schema["required"] == ["item"]
    assert result.parameters == ("item", "api_key", "client")
    assert result.required == ("item", "api_key")


def test_what_cannot_be_a_tool_is_refused_with_the_reason() -> None:
    def spread(*texts: str) -> None: ...
    def anything(**values: str) -> None: ...
    def nameless(text: str, /) -> None: ...
    def untyped(text) -> None: ...  # type: ignore[no-untyped-def]
    def raw(blob: bytes) -> None: ...
    def only_for_checkers(amount: Decimal) -> None: ...
    def twice(a: openclaw.Call, b: openclaw.Call) -> None: ...
    def numbered(table: dict[int, str]) -> None: ...

    def stream() -> typing.Iterator[str]:
        yield ""

    assert "`*texts`" in problem(spread)
    assert "`**values`" in problem(anything)
    assert "positional-only" in problem(nameless)
    assert problem(untyped) == ("parameter `text`: it has no annotation; write its type, for example `text: str`")
    assert "`bytes` cannot be said in JSON" in problem(raw)
    assert "`Decimal` of `amount` cannot be resolved" in problem(only_for_checkers)
    assert "both annotated" in problem(twice)
    assert "keys of a JSON object are texts" in problem(numbered)
    assert "generator" in problem(stream)


def test_a_record_that_holds_itself_is_a_problem_not_a_crash() -> None:
    @dataclass
    class Node:
        inner: Any

    Node.__annotations__["inner"] = Node
    Node.__dataclass_fields__["inner"].type = Node

    def function(node):  # type: ignore[no-untyped-def]
        pass

    function.__annotations__ = {"node": Node}
    assert "nested too deeply" in problem(function)


def test_an_unmarked_callable_and_a_class_are_refused() -> None:
    class Marked:
        pass

    for function in (os.system, len, openclaw.tool(Marked)):
        result = derive(function)
        assert isinstance(result, SignatureProblem)
        assert "not marked" in result.message


def test_wrapped_functions_methods_and_callable_objects_are_read_through() -> None:
    def logged(function: Any) -> Any:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        return wrapper

    class Scale:
        def weigh(self, grams: int) -> str:
            """Weigh it."""
            return str(grams)

        def __call__(self, grams: int) -> str:
            return str(grams)

    openclaw.tool(Scale.weigh)
    for function in (openclaw.tool(logged(google)), Scale().weigh, openclaw.tool(Scale())):
        result = derive(function)
        assert isinstance(result, Derived)
        assert result.input_schema["required"] in (["text"], ["grams"])


def test_a_callable_object_is_described_by_what_is_called_and_not_by_its_class() -> None:
    class Scale:
        """A thing of the kitchen."""

        def __call__(self, grams: int) -> str:
            """Weigh it.

            Args:
                grams: How heavy it is.
            """
            return str(grams)

    class Silent:
        """Says nothing."""

        def __call__(self, grams: int) -> str:
            return str(grams)

    weighing = derived(Scale())
    assert weighing.description == "Weigh it."
    assert weighing.input_schema["properties"]["grams"]["description"] == "How heavy it is."
    assert derived(functools.partial(google, lines=2)).description == derived(google).description
    assert derived(Silent()).description == ""


def test_declared_inputs_lift_the_need_for_annotations() -> None:
    def untyped(text, size=3):  # type: ignore[no-untyped-def]
        return text

    result = derived(untyped, declared=True)
    assert result.parameters == ("text", "size")
    assert result.required == ("text",)


def test_names_that_disagree_with_the_manifest_are_all_found() -> None:
    def priced(item: str, api_key: str, size: int = 1) -> str:
        return item

    found = mismatches(derived(priced), inputs=["itme", "size"], fixed=["size", "key"])
    assert [(m.name, m.place) for m in found] == [
        ("itme", "input"),
        ("key", "with"),
        ("size", "with"),
        ("item", "missing"),
        ("api_key", "missing"),
    ]
    assert found[0].message == "the function has no parameter `itme`; it takes `item`, `api_key`, `size`"
    assert mismatches(derived(priced), inputs=["item"], fixed=["api_key"]) == ()


def test_json_values_become_what_the_annotations_promise() -> None:
    def function(
        path: Path,
        colour: Colour,
        pair: tuple[int, Path],
        tags: set[str],
        order: Order,
        ratio: float,
        where: Path | None,
    ) -> None: ...

    assert signature.arguments(
        function,
        {
            "path": "a/b",
            "colour": "red",
            "pair": [1, "x"],
            "tags": ["a"],
            "order": {"item": "tea", "folder": "f"},
            "ratio": 1,
            "where": "w",
        },
    ) == {
        "path": Path("a/b"),
        "colour": Colour.RED,
        "pair": (1, Path("x")),
        "tags": {"a"},
        "order": Order("tea", 1, Path("f")),
        "ratio": 1.0,
        "where": Path("w"),
    }


def test_a_module_that_is_not_in_sys_modules_resolves_its_own_names(tmp_path: Path) -> None:
    (tmp_path / "desk_weights.py").write_text(
        "from __future__ import annotations\n"
        "import dataclasses, openclaw\n"
        "from pathlib import Path\n"
        "from typing import TypedDict\n"
        "@dataclasses.dataclass\n"
        "class Item:\n"
        "    place: Path\n"
        "class Box(TypedDict):\n"
        "    item: Item\n"
        "@openclaw.tool\n"
        "def weigh(box: Box) -> str:\n"
        "    return box['item'].place.name\n"
        "class Broken(TypedDict):\n"
        "    item: Missing\n"
        "@openclaw.tool\n"
        "def fail(box: Broken) -> str: ...\n"
    )
    load = importer(tmp_path)
    weigh, fail = load(["desk_weights:weigh", "desk_weights:fail"]).values()
    assert not isinstance(weigh, ImportProblem) and not isinstance(fail, ImportProblem)
    result = derive(weigh)
    assert isinstance(result, Derived)
    assert result.input_schema["properties"]["box"]["properties"]["item"]["properties"] == {"place": {"type": "string"}}
    assert weigh(**signature.arguments(weigh, {"box": {"item": {"place": "a/b"}}})) == "b"
    broken = derive(fail)
    assert isinstance(broken, SignatureProblem)
    assert broken.message.startswith("parameter `box`: the annotations of `Broken` cannot be resolved: name 'Missing'")
