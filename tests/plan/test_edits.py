"""A table of edits: whether a permission widens, tightens, both or neither, of which tools, and how the plan ends."""

from __future__ import annotations

from dataclasses import replace

import pytest

from doubles.edits import NOW, PROJECT, compiled, edited, planned
from openclaw.plan.changes import Change
from openclaw.plan.whole import plan

T, C, M, OPS = "tools.yaml", "channels.yaml", "agents/main.yaml", "agents/ops.yaml"
Edit = tuple[str, str, str]
LOOK = "{id: look, allow: run_command, commands: [ls, cat]}"
DRAFTS = '{id: drafts, deny: write_file, paths: ["**/*.draft"], except: {from: ana}}'
ROOT = "{id: no-root, deny: run_command, commands: [sudo, su]}"
SHOP = '{secret: "${SHOP_TOKEN}", agents: [main], scopes: [chat]}'
BOT = 'allow: [1, 2], agents: [main]'
STRICT = "  strict:\n    default: deny\n"
CAREFUL = "  careful:\n    default: ask\n"

# edit -> (what is told of permissions, the name of one of them)
TABLE: dict[str, tuple[tuple[Edit, ...], set[str], str]] = {
    # rules
    "a deny of the floor that is narrowed": (((T, "[sudo, su]", "[sudo]"),), {"widens"}, "run_command"),
    "a deny of the floor that is widened": (((T, "[sudo, su]", "[sudo, su, doas]"),), {"tightens"}, "run_command"),
    "a deny that becomes an ask": (((T, ROOT, ROOT.replace("deny", "ask")),), {"widens"}, "run_command"),
    "a deny that is removed": (((T, f"      - {DRAFTS}\n", ""),), {"widens"}, "write_file"),
    "an allow that is added": (
        ((T, f"      - {LOOK}\n", f"      - {LOOK}\n      - {{allow: run_command, commands: [docker ps]}}\n"),),
        {"widens"}, "run_command"),
    "an allow that is removed": (((T, "      - {id: sizes, allow: measure}\n", ""),), {"tightens"}, "measure"),
    "a program more in an allow": (((T, "[ls, cat]", "[ls, cat, wc]"),), {"widens"}, "run_command"),
    "a program less in an allow": (((T, "[ls, cat]", "[ls]"),), {"tightens"}, "run_command"),
    "another program in an allow": (((T, "[ls, cat]", "[ls, wc]"),), {"widens", "tightens"}, "run_command"),
    "an allow without its condition": (
        ((T, ', commands: [uptime], from: "group:team"}', ", commands: [uptime]}"),), {"widens"}, "run_command"),
    "an allow with a condition more": (((T, LOOK, LOOK[:-1] + ", from: ana}"),), {"tightens"}, "run_command"),
    "an except that is wider": (((T, "except: {from: ana}", "except: {from: [ana, bob]}"),), {"widens"}, "write_file"),
    "an except that is narrower": (((T, "except: {from: ana}", "except: {from: ana, channel: http}"),),
                                   {"tightens"}, "write_file"),
    "an until that is later": (((T, "2026-06-01", "2026-09-01"),), {"widens"}, "web_fetch"),
    "an until that is earlier": (((T, "2026-06-01", "2026-05-01"),), {"tightens"}, "web_fetch"),
    "an until that is gone": (((T, ", until: 2026-06-01", ""),), {"widens"}, "web_fetch"),
    "a host more": (((T, "[docs.example]", '[docs.example, "*.docs.example"]'),), {"widens"}, "web_fetch"),
    "a path more": (((T, '["notes/**"]', '["notes/**", "drafts/**"]'),), {"widens"}, "write_file"),
    "a bound that is raised": (((T, "maximum: 50", "maximum: 500"),), {"widens"}, "refund"),
    "a bound that is lowered": (((T, "maximum: 50", "maximum: 5"),), {"tightens"}, "refund"),
    "an allow that is unsafe now": (
        ((T, LOOK, '{id: look, allow: run_command, commands: [ls, cat, "bash x.sh"], unsafe: true}'),),
        {"widens"}, "run_command"),
    "an allow that may use the network": (((T, LOOK, LOOK[:-1] + ", network: true}"),), {"may widen"}, "run_command"),
    "an allow that may write": (((T, LOOK, LOOK[:-1] + ", writes: true}"),), {"may widen"}, "run_command"),
    "an allow in other words": (
        ((T, LOOK, "{allow: run_command, commands: [cat, ls], id: see, reason: they only read}"),), set(), ""),
    "an allow that is covered by another": (
        ((T, f"      - {LOOK}\n", f"      - {LOOK}\n      - {{allow: run_command, commands: [ls], from: ana}}\n"),),
        set(), ""),
    # what a policy says beside its rules
    "a default that asks and denied": (((T, STRICT, STRICT.replace("deny", "ask")),), {"widens"}, "run_command"),
    "a default that denies and asked": (((T, CAREFUL, CAREFUL.replace("ask", "deny")),), {"tightens", "may tighten"},
                                        "run_command"),
    "an ask where the default denies": (
        ((T, "[systemctl]", "[systemctl, service]"),), {"widens"}, "run_command"),
    "an include": (((T, STRICT, STRICT + "    include: [common]\n"),), {"widens"}, "read_file"),
    "an approver more": (((T, "approvers: [ana]", "approvers: [ana, bob]"),), {"widens"}, "approvals"),
    "an approver less": (((T, "approvers: [ana]", 'approvers: ["repl:local"]'),),
                         {"widens", "tightens"}, "approvals"),
    "a sandbox that is off": (((T, CAREFUL, CAREFUL + "    sandbox: off\n"),), {"widens"}, "run_command"),
    "a sandbox that is required": (((T, CAREFUL, CAREFUL + "    sandbox: required\n"),), {"tightens"}, "run_command"),
    "a repository that is trusted": (
        ((T, CAREFUL, CAREFUL + "    trusted_repositories: [/srv/site]\n"),), {"widens"}, "run_command"),
    "more time to answer": (((T, CAREFUL, CAREFUL + "    answer_within: 1h\n"),), set(), ""),
    # agents
    "an agent under another policy": (
        ((OPS, "policy: strict", "policy: careful"),), {"widens", "tightens"}, "run_command"),
    "a tool that runs unasked": (((M, "refund, measure]", "refund, measure, list_files]"),
                                  (T, "{id: sizes, allow: measure}", "{id: sizes, allow: [measure, list_files]}")),
                                 {"widens"}, "list_files"),
    "a tool that asks": (((M, "refund, measure]", "refund, measure, memory_delete]"),), {"widens"}, "memory_delete"),
    "a tool that is always denied": (((OPS, "[run_command, read_file]", "[run_command, read_file, web_fetch]"),
                                      (T, STRICT + "    rules:\n",
                                       STRICT + "    rules:\n      - {deny: web_fetch}\n")), set(), ""),
    "a tool less": (((M, "web_fetch, ", ""),), {"tightens"}, "web_fetch"),
    "a tool less that was always denied": (((OPS, "[run_command, read_file]", "[run_command]"),), set(), ""),
    "a workspace that is shared": (((M, "workspace: own", "workspace: shared"),), {"widens"}, "workspace"),
    "a workspace of its own": (((OPS, "policy: strict\n", "policy: strict\nworkspace: own\n"),),
                               {"tightens"}, "workspace"),
    "memories of everybody": (((M, "memory: agent", "memory: shared"),), {"widens"}, "memory"),
    "no memories": (((M, "memory: agent", "memory: off"),), {"tightens"}, "memory"),
    "an agent more": (
        (("agents/new.yaml", "", "name: N\ndescription: d\ntools: [read_file]\npolicy: careful\n"),),
        {"widens"}, "read_file"),
    "an agent more that can do nothing": (
        (("agents/new.yaml", "", "name: N\ndescription: d\ntools: []\npolicy: careful\n"),), set(), ""),
    "another soul": ((("agents/main.md", "You are Main.", "You are kind."),), set(), ""),
    "another name and description": (((M, "Answers", "Replies"), (OPS, "name: Ops", "name: Machines")), set(), ""),
    # tools
    "a template under an allow": (((T, "du -k -- {path}", "du -m -- {path}"),), {"may widen"}, "measure"),
    "a value from the environment": (
        ((T, "    shell: du -k -- {path}\n", "    shell: du -k -- {path}\n    env: {LC_ALL: C}\n"),),
        {"widens"}, "measure"),
    "a tool that writes": (
        ((T, "    shell: du -k -- {path}\n", "    shell: du -k -- {path}\n    writes: true\n"),),
        {"widens"}, "measure"),
    "an input more": (
        ((T, "{path: {type: path}}", "{path: {type: path, default: .}}"),), {"widens"}, "measure"),
    "another description of a tool": (((T, "description: Measures", "description: Weighs"),), set(), ""),
    "a tool by another name": (
        ((T, "  measure:\n", "  weigh:\n"), (T, "{id: sizes, allow: measure}", "{id: sizes, allow: weigh}"),
         (M, "refund, measure]", "refund, weigh]")), set(), ""),
    "a tool by a name that rules deny": (
        ((T, "  measure:\n", "  weigh:\n"), (T, "{id: sizes, allow: measure}", "{id: sizes, deny: weigh}"),
         (M, "refund, measure]", "refund, weigh]")), {"tightens"}, "weigh"),
    # people, channels, tokens, rooms
    "an owner more": (((C, 'bob: {ids: ["telegram:2"]}', 'bob: {ids: ["telegram:2"], owner: true}'),),
                      {"widens"}, "owners"),
    "somebody more in a group": (((C, 'bob: {ids: ["telegram:2"]}', 'bob: {ids: ["telegram:2"], groups: [team]}'),),
                                 {"widens"}, "run_command"),
    "a person with an id more": (((C, '["telegram:1"]', '["telegram:1", "telegram:3"]'),), {"widens"}, "run_command"),
    "a sender more": (((C, BOT, BOT.replace("[1, 2]", "[1, 2, 3]")),), {"widens"}, "channel telegram"),
    "a sender less": (((C, BOT, BOT.replace("[1, 2]", "[1]")),), {"tightens"}, "channel telegram"),
    "strangers who are let in": (((C, "strangers: ignore", "strangers: pair"),), {"widens"}, "channel telegram"),
    "an agent more on a channel": (((C, BOT, BOT.replace("[main]", "[main, ops]")),), {"widens"}, "channel telegram"),
    "an agent more in a room": (
        ((C, "agent: main, agents: [main]", "agent: main, agents: [main, ops]"), (C, BOT, "allow: [1, 2]")),
        {"widens"}, "room ops"),
    "a scope more of a token": (((C, "scopes: [chat]", "scopes: [chat, approve]"),), {"widens"}, "token http/shop"),
    "an agent more of a token": (((C, SHOP, SHOP.replace("[main]", "[main, ops]")),), {"widens"}, "token http/shop"),
    "senders that a program names": (((C, SHOP, SHOP[:-1] + ", senders: declared}"),),
                                     {"widens", "tightens"}, "token http/shop"),
    "a token more": (((C, f"      shop: {SHOP}\n", f"      shop: {SHOP}\n      other: {SHOP}\n".replace(
        'other: {secret: "${SHOP', 'other: {secret: "${OTHER')),), {"widens"}, "token http/other"),
    "a channel that is switched off": (((C, "strangers: ignore}", "strangers: ignore, enabled: false}"),),
                                       {"tightens"}, "channel telegram"),
    "a channel that other machines reach": (
        ((C, "    kind: http\n", "    kind: http\n    host: 0.0.0.0\n    token: \"${HTTP_TOKEN}\"\n"),),
        {"widens"}, "channel http"),
}  # fmt: skip


