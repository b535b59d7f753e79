"""Who can be heard in a project, and asked: a case in which nobody could speak, or answer, is no pass."""

from __future__ import annotations

from pathlib import Path

import pytest
from casebook import FILES, NOW, judged, world

from openclaw.cli import main
from openclaw.manifest.build import compile
from openclaw.manifest.folder import Folder
from openclaw.reading import Reading
from openclaw.scenarios import coverage
from openclaw.scenarios.document import Outcome, Used
from openclaw.scenarios.world import World
from scenarios_suite.talking import all_played

CHANNELS = """\
channels:
  repl: {kind: repl}
  http:
    kind: http
    tokens:
      shop: {secret: "${SHOP_TOKEN}", senders: declared, agents: [researcher], scopes: [chat]}
      desk: {secret: "${DESK_TOKEN}", as: bo, scopes: [chat, approve]}
  telegram: {kind: telegram, token: "${TELEGRAM_BOT_TOKEN}", groups: "off"}
  discord: {kind: discord, token: "${DISCORD_BOT_TOKEN}", enabled: false}
people:
  ana: {ids: ["discord:678", "telegram:77", "http:shop/ana"], owner: true}
  cleo: {ids: ["discord:679"]}
  bo: {ids: ["telegram:78"], groups: [oncall]}
rooms:
  far: {id: "telegram:-100", agent: researcher}
"""


@pytest.fixture(scope="module")
def house() -> World:
    return world({**FILES, "channels.yaml": CHANNELS})


def told(outcome: Outcome) -> list[str]:
    return [line for failure in outcome.failures for line in failure.got]


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("text: /research x, from: http:shop/eve, expect: {agent: researcher}", None),
        ("text: x, from: http:desk/bo, expect: {agent: main, session: 'agent:main:person:bo'}", None),
        ("text: x, from: http:operator/eve, expect: {agent: main}", None),
        ("text: x, from: ana, expect: {session: 'agent:main:person:ana'}", None),  # by the id that is heard
        ("text: x, from: http:shop/eve, expect: {agent: main}", "refused: agent"),
        ("text: x, from: http:shop/eve, agent: main, expect: {agent: main}", "refused: agent"),
        (
            "text: x, from: http:nobody/eve, expect: {agent: main}",
            "nothing: channel http has no token `nobody`; there are: operator, shop, desk",
        ),
        (
            "text: x, from: http:desk/eve, expect: {agent: main}",
            "nothing: nobody speaks as http:desk/eve: with this token it is http:desk/bo",
        ),
        ("text: x, from: cleo, expect: {agent: main}", "nothing: channel discord is switched off"),
        ("text: x, from: 'discord:999', expect: {refused: sender}", "nothing: channel discord is switched off"),
        (
            "text: x, from: 'telegram:77', room: far, expect: {agent: researcher}",
            "nothing: channel telegram listens to no groups: `groups: off`",
        ),
    ],
)  # fmt: skip
def test_a_route_begins_where_somebody_is_heard(house: World, case: str, said: str | None) -> None:
    [outcome] = judged(f"routes: [{{{case}}}]", house)
    assert told(outcome) == ([] if said is None else [said])


def test_what_is_switched_off_is_none_of_what_cases_can_cover(house: World) -> None:
    found = coverage.of(house.snapshot, Used())
    assert list(found.ways["channel"]) == ["repl", "http", "telegram"]


# ── who could agree ──────────────────────────────────────────────────────────────────────────────

ASKING = FILES["tools.yaml"].replace('[ana, "group:oncall"]', "[cleo]").replace("channel: telegram", "channel: discord")
ASKING += "  flow: {rules: [{allow: read_file}, {allow: list_files}]}\n"
READER = "name: R\ndescription: d\ntools: [read_file, list_files, run_command]\npolicy: flow\n"
RESTART = "agent: ops, tool: restart_service, input: {unit: web}"


@pytest.mark.parametrize(
    ("who", "effect"),
    [
        ("", "deny"),
        ("from: 'telegram:78', ", "deny"),
        ("heartbeat: morning-check, ", "deny"),
        ("from: http:desk/bo, ", "ask"),  # programs look after what they asked for
    ],
)
def test_what_nobody_can_be_asked_about_is_denied(who: str, effect: str) -> None:
    house = world({**FILES, "channels.yaml": CHANNELS, "tools.yaml": ASKING})
    [outcome] = judged(f"decisions: [{{{RESTART}, {who}expect: {effect}}}]", house)
    assert outcome.passed, told(outcome)


@pytest.fixture
def on_disk(tmp_path: Path) -> list[str]:
    """Options of commands in a project in which nobody who may agree is reachable."""
    for name, text in {**FILES, "channels.yaml": CHANNELS, "tools.yaml": ASKING, "agents/reader.yaml": READER}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    return ["-C", str(tmp_path), "--state", str(tmp_path / "state")]


REASON = "to be asked by ops/careful-restart; nobody who may agree is reachable"


def test_openclaw_why_says_the_same(on_disk: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    call = ["restart_service", "--agent", "ops", "--sandbox", "assume", "--input", '{"unit": "web"}']
    assert main([*on_disk, "why", *call]) == 0
    assert capsys.readouterr().out.startswith(f"deny: {REASON}\n")
    assert main([*on_disk, "why", *call, "--from", "http:desk/bo"]) == 0
    assert capsys.readouterr().out.startswith("ask: ")


TALKS = f"""\
conversations:
  program: {{steps: [{{user: {{text: hello, from: "http:shop/eve"}}}}, {{expect: {{refused: agent}}}}]}}
  group: {{steps: [{{user: {{text: hello, from: "telegram:77", room: far}}}}, {{expect: {{silent: true}}}}]}}
  nobody:
    given: {{agent: ops}}
    steps:
      - user: restart web
      - model: {{calls: [{{restart_service: {{unit: web}}}}]}}
      - expect: {{denied: restart_service, told: {{contains: {REASON}}}}}
      - model: I may not.
      - expect: {{reply: I may not.}}
  flow:
    given: {{agent: reader}}
    steps:
      - user: what is there?
      - model: {{calls: [{{list_files: {{}}}}]}}
      - model: Nothing.
      - expect: {{reply: Nothing.}}
  scope:
    given: {{agent: reader}}
    tools: {{run_command: done}}
    steps:
      - user: do it
      - model: {{calls: [{{run_command: {{command: make}}}}]}}
      - expect: {{ask: run_command}}
      - approve: {{by: "http:shop/ana", decision: allow-once}}
      - expect: {{refused: approval}}
      - approve: {{by: ana, decision: allow-once}}
      - model: Done.
      - expect: {{reply: Done.}}
"""


def test_a_conversation_says_the_same(on_disk: list[str]) -> None:
    root = Path(on_disk[1])
    reading = Reading(Folder.read(root), compile(Folder.read(root), environment=None, importer=None, today=NOW))
    played = {outcome.name: outcome for outcome in all_played(TALKS, reading)}
    assert {name: told(outcome) for name, outcome in played.items()} == {
        "program": [],
        "group": ["channel telegram listens to no groups: `groups: off`"],
        "nobody": [],
        "flow": [],
        "scope": [],
    }
    assert len(played["flow"].used.rules) == 1, "of two rules in one line"
