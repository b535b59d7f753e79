"""Tools: templates, callables, inputs."""

from __future__ import annotations

from typing import Final

from openclaw.manifest.codes.code import Code
from openclaw.manifest.codes.sound import TOOLS, tool

_ADD: Final = """\
import openclaw


@openclaw.tool
def add(a: int, b: int) -> str:
    return str(a + b)
"""

_SUM: Final = "description: Adds two numbers\npython: sums:add\n"

CODES: Final[dict[str, Code]] = {
    "tool-name": Code(
        "Tools and policies have names of their own.",
        bad={"tools.yaml": f"tools:\n  read_file: {{description: Lists, shell: ls}}\n{TOOLS}"},
        good={"tools.yaml": f"tools:\n  list: {{description: Lists, shell: ls}}\n{TOOLS}"},
    ),
    "tool-input": Code(
        "An input's declaration contradicts itself.",
        bad=tool('description: Lists\nshell: ls {n}\ninput:\n  n: {type: integer, default: "3"}'),
        good=tool("description: Lists\nshell: ls {n}\ninput:\n  n: {type: integer, default: 3}"),
    ),
    "template": Code(
        "The command of a shell tool cannot be split safely.",
        bad=tool("description: Lists the home\nshell: ls $HOME"),
        good=tool("description: Lists a folder\nshell: ls {folder}\ninput:\n  folder: {type: path}"),
    ),
    "template-input": Code(
        "Placeholders of a template and declared inputs agree, both ways.",
        bad=tool("description: Lists a folder\nshell: ls {folder}\ninput:\n  foldr: {type: path}"),
        good=tool("description: Lists a folder\nshell: ls {folder}\ninput:\n  folder: {type: path}"),
    ),
    "python-import": Code(
        "The Python callable cannot be loaded.",
        bad=tool(_SUM),
        good=tool(_SUM, sums=_ADD),
    ),
    "python-mark": Code(
        "Only callables marked @openclaw.tool may be named.",
        bad=tool(_SUM, sums=_ADD.replace("@openclaw.tool\n", "")),
        good=tool(_SUM, sums=_ADD),
    ),
    "python-signature": Code(
        "The declared inputs do not fit the callable's parameters.",
        bad=tool(
            _SUM + "input:\n  a: {type: integer}",
            sums=_ADD,
        ),
        good=tool(
            _SUM + "input:\n  a: {type: integer}\n  b: {type: integer}",
            sums=_ADD,
        ),
    ),
    "input-type": Code(
        "What a function is given is of the type that its parameter is annotated with.",
        bad=tool(_SUM + "input:\n  a: {type: string}\n  b: {type: integer}", sums=_ADD),
        good=tool(_SUM + "input:\n  a: {type: integer}\n  b: {type: integer}", sums=_ADD),
    ),
}