def permissions(changes: tuple[Change, ...]) -> list[Change]:
    return [change for change in changes if change.kind == "permission"]


@pytest.mark.parametrize("name", TABLE)
def test_an_edit_is_told_as_what_it_does_to_permissions(name: str) -> None:
    edits, expected, about = TABLE[name]
    changes = planned(*edits)
    found = permissions(changes)
    assert {change.what for change in found} == expected, [(one.what, one.name, one.words) for one in found]
    assert not about or any(about in change.name for change in found), found
    assert changes, "an edit is never told as nothing"
    assert any(change.widens for change in changes) == any("widen" in what for what in expected)


def test_what_widens_comes_with_a_call_and_a_place() -> None:
    [change] = permissions(planned((T, "[sudo, su]", "[sudo]")))
    assert change.example == 'run_command command "su": was denied, asks now'
    assert change.words == "denies commands [su] less widely (floor/no-root, tools.yaml:13)"
    assert [(origin.file, origin.line) for origin in change.at] == [("tools.yaml", 13)]
    assert change.agents == ("main", "ops")


def test_nothing_is_told_where_nothing_is_different() -> None:
    assert planned() == ()
    assert planned((T, "tools:\n", "# a word beside\ntools:\n")) == ()


CODES = (
    (T, "input: {amount: {type: integer}}", "input: {amount: {type: string}}"),
    (T, "{id: small, allow: refund, input: {amount: {maximum: 50}}}", "{allow: read_file}"),
)


