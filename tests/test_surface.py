"""Every way in has a control, and every control a test: the table, and the tests that have no other home."""

from __future__ import annotations

import ast
import asyncio
import random
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from doubles.desk import Desk
from doubles.house import Program, lived, project
from doubles.http_socket import client_of, listening_at
from doubles.messages_server import MessagesServer, Reply, text, tool
from openclaw.clock import SystemClock
from openclaw.control import serve
from openclaw.messages import ToolSpec
from openclaw.names import LONGEST, file_name
from openclaw.permissions.decide import Attempt, Condition, Effect, Policy, Rule, decide
from openclaw.permissions.facts import Assumed

HERE = Path(__file__).parent
HTTP, LIMITS = "channels/test_http_channel.py", "channels/test_http_limits.py"
WEB, FILES, SHELL = "tools/test_web.py", "tools/test_files.py", "tools/test_shell.py"
ONCE, APPROVALS, TAINT = "approvals/test_once.py", "approvals/test_approvals.py", "test_taint.py"
TELEGRAM, CARDS = "channels/test_telegram.py", "channels/test_telegram_approvals.py"
DISCORD, ASKING = "channels/test_discord.py", "channels/test_discord_asking.py"
DECIDE, SECRECY, ME = "permissions/test_decide.py", "test_secrecy.py", "test_surface.py"

