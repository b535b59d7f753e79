"""Seventy published ways around assistants' permissions, each with the tests here that stand in its way.

`TESTS` names them by row; rows about command lines have their evasions in evasions/advisories.yaml. A test that is
named and does not exist fails. Below the table are the tests that had no better place.
"""

from __future__ import annotations

import ast
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import pytest

from openclaw import bundle
from openclaw.adapters import importer
from openclaw.manifest.build import compile
from openclaw.manifest.folder import Folder
from openclaw.messages import ToolSpec
from openclaw.permissions.decide import Attempt, Condition, Effect, Policy, Rule, decide
from openclaw.permissions.facts import Assumed, Disk
from permissions import judges

HERE = Path(__file__).parent
ADVISORIES = {
    1: "CVE-2025-54795", 2: "CVE-2025-54794", 3: "CVE-2025-55284", 4: "CVE-2025-58764", 5: "CVE-2025-59041",
    6: "CVE-2025-59536", 7: "CVE-2025-59828", 8: "CVE-2025-59829", 9: "CVE-2025-64755", 10: "CVE-2025-65099",
    11: "CVE-2025-66032", 12: "CVE-2026-21852", 13: "CVE-2026-24052", 14: "CVE-2026-24053", 15: "CVE-2026-24887",
    16: "CVE-2026-25722", 17: "CVE-2026-25723", 18: "CVE-2026-25724", 19: "CVE-2026-25725", 20: "CVE-2026-33068",
    21: "CVE-2026-39861", 22: "CVE-2026-40068", 23: "CVE-2026-46406", 24: "CVE-2026-54316", 25: "CVE-2026-55607",
    26: "fifty subcommands", 27: "changelog-continuations", 28: "changelog-assignments", 29: "changelog-descriptors",
    30: "hidden text, and an allow that beat a deny", 31: "NUL in a host name", 32: "options in a link",
    33: "CVE-2025-54131", 34: "CVE-2026-22708", 35: "CVE-2025-54135", 36: "CVE-2026-50548", 37: "CVE-2026-50549",
    38: "NomShub", 39: "case variants", 40: "CVE-2025-59532", 41: "CVE-2025-55345", 42: "CVE-2025-61260",
    43: "names of branches", 44: "Tracebit-0.1.14", 45: "gemini-cli-11510", 46: "gemini-cli-25935",
    47: "hooks of a workspace", 48: "CVE-2026-28463", 49: "CVE-2026-28363", 50: "GHSA-796m-2973-wc5q",
    51: "CVE-2026-22175", 52: "CVE-2026-28460", 53: "openclaw-57871", 54: "openclaw-78518", 55: "hijacked PATH",
    56: "GHSA-hjvp-qhm6-wrh2", 57: "GHSA-xww8-gqvh-92x9", 58: "CVE-2026-28473", 59: "CVE-2026-28480",
    60: "GHSA-9vvh-2768-c8vp", 61: "CVE-2026-25253", 62: "CVE-2026-72718", 63: "comparing base names",
    64: "goclaw-1202", 65: "crush-3425", 66: "cherry-studio-16183", 67: "CVE-2025-53773", 68: "CVE-2025-53109",
    69: "a bare yes", 70: "safestclaw-65",
}  # fmt: skip

APPROVALS = "approvals/test_approvals.py::"
DECIDE = "permissions/test_decide.py::"
EVASIONS = "permissions/test_evasions.py::"
FILES = "tools/test_files.py::"
PATHS = "permissions/test_paths.py::"
SANDBOX = "tools/test_sandbox.py::"
TEMPLATE = "permissions/test_template.py::"
HERE_ = "test_advisories.py::"
DOTENV = "manifest/test_placeholders.py::test_dotenv_fills_in_beneath_the_environment_and_configures_nothing"
WORKSPACE_FILES = f"{HERE_}test_nothing_in_a_workspace_is_taken_for_configuration"

