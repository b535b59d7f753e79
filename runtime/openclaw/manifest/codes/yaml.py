"""What cannot be read as YAML."""

from __future__ import annotations

from typing import Final

from openclaw.manifest.codes.code import Code

CODES: Final[dict[str, Code]] = {
    "yaml": Code(
        "The line cannot be read as YAML.",
    ),
    "yaml-alias": Code(
        "`*name` repeats what `&name` marked earlier in the same file; text that starts so is quoted.",
    ),
    "yaml-alias-size": Code(
        "Aliases may expand a file to 100,000 values at most, and never contain themselves.",
    ),
    "yaml-block": Code(
        "A block of text (`|` or `>`) ends at the first line that is indented less than it.",
    ),
    "yaml-bracket": Code(
        "Every `[` and `{` is closed, with commas between what stands inside.",
    ),
    "yaml-character": Code(
        "Text that starts with one of `@ ` % & * ! | > ?` is quoted.",
    ),
    "yaml-colon": Code(
        "A key is followed by a colon and a space; text that holds `: ` is quoted.",
    ),
    "yaml-conflict": Code(
        "The file holds the markers of an unresolved merge.",
    ),
    "yaml-depth": Code(
        "Values may be nested 100 levels deep at most.",
    ),
    "yaml-documents": Code(
        "A manifest is one YAML document.",
    ),
    "yaml-duplicate": Code(
        "A key stands once in a mapping.",
    ),
    "yaml-escape": Code(
        "In double quotes a backslash starts an escape; single quotes take everything as it is.",
    ),
    "yaml-indent": Code(
        "Keys of one mapping start in the same column.",
    ),
    "yaml-key": Code(
        "Keys are text.",
    ),
    "yaml-merge": Code(
        "`<<` merges mappings.",
    ),
    "yaml-number": Code(
        "The number is too large to be kept exactly.",
    ),
    "yaml-quote": Code(
        "A value in quotes ends with the same quote, and nothing follows it on the line.",
    ),
    "yaml-tab": Code(
        "YAML is indented with spaces; tabs are refused.",
    ),
    "yaml-tag": Code(
        "Tags (`!word`) have no meaning in manifests; text that starts with `!` is quoted.",
    ),
}
