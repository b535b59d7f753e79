"""Scenario files are read as manifests are: what cannot be judged is told at its place, and no case passes for want
of an assertion."""

from __future__ import annotations

import copy
import os
import random
from pathlib import Path
from typing import Any

import pytest
from casebook import FILE, FILES, NOW, mistakes
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from openclaw import bundle
from openclaw.errors import UsageError
from openclaw.manifest import conform
from openclaw.manifest.build import compile_open
from openclaw.manifest.codes import CODES
from openclaw.manifest.codes import scenarios as codes
from openclaw.manifest.folder import Folder
from openclaw.manifest.nodes import plain
from openclaw.scenarios import check, document
from openclaw.scenarios.document import Scenario

TOP = Path(__file__).resolve().parent.parent.parent
CONTRACT = """\
given: {now: "2026-03-28T12:00:00Z", channel: discord, room: ops, from: ana}
routes:
  - {text: "/research who wrote X", expect: {agent: researcher, text: who wrote X}}
  - {text: hello, from: "discord:999", expect: {refused: sender}}
decisions:
  - {agent: "*", command: ["rm -rf x", "ls; sudo ls"], expect: deny, rule: no-root}      # a list means each
  - {agent: ops, tool: restart_service, input: {unit: web}, expect: ask, approvers: [ana]}
"""


