"""What manifests mean once they are compiled."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from openclaw.adapters import importer
from openclaw.manifest import reports
from openclaw.manifest.build import compile
from openclaw.manifest.builtins import BUILTINS, COMMANDS, MODELS, soul
from openclaw.manifest.folder import Folder
from openclaw.manifest.snapshot import Check, Price, Renewal, Snapshot
from openclaw.messages import Address
from openclaw.permissions.decide import Effect

BASE = {
    "agents/main.yaml": "name: Jarvis\ndescription: Helps\ntools: [read_file]\npolicy: careful\ndefault: true\n",
    "tools.yaml": "policies: {careful: {}}\n",
}


def snapshot(files: Mapping[str, str], **environment: str) -> Snapshot:
    folder = Folder.of({name: text.encode() for name, text in {**BASE, **files}.items()})
    result = compile(folder, environment=environment, importer=None, today=datetime(2026, 1, 1, tzinfo=UTC))
    assert result.snapshot is not None, reports.brief(result.diagnostics)
    return result.snapshot


def test_an_agent_has_its_defaults() -> None:
    agent = snapshot({}).default_agent
    assert (agent.id, agent.name, agent.tools, agent.policy) == ("main", "Jarvis", ("read_file",), "careful")
    assert (agent.limits.iterations, agent.limits.turn, agent.limits.output_tokens) == (20, 600.0, 16000)
    assert (agent.model, agent.memory, agent.workspace, agent.prefix) == ("claude-sonnet-5-5", "shared", "shared", None)
    assert agent.soul == soul().strip()


def test_an_only_agent_is_the_default_without_saying_so() -> None:
    text = "name: A\ndescription: B\ntools: []\npolicy: careful\n"
    assert snapshot({"agents/main.yaml": text}).default_agent.default


def test_the_nearest_defaults_win_key_by_key_maps_merge_and_lists_replace() -> None:
    found = snapshot(
        {
            "agents/_defaults.yaml": "tools: [read_file, web_fetch]\npolicy: careful\n"
            "limits: {iterations: 5, turn: 1m}\n",
            "agents/team/_defaults.yaml": "tools: [list_files]\nlimits: {turn: 2m}\n",
            "agents/team/one.yaml": "name: One\ndescription: x\nlimits: {output_tokens: 100}\n",
            "agents/two.yaml": "name: Two\ndescription: x\n",
        }
    )
    one, two = found.agents["one"], found.agents["two"]
    assert (one.tools, one.limits.iterations, one.limits.turn, one.limits.output_tokens) == (
        ("list_files",),
        5,
        120.0,
        100,
    )
    assert (two.tools, two.limits.turn) == (("read_file", "web_fetch"), 60.0)


def test_globs_expand_in_the_order_of_the_tools_and_everything_comes_once() -> None:
    text = BASE["agents/main.yaml"].replace("[read_file]", '[memory_list, "memory_*", read_file]')
    assert snapshot({"agents/main.yaml": text}).default_agent.tools == (
        "memory_list",
        "memory_search",
        "memory_delete",
        "read_file",
    )


def test_souls_are_read_next_to_their_manifest_and_joined() -> None:
    files = {
        "agents/main.yaml": BASE["agents/main.yaml"] + "soul: [a.md, ../b.md]\n",
        "agents/a.md": "\ufeffI am A.\r\nYes.\r\n",
        "b.md": "And B.\n",
    }
    assert snapshot(files).default_agent.soul == "I am A.\nYes.\n\nAnd B."


def test_a_soul_of_the_same_name_needs_no_mention() -> None:
    assert snapshot({"agents/main.md": "I am.\n"}).default_agent.soul == "I am."


def test_a_shell_tool_compiles_to_a_schema_a_template_and_judged_paths() -> None:
    text = """
tools:
  usage:
    description: Disk space
    shell: du -- {path} {files...} {lines}
    input:
      path: {type: path, description: Folder}
      files: {type: array, items: {type: path}, optional: true}
      lines: {type: integer, default: 20}
    env: {LC_ALL: C}
    timeout: 10s