def test_calls_of_scenarios_are_tried_beside_those_that_rules_name() -> None:
    pattern = "{allow: refund, input: {amount: {pattern: '^[A-Z]{3}-[0-9]{4}$'}}}"
    old = compiled(edited(*CODES))
    new = compiled(edited(CODES[0], (T, CODES[1][1], pattern)))
    [guessed] = [each for each in permissions(plan(old, new, NOW)) if "refund" in each.name]
    assert (guessed.what, guessed.example) == ("may widen", "")
    tried = replace(new, calls=(("refund", {"amount": "ABC-1234"}),))
    [found] = [each for each in permissions(plan(old, tried, NOW)) if "refund" in each.name]
    assert (found.what, found.example) == ("widens", 'refund amount "ABC-1234": asked, runs unasked now')


def test_a_rule_about_every_room_is_wider_when_there_are_more() -> None:
    rule = (T, LOOK, LOOK[:-1] + ', room: "*"}')
    more = (C, "rooms:\n", 'rooms:\n  more: {id: "telegram:-8"}\n')
    changes = plan(compiled(edited(rule)), compiled(edited(rule, more)), NOW)
    [change] = [each for each in permissions(changes) if each.name == "run_command"]
    assert (change.what, change.words) == (
        "widens",
        "allows commands [ls, cat], room [*], as before, which means more people or places now "
        "(careful/look, tools.yaml:21)",
    )


