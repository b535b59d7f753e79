"""The net below the comparisons: an edit that nobody thought of may widen; what is sure to tighten does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from doubles.edits import CHANNELS, HEARTBEATS, NOW, PROJECT, compiled
from openclaw.manifest.build import compile_open
from openclaw.manifest.folder import Folder
from openclaw.manifest.origins import Stated, stated
from openclaw.plan import told
from openclaw.plan.changes import Change
from openclaw.plan.whole import plan

T, C, M, H, MO = "tools.yaml", "channels.yaml", "agents/main.yaml", "heartbeats.yaml", "models.yaml"
SECRET = "Zq7secret-nobody-may-see"
BOT = '  telegram: {kind: telegram, token: "${BOT_TOKEN}", allow: [1, 2], agents: [main], strangers: ignore'
FILES = {
    **PROJECT,
    C: CHANNELS.replace(BOT, f"{BOT}, groups: mention").replace(
        "rooms:\n",
        "  cai: {ids: [\"discord:${CAI}\"], owner: true}\nrooms:\n",
    ).replace(
        "people:\n",
        "      anas: {secret: \"${ANA_TOKEN}\", as: ana}\n"
        "    hooks:\n"
        "      ci: {prompt: \"Build: {body}\", secret: \"${CI_SECRET}\", verify: hmac-sha256,\n"
        "           timestamp_header: X-Time, agent: main, session: fresh}\n"
        "    limits: {body: 8000}\n"
        "  discord: {kind: discord, token: \"${DISCORD}\", strangers: ignore}\n"
        "people:\n",
    ),
    H: HEARTBEATS + "  disk: {cron: '@daily', agent: main, prompt: Look, deliver: ana,\n"
    "         check: {tool: measure, input: {path: x}}}\n  idle: {cron: '@daily', prompt: P, enabled: false}\n",
    T: PROJECT[T].replace(
        "    shell: du -k -- {path}\n", "    shell: du -k -- {path}\n    env: {WHO: \"${WHO}\", LC_ALL: C}\n"
    ),
    M: PROJECT[M].replace("workspace: own", "workspace: ${WORK}") + "model: smart\n",
    MO: "models:\n  smart: {id: claude-sonnet-5-5, fallback: [spare]}\n"
    "  spare: {id: x, base_url: \"https://models.example\", api_key: \"${SPARE}\"}\n"
    "  other: {id: y, base_url: \"https://other.example\", api_key: \"${OTHER}\"}\n",
}  # fmt: skip

# edit -> (file, was, now, a piece of what is told to widen; "" where nothing is)
TABLE: dict[str, tuple[str, str, str, str]] = {
    # who writes
    "an id more of a person": (C, 'bob: {ids: ["telegram:2"]}', 'bob: {ids: ["telegram:2", "discord:9"]}',
                               "bob (discord:9) may write to it"),
    "an id in place of another": (C, 'bob: {ids: ["telegram:2"]}', 'bob: {ids: ["discord:9"]}', "bob (discord:9)"),
    "a person less": (C, '  bob: {ids: ["telegram:2"]}\n', "", ""),
    "an id of nobody on the channel": (C, 'ana: {ids: ["telegram:1"]', 'ana: {ids: ["telegram:1", "http:x/y"]',
                                       "ana (http:x/y)"),
    "a sender by another variable": (C, "allow: [1, 2]", "allow: [1, \"${B:-2}\"]", "allow: + ${B:-2}"),
    "an owner by another variable": (C, "discord:${CAI}", "discord:${EVE}",
                                     "cai (discord:${EVE}) may use every command"),
    "whose a token is": (C, "as: ana", "as: bob", "bob (http:anas/bob) may write to it"),
    "a list of senders of programs": (C, "    kind: http\n", "    kind: http\n    allow: [x]\n", ""),
    "groups where all is read": (C, "groups: mention", "groups: all", "groups: mention -> all"),
    "groups that are left": (C, "groups: mention", "groups: off", ""),
    "a room that narrows its chat": (C, "rooms:\n", 'rooms:\n  dev: {id: "discord:-8", agents: [ops]}\n', ""),
    "a room at another place": (C, 'ops: {id: "telegram:-7"', 'ops: {id: "telegram:-6"', ""),
    # secrets and servers
    "a server of a channel": (C, "groups: mention", 'groups: mention, api_base: "https://evil.example"',
                              "another server gets its token"),
    "a secret with a default": (C, '"${SHOP_TOKEN}"', '"${SHOP_TOKEN:-changeme}"',
                                "${SHOP_TOKEN} -> ${SHOP_TOKEN:-***}"),
    "a secret by another variable": (C, "${ANA_TOKEN}", "${SHOP_TOKEN_TWO}", "opened by another secret"),
    "a hook without a signature": (C, "verify: hmac-sha256", "verify: token", "verify: hmac-sha256 -> token"),
    "a hook without a time": (C, "           timestamp_header: X-Time, ", "           ",
                              "timestamp_header: X-Time -> (none)"),
    "a hook that remembers": (C, "session: fresh", "session: keep", "session: fresh -> keep"),
    "a hook that tells somebody": (C, "session: fresh", "deliver: bob", "deliver: + telegram:2"),
    "a hook's prompt": (C, "Build: {body}", "Do: {body}", ""),
    "larger bodies": (C, "limits: {body: 8000}", "limits: {body: 9000}", "limits.body: 8000 -> 9000"),
    "smaller bodies": (C, "limits: {body: 8000}", "limits: {body: 2000}", ""),
    "a host by a variable": (C, "    kind: http\n", '    kind: http\n    host: "${HOST}"\n    token: "${HTTP_TOKEN}"\n',
                             "host 127.0.0.1 -> ${HOST}"),
    "another port": (C, "    kind: http\n", "    kind: http\n    port: 7000\n", ""),
    "a server of a model": (MO, "fallback: [spare]", 'base_url: "https://evil.example", fallback: [spare]',
                            "goes to https://evil.example now"),
    "a server of a model that stands in": (MO, "models.example", "evil.example", "goes to https://evil.example now"),
    "a server of a model that nobody asks": (MO, "other.example", "evil.example", ""),
    "a model at another server": (M, "model: smart", "model: other", "goes to https://other.example now"),
    "a model less at another server": (MO, ", fallback: [spare]", "", ""),
    "a key of a model": (MO, "${SPARE}", "${BOT_TOKEN}", "the server gets another secret"),
    # tools and agents
    "an environment by another variable": (T, "${WHO}", "${API_KEY}", "env.WHO: ${WHO} -> ${API_KEY}"),
    "an environment that is less": (T, 'WHO: "${WHO}", ', "", ""),
    "a tool that may be repeated": (T, "    shell: du", "    repeat: safe\n    shell: du", "repeat: never -> safe"),
    "more time of a tool": (T, "    shell: du", "    timeout: 2m\n    shell: du", ""),
    "a workspace by another variable": (M, "${WORK}", "${HOME}", "workspace: ${WORK} -> ${HOME}"),
    "a workspace of its own": (M, "${WORK}", "own", ""),
    "instructions": (M, "model: smart", "model: smart\ninstructions: Be kind", ""),
    # heartbeats
    "a heartbeat more": (H, "heartbeats:\n",
                         "heartbeats:\n  eve: {cron: '* * * * *', prompt: p, deliver: 'telegram:9'}\n",
                         "it runs on its schedule, unasked, and tells telegram:9"),
    "a heartbeat that is switched on": (H, "enabled: false", "enabled: true", "it runs on its schedule, unasked"),
    "a heartbeat that is switched off": (H, "prompt: Good morning", "prompt: Good morning, enabled: false", ""),
    "who is told": (H, "deliver: ana", "deliver: 'telegram:9'", "it tells others: telegram:9"),
    "who is told by a variable": (H, "deliver: ana", "deliver: ['telegram:${X}']", "telegram:${X}"),
    "what a check is given": (H, "input: {path: x}", "input: {path: y}", 'measure {"path": "y"}'),
    "whom a heartbeat wakes": (H, "prompt: Good morning", "prompt: Good morning, agent: ops", "it wakes another agent"),
    "another prompt": (H, "Good morning", "Good evening", ""),
    "another time": (H, "30 7 * * 1-5", "30 8 * * 1-5", ""),
}  # fmt: skip


def widening(changes: tuple[Change, ...]) -> list[str]:
    return [f"{change.name}: {change.words}" for change in changes if change.widens]


@pytest.fixture(scope="module")
def base() -> Stated:
    return compiled(FILES)


@pytest.mark.parametrize("name", TABLE)
def test_an_edit_that_is_not_known_to_tighten_may_widen(name: str, base: Stated) -> None:
    file, was, now, told_of = TABLE[name]
    assert FILES[file].count(was) == 1, (was, FILES[file])
    changes = plan(base, compiled({**FILES, file: FILES[file].replace(was, now)}), NOW)
    found = widening(changes)
    assert changes and (bool(found) == bool(told_of)), found
    assert not told_of or any(told_of in each for each in found), found


def test_senders_of_programs_who_are_no_longer_listed_are_more(base: Stated) -> None:
    listed = compiled({**FILES, C: FILES[C].replace("    kind: http\n", "    kind: http\n    allow: [x]\n")})
    assert widening(plan(listed, base, NOW)) == ["channel http: allow: [x] -> (none)"]


def test_a_room_that_no_longer_narrows_its_chat_lets_more_in(base: Stated) -> None:
    narrow = compiled({**FILES, C: FILES[C].replace("rooms:\n", 'rooms:\n  dev: {id: "discord:-8", agents: [ops]}\n')
                       .replace("discord:${CAI}", "discord:7")})  # fmt: skip
    wide = compiled({**FILES, C: FILES[C].replace("discord:${CAI}", "discord:7")})
    assert widening(plan(narrow, wide, NOW)) == ["room dev: cai (discord:7) may write to it"]
    assert widening(plan(wide, narrow, NOW)) == []


HTTP = "    kind: http\n"


@pytest.mark.parametrize(
    ("was", "now", "told_of"),
    [
        ("${HOST}", "0.0.0.0", ["channel http: host: ${HOST} -> 0.0.0.0"]),
        ("${HOST}", "${OTHER_HOST}", ["channel http: host: ${HOST} -> ${OTHER_HOST}"]),
        ("10.0.0.1", "0.0.0.0", ["channel http: host: 10.0.0.1 -> 0.0.0.0"]),
        ("0.0.0.0", "127.0.0.1", []),
    ],
)
def test_a_host_in_place_of_another_may_be_reached_from_more_machines(was: str, now: str, told_of: list[str]) -> None:
    old, new = (
        compiled({**FILES, C: FILES[C].replace(HTTP, f'{HTTP}    host: "{host}"\n    token: "${{HTTP_TOKEN}}"\n')})
        for host in (was, now)
    )
    assert widening(plan(old, new, NOW)) == told_of


def test_of_a_new_agent_it_is_told_who_reaches_it_and_who_answers_for_it(base: Stated) -> None:
    agent = "name: N\ndescription: d\ntools: [read_file]\npolicy: bold\n"
    tools = FILES[T].replace("policies:\n", "policies:\n  bold: {default: ask, approvers: [bob], rules: []}\n")
    new = compiled({**FILES, T: tools, "agents/new.yaml": agent})
    assert widening(plan(base, new, NOW))[:2] == [
        "agent new: it is new, and reached by [token http (operator), token http/anas, channel discord]",
        "approvals: bob (telegram:2) may answer what it asks",
    ]


def test_a_rule_about_every_heartbeat_or_channel_is_wider_when_there_are_more() -> None:
    for what, file, place, more in (
        ("heartbeat", H, "heartbeats:\n", "heartbeats:\n  eve: {cron: '@daily', prompt: p, enabled: false}\n"),
        ("channel", C, "channels:\n", "channels:\n  repl: {kind: repl, enabled: false}\n"),
    ):
        rule = FILES[T].replace("{id: sizes, allow: measure}", f'{{id: sizes, allow: measure, {what}: "*"}}')
        old = compiled({**FILES, T: rule})
        new = compiled({**FILES, T: rule, file: FILES[file].replace(place, more)})
        [found] = widening(plan(old, new, NOW))
        assert found.startswith("measure: allows") and "which means more people or places now" in found


LITERALS = (
    (C, "${BOT_TOKEN}", f"{SECRET}${{TAIL:-}}"),
    (C, "${BOT_TOKEN}", f"{SECRET}$${{a"),
    (C, "${SHOP_TOKEN}", f"${{SHOP_TOKEN:-{SECRET}}}"),
    (C, "groups: mention", f'groups: mention, api_base: "http://bob:{SECRET}@evil.example"'),
    (MO, "https://models", f"https://bob:{SECRET}@models"),
    (T, "LC_ALL: C", f"PASSWD: {SECRET}"),
    (T, "LC_ALL: C", f"API_KEYS: {SECRET}"),
    (T, "LC_ALL: C", f"AUTHORIZATION: Bearer {SECRET}"),
    (T, "LC_ALL: C", f'X: "${{MY_TOKEN:-{SECRET}}}"'),
)


@pytest.mark.parametrize(("file", "was", "now"), LITERALS)
def test_a_secret_is_not_shown_however_it_is_written(file: str, was: str, now: str, base: Stated) -> None:
    new = compiled({**FILES, file: FILES[file].replace(was, now)})
    for changes in (plan(base, new, NOW), plan(new, base, NOW)):
        text = told.text(changes, "x")
        assert SECRET not in text and SECRET not in repr(changes) and "***" in text


def test_of_two_secrets_that_are_shown_alike_it_is_told_that_there_are_two(base: Stated) -> None:
    one, two = (compiled({**FILES, C: FILES[C].replace("${CI_SECRET}", f"{SECRET}{tail}")}) for tail in "ab")
    [told_of] = widening(plan(one, two, NOW))
    assert told_of == "channel http: hooks.ci.secret: *** -> *** (another one); it is opened by another secret"


# ── the code of Python tools ─────────────────────────────────────────────────────────────────────

TOOLS = """\
tools:
  count: {python: "desk:count"}