def test_what_is_right_is_silent() -> None:
    assert mistakes(CONTRACT) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "routs: []\n",
            "1:1 [unknown-key] unknown key `routs` in the scenario manifest; did you mean `routes`? "
            "| write `routes:`; keys allowed here: given, routes, decisions, schedules, conversations",
        ),
        (
            "routes:\n  - {text: hello, exspect: {agent: main}}\n",
            "2:19 [unknown-key] unknown key `exspect` in this route; did you mean `expect`? "
            "| write `expect:`; keys allowed here: from, channel, room, chat, agent, choice, paired, expect",
        ),
        (
            "routes:\n  - {text: hello, expect: {agnt: main}}\n",
            "2:28 [unknown-key] unknown key `agnt` in expected route `expect`; did you mean `agent`? "
            "| write `agent:`; keys allowed here: agent, text, session, refused, command",
        ),
        (
            "routes:\n  - {text: hello}\n",
            '2:6 [missing-key] required key `expect` is missing in route `routes` | add `expect: {"agent": "main"}`',
        ),
        (
            "decisions:\n  - {command: ls, expect: alow}\n",
            "2:27 [wrong-value] `alow` is not an `expect`; did you mean `allow`? | one of: allow, ask, deny",
        ),
        (
            "decisions:\n  - {command: ls, expect: [allow]}\n",
            "2:27 [wrong-type] `expect`: expected text, got a list",
        ),
        (
            "given: {now: 2026-03-28 12:00}\nroutes:\n  - {text: hello, expect: {agent: main}}\n",
            "1:14 [wrong-value] `now`: `2026-03-28 12:00` is not a time with its offset, such as 2026-03-28T12:00:00Z "
            '| for example `now: "2026-03-28T12:00:00Z"`',
        ),
        (
            'given: {now: "2026-02-30T12:00:00Z"}\nroutes:\n  - {text: hello, expect: {agent: main}}\n',
            "1:14 [wrong-value] `now`: `2026-02-30T12:00:00Z` is no time: it stands in no calendar",
        ),
        (
            'given: {now: "0001-01-01T00:00:00+14:00"}\nroutes:\n  - {text: hello, expect: {agent: main}}\n',
            "1:14 [wrong-value] `now`: `0001-01-01T00:00:00+14:00` is no time: its year is not one from 1970 to 2199",
        ),
        (
            "conversations:\n  one:\n    steps: [{advance: 999999999999d}, {expect: {silent: true}}]\n",
            "3:23 [wrong-value] by here more than 3660 days pass in one conversation | let less time pass",
        ),
        (
            "conversations:\n  o:\n    steps: [{advance: 3000d}, {restart: {down: 661d}}, {expect: {silent: true}}]\n",
            "3:48 [wrong-value] by here more than 3660 days pass in one conversation | let less time pass",
        ),
        (
            "routes:\n  - {text: hello, expect: {agent: main}}\n    - {text: x}\n",
            "3:5 [yaml-indent]",
        ),
        (
            "conversations:\n  one:\n    steps:\n      - user: hi\n        model: hi\n      - expect: {reply: x}\n",
            "5:9 [exclusive-keys] `user` (line 4) and `model` cannot both be given | remove one",
        ),
        (
            "conversations:\n  one:\n    steps:\n      - restart: false\n      - expect: {reply: x}\n",
            "4:18 [wrong-value] a step that does nothing | remove it, or write `restart: true`",
        ),
    ],
)
def test_a_mistake_is_told_once_where_it_stands(text: str, said: str) -> None:
    found = mistakes(text)
    assert len(found) == 1 and found[0].startswith(said), found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}\n", "1:1 [scenario-nothing] this file holds no case, so it asserts nothing"),
        ("routes: []\n", "1:1 [scenario-nothing] this file holds no case, so it asserts nothing"),
        ("given: {from: ana}\nconversations: {}\n", "1:1 [scenario-nothing] this file holds no case"),
        ("routes:\n  - {text: hello, expect: {}}\n", "2:27 [scenario-nothing] this route asserts nothing"),
        ("decisions:\n  - {command: ls}\n", "2:6 [missing-key] required key `expect` is missing"),
        (
            "schedules:\n  - {heartbeat: nightly, now: 2026-03-28T12:00:00Z}\n",
            "2:6 [missing-key] required key `expect`",
        ),
        (
            "schedules:\n  - {heartbeat: nightly, now: 2026-03-28T12:00:00Z, expect: {}}\n",
            "2:62 [missing-key] required key `fires` is missing",
        ),
        (
            "conversations:\n  one:\n    steps: [{user: hello}, {model: hello}]\n",
            "2:3 [scenario-nothing] conversation `one`",
        ),
        (
            "conversations:\n  one:\n    steps: [{expect: {calls: []}}, {user: x}]\n",
            "3:22 [scenario-nothing] nothing has happened yet",
        ),
        (
            "conversations:\n  one:\n    steps: [{user: x}, {expect: {reply: {matches: .*}}}]\n",
            "3:53 [scenario-nothing] every text matches this",
        ),
        ("conversations:\n  one:\n    steps: [{expect: {}}]\n", "3:22 [scenario-nothing] this step asserts nothing"),
    ],
)
def test_what_asserts_nothing_is_an_error(text: str, said: str) -> None:
    found = mistakes(text)
    assert len(found) == 1, found
    # Where the shape is wrong, the key itself is what is pointed at.
    assert found[0].split(" ", 1)[1].startswith(said.split(" ", 1)[1]), found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "given: {from: ann}\nroutes:\n  - {text: x, expect: {agent: main}}\n",
            "1:15 [unknown-person] no person `ann`; did you mean `ana`",
        ),
        ("given: {room: opps}\nroutes:\n  - {text: x, expect: {agent: main}}\n", "1:15 [unknown-room] no room `opps`"),
        (
            "routes:\n  - {text: x, channel: discort, expect: {agent: main}}\n",
            "2:24 [unknown-channel] no channel `discort`",
        ),
        (
            "routes:\n  - {text: x, from: slack:12, expect: {agent: main}}\n",
            "2:21 [unknown-channel] no channel `slack`",
        ),
        ("routes:\n  - {text: x, expect: {agent: man}}\n", "2:31 [unknown-agent] no agent `man`; did you mean `main`"),
        ("routes:\n  - {text: x, agent: man, expect: {agent: main}}\n", "2:22 [unknown-agent] no agent `man`"),
        ("decisions:\n  - {agent: [main, op], command: ls, expect: ask}\n", "2:20 [unknown-agent] no agent `op`"),
        ("decisions:\n  - {tool: restart_servic, expect: ask}\n", "2:12 [unknown-tool] no tool `restart_servic`"),
        ("decisions:\n  - {command: ls, heartbeat: nightli, expect: ask}\n", "2:30 [unknown-heartbeat] no heartbeat"),
        (
            "decisions:\n  - {command: ls, expect: deny, rule: no-rot}\n",
            "2:39 [unknown-rule] no rule has the id `no-rot`; did you mean `no-root`",
        ),
        (
            "decisions:\n  - {command: ls, expect: ask, approvers: ['group:oncal']}\n",
            "2:44 [unknown-group] no group `oncal`",
        ),
        (
            "schedules:\n  - {heartbeat: night, now: 2026-03-28T12:00:00Z, expect: {fires: []}}\n",
            "2:17 [unknown-heartbeat]",
        ),
        (
            "conversations:\n  one: {tools: {restart: x}, steps: [{user: x}, {expect: {reply: x}}]}\n",
            "2:17 [unknown-tool] no tool `restart`",
        ),
        (
            "conversations:\n  one: {steps: [{model: {calls: [{restart: {}}]}}, {expect: {reply: x}}]}\n",
            "2:35 [unknown-tool] no tool `restart`",
        ),
        (
            "conversations:\n  one: {steps: [{approve: {by: eve, decision: deny}}, {expect: {reply: x}}]}\n",
            "2:32 [unknown-person]",
        ),
    ],
)
def test_a_name_that_leads_nowhere_is_told_with_what_was_meant(text: str, said: str) -> None:
    found = mistakes(text)
    assert len(found) == 1 and found[0].startswith(said), found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("schedules:\n  - {heartbeat: nightly, expect: {fires: []}}\n", "2:6 [scenario-now]"),
        (
            "decisions:\n  - {command: ls, expect: deny, approvers: ana}\n",
            "2:33 [scenario-expect] nobody is asked about",
        ),
        (
            "routes:\n  - {text: x, expect: {refused: sender, agent: main}}\n",
            "2:41 [scenario-expect] a message that is",
        ),
        (
            "decisions:\n  - {agent: main, expect: deny}\n",
            "2:6 [missing-key] this decision has neither `tool` nor `command`",
        ),
        (
            "decisions:\n  - {command: ls, input: {command: ls}, expect: deny}\n",
            "2:19 [exclusive-keys] `command` and `input`",
        ),
        (
            "decisions:\n  - {command: ls, heartbeat: nightly, from: ana, expect: deny}\n",
            "2:39 [exclusive-keys] a heartbeat calls by itself",
        ),
    ],
)
def test_what_contradicts_itself_is_told(text: str, said: str) -> None:
    found = mistakes(text)
    assert len(found) == 1 and found[0].startswith(said), found