policies: {careful: {}}
"""
    tool = snapshot({"tools.yaml": text}).tools["usage"]
    assert (tool.kind, tool.timeout, tool.judged) == ("shell", 10.0, {"path": "path", "files": "path"})
    assert tool.options["env"] == {"LC_ALL": "C"}
    assert tool.options["template"].expand({"path": "x"}).steps[0].argv == ("du", "--", "x", "20")
    assert tool.input_schema == {
        "type": "object",
        "properties": {
            "path": {"type": "string", "description": "Folder"},
            "files": {"type": "array", "items": {"type": "string"}},
            "lines": {"type": "integer", "default": 20},
        },
        "required": ["path"],
        "additionalProperties": False,
    }


def test_a_python_tool_takes_its_schema_from_its_function(tmp_path: Path) -> None:
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents/main.yaml").write_text(BASE["agents/main.yaml"])
    (tmp_path / "tools.yaml").write_text(
        "tools:\n  hi: {python: 'mine:hi', with: {greeting: Hello}}\npolicies: {careful: {}}\n"
    )
    (tmp_path / "mine.py").write_text(
        "import openclaw\n\n@openclaw.tool\ndef hi(greeting: str, name: str, call: openclaw.Call) -> str:\n"
        '    """Greets somebody."""\n    return f"{greeting} {name}"\n'
    )
    result = compile(
        Folder.read(tmp_path), environment={}, importer=importer(tmp_path), today=datetime(2026, 1, 1, tzinfo=UTC)
    )
    assert result.snapshot is not None, reports.brief(result.diagnostics)
    tool = result.snapshot.tools["hi"]
    assert (tool.kind, tool.description, tool.options["call"], tool.options["with"]) == (
        "python",
        "Greets somebody.",
        "call",
        {"greeting": "Hello"},
    )
    assert list(tool.input_schema["properties"]) == ["name"]
    assert "mine.py" in result.snapshot.sources


def test_a_policy_joins_what_it_includes_and_the_floor_and_knows_where_its_rules_stand() -> None:
    text = """policies:
  floor:
    rules:
      - {deny: run_command, commands: [sudo], id: no-root}
  base:
    rules: [{allow: read_file}]
  careful:
    include: [base]
    default: deny
    answer_within: 90s
    approvers: [nader]
    rules:
      - {ask: web_fetch, except: {from: nader}}
"""
    found = snapshot(
        {
            "tools.yaml": text,
            "channels.yaml": 'channels: {repl: {kind: repl}}\npeople: {nader: {ids: ["repl:local"]}}\n',
        }
    )
    policy = found.policies["careful"]
    assert [(rule.effect, rule.policy, rule.origin.line) for rule in policy.rules] == [
        (Effect.ASK, "careful", 13), (Effect.ALLOW, "base", 6), (Effect.DENY, "floor", 4),
    ]  # fmt: skip
    assert (policy.default, policy.answer_within, policy.approvers) == (Effect.DENY, 90.0, ("nader",))
    assert policy.rules[0].unless is not None
    assert policy.rules[0].unless.sender == ("nader",)


def test_channels_people_and_rooms_are_resolved() -> None:
    text = """channels:
  repl: {kind: repl, enabled: false}
  http: {kind: http, agent: main, agents: [main], allow: [12345, +15551234567, x],
         tokens: {shop: {secret: "${SHOP}", senders: declared, agents: [main], scopes: [chat]}}}
people:
  nader: {ids: ["http:1", "repl:local"], owner: true, groups: [oncall], timezone: Europe/London}
rooms:
  ops: {id: "http:9", agent: main, agents: [main]}
