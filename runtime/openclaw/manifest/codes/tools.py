"""Tools: templates, callables, inputs."""

from __future__ import annotations

from typing import Final

from openclaw.manifest.codes.code import Code

CODES: Final[dict[str, Code]] = {
    "tool-name": Code(
        "Tools and policies have names of their own.",
    ),
    "tool-input": Code(
        "An input's declaration contradicts itself.",
    ),
    "template": Code(
        "The command of a shell tool cannot be split safely.",
    ),
    "template-input": Code(
        "Placeholders of a template and declared inputs agree, both ways.",
    ),
    "python-import": Code(
        "The Python callable cannot be loaded.",
    ),
    "python-mark": Code(
        "Only callables marked @openclaw.tool may be named.",
    ),
    "python-signature": Code(
        "The declared inputs do not fit the callable's parameters.",
    ),
}