TESTS: dict[int, tuple[str, ...]] = {
    2: (f"{PATHS}test_containment_is_by_component",
        f"{FILES}test_a_workspace_whose_name_begins_another_is_not_its_inside"),
    5: (f"{TEMPLATE}test_no_value_changes_the_shape_of_the_command",),
    6: (WORKSPACE_FILES,),
    8: (f"{DECIDE}test_a_deny_of_paths_reaches_links_case_and_commands",),
    10: (WORKSPACE_FILES,),
    12: (WORKSPACE_FILES, DOTENV),
    13: (f"{DECIDE}test_hosts_are_compared_by_label",),
    18: (f"{DECIDE}test_links_are_followed_before_a_path_is_judged",),
    19: (f"{SANDBOX}test_protected_files_are_neither_made_nor_changed",),
    20: (WORKSPACE_FILES,),
    21: (f"{SANDBOX}test_a_link_that_a_command_left_leads_no_tool_out",
         f"{FILES}test_no_link_is_followed_in_any_place"),
    22: (f"{HERE_}test_a_forged_pointer_to_a_trusted_repository_earns_no_trust",),
    23: (
        "channels/test_incoming.py::test_a_file_is_written_whole_for_this_user_alone_and_over_an_earlier_delivery",
        f"{FILES}test_links_swapped_in_during_a_write_never_lead_it_outside",
    ),
    24: (f"{HERE_}test_a_rule_may_hold_an_address_to_its_path",),
    26: (
        f"{EVASIONS}test_a_denied_program_is_denied_in_every_place_and_spelling",
        f"{EVASIONS}test_the_longest_and_the_most_are_denied",
    ),
    30: (
        f"{APPROVALS}test_nothing_is_hidden_or_shortened",
        "permissions/test_lattice.py::test_adding_an_ask_or_a_deny_never_loosens",
        "approvals/test_once.py::test_a_policy_that_denies_by_now_is_obeyed_whatever_was_answered",
    ),
    31: (f"{HERE_}test_a_zero_byte_is_nowhere_part_of_a_name",),
    32: (f"{TEMPLATE}test_a_leading_dash_is_refused",),
    35: (f"{APPROVALS}test_nothing_about_the_call_may_change",
         f"{APPROVALS}test_the_program_may_not_be_exchanged"),
    36: (f"{DECIDE}test_the_working_folder_grants_nothing",),
    37: (f"{HERE_}test_a_path_that_cannot_be_resolved_is_not_used_as_written",),
    39: (f"{PATHS}test_sensitive_names_are_protected_whether_or_not_they_exist",),
    40: (f"{DECIDE}test_the_working_folder_grants_nothing",),
    41: (f"{FILES}test_no_link_is_followed_in_any_place",),
    42: (WORKSPACE_FILES, DOTENV),
    43: (f"{TEMPLATE}test_values_that_are_no_plain_text_are_refused", f"{TEMPLATE}test_a_leading_dash_is_refused"),
    47: (WORKSPACE_FILES,),
    48: ("tools/test_shell.py::test_arguments_are_literal",),
    55: (
        f"{PATHS}test_the_inherited_path_plays_no_part",
        f"{PATHS}test_programs_are_found_by_their_real_files_in_trusted_folders",
        f"{PATHS}test_a_program_that_others_can_write_is_not_trusted",
    ),
    56: (f"{APPROVALS}test_nothing_about_the_call_may_change",),
    57: (
        f"{APPROVALS}test_the_whole_command_is_shown_one_argument_a_line",
        "channels/test_telegram_approvals.py::"
        "test_a_call_that_is_too_long_for_a_message_is_shown_whole_with_the_buttons_at_the_end",
    ),
    58: ("approvals/test_once.py::test_heartbeats_programs_hooks_and_names_answer_nothing",),
    59: ("approvals/test_once.py::test_heartbeats_programs_hooks_and_names_answer_nothing",
         "channels/test_telegram.py::test_bots_channels_and_anonymous_administrators_are_nobody"),
    60: ("channels/test_discord.py::test_bots_webhooks_notices_edits_and_reactions_are_passed_over",),
    61: (
        "channels/test_http_channel.py::test_each_route_admits_the_tokens_with_its_scope_and_no_others",
        "channels/test_http_channel.py::test_a_host_that_is_not_ours_is_refused",
        "channels/test_http_channel.py::test_another_sites_page_is_refused_and_our_own_names_are_not",
        "channels/test_http_channel.py::test_tokens_that_would_not_keep_anybody_out_do_not_start",
        "channels/test_http_channel.py::test_a_declared_sender_who_is_a_person_gets_its_own_messages_and_no_more",
    ),
    63: (f"{DECIDE}test_an_absolute_program_runs_only_by_its_own_rule_and_from_outside_the_workspace",),
    64: (f"{APPROVALS}test_what_could_run_anything_is_never_remembered",),
    67: (
        "permissions/test_unwritable.py::test_manifests_souls_code_state_and_approvals_are_never_written",
        f"{FILES}test_what_others_trust_is_never_written_even_where_it_is_new",
    ),
    68: (f"{PATHS}test_containment_is_by_component", f"{FILES}test_no_link_is_followed_in_any_place"),
    69: ("channels/test_repl_terminal.py::test_enter_a_word_and_a_paste_answer_no_approval",),
}  # fmt: skip
COMMANDS = {
    row["row"]: f"{EVASIONS}test_nothing_of_an_advisory_runs_unasked[{judges.name(row)}]" for row in judges.advisories()
}