"""
    found = snapshot({"channels.yaml": text}, SHOP="x" * 40)
    http = found.channels["http"]
    assert found.channels["repl"].skipped
    assert (http.agent, http.agents, http.allow, http.skipped) == (
        "main",
        ("main",),
        ("12345", "+15551234567", "x"),
        None,
    )
    assert http.options.kind == "http"
    assert http.options.options == {
        "host": "127.0.0.1", "port": 5000, "token": None,
        "tokens": {"shop": {"secret": "x" * 40, "senders": "declared", "agents": ["main"], "scopes": ["chat"]}},
        "hooks": {}, "limits": {"requests_per_minute": 600, "body": 1 << 20, "connections": 1000},
    }  # fmt: skip
    assert found.people["nader"].ids == (Address("http", "1"), Address("repl", "local"))
    assert (found.rooms["ops"].id, found.rooms["ops"].agents) == (Address("http", "9"), ("main",))


def test_without_channels_there_is_the_terminal() -> None:
    assert list(snapshot({}).channels) == ["repl"]


def test_an_empty_list_is_not_no_list() -> None:
    found = snapshot({"channels.yaml": "channels: {http: {kind: http, allow: [], agents: []}}\n"}).channels["http"]
    assert (found.allow, found.agents) == ((), ())


def test_heartbeats_inherit_and_their_deliveries_become_addresses() -> None:
    files = {
        "channels.yaml": "channels: {http: {kind: http}}\n"
        "people: {nader: {ids: ['http:1']}}\nrooms: {ops: {id: 'http:9'}}\n",
        "heartbeats.yaml": "defaults: {timezone: Europe/London}\nheartbeats:\n"
        "  a: {cron: ['@daily', '0 9 * * *'], prompt: x, deliver: [nader, ops, 'http:5', nader], timeout: 1m}\n",
    }
    beat = snapshot(files).heartbeats["a"]
    assert (beat.cron, beat.agent, beat.timezone, beat.timeout) == (
        ("@daily", "0 9 * * *"),
        "main",
        "Europe/London",
        60.0,
    )
    assert beat.deliver == (Address("http", "1"), Address("http", "9"), Address("http", "5"))
    assert (beat.missed, beat.session, beat.enabled) == ("once", "fresh", True)


def test_a_tool_says_whether_its_calls_may_be_made_again() -> None:
    files = {
        **BASE,
        "tools.yaml": BASE["tools.yaml"]
        + "tools:\n  look: {description: Looks, shell: uptime, repeat: safe}\n"
        + "  push: {description: Pushes, shell: uptime}\n",
    }
    tools = snapshot(files).tools
    assert (tools["look"].repeat, tools["push"].repeat) == ("safe", "never")
    safe = {name for name, spec in BUILTINS.items() if spec.repeat == "safe"}
    assert "read_file" in safe and not safe & {"write_file", "edit_file", "run_command", "save_memory", "remind_me"}
    assert not any(spec.writes for name, spec in BUILTINS.items() if name in safe)


def test_a_model_names_those_that_stand_in_for_it() -> None:
    files = {**BASE, "models.yaml": "models: {smart: {id: claude-sonnet-5-5, fallback: [claude-haiku-5-5]}}\n"}
    models = snapshot(files).models
    assert models["smart"].fallback == ("claude-haiku-5-5",) and "claude-haiku-5-5" in models
    assert "fallback" not in models["smart"].options


def test_models_are_aliases_or_ids_that_agents_name() -> None:
    files = {
        "agents/main.yaml": BASE["agents/main.yaml"] + "model: claude-opus-5-5\n",
        "models.yaml": "default: own\nmodels:\n"
        "  own: {id: qwen, base_url: http://localhost:1, api_key: '${K:-none}', capabilities: []}\n"
        "  played: {kind: scripted, script: demo.yaml}\n",
        "demo.yaml": "rules: []",
    }
    models = snapshot(files).models
    assert sorted(models) == ["claude-opus-5-5", "own", "played"]
    assert (models["own"].id, models["own"].kind) == ("qwen", "anthropic")
    assert models["own"].options == {"base_url": "http://localhost:1", "api_key": "none", "capabilities": []}
    assert models["played"].options == {"script": "/project/demo.yaml"}


def test_compaction_that_starts_early_keeps_less_than_it_starts_at() -> None:
    text = BASE["agents/main.yaml"] + "compaction: {at_tokens: 2000}\n"
    limits = snapshot({"agents/main.yaml": text}).default_agent.compaction
    assert limits.keep_tokens < limits.at_tokens == 2000


def test_summaries_are_our_own_unless_an_agent_leaves_them_to_the_service() -> None:
    text = BASE["agents/main.yaml"]
    assert snapshot({"agents/main.yaml": text}).default_agent.compaction.mode == "own"
    limits = snapshot({"agents/main.yaml": text + "compaction: {mode: server}\n"}).default_agent.compaction
    assert (limits.mode, limits.at_tokens, limits.keep_tokens) == ("server", 100_000, 50_000)


def test_built_in_tools_are_fit_for_a_model() -> None:
    for name, spec in BUILTINS.items():
        assert spec.name == name
        assert spec.description
        assert set(spec.judged) <= set(spec.input_schema["properties"])
        assert all(each.get("description") for each in spec.input_schema["properties"].values())


def test_prefixes_may_not_take_the_commands_there_are() -> None:
    from openclaw import commands

    assert COMMANDS == commands.NAMES


# ── heartbeats and what models cost ──────────────────────────────────────────────────────────────

WATCH = """
defaults: {timezone: Europe/London, notify: ana}
heartbeats:
  plain: {cron: "@daily", prompt: x}
  watch:
    cron: "*/5 * * * *"
    prompt: Look at it
    model: claude-haiku-5-5
    notify: []
    active_hours: 22:00-06:30
    jitter: 30s
    max_cost_usd: 0.5
    check:
      tool: probe
      input: {url: "${SITE}", tries: "${TRIES}"}
      wake: output
      after: 3
      repeat: 30m
      recovered: true