policies:
  careful: {default: ask, rules: [{allow: count}]}
"""
AGENT = "name: N\ndescription: d\ntools: [count]\npolicy: careful\n"
CODE = {
    "tools.yaml": TOOLS,
    "agents/main.yaml": AGENT,
    "desk.py": "import near\nfrom parts import inner\n",
    "near.py": "def f():\n    import far\n",
    "far.py": "A = 1\n",
    "parts/__init__.py": "from . import side\n",
    "parts/inner.py": "from ..deep import x\n",
    "parts/side.py": "B = 1\n",
    "parts/unused.py": "C = 1\n",
    "elsewhere/other.py": "D = 1\n",
}


def on_disk(root: Path, files: dict[str, str]) -> Stated:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, "utf-8")
    found, project = compile_open(Folder.read(root), environment=None, importer=None, today=NOW)
    assert found.snapshot is not None, found.diagnostics
    return stated(found.snapshot, project)


@pytest.mark.parametrize(
    ("file", "text", "counts"),
    [
        ("near.py", "import os\n", True),
        ("far.py", "A = 2\n", True),
        ("parts/__init__.py", "from . import side\nX = 1\n", True),
        ("parts/inner.py", "pass\n", True),
        ("parts/side.py", "B = 2\n", True),
        ("json.py", "E = 1\n", True),  # stands in for one of Python's own
        ("near.cpython-311-x86_64-linux-gnu.so", "x", True),  # comes before near.py
        ("parts/unused.py", "C = 2\n", False),
        ("elsewhere/other.py", "D = 2\n", False),
        (".venv/near.py", "D = 2\n", False),
    ],
)
def test_whatever_a_tool_imports_of_the_project_is_its_code(tmp_path: Path, file: str, text: str, counts: bool) -> None:
    old, new = on_disk(tmp_path / "old", CODE), on_disk(tmp_path / "new", {**CODE, file: text})
    expected = ["count: the code behind it is another"] if counts else []
    assert widening(plan(old, new, NOW)) == expected


def test_code_behind_a_tool_that_asks_counts_where_it_may_have_been_agreed_to_for_always(tmp_path: Path) -> None:
    for name, rule, counts in (("asks", "ask", True), ("never", "deny", False)):
        files = {**CODE, "tools.yaml": TOOLS.replace("allow: count", f"{rule}: count")}
        old = on_disk(tmp_path / name / "old", files)
        new = on_disk(tmp_path / name / "new", {**files, "far.py": "A = 2\n"})
        told_of = "tool count: the code behind it is another, for calls that somebody agreed to for always as well"
        assert widening(plan(old, new, NOW)) == ([told_of] if counts else [])


def test_where_code_imports_what_it_does_not_write_out_all_of_the_project_counts(tmp_path: Path) -> None:
    files = {**CODE, "far.py": "import importlib\nimportlib.import_module('else' + 'where.other')\n"}
    old = on_disk(tmp_path / "old", files)
    new = on_disk(tmp_path / "new", {**files, "elsewhere/other.py": "D = 2\n"})
    assert widening(plan(old, new, NOW)) == ["count: the code behind it is another"]