def test_all_mistakes_come_in_one_run_and_none_twice() -> None:
    found = mistakes(
        "routes:\n  - {text: x, expct: {agent: main}}\n  - {text: x, expect: {}}\n  - {text: x, expect: {agent: man}}\n"
        "decisions:\n  - {command: ls, expect: alow, rule: nix}\n"
    )
    assert [each.split(" |")[0] for each in found] == [
        "2:15 [unknown-key] unknown key `expct` in this route; did you mean `expect`?",
        "3:23 [scenario-nothing] this route asserts nothing: `expect` is empty",
        "4:31 [unknown-agent] no agent `man`; did you mean `main` (agents/main.yaml:1)?",
        "6:27 [wrong-value] `alow` is not an `expect`; did you mean `allow`?",
        "6:39 [unknown-rule] no rule has the id `nix`",
    ]


ADDED = """\
conversations:
  added:
    steps:
      - reload:
          tools.yaml: "tools: {shiny: {description: d, shell: ls}}"
          heartbeats.yaml: "heartbeats: {fresh: {cron: '0 8 * * *', prompt: hi, agent: newcomer}}"
          channels.yaml: "people: {dora: {ids: ['discord:9'], groups: [young]}}"
          agents/newcomer.yaml: "name: N"
      - user: {text: hi, from: dora}
      - heartbeat: fresh
      - model: {calls: [{shiny: {}}]}
      - expect: {calls: [shiny], agent: newcomer, approvers: ["group:young"]}
"""


def test_what_a_conversations_own_edits_define_is_known_in_it() -> None:
    assert mistakes(ADDED) == []
    [said] = mistakes(ADDED.replace("[shiny]", "[shinny]"))
    assert "no tool `shinny`; did you mean `shiny` (tests/scenarios/cases.yaml:5)?" in said
    others = "  other:\n    steps: [{heartbeat: fresh}, {expect: {calls: [shiny]}}]\n"
    assert [each.split("]")[0] for each in mistakes(ADDED + others)] == [
        "14:25 [unknown-heartbeat",
        "14:51 [unknown-tool",
    ]


def test_names_that_a_broken_manifest_may_define_are_no_mistakes() -> None:
    text = "decisions:\n  - {agent: ops, tool: new_tool, expect: ask, rule: new-rule}\n"
    broken = {**FILES, "tools.yaml": FILES["tools.yaml"] + "  broken: [\n"}
    assert mistakes(text, broken) == []