"""
PROBE = """
tools:
  probe:
    description: Tries an address
    shell: curl -- {url} {tries}
    input: {url: {type: string}, tries: {type: integer, default: 1}}
policies: {careful: {rules: [{allow: probe}]}}
"""
PEOPLE = """
channels:
  repl: {kind: repl}
  telegram: {kind: telegram, token: "${TELEGRAM_TOKEN}"}
  discord: {kind: discord, token: "${DISCORD_TOKEN}"}
people:
  ana: {ids: ["telegram:1"]}
  nader: {ids: ["telegram:12", "discord:78"], owner: true}
"""


def watching() -> Mapping[str, str]:
    return {"heartbeats.yaml": WATCH, "tools.yaml": PROBE, "channels.yaml": PEOPLE}


def test_a_heartbeat_has_its_model_hours_and_limits() -> None:
    found = snapshot(watching(), SITE="https://example.org", TRIES="2")
    watch = found.heartbeats["watch"]
    assert (watch.model, watch.active_hours, watch.jitter, watch.max_cost) == (
        "claude-haiku-5-5",
        (22 * 60, 6 * 60 + 30),
        30.0,
        0.5,
    )
    assert found.models["claude-haiku-5-5"].id == "claude-haiku-5-5"


def test_a_check_is_called_with_values_of_the_types_its_tool_takes() -> None:
    check = snapshot(watching(), SITE="https://example.org", TRIES="2").heartbeats["watch"].check
    assert check == Check("probe", {"url": "https://example.org", "tries": 2}, "output", 3, 1800.0, True)


def test_a_heartbeat_that_says_little_has_its_defaults() -> None:
    plain = snapshot(watching(), SITE="x", TRIES="2").heartbeats["plain"]
    assert (plain.timezone, plain.agent, plain.notify) == ("Europe/London", "main", (Address("telegram", "1"),))
    assert (plain.model, plain.check, plain.jitter, plain.active_hours, plain.max_cost) == (None, None, 0.0, None, None)


def test_nobody_and_the_owners_are_different_people_to_tell() -> None:
    assert snapshot(watching(), SITE="x", TRIES="2").heartbeats["watch"].notify == ()
    files = {"heartbeats.yaml": 'heartbeats: {a: {cron: "@daily", prompt: x}}\n', "channels.yaml": PEOPLE}
    told = snapshot(files, TELEGRAM_TOKEN="1:a", DISCORD_TOKEN="b").heartbeats["a"].notify
    assert told == (Address("telegram", "12"),)
    assert snapshot(files, DISCORD_TOKEN="b").heartbeats["a"].notify == (Address("discord", "78"),)
    assert snapshot(files).heartbeats["a"].notify == (Address("telegram", "12"),)


def test_every_model_this_build_knows_has_a_price() -> None:
    files = {
        f"agents/a{number}.yaml": f"name: A\ndescription: b\ntools: []\npolicy: careful\nmodel: {id}\n"
        for number, id in enumerate(MODELS)
    }
    found = snapshot(files).models
    assert {id: found[id].price for id in MODELS} == {
        "claude-opus-5-5": Price(4, 20, 0.2, 5, web_search=10),
        "claude-sonnet-5-5": Price(2, 10, 0.1, 2.5, web_search=10),
        "claude-haiku-5-5": Price(0.1, 0.5, 0.01, 0.125, 100_000, Price(0.5, 2.5, 0.05, 0.625), web_search=10),
        "claude-fable-5-2": Price(8, 40, 0.2, 10, web_search=10),
        "claude-mythos-5-2": Price(8, 40, 0.2, 10, web_search=10),
        "claude-sonnet-4-6": Price(3, 15, 0.3, 3.75, web_search=10),
    }


def test_a_price_is_stated_built_in_nothing_or_not_known() -> None:
    text = """