@lru_cache(maxsize=64)
def functions(file: str) -> frozenset[str]:
    tree = ast.parse((HERE / file).read_text("utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def missing(node: str) -> bool:
    file, _, name = node.partition("::")
    name, _, parameter = name.partition("[")
    if not (HERE / file).is_file() or name not in functions(file):
        return True
    return bool(parameter) and parameter.removesuffix("]") not in {judges.name(row) for row in judges.advisories()}


@pytest.mark.parametrize("row", range(1, 71), ids=lambda row: f"{row:02}-{ADVISORIES[row]}")
def test_every_advisory_has_tests_and_they_exist(row: int) -> None:
    named = [*TESTS.get(row, ()), *([COMMANDS[row]] if row in COMMANDS else [])]
    assert named, "no test stands in the way of this one"
    assert [node for node in named if missing(node)] == []


def test_a_test_that_does_not_exist_would_be_noticed() -> None:
    assert missing("permissions/test_evasions.py::test_that_nobody_wrote")
    assert missing("permissions/test_that_nobody_wrote.py::test_a")
    assert missing(f"{EVASIONS}test_nothing_of_an_advisory_runs_unasked[99-none]")
    assert not missing(COMMANDS[1])


# ── what stands nowhere else ─────────────────────────────────────────────────────────────────────


def initialise(project: Path) -> None:
    """The default project."""
    shutil.copytree(bundle.project_files() / "agents", project / "agents")
    for name in ("tools.yaml", "channels.yaml", "heartbeats.yaml", "models.yaml", "desk_tools.py"):
        shutil.copy(bundle.project_files() / name, project / name)


def compiled(project: Path) -> object:
    found = compile(
        Folder.read(project), environment={}, importer=importer(project), today=datetime(2026, 1, 1, tzinfo=UTC)
    )
    assert found.snapshot is not None
    return found.snapshot.digest


def planted(workspace: Path) -> Iterator[str]:
    contents = {
        "tools.yaml": "policies: {careful: {rules: [{allow: '*'}]}}\n",
        "policies.yaml": "policies: {floor: {rules: []}}\n",
        "models.yaml": "models: {default: {kind: anthropic, base_url: 'http://127.0.0.1:9'}}\n",
        "channels.yaml": "channels: {http: {kind: http}}\n",
        "heartbeats.yaml": "heartbeats: {x: {every: 1m, prompt: evil}}\n",
        "agents/evil.yaml": "soul: evil\n",
        ".env": "ANTHROPIC_BASE_URL=http://127.0.0.1:9\n",
        ".mcp.json": '{"mcpServers": {"x": {"command": "evil"}}}',
        ".claude/settings.json": '{"hooks": {"SessionStart": [{"command": "evil"}]}}',
        ".openclaw/config.yaml": "sandbox: off\n",
        "sitecustomize.py": "raise SystemExit(9)\n",
        ".git/hooks/post-checkout": "#!/bin/sh\nevil\n",
    }
    for name, content in contents.items():
        place = workspace / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(content)
        yield name


def test_nothing_in_a_workspace_is_taken_for_configuration(tmp_path: Path) -> None:
    project = tmp_path / "project"
    initialise(project)
    workspace = project / "workspace"
    workspace.mkdir()
    before = compiled(project)
    for name in planted(workspace):
        assert (workspace / name).is_file()
    assert compiled(project) == before


URL = ToolSpec("web_fetch", "", {"properties": {"url": {"type": "string"}}}, "web", judged={"url": "url"})
READ = ToolSpec("read_file", "", {"properties": {"path": {"type": "string"}}}, "files", judged={"path": "path"})
RUN = ToolSpec("run_command", "", {"properties": {}}, "shell", judged={"command": "command"})


def effect(
    tool: ToolSpec, input: dict[str, str], *rules: Rule, facts: Assumed | Disk | None = None, **more: Path
) -> Effect:
    attempt = Attempt(tool, input, "main", "repl:local", **{"workspace": Path("/ws"), **more})
    return decide(attempt, Policy("p", rules), facts or Assumed()).effect


def test_a_rule_may_hold_an_address_to_its_path() -> None:
    pattern = {"url": {"pattern": "^https://docs[.]example[.]org/api/"}}
    rule = Rule(Effect.ALLOW, ("web_fetch",), Condition(input=pattern))
    assert effect(URL, {"url": "https://docs.example.org/api/x"}, rule) is Effect.ALLOW
    for other in ("https://docs.example.org/", "https://docs.example.org/apix", "https://docs.example.org.evil/api/x",
                  "http://docs.example.org/api/x", "x https://docs.example.org/api/x"):  # fmt: skip
        assert effect(URL, {"url": other}, rule) is not Effect.ALLOW


@pytest.mark.parametrize("name", ["a\0b", "\0", "docs.example.org\0.evil"])
def test_a_zero_byte_is_nowhere_part_of_a_name(name: str) -> None:
    hosts = Rule(Effect.ALLOW, ("web_fetch",), Condition(hosts=("docs.example.org", "*.evil")))
    assert effect(URL, {"url": f"https://{name}/"}, hosts) is not Effect.ALLOW
    assert (
        effect(READ, {"path": name}, Rule(Effect.ALLOW, ("read_file",), Condition(paths=("**",)))) is not Effect.ALLOW
    )
    cat = Rule(Effect.ALLOW, ("run_command",), Condition(commands=("cat",)))
    assert effect(RUN, {"command": f"cat {name}"}, cat) is not Effect.ALLOW


class Lost(Assumed):
    """A machine on which no path can be followed to its end."""

    def resolve(self, path: str, cwd: Path) -> Path | None:
        return None


def test_a_path_that_cannot_be_resolved_is_not_used_as_written() -> None:
    cat = Rule(Effect.ALLOW, ("run_command",), Condition(commands=("cat",)))
    assert effect(RUN, {"command": "cat a"}, cat) is Effect.ALLOW
    assert effect(RUN, {"command": "cat a"}, cat, facts=Lost()) is not Effect.ALLOW
    read = Rule(Effect.ALLOW, ("read_file",), Condition(paths=("**",)))
    assert effect(READ, {"path": "a"}, read) is Effect.ALLOW
    assert effect(READ, {"path": "a"}, read, facts=Lost()) is not Effect.ALLOW


def test_a_forged_pointer_to_a_trusted_repository_earns_no_trust(tmp_path: Path) -> None:
    trusted, forged = tmp_path / "trusted", tmp_path / "forged"
    (trusted / ".git" / "worktrees" / "x").mkdir(parents=True)
    forged.mkdir()
    (forged / ".git").write_text(f"gitdir: {trusted}/.git/worktrees/x\n")
    (trusted / ".git" / "worktrees" / "x" / "gitdir").write_text(f"{forged}/.git\n")
    (tmp_path / "link").symlink_to(trusted)
    policy = Policy(
        "p",
        (Rule(Effect.ALLOW, ("run_command",), Condition(commands=("git",))),),
        trusted_repositories=(trusted,),
    )

    def judged(workspace: Path) -> Effect:
        attempt = Attempt(RUN, {"command": "git status"}, "main", "repl:local", workspace=workspace)
        return decide(attempt, policy, Disk(walls=Assumed().walls)).effect

    assert judged(trusted) is Effect.ALLOW
    assert judged(forged) is Effect.ASK
    assert judged(tmp_path) is Effect.ASK
