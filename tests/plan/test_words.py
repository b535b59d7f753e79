"""What a plan says beside permissions: keys, routes, channels, heartbeats, variables; and in which forms."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import pytest

from doubles.edits import compiled, edited, planned
from openclaw.permissions.policy import Origin
from openclaw.plan import told
from openclaw.plan.changes import Change, Field
from openclaw.plan.definitions import fires

T, C, M, H = "tools.yaml", "channels.yaml", "agents/main.yaml", "heartbeats.yaml"
SECRET = "a-secret-nobody-may-ever-see"


def of(kind: str, changes: tuple[Change, ...]) -> list[Change]:
    return [change for change in changes if change.kind == kind]


def fields(change: Change) -> dict[str, tuple[str | None, str | None]]:
    return {field.name: (field.old, field.new) for field in change.fields}


def test_a_changed_agent_is_told_key_by_key_with_what_is_in_force() -> None:
    more = "description: Replies\nlimits: {turn: 2m}\nmodel: claude-haiku-5-5\n"
    changes = planned((M, "description: Answers\n", more))
    [agent] = of("agent", changes)
    assert (agent.name, agent.what) == ("main", "changed")
    assert fields(agent) == {
        "description": ("Answers", "Replies"),
        "model": ("claude-sonnet-5-5", "claude-haiku-5-5"),
        "limits.turn": ("10m", "2m"),
    }
    at = {field.name: field.at for field in agent.fields}
    assert at["limits.turn"] == Origin(M, 3, 10)


def test_of_a_list_what_came_and_what_went_is_told() -> None:
    [agent] = of("agent", planned((M, "web_fetch, refund", "memory_list, refund")))
    [field] = agent.fields
    assert (field.name, field.came, field.went) == ("tools", ("memory_list",), ("web_fetch",))


def test_values_that_a_folder_gives_are_those_of_its_agents() -> None:
    changes = planned(("agents/_defaults.yaml", "", "effort: low\n"))
    assert {change.name: fields(change) for change in of("agent", changes)} == {
        "main": {"effort": (None, "low")},
        "ops": {"effort": (None, "low")},
    }
    assert {field.at.file for change in of("agent", changes) for field in change.fields if field.at} == {
        "agents/_defaults.yaml"
    }


def test_a_model_that_all_use_by_default_changes_every_agent() -> None:
    changes = planned(("models.yaml", "", "default: claude-haiku-5-5\n"))
    assert [change.name for change in of("agent", changes)] == ["main", "ops"]


def test_a_soul_is_told_by_its_size_and_not_by_its_text() -> None:
    [agent] = of("agent", planned(("agents/main.md", "You are Main.", "You are kind and brief.")))
    [field] = agent.fields
    assert field.name == "soul" and re.fullmatch(r"23 bytes, text [0-9a-f]{8}", str(field.new))


def test_a_rule_that_was_changed_is_told_as_it_was_and_is() -> None:
    [policy] = of("policy", planned((T, "[ls, cat]", "[ls]")))
    assert fields(policy) == {
        "rule look": ("allow run_command, commands [ls, cat]", "allow run_command, commands [ls]")
    }


def test_routes_are_told_by_what_leads_where() -> None:
    changes = planned(("agents/ops.yaml", "prefix: /ops", "prefix: /machines"), (C, "agent: main, agents", "agents"))
    assert {(route.name, route.what, *fields(route)["agent"]) for route in of("route", changes)} == {
        ("messages that begin with /machines", "added", None, "ops"),
        ("messages that begin with /ops", "removed", "ops", None),
        ("what is said in room ops", "removed", "main", None),
    }


@pytest.mark.parametrize(
    ("edit", "name", "what"),
    [
        ((C, "${BOT_TOKEN}", "${OTHER_TOKEN}"), "telegram", "restarts"),
        ((C, "strangers: ignore", "strangers: ignore, enabled: false"), "telegram", "stops"),
        ((C, "people:\n", "  discord: {kind: discord, token: \"${DISCORD}\"}\npeople:\n"), "discord", "starts"),
        ((C, "scopes: [chat]", "scopes: [chat, read]"), "http", "takes over"),
        ((C, "    kind: http\n", "    kind: http\n    port: 8080\n"), "http", "restarts"),
    ],
)
def test_what_becomes_of_a_running_channel_is_told(edit: tuple[str, str, str], name: str, what: str) -> None:
    assert [(change.name, change.what) for change in of("restart", planned(edit))] == [(name, what)]


def test_who_may_write_is_read_for_each_message_and_restarts_nothing() -> None:
    changes = planned((C, "allow: [1, 2]", "allow: [1]"))
    assert of("restart", changes) == [] and len(of("channel", changes)) == 1


def test_heartbeats_come_with_their_next_three_times() -> None:
    [beat] = of("heartbeat", planned((H, "30 7 * * 1-5", "0 8 * * 1-5")))
    assert beat.fires == ("2026-03-02T08:00:00+00:00", "2026-03-03T08:00:00+00:00", "2026-03-04T08:00:00+00:00")
    [zone] = of("heartbeat", planned((H, "Europe/London", "Asia/Tokyo")))
    assert fields(zone) == {"timezone": ("Europe/London", "Asia/Tokyo")}
    [off] = of("heartbeat", planned((H, "prompt:", "enabled: false, prompt:")))
    assert (off.fires, off.words) == ((), "it is switched off")


def test_times_are_those_of_the_clock_on_the_wall_also_when_it_changes() -> None:
    beat = compiled(edited()).snapshot.heartbeats["morning"]
    assert fires(beat, datetime(2026, 3, 26, 12, tzinfo=UTC))[1:] == (
        "2026-03-30T07:30:00+01:00",
        "2026-03-31T07:30:00+01:00",
    )


def test_variables_are_named_with_their_places_and_never_their_values() -> None:
    env = '    env: {REGION: "${REGION:-eu}"}\n'
    changes = planned((C, "${SHOP_TOKEN}", "${STORE_TOKEN}"), (T, "    shell: du", f"{env}    shell: du"))
    found = {change.name: change for change in of("variable", changes)}
    assert set(found) == {"STORE_TOKEN", "SHOP_TOKEN", "REGION"}
    assert found["STORE_TOKEN"].words == (
        "newly named, for channel http: tokens.shop.secret; must be there before the reload"
    )
    assert (found["STORE_TOKEN"].secret, found["REGION"].secret) == (True, False)
    assert found["REGION"].words == "newly named, for tool measure: env.REGION; has a default"
    assert found["SHOP_TOKEN"].what == "removed"


def test_no_secret_is_told_in_any_form() -> None:
    changes = planned(
        (C, '"${SHOP_TOKEN}"', SECRET),
        (T, "    shell: du", f"    env: {{API_KEY: {SECRET}}}\n    shell: du"),
        ("models.yaml", "", f"models: {{own: {{id: x, base_url: \"http://127.0.0.1:1\", api_key: {SECRET}}}}}\n"),
    )
    for form in (told.text(changes, "x"), told.as_json(changes, "x"), told.markdown(changes, "x"), repr(changes)):
        assert SECRET not in form
    assert "API_KEY" in told.text(changes, "x")


# ── forms ────────────────────────────────────────────────────────────────────────────────────────


def test_the_text_says_first_what_widens() -> None:
    lines = told.text(planned((T, "[sudo, su]", "[sudo]")), "the base").splitlines()
    assert lines[0] == "compared with the base: 2 changes; 1 permission widens"
    assert lines[2:5] == [
        "permissions",
        "  WIDENS: run_command (main, ops): denies commands [su] less widely (floor/no-root, tools.yaml:13)",
        '      for example run_command command "su": was denied, asks now',
    ]
    assert told.text((), "the base") == "compared with the base: nothing would change"


def test_a_program_gets_everything() -> None:
    changes = planned((T, "[sudo, su]", "[sudo]"), (H, "30 7 * * 1-5", "0 8 * * 1-5"))
    found = json.loads(told.as_json(changes, "the base"))
    assert (found["against"], found["widens"]) == ("the base", True)
    assert [each["kind"] for each in found["changes"]] == ["permission", "policy", "heartbeat"]
    assert set(found["changes"][0]) == {
        "kind", "name", "what", "words", "fields", "agents", "example", "fires", "secret", "places"
    }  # fmt: skip
    assert found["changes"][0]["places"] == [{"file": "tools.yaml", "line": 13, "column": 23}]
    assert found["changes"][2]["fields"][0] == {
        "name": "cron", "old": "[30 7 * * 1-5]", "new": "[0 8 * * 1-5]", "added": ["0 8 * * 1-5"],
        "removed": ["30 7 * * 1-5"], "place": {"file": "heartbeats.yaml", "line": 3, "column": 13},
    }  # fmt: skip


HOSTILE = (
    "@everyone <img src=x> | \\| [a](http://b.example) `c` **d** #12 GH-12 a/b#3 www.e.example a@b.example "
    "0123456789abcdef0123456789abcdef01234567 ``` e\x1b[31m\n# f"
)
CODE = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)")


def test_what_a_manifest_says_is_code_in_a_comment() -> None:
    hostile = Change(
        "agent", HOSTILE, "changed", fields=(Field("name", "a|b", HOSTILE),), at=(Origin("agents/`x`.yaml", 1, 1),)
    )
    widens = Change("permission", HOSTILE, "widens", words=HOSTILE, agents=(HOSTILE,), example=HOSTILE)
    comment = told.markdown((widens, hostile), HOSTILE)
    rest = CODE.sub("", comment)
    for mark in "@`#[(\x1b":
        assert mark not in rest.removeprefix("### "), (mark, rest)
    assert not re.search(r"<img|everyone|www|://|GH-|b#3|0123", rest)
    [row] = [line for line in comment.splitlines() if line.startswith("| **widens**")]
    assert len(re.findall(r"(?<!\\)\|", row)) == 5
    assert not [line for line in comment.splitlines() if line.startswith("# ")]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("a", "`a`"),
        ("a`b", "``a`b``"),
        ("`a", "`` `a ``"),
        ("a```b`", "```` a```b` ````"),
        (" a ", "`  a  `"),
        ("a|b", r"`a\|b`"),
        ("", ""),
    ],
)
def test_code_is_between_more_backticks_than_it_has(words: str, code: str) -> None:
    comment = told.markdown((Change("permission", words, "widens", agents=("x",)),), "main")
    assert f"| **widens** | {code} | `x` |  |" in comment


def test_a_terminal_is_told_nothing_that_it_would_obey() -> None:
    assert "\x1b" not in told.text((Change("agent", HOSTILE, "added", words=HOSTILE),), HOSTILE)


def test_a_comment_is_never_longer_than_one_may_be() -> None:
    many = tuple(Change("agent", f"agent-{number}", "added", words="x" * 100) for number in range(2000))
    comment = told.markdown(many, "the base")
    assert len(comment) < 65_536
    assert comment.endswith("</details>") and "more lines; `openclaw plan` shows all of it" in comment


def test_the_comment_of_an_edit_reads_as_a_table_and_a_list() -> None:
    comment = told.markdown(planned((T, "[sudo, su]", "[sudo]"), (M, "Answers", "Replies")), "main")
    assert comment == """\
### openclaw plan: 3 changes; 1 permission widens

Compared with `main`.

| | what | agents | why |
|---|---|---|---|
| **widens** | `run_command` | `main, ops` | `denies commands [su] less widely (floor/no-root, tools.yaml:13)`\
<br>for example `run_command command "su": was denied, asks now` |

<details>
<summary>2 other changes</summary>

**agents**

- `~ main (agents/main.yaml:1)`
  - `description: Answers -> Replies (agents/main.yaml:2)`

**policies**

- `~ floor (tools.yaml:12)`
  - `rule no-root: deny run_command, commands [sudo, su] -> deny run_command, commands [sudo] (tools.yaml:13)`

</details>"""