CONTROLS: dict[str, tuple[str, ...]] = {
    # the HTTP channel
    "H1": (f"{HTTP}::test_tokens_that_would_not_keep_anybody_out_do_not_start",
           f"{HTTP}::test_the_demo_answers_on_loopback_only"),
    "H2": (f"{HTTP}::test_each_route_admits_the_tokens_with_its_scope_and_no_others",
           f"{ME}::test_a_token_in_the_address_is_no_token",
           f"{HTTP}::test_a_generated_token_is_private_stays_the_same_and_is_printed"),
    "H3": (f"{HTTP}::test_a_host_that_is_not_ours_is_refused",
           f"{HTTP}::test_another_sites_page_is_refused_and_our_own_names_are_not",
           f"{HTTP}::test_where_every_address_is_served_a_page_asks_the_name_it_came_from"),
    "H4": (f"{HTTP}::test_a_token_speaks_for_its_own_senders_reaches_its_own_agents_and_sees_its_own_sessions",
           f"{HTTP}::test_a_declared_sender_who_is_a_person_gets_its_own_messages_and_no_more",
           f"{HTTP}::test_a_tokens_agents_hold_against_a_prefix_in_the_text"),
    "H5": (f"{LIMITS}::test_a_body_that_trickles_in_is_given_up_and_nothing_is_taken",
           f"{LIMITS}::test_json_that_nests_too_deep_is_refused_and_brackets_in_text_are_not",
           f"{LIMITS}::test_more_connections_than_there_may_be_are_told_to_come_again",
           f"{LIMITS}::test_each_token_has_its_own_minute_and_learns_when_to_come_again",
           f"{LIMITS}::test_what_is_not_http_or_has_too_long_a_head_is_a_problem",
           f"{HTTP}::test_whoever_guesses_tokens_is_paused",
           "test_control.py::test_the_body_limit_holds_for_a_body_without_a_length"),
    "H6": (f"{ME}::test_a_fault_of_ours_is_told_by_a_reference_and_nothing_else",
           "spine/test_sessions.py::test_an_unforeseen_failure_is_told_without_its_details_and_stops_nothing"),
    "H7": (f"{HTTP}::test_each_route_admits_the_tokens_with_its_scope_and_no_others",
           f"{HTTP}::test_a_persons_token_enters_their_session_and_only_they_answer_what_is_asked_of_them",
           "test_control.py::test_an_approval_is_an_event_and_only_its_approvers_answer_it"),
    # Telegram
    "T1": ("channels/test_telegram_webhook.py::test_a_call_without_the_secret_is_refused_unread",
           "channels/test_telegram_webhook.py::test_no_webhook_without_a_secret"),
    "T2": (f"{TELEGRAM}::test_bots_channels_and_anonymous_administrators_are_nobody",
           f"{ONCE}::test_heartbeats_programs_hooks_and_names_answer_nothing"),
    "T3": ("spine/test_pairing.py::test_an_empty_list_of_senders_means_nobody_also_no_stranger",
           "spine/test_pairing.py::test_a_code_lets_its_holder_in_once_and_for_good",
           "spine/test_pairing.py::test_few_wait_at_a_time_on_one_channel_and_others_are_not_held_up",
           f"{TELEGRAM}::test_a_stranger_is_told_a_code_once_in_private_and_nothing_in_a_group"),
    "T4": (f"{TELEGRAM}::test_every_other_kind_of_update_is_counted_and_passed_over",),
    "T5": (f"{CARDS}::test_forged_presses_mean_nothing", f"{CARDS}::test_a_button_works_once",
           f"{CARDS}::test_the_wrong_person_is_told_so_and_the_card_stays"),
    "T6": (f"{TELEGRAM}::test_duplicate_and_reordered_updates_are_taken_once_and_in_their_order",
           f"{TELEGRAM}::test_what_was_taken_is_remembered_over_a_restart"),
    "T7": (f"{TELEGRAM}::test_a_forwarded_command_is_material_and_not_obeyed",
           f"{TAINT}::test_quotes_forwarded_messages_and_files_taint_and_plain_words_do_not"),
    # Discord; its HTTP interactions (D1) are not served: the gateway is the only way in
    "D2": (f"{ASKING}::test_whoever_may_not_answer_is_told_unseen_and_the_card_stays",
           f"{ASKING}::test_a_button_counts_once_and_only_where_it_was_put"),
    "D3": (f"{DISCORD}::test_bots_webhooks_notices_edits_and_reactions_are_passed_over",),
    "D4": (f"{DISCORD}::test_nothing_that_is_written_calls_anybody",),
    # approvals
    "A1": (f"{APPROVALS}::test_only_approvers_answer_only_what_is_offered",
           f"{ONCE}::test_heartbeats_programs_hooks_and_names_answer_nothing",
           "channels/test_asking.py::test_who_is_asked_on_telegram"),
    "A2": (f"{ONCE}::test_a_replay_a_double_click_and_two_channels_at_once_run_a_call_once_in_a_thousand_trials",
           f"{APPROVALS}::test_two_channels_at_once_settle_it_once_in_a_thousand_trials",
           "approvals/test_over_sockets.py::test_double_clicks_replays_and_two_people_at_once_pay_once",
           f"{ONCE}::test_an_answer_that_stands_on_disk_as_used_lets_nothing_run",
           "contract/test_store_contract.py::test_of_many_writers_with_one_version_one_wins"),
    "A3": (f"{APPROVALS}::test_silence_is_no",
           f"{APPROVALS}::test_an_answer_after_its_time_by_the_wall_clock_does_not_count",
           f"{APPROVALS}::test_an_answer_at_the_very_end_of_its_time_does_not_count_and_one_before_does"),
    "A4": (f"{ONCE}::test_where_nobody_who_may_agree_is_reachable_the_answer_is_no",),
    "A5": (f"{ONCE}::test_a_refused_call_is_refused_again_without_a_question_until_the_conversation_is_put_aside",),
    "A6": (f"{APPROVALS}::test_only_approvers_answer_only_what_is_offered",
           f"{CARDS}::test_only_what_is_offered_has_a_button"),
    "A7": (f"{APPROVALS}::test_a_restart_forgets_open_questions",
           "approvals/test_over_sockets.py::test_a_click_on_a_question_of_before_a_restart_pays_nothing_by_itself"),
    "A8 argv": (f"{APPROVALS}::test_nothing_about_the_call_may_change[argv]",),
    "A8 cwd": (f"{APPROVALS}::test_nothing_about_the_call_may_change[folder]",
               f"{APPROVALS}::test_nothing_about_the_call_may_change[workspace]"),
    "A8 environment": (f"{APPROVALS}::test_nothing_about_the_call_may_change[environment]",),
    "A8 executable swapped": (f"{APPROVALS}::test_the_program_may_not_be_exchanged",),
    "A8 script edited": (f"{APPROVALS}::test_a_script_may_not_be_edited",),
    "A8 symlink retargeted": (f"{APPROVALS}::test_a_link_may_not_be_turned",),
    "A8 policy reloaded": (f"{APPROVALS}::test_the_policy_may_not_change",
                           f"{ONCE}::test_a_policy_that_changed_between_question_and_answer_stops_the_call",
                           "approvals/test_edited.py::"
                           "test_an_edit_of_the_policy_withdraws_its_questions_and_another_edit_does_not"),
    "A8 other session": (f"{APPROVALS}::test_the_session_may_not_change",
                         f"{ONCE}::test_an_approval_given_here_runs_nothing_for_another_agent_or_session"),
    "A8 other agent": (f"{APPROVALS}::test_nothing_about_the_call_may_change[agent]",),
    "A9": (f"{APPROVALS}::test_nothing_is_hidden_or_shortened",
           f"{CARDS}::test_a_call_that_is_too_long_for_a_message_is_shown_whole_with_the_buttons_at_the_end",
           f"{ASKING}::test_a_card_shows_the_whole_call_and_cannot_be_broken_out_of"),
    "A10": (f"{ME}::test_no_words_in_a_chat_answer_a_question",),
    "A11": (f"{APPROVALS}::test_a_flood_of_questions_is_not_shown",),
    # the web
    "S1": (f"{WEB}::test_only_the_two_ports_of_the_web_are_asked",
           f"{WEB}::test_no_spelling_of_an_inside_address_reaches_a_listener"),
    "S2": (f"{WEB}::test_a_name_is_refused_if_one_of_its_addresses_is_inside",
           f"{WEB}::test_a_name_that_changes_its_mind_is_asked_once_and_the_checked_address_is_used",
           f"{WEB}::test_the_certificate_must_be_the_hosts_and_the_downgrade_is_refused"),
    "S3": (f"{WEB}::test_no_spelling_of_an_inside_address_reaches_a_listener",
           f"{WEB}::test_public_addresses_are_told_from_others",
           f"{WEB}::test_nothing_that_python_calls_special_is_public"),
    "S4": (f"{WEB}::test_redirects_on_the_same_host_are_followed_without_cookies_five_times",
           f"{WEB}::test_a_redirect_to_another_host_is_told_and_not_followed",
           f"{WEB}::test_no_redirect_leads_inside"),
    "S5": (f"{WEB}::test_a_bomb_does_not_unfold", f"{WEB}::test_an_endless_page_is_left",
           f"{WEB}::test_a_page_that_does_not_come_is_given_up_in_time", f"{WEB}::test_what_is_not_text_is_not_read"),
    "S6": (f"{WEB}::test_proxies_and_netrc_of_the_environment_are_ignored",
           f"{WEB}::test_redirects_on_the_same_host_are_followed_without_cookies_five_times"),
    "S7": (f"{DECIDE}::test_hosts_are_compared_by_label",
           f"{DECIDE}::test_a_denied_host_is_denied_in_every_spelling",
           f"{WEB}::test_a_name_that_two_encodings_read_differently_is_refused"),
    "S8": (f"{ME}::test_after_strangers_a_new_host_asks_and_a_known_one_does_not",),
    # files and sessions
    "F1": (f"{FILES}::test_no_link_is_followed_in_any_place",
           f"{FILES}::test_links_swapped_in_during_a_write_never_lead_it_outside",
           f"{FILES}::test_pipes_sockets_and_devices_neither_hang_nor_open",
           f"{FILES}::test_files_with_a_second_name_are_not_written"),
    "F2": (f"{FILES}::test_replacing_a_file_keeps_its_mode_and_leaves_readers_the_old_one",
           f"{FILES}::test_a_written_file_is_private_whole_and_read_back_as_it_was"),
    "F3": (f"{FILES}::test_every_result_fits_what_a_model_should_read",
           f"{FILES}::test_large_outputs_make_room_before_they_are_many"),
    "F4": ("permissions/test_unwritable.py::test_what_others_trust_in_a_workspace_is_never_written_whatever_its_case",
           "permissions/test_unwritable.py::test_manifests_souls_code_state_and_approvals_are_never_written",
           f"{DECIDE}::test_protected_files_are_never_written_and_read_only_after_asking"),
    "F5": (f"{FILES}::test_no_path_leads_outside_or_says_what_it_does_not_show",
           f"{FILES}::test_whatever_the_path_nothing_outside_changes"),
    "F6": (f"{ME}::test_no_two_keys_share_a_file", f"{ME}::test_no_two_of_a_hundred_thousand_keys_share_a_file",
           "spine/test_router.py::test_file_names_are_injective_and_safe_in_any_case"),
    "F7": ("spine/test_router.py::test_two_senders_never_share_a_session",),
    "F8": ("stores/test_files_folder.py::test_one_store_in_a_folder_at_a_time_also_in_one_process",
           "test_audit.py::test_the_file_is_its_owners_alone",
           f"{FILES}::test_a_written_file_is_private_whole_and_read_back_as_it_was"),
    # secrets
    "X1": (f"{SHELL}::test_a_child_sees_only_what_is_listed",
           f"{SECRECY}::test_no_value_of_any_secret_leaves_the_whole_runtime"),
    "X2": (f"{SECRECY}::test_no_value_of_any_secret_leaves_the_whole_runtime",
           f"{SECRECY}::test_a_secret_is_struck_out_in_every_form",
           f"{SECRECY}::test_what_looks_like_a_token_is_struck_out_though_nobody_knows_it",
           f"{SECRECY}::test_no_cut_leaves_half_of_a_secret",
           f"{SECRECY}::test_a_card_shows_no_secret_that_is_escaped_or_stands_on_several_lines",
           f"{SECRECY}::test_a_secret_in_a_file_is_not_replaced_by_what_stands_for_it"),
    "X3": ("manifest/test_placeholders.py::test_no_output_ever_shows_a_secret",
           "manifest/test_placeholders.py::test_secrets_are_not_in_the_representation_of_a_snapshot"),
    "X4": ("manifest/test_fixtures.py::test_a_bad_fixture_says_exactly_what_stands_beside_it",),
    "X5": (f"{TELEGRAM}::test_the_token_is_in_no_log_whatever_happens",
           f"{SECRECY}::test_a_log_line_its_arguments_and_its_traceback_hold_no_secret"),
    "X6": ("tools/test_sandbox.py::test_the_environment_of_the_runtime_is_not_read",),
    # manifests
    "M1": ("manifest/test_document.py::test_alias_bombs_are_defused_however_many_levels_they_have",
           "manifest/test_document.py::test_hostile_input_is_answered_quickly",
           "manifest/test_document.py::test_every_key_given_twice_is_told_and_the_first_is_kept",
           "manifest/test_document.py::test_plain_scalars_follow_the_core_rules_and_leading_zeros_stay_text",
           "manifest/test_folder.py::test_a_manifest_of_more_than_a_mebibyte_is_refused_unread"),
    "M2": ("tools/test_signature.py::test_an_unmarked_callable_and_a_class_are_refused",),
    "M3": ("permissions/test_template.py::test_no_value_changes_the_shape_of_the_command",
           "permissions/test_template.py::test_a_leading_dash_is_refused",
           "permissions/test_template.py::test_values_that_are_no_plain_text_are_refused"),
    "M4": ("reload/test_live.py::test_edits_are_live_at_the_next_message_and_break_nothing_that_runs",
           "permissions/test_unwritable.py::test_manifests_souls_code_state_and_approvals_are_never_written"),
    "M5": ("manifest/test_placeholders.py::test_dotenv_fills_in_beneath_the_environment_and_configures_nothing",),
    # what strangers wrote
    "I1": (f"{WEB}::test_a_page_cannot_end_its_own_marks_or_write_chat_templates",
           "spine/test_prompt.py::test_what_is_quoted_or_passed_on_stands_apart_line_by_line",
           f"{TAINT}::test_an_entry_that_brought_strangers_words_taints_for_good"),
    "I2": (f"{TAINT}::test_a_marked_tool_runs_unasked_until_strangers_were_heard",
           f"{TAINT}::test_taint_survives_a_restart",
           f"{TAINT}::test_a_command_that_can_have_read_what_strangers_sent_taints"),
    "I4": (f"{TAINT}::test_what_is_remembered_of_strangers_material_is_that_in_every_conversation",),
    "I5": (f"{ONCE}::test_heartbeats_programs_hooks_and_names_answer_nothing",
           f"{TAINT}::test_what_a_hook_fills_into_its_prompt_taints"),
}  # fmt: skip
ROWS = {"H": 7, "T": 7, "A": 11, "S": 8, "F": 8, "X": 6, "M": 5}