models:
  known: {id: claude-opus-5-5}
  mine: {id: claude-opus-5-5, price: {input: 1, output: "${OUT}", cache_write: 0}}
  searching: {id: claude-opus-5-5, price: {input: 1, output: 5, web_search: "${OUT}"}}
  served: {id: qwen3, base_url: "http://localhost:1", price: {input: 0, output: 0}}
  free: {kind: scripted}
  home: {id: qwen3, base_url: "http://localhost:1"}
  relayed: {id: claude-opus-5-5, base_url: "http://localhost:1"}
"""
    found = snapshot({"models.yaml": text}, OUT="5").models
    assert found["known"].price == Price(4, 20, 0.2, 5, web_search=10)
    assert found["mine"].price == Price(1, 5, 0.1, 0, web_search=10)
    assert found["searching"].price == Price(1, 5, 0.1, 1.25, web_search=5)
    assert found["served"].price == Price(0, 0, 0, 0)
    assert found["free"].price == Price(0, 0, 0, 0)
    assert found["home"].price is None and found["relayed"].price is None
    assert "price" not in found["mine"].options


def test_people_are_told_where_they_can_be_reached_while_they_are_away_from_the_terminal() -> None:
    files = {
        "channels.yaml": "channels:\n  repl: {kind: repl}\n  telegram: {kind: telegram, token: '${BOT}'}\n"
        "people: {nader: {ids: ['repl:local', 'telegram:7'], owner: true}}\n",
        "heartbeats.yaml": "heartbeats:\n  a: {cron: '@daily', prompt: x, deliver: nader}\n"
        "  b: {cron: '@daily', prompt: x, deliver: 'repl:local'}\n",
    }
    terminal, telegram = Address("repl", "local"), Address("telegram", "7")
    beats = snapshot(files, BOT="1:a").heartbeats
    assert (beats["a"].deliver, beats["a"].notify) == ((telegram,), (telegram,))
    assert beats["b"].deliver == (terminal,)
    files["channels.yaml"] = files["channels.yaml"].replace("kind: telegram", "kind: telegram, enabled: false")
    beats = snapshot(files, BOT="1:a").heartbeats
    assert (beats["a"].deliver, beats["a"].notify) == ((terminal,), (terminal,))


# ── messages that wait, and conversations that start afresh ──────────────────────────────────────


def test_queues_and_renewal_are_as_written_and_else_as_ever() -> None:
    usual = snapshot({}).default_agent
    assert (usual.interrupted, usual.session) == ("resume", Renewal())
    written = snapshot(
        {
            "agents/main.yaml": BASE["agents/main.yaml"] + "interrupted: drop\nsession: {reset: daily, at: '23:30'}\n",
            "heartbeats.yaml": "defaults: {timezone: Europe/London}\nheartbeats: {}\n",
            "channels.yaml": "channels:\n  repl: {kind: repl, queue: steer, queue_limit: 3}\n  http: {kind: http}\n",
        }
    )
    agent, channels = written.default_agent, written.channels
    assert (agent.interrupted, agent.session) == ("drop", Renewal("daily", 23 * 60 + 30, timezone="Europe/London"))
    assert (channels["repl"].queue, channels["repl"].queue_limit) == ("steer", 3)
    assert (channels["http"].queue, channels["http"].queue_limit) == ("queue", 50)
    assert "queue" not in channels["repl"].options.options