def test_the_tool_of_a_check_counts_as_one_of_its_agent() -> None:
    beat = "heartbeats:\n  disk: {cron: '@daily', agent: ops, prompt: Look, check: {tool: measure, input: {path: x}}}\n"
    first = "      - {id: ask-first"
    old, new = (
        compiled({**edited((T, first, f"      - {{allow: measure{what}}}\n{first}")), "heartbeats.yaml": beat})
        for what in (", paths: [x]", "")
    )
    assert [(each.name, each.agents, each.what) for each in permissions(plan(old, new, NOW))] == [
        ("measure", ("ops",), "widens")
    ]


def test_a_tool_renamed_to_one_that_was_there_is_no_renaming() -> None:
    changes = planned((M, "refund, measure]", "refund, list_files]"))
    assert {(each.name, each.what) for each in permissions(changes)} == {
        ("list_files", "widens"),
        ("measure", "tightens"),
    }


def test_what_many_agents_share_is_told_once() -> None:
    files = {f"agents/a{number}.yaml": "name: A\ndescription: d\ntools: [run_command]\npolicy: careful\n"
             for number in range(30)}  # fmt: skip
    old, new = compiled({**edited(), **files}), compiled({**edited((T, "[ls, cat]", "[ls, cat, wc]")), **files})
    [change] = permissions(plan(old, new, NOW))
    assert len(change.agents) == 31


BEHIND = (
    (T, "du -k -- {path}", "which -- {path}"),
    (M, "[run_command, read_file, write_file, web_fetch, refund, measure]", "[measure]"),
    (OPS, "[run_command, read_file]", "[read_file]"),
)


def test_a_deny_of_a_program_counts_where_a_template_may_start_it_under_another_name() -> None:
    old = compiled(edited(*BEHIND, (T, "[sudo, su]", "[doas, which.debianutils]")))
    new = compiled(edited(*BEHIND, (T, "[sudo, su]", "[doas]")))
    [change] = permissions(plan(old, new, NOW))
    assert (change.what, change.name, change.words) == (
        "may widen",
        "measure",
        "denies less widely what the file behind a program of its command may be called: commands [which.debianutils] "
        "(floor/no-root, tools.yaml:13)",
    )
    assert not permissions(plan(new, old, NOW))


def test_what_is_no_longer_included_is_no_longer_denied() -> None:
    common = (T, "      - {allow: read_file}\n", "      - {id: no-keys, deny: write_file, paths: ['**/*.key']}\n")
    included = (T, CAREFUL, f"{CAREFUL}    include: [common]\n")
    [change] = permissions(plan(compiled(edited(common, included)), compiled(edited(common)), NOW))
    assert change.words == "no longer denies paths [**/*.key] (common/no-keys, tools.yaml:16)"


def test_the_mark_of_a_tool_whose_words_are_a_strangers_is_no_rule_of_a_policy() -> None:
    mark = "    shell: du -k -- {path}\n"
    marked = compiled(edited((T, mark, f"{mark}    taint: ask\n")))
    for changes in (plan(marked, compiled(PROJECT), NOW), plan(compiled(PROJECT), marked, NOW)):
        assert not [change for change in changes if change.kind == "policy"]
        [told_of] = permissions(changes)
        assert "(taint:measure, tools.yaml:" in told_of.words


def test_a_reason_that_is_another_is_told_as_that() -> None:
    [change] = planned((T, "[sudo, su]}", "[sudo, su], reason: nobody is root here}"))
    [field] = change.fields
    assert (field.name, field.old, field.new) == ("rule no-root: reason", None, "nobody is root here")


def test_an_example_is_one_of_what_it_stands_beside() -> None:
    found = permissions(planned((T, "[systemctl]}", "[systemctl, service], network: true}")))
    examples = {change.words.split(" commands")[0]: change.example for change in found if change.widens}
    assert examples == {
        "asks about": 'run_command command "systemctl && service": was denied, asks now',
        "what is agreed to has the network:": "",
    }
