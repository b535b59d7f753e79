"""What cannot be read as YAML."""

from __future__ import annotations

from typing import Final

from openclaw.manifest.codes.code import Code
from openclaw.manifest.codes.sound import AGENT, agent, channels, heartbeat, tool

_BOMB: Final = "".join(
    f"{name}: &{name} [{', '.join(['*' + of if of else 'x'] * 10)}]\n"
    for name, of in (("a", ""), ("b", "a"), ("c", "b"), ("d", "c"), ("e", "d"))
)

CODES: Final[dict[str, Code]] = {
    "yaml": Code(
        "The line cannot be read as YAML.",
        bad={"heartbeats.yaml": 'heartbeats:\n  morning: {cron: "0 8 * * *", prompt: >}\n'},
        good={"heartbeats.yaml": 'heartbeats:\n  morning: {cron: "0 8 * * *", prompt: "What is new?"}\n'},
    ),
    "yaml-alias": Code(
        "`*name` repeats what `&name` marked earlier in the same file; text that starts so is quoted.",
        bad=heartbeat("cron: */5 * * * *\nprompt: What is new?"),
        good=heartbeat('cron: "*/15 * * * *"\nprompt: What is new?'),
    ),
    "yaml-alias-size": Code(
        "Aliases may expand a file to 100,000 values at most, and never contain themselves.",
        bad={"heartbeats.yaml": _BOMB},
        good=heartbeat(""),
    ),
    "yaml-block": Code(
        "A block of text (`|` or `>`) ends at the first line that is indented less than it.",
        bad=heartbeat('cron: "0 8 * * *"\nprompt: |What is new?'),
        good=heartbeat('cron: "0 8 * * *"\nprompt: |\n  What is new?'),
    ),
    "yaml-bracket": Code(
        "Every `[` and `{` is closed, with commas between what stands inside.",
        bad={"agents/main.yaml": AGENT.replace("[read_file]", "[read_file")},
        good={"agents/main.yaml": AGENT},
    ),
    "yaml-character": Code(
        "Text that starts with one of `@ ` % & * ! | > ?` is quoted.",
        bad=heartbeat("cron: @daily\nprompt: What is new?"),
        good=heartbeat('cron: "@daily"\nprompt: What is new?'),
    ),
    "yaml-colon": Code(
        "A key is followed by a colon and a space; text that holds `: ` is quoted.",
        bad={"agents/main.yaml": AGENT.replace("Helps with everything", "Helps with this: everything")},
        good={"agents/main.yaml": AGENT.replace("Helps with everything", '"Helps with this: everything"')},
    ),
    "yaml-conflict": Code(
        "The file holds the markers of an unresolved merge.",
        bad=agent("<<<<<<< ours\neffort: low\n=======\neffort: high\n>>>>>>> theirs\n"),
        good=agent("effort: high\n"),
    ),
    "yaml-depth": Code(
        "Values may be nested 100 levels deep at most.",
        bad=agent(f"memory: {'[' * 120}{']' * 120}\n"),
        good=agent("memory: agent\n"),
    ),
    "yaml-documents": Code(
        "A manifest is one YAML document.",
        bad=agent("---\nname: Another\n"),
        good={
            "agents/main.yaml": f"---\n{AGENT}default: true\n",
            "agents/other.yaml": AGENT.replace("Jarvis", "Another"),
        },
    ),
    "yaml-duplicate": Code(
        "A key stands once in a mapping.",
        bad=agent("name: Friday\n"),
        good={"agents/main.yaml": AGENT},
    ),
    "yaml-escape": Code(
        "In double quotes a backslash starts an escape; single quotes take everything as it is.",
        bad=tool('description: Lists a file\nshell: ls {n}\ninput:\n  n: {type: string, pattern: "\\d+"}'),
        good=tool("description: Lists a file\nshell: ls {n}\ninput:\n  n: {type: string, pattern: '\\d+'}"),
    ),
    "yaml-indent": Code(
        "Keys of one mapping start in the same column.",
        bad=agent("limits:\n  iterations: 3\n turn: 5m\n"),
        good=agent("limits:\n  iterations: 3\n  turn: 5m\n"),
    ),
    "yaml-key": Code(
        "Keys are text.",
        bad=channels("channels:\n  1: {kind: http}\n"),
        good=channels("channels:\n  web: {kind: http}\n"),
    ),
    "yaml-merge": Code(
        "`<<` merges mappings.",
        bad=agent("limits:\n  <<: [3]\n  iterations: 3\n"),
        good=heartbeat('<<: {cron: "0 8 * * *"}\nprompt: What is new?'),
    ),
    "yaml-number": Code(
        "The number is too large to be kept exactly.",
        bad=agent(f"limits: {{iterations: {'9' * 5000}}}\n"),
        good=agent("limits: {iterations: 9}\n"),
    ),
    "yaml-quote": Code(
        "A value in quotes ends with the same quote, and nothing follows it on the line.",
        bad={"agents/main.yaml": AGENT.replace("Helps with everything", "'It's helpful'")},
        good={"agents/main.yaml": AGENT.replace("Helps with everything", '"It\'s helpful"')},
    ),
    "yaml-tab": Code(
        "YAML is indented with spaces; tabs are refused.",
        bad=agent("limits:\n\titerations: 3\n"),
        good=agent("limits:\n  iterations: 3\n"),
    ),
    "yaml-tag": Code(
        "Tags (`!word`) have no meaning in manifests; text that starts with `!` is quoted.",
        bad=agent("prefix: !deploy\n"),
        good=agent("prefix: /deploy\n"),
    ),
}