LIKE_YAML = st.text(alphabet="{}[]:,-#&*!|>'\" \nrouteaxpc", max_size=80)


@pytest.mark.slow
@settings(max_examples=60)
@given(st.one_of(st.binary(max_size=200), LIKE_YAML.map(str.encode)))
def test_whatever_the_bytes_there_are_cases_or_mistakes(content: bytes) -> None:
    read = document.read(FILE, content)
    assert isinstance(read, Scenario) or read


@pytest.mark.parametrize("code", codes.CODES)
def test_each_code_tells_its_bad_example_and_not_its_good_one(code: str) -> None:
    base = {name: text for name, text in FILES.items() if name.startswith(("agents/", "tools", "channels"))}
    for example, expected in ((CODES[code].bad, [code]), (CODES[code].good, [])):
        files = {**base, **{name: str(text) for name, text in example.items()}}
        found = mistakes(files.pop("tests/scenarios/one.yaml"), files)
        assert [each.partition("[")[2].partition("]")[0] for each in found] == expected


def test_files_right_in_the_folder_are_scenarios_and_those_below_are_somebody_elses(tmp_path: Path) -> None:
    folder = tmp_path / check.FOLDER
    (folder / "below").mkdir(parents=True)
    for name in ("b.yaml", "a.yaml", ".hidden.yaml", "#a.yaml", "notes.md", "c.yml", "below/d.yaml"):
        (folder / name).write_text("")
    assert check.own(Folder.read(tmp_path)) == [f"{check.FOLDER}/{name}" for name in ("a.yaml", "b.yaml", "c.yml")]
    assert check.chosen(tmp_path, [str(folder / "below"), f"{check.FOLDER}/a.yaml"]) == [
        f"{check.FOLDER}/below/d.yaml",
        f"{check.FOLDER}/a.yaml",
    ]
    with pytest.raises(UsageError, match="nothere is not there"):
        check.chosen(tmp_path, ["nothere"])


def test_what_cannot_be_read_is_told_and_never_waited_for(tmp_path: Path) -> None:
    folder = tmp_path / check.FOLDER
    folder.mkdir(parents=True)
    os.mkfifo(folder / "pipe.yaml")
    (folder / "nowhere.yaml").symlink_to(tmp_path / "nothing")
    (folder / "other.yml").write_text("")
    (folder / "sixteen.yaml").write_bytes("routes: []".encode("utf-16"))
    _, project = compile_open(Folder.read(tmp_path), environment=None, importer=None, today=NOW)
    found = check.check(project, check.own(project.folder)).diagnostics
    assert [f"{Path(each.file).name} {each.code}" for each in found] == [
        "nowhere.yaml file",
        "other.yml file-name",
        "pipe.yaml file",
        "sixteen.yaml encoding",
    ]


def plain_cases() -> list[Any]:
    """The scenario files that ship, as plain values."""
    texts = [path.read_bytes() for path in sorted((TOP / check.FOLDER).glob("*.yaml"))]
    return [plain(found.root) for text in texts if (found := check.shaped(FILE, text)).root is not None]


def spots(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(spot for step, each in inside for spot in spots(each, (*path, step)))]


MUTANTS = [None, True, 0, "", "x", "2026-03-28T12:00:00Z", [], ["x"], {}, {"x": 1}, {"user": "x"}, {"text": "x"}]


@pytest.mark.slow
def test_our_judge_of_shapes_agrees_with_the_jsonschema_package() -> None:
    chance, theirs = random.Random(7), Draft202012Validator(bundle.schema(check.KIND))
    for value in plain_cases():
        assert not list(conform.faults(check.KIND, value)) and theirs.is_valid(value)
        for spot in chance.choices(spots(value), k=8):
            mutant = copy.deepcopy(value)
            if spot:
                holder = mutant
                for step in spot[:-1]:
                    holder = holder[step]
                holder[spot[-1]] = copy.deepcopy(chance.choice(MUTANTS))
            ours = {(fault.path, fault.keyword) for fault in conform.faults(check.KIND, mutant)}
            failures = list(theirs.iter_errors(mutant))
            named = ["propertyNames" in failure.relative_schema_path for failure in failures]
            found = zip(failures, named, strict=True)
            assert ours == {(tuple(f.absolute_path), "propertyNames" if n else str(f.validator)) for f, n in found}
