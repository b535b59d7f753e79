"""Policies: rules and what they decide."""

from __future__ import annotations

from typing import Final

from openclaw.manifest.codes.code import Code
from openclaw.manifest.codes.sound import TOOLS, rules

_TOUCH: Final = """\
tools:
  touch:
    description: Makes a file
    shell: touch {name}
    writes: true
    input: {name: {type: string}}
"""

CODES: Final[dict[str, Code]] = {
    "policy-include": Code(
        "Policies may include others, but not in a circle, and not so often that they hold 100,000 rules in all.",
        bad={"tools.yaml": TOOLS + "    include: [other]\n  other: {include: [careful]}\n"},
        good={"tools.yaml": TOOLS + "    include: [other]\n  other: {rules: [{ask: web_fetch}]}\n"},
    ),
    "policy-floor": Code(
        "`floor` joins every policy and holds only ask and deny rules.",
        bad={"tools.yaml": TOOLS + "  floor:\n    rules:\n      - allow: [web_fetch]\n"},
        good={"tools.yaml": TOOLS + "  floor:\n    rules:\n      - deny: [web_fetch]\n"},
    ),
    "rule-matches-nothing": Code(
        "The rule matches no tool, so it decides nothing.",
        bad=rules("deny: [web_fech*]"),
        good=rules("deny: [web_fetch*]"),
    ),
    "rule-too-wide": Code(
        "The rule would let any command or any tool run unasked.",
        bad=rules('allow: ["*"]'),
        good=rules("allow: [memory_search]"),
    ),
    "rule-pointless": Code(
        "Another rule of the same policy makes this one pointless.",
        bad=rules("ask: web_fetch\n{allow: web_fetch, hosts: [example.org]}"),
        good=rules("{allow: web_fetch, hosts: [example.org]}"),
    ),
    "rule-shadowed": Code(
        "A rule decides something that no other rule of its policy decides as strictly.",
        bad=rules("{deny: run_command, commands: [git push]}\n{allow: run_command, commands: [git push origin]}"),
        good=rules("{deny: run_command, commands: [git push]}\n{allow: run_command, commands: [git log]}"),
    ),
    "rule-contradiction": Code(
        "The conditions of a rule can be met all together, by calls of the tools it names.",
        bad=rules("{ask: memory_search, input: {limit: {minimum: 50, maximum: 5}}}"),
        good=rules("{ask: memory_search, input: {limit: {minimum: 5, maximum: 50}}}"),
    ),
    "rule-interpreter": Code(
        "What an allow lets run does not run whatever else the model writes.",
        bad=rules('{allow: run_command, commands: ["make **"]}'),
        good=rules('{allow: run_command, commands: ["make test"]}'),
    ),
    "rule-pattern": Code(
        "The pattern of a rule cannot be read.",
        bad=rules('{allow: run_command, commands: ["(git status"]}'),
        good=rules("{allow: run_command, commands: [git status]}"),
    ),
    "rule-condition": Code(
        "The rule's conditions do not fit the tools it names.",
        bad=rules("{allow: web_fetch, input: {ulr: {const: 'https://example.org/'}}}"),
        good=rules("{allow: web_fetch, input: {url: {const: 'https://example.org/'}}}"),
    ),
    "rule-test": Code(
        "One of the rule's own tests fails.",
        bad=rules("{deny: run_command, commands: [sudo], tests: {match: [ls]}}"),
        good=rules("{deny: run_command, commands: [sudo], tests: {match: [sudo ls]}}"),
    ),
    "rule-network": Code(
        "`network` is for rules that let commands run, or ask about them.",
        bad=rules("{deny: run_command, commands: [curl], network: true}"),
        good=rules("{deny: run_command, commands: [curl]}"),
    ),
    "writes-nothing": Code(
        "A template that writes is allowed unasked, and may not write in the workspace.",
        bad={"tools.yaml": _TOUCH.replace("writes: true", "writes: false") + TOOLS + "      - allow: [touch]\n"},
        good={"tools.yaml": _TOUCH + TOOLS + "      - allow: [touch]\n"},
    ),
    "policy-repository": Code(
        "A trusted repository is named by the whole path of its root.",
        bad={"tools.yaml": TOOLS + "    trusted_repositories: [src/site]\n"},
        good={"tools.yaml": TOOLS + "    trusted_repositories: [/srv/src/site]\n"},
    ),
    "rule-until": Code(
        "`until` is a date or a time: 2027-01-31 or 2027-01-31T18:00:00Z.",
        bad=rules("{allow: web_fetch, hosts: [example.org], until: 2026-13-01}"),
        good=rules("{allow: web_fetch, hosts: [example.org], until: 2030-12-01}"),
    ),
}