def functions_of(path: Path) -> set[str]:
    tree = ast.parse(path.read_text("utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_control_has_tests_that_are_there() -> None:
    wanted = sorted({node for nodes in CONTROLS.values() for node in nodes})
    known = {name: functions_of(HERE / name) for name in {node.partition("::")[0] for node in wanted}}
    named = ((node, *node.partition("[")[0].split("::")) for node in wanted)
    assert [node for node, file, name in named if name not in known[file]] == []


def test_no_control_is_left_out() -> None:
    named = {control.split()[0] for control in CONTROLS}
    assert {f"{row}{n}" for row, last in ROWS.items() for n in range(1, last + 1)} - named == set()
    assert len([control for control in CONTROLS if control.startswith("A8")]) == 9


# ── keys ─────────────────────────────────────────────────────────────────────────────────────────

AWKWARD = [
    "", ".", "..", "a:b", "a_b", "a/b", "A:B", "a%3Ab", "a%3ab", "a b", "con", "CON", "nul", "aux.txt", "a.", "a ",
    "é", "e\u0301", "É", "ß", "ss", "ſ", "İ", "ı", "i", "😀", "\u202e", "\0", "\n", "~", "a~b", "-", "--", "_", "%",
    "x" * 10_000, "x" * 9_999, "agent:main:person:ana", "agent:main:person%3Aana", "\ud800", "\udfff", "a\\b",
]  # fmt: skip


def keys(number: int) -> Iterator[str]:
    """Awkward ones, and random ones that are made of the parts by which keys differ least."""
    chance = random.Random(6)
    parts = [":", "_", "%", "%3a", "%3A", "/", "..", ".", "a", "A", "b", "é", "e\u0301", "-", " ", "~", "telegram", "1"]
    yield from AWKWARD
    for n in range(number):
        yield "".join(chance.choices(parts, k=chance.randint(1, 12))) + (f":{n}" if n % 2 else "")


def check_keys(number: int) -> None:
    wanted = set(keys(number))
    names: dict[str, str] = {}
    for key in wanted:
        name = file_name(key)
        folded = unicodedata.normalize("NFC", name.casefold())
        assert names.setdefault(folded, key) == key, (key, names[folded])
        assert name.isascii() and 0 < len(name) <= LONGEST and not set(name) & set("/\\\0. "), key
    assert len(names) == len(wanted)


def test_no_two_keys_share_a_file() -> None:
    check_keys(5_000)


@pytest.mark.slow
def test_no_two_of_a_hundred_thousand_keys_share_a_file() -> None:
    check_keys(200_000)


# ── hosts after strangers ────────────────────────────────────────────────────────────────────────


def test_after_strangers_a_new_host_asks_and_a_known_one_does_not() -> None:
    fetch = ToolSpec("web_fetch", "", {}, "web", judged={"url": "url"})
    allow = Rule(Effect.ALLOW, ("web_fetch",))
    ask = Rule(
        Effect.ASK, ("web_fetch",), Condition(tainted=True), unless=Condition(hosts=("example.org", "*.example.org"))
    )  # fmt: skip
    policy = Policy("p", (allow, ask))

    def effect(url: str, untrusted: str = "") -> Effect:
        attempt = Attempt(fetch, {"url": url}, "main", "repl:local", untrusted=untrusted)
        return decide(attempt, policy, Assumed()).effect

    assert effect("https://evil.example/?q=secret") is Effect.ALLOW
    assert effect("https://evil.example/?q=secret", "web_fetch a") is Effect.ASK
    assert effect("https://docs.example.org./x", "web_fetch a") is Effect.ALLOW
    for near in ("https://example.org.evil.example/", "https://evilexample.org/", "https://example.org@evil.example/"):
        assert effect(near, "web_fetch a") is not Effect.ALLOW, near


# ── HTTP ─────────────────────────────────────────────────────────────────────────────────────────


class Broken(Desk):
    """Everything asked of it fails with what nobody outside may read."""

    def status(self) -> dict[str, Any]:
        raise RuntimeError("cannot read /home/nader/.ssh/id_ed25519 with password hunter-two")


def test_a_fault_of_ours_is_told_by_a_reference_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene() -> httpx2.Response:
        desk, place = Broken(SystemClock()), tmp_path / "control.sock"
        serving = asyncio.create_task(serve(place, desk, desk))
        try:
            async with asyncio.timeout(20):
                await listening_at(place)
                async with client_of(place) as client:
                    return await client.get("/api/status")
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)

    response = asyncio.run(scene())
    assert response.status_code == 500
    problem = response.json()
    assert (problem["code"], set(problem)) == ("internal", {"type", "title", "status", "code", "detail"})
    for word in ("id_ed25519", "hunter", "Traceback", "RuntimeError", "openclaw/"):
        assert word not in response.text
    reference = problem["detail"].partition("(reference ")[2].rstrip(")")
    assert len(reference) >= 8 and reference in caplog.text


@pytest.fixture
def model() -> Iterator[MessagesServer]:
    with MessagesServer(key="test-key", otherwise=text("I have nothing to add.")) as server:
        yield server
    assert server.violations == []


def test_a_token_in_the_address_is_no_token(tmp_path: Path, model: MessagesServer) -> None:
    root = project(tmp_path / "project", model.url)

    async def scene() -> list[int]:
        async with lived(root, tmp_path / "state") as (_, operator):
            token = operator.http.headers["authorization"].split()[1]
            async with Program(str(operator.http.base_url), None) as nobody:
                asked = [{"token": token}, {"access_token": token}, {"Authorization": f"Bearer {token}"}]
                answers = [await nobody.http.get("/api/status", params=each) for each in asked]
                answers.append(await nobody.http.get("/api/status", headers={"Cookie": f"token={token}"}))
                return [answer.status_code for answer in answers]

    assert asyncio.run(asyncio.wait_for(scene(), 40)) == [401] * 4


def test_no_words_in_a_chat_answer_a_question(tmp_path: Path, model: MessagesServer) -> None:
    policies = 'tools: {add: {python: "sums:add"}}\npolicies: {works: {rules: [{allow: list_files}]}}\n'
    root = project(tmp_path / "project", model.url, files={"tools.yaml": policies})
    model.say(Reply(tool("add", a=2, b=3)))

    async def scene() -> None:
        async with lived(root, tmp_path / "state") as (app, operator):
            waiting = await operator.say("add two and three")
            assert waiting.status_code == 202
            [approval] = app.approvals.pending()
            for words in ("yes", "y", "allow", "allow-once", "ok go on", "/approve", f"/approve {approval.id}", "/yes"):
                said = await operator.http.post(
                    "/api/messages", json={"text": words}, headers={"Prefer": "respond-async"}
                )
                assert said.status_code in (200, 202, 422), said.text
                assert app.approvals.pending() == [approval], words
            app.approvals.cancel(reason="enough")

    asyncio.run(asyncio.wait_for(scene(), 40))
