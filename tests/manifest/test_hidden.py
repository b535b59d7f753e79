"""Whatever secret stands wherever in a project: no format tells it, in no message and in no line."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import pytest

from openclaw.adapters import formats, report
from openclaw.manifest import hidden
from openclaw.manifest.build import compile_open
from openclaw.manifest.diagnostic import arrange
from openclaw.manifest.folder import Folder
from openclaw.scenarios.check import check, own

TODAY = datetime(2026, 6, 1, 12, tzinfo=UTC)
AGENT = "name: Jarvis\ndescription: Helps\ntools: [read_file]\npolicy: careful\n"
TOOLS = "policies:\n  careful:\n    rules:\n      - allow: [read_file]\n"
TELEGRAM = "channels:\n  t:\n    kind: telegram\n    "
TOOL = f"{TOOLS}tools:\n  t:\n    description: d\n    shell: ls\n    "
ROUTE = "routes:\n  - {channel: repl, from: local, text: hi, expect: {agent: main}}\n"

# Each with @ where the secret stands.
PLACES: Mapping[str, tuple[str, str]] = {
    # below the schemas' own keys
    "value": ("channels.yaml", f"{TELEGRAM}token: @\n    bad: 1\n"),
    "value and a bad line below": ("channels.yaml", f"{TELEGRAM}token:\n      @\n      bad: 1\n"),
    "no space": ("channels.yaml", f"{TELEGRAM}token:@\n"),
    "equals": ("channels.yaml", f"{TELEGRAM}token=@\n"),
    "tab": ("channels.yaml", "channels:\n  t:\n    kind: telegram\n\ttoken: @\n"),
    "double quotes": ("channels.yaml", f'{TELEGRAM}token: "@"\n    bad: 1\n'),
    "quotes with more": ("channels.yaml", f"{TELEGRAM}token: '@''@'\n    bad: 1\n"),
    "unclosed": ("channels.yaml", f"{TELEGRAM}token: '@\n      @\n"),
    "escape": ("channels.yaml", f'{TELEGRAM}token: "@\\"@, @\\q"\n'),
    "anchor": ("channels.yaml", f"{TELEGRAM}token: &a @\n    bad: *a\n"),
    "core tag": ("channels.yaml", f"{TELEGRAM}token: !!str @\n    bad: 1\n"),
    "tag": ("channels.yaml", f"{TELEGRAM}token: !env @\n    bad: 1\n"),
    "own tag": ("channels.yaml", f"{TELEGRAM}token: !vault @\n    bad: 1\n"),
    "folded": ("channels.yaml", f"{TELEGRAM}token: >-\n      @\n      @\n    bad: 1\n"),
    "block": ("channels.yaml", f"{TELEGRAM}token: |\n      @\n    bad: 1\n"),
    "block with text at its head": ("channels.yaml", f"{TELEGRAM}token: |@\n"),
    "two lines": ("channels.yaml", f"{TELEGRAM}token: @\n      @\n    bad: 1\n"),
    "twice": ("channels.yaml", f"{TELEGRAM}token: @\n    token: @\n"),
    "list": ("channels.yaml", f"{TELEGRAM}token: [@, b]\n"),
    "no mapping": ("channels.yaml", "channels:\n  h:\n    kind: http\n    port: 1\n    tokens: {shop: @}\n"),
    "no hook": ("channels.yaml", "channels:\n  h:\n    kind: http\n    port: 1\n    hooks:\n      shop: '@'\n"),
    "items": ("channels.yaml", f"{TELEGRAM}token:\n      - @\n      - b\n"),
    "mapping": ("channels.yaml", f"{TELEGRAM}token: {{@: b}}\n"),
    "block mapping": ("channels.yaml", f"{TELEGRAM}token:\n      a: @\n"),
    "flow": ("channels.yaml", "channels:\n  t: {kind: telegram, token: @, bad: 1}\n"),
    "flow that is open": ("channels.yaml", "channels:\n  t: {kind: telegram, token: @, bad: [1}\n"),
    "flow with commas": ("channels.yaml", 'channels:\n  t: {kind: telegram, token: "@,@\\", @", bad: 1\n'),
    "explicit key": ("channels.yaml", f"{TELEGRAM}? token\n    : @\n    bad: 1\n"),
    "explicit key, broken": ("channels.yaml", f"{TELEGRAM}? token\n    : @\n   bad: 1\n"),
    "colon": ("channels.yaml", f"{TELEGRAM}token: @: @\n"),
    "default": ("channels.yaml", f"{TELEGRAM}token: ${{T:-@}}\n    bad: 1\n"),
    "bad placeholder": ("channels.yaml", f"{TELEGRAM}token: ${{@!x}}\n"),
    "api_key": ("models.yaml", "models:\n  m: {id: q, api_key: @, bad: 1}\n"),
    "scope": ("channels.yaml", "channels:\n  h:\n    kind: http\n    tokens: {shop: {secret: @, scopes: [x]}}\n"),
    # below keys that are misspelt, or others'
    "misspelt": ("channels.yaml", f"{TELEGRAM}tokn: @\n"),
    "another name": ("channels.yaml", f"{TELEGRAM}bot_token: @\n"),
    "camel": ("channels.yaml", f"{TELEGRAM}botToken: @\n"),
    "apikey": ("models.yaml", "models:\n  m:\n    id: q\n    apikey: @\n"),
    "api-key": ("models.yaml", "models:\n  m:\n    id: q\n    api-key: @\n"),
    "password": ("agents/main.yaml", f"{AGENT}database_password: @\n"),
    "server": ("agents/main.yaml", f"{AGENT}mcpServers: {{x: {{env: {{GH_TOKEN: @}}}}}}\n"),
    "env": ("tools.yaml", f"{TOOL}env: {{GH_TOKEN: @, bad: [1]}}\n"),
    "env, broken": ("tools.yaml", f"{TOOL}env: {{GH_TOKEN: @, bad: [1}}\n"),
    "header": ("tools.yaml", f"{TOOLS}tools:\n  t:\n    shell: curl -H 'Authorization: Bearer @' {{x\n"),
    "comment": ("channels.yaml", f"{TELEGRAM}bad: 1 # token: @\n"),
    "address": ("models.yaml", "models:\n  m: {id: q, base_url: 'ftp://user:@@h/'}\n"),
    "another address": ("channels.yaml", f"{TELEGRAM}token: '${{T}}'\n    api_base: nope://u:@@x\n"),
    # of variables and files
    "cron": ("heartbeats.yaml", "heartbeats:\n  m: {cron: '${MY_TOKEN}', prompt: x}\n"),
    "zone": ("heartbeats.yaml", "heartbeats:\n  m: {cron: '0 8 * * *', timezone: '${MY_TOKEN}', prompt: x}\n"),
    "port": ("channels.yaml", "channels:\n  h: {kind: http, port: '${MY_TOKEN}'}\n"),
    "model": ("agents/main.yaml", f"{AGENT}model: '${{MY_TOKEN}}'\nworkspace: '${{MY_TOKEN}}'\n"),
    "file": ("channels.yaml", f"{TELEGRAM}token: '${{T}}'\n    allow: '${{file:s.txt}}'\n"),
    # scenarios
    "given": ("tests/scenarios/a.yaml", f"given: {{now: '${{MY_TOKEN}}', token: @}}\n{ROUTE}"),
    "input": ("tests/scenarios/a.yaml", "decisions:\n  - {agent: nobody, tool: x, input: {token: @}, expect: allow}\n"),
}
# Where only the shape of a token says what it is.
SHAPED: Mapping[str, tuple[str, str]] = {
    "key": ("agents/main.yaml", f"{AGENT}@: x\n"),
    "model's name": ("models.yaml", "models:\n  @: {id: q}\n"),
    "channel's name": ("channels.yaml", "channels:\n  @: {kind: http}\npeople: {a: {ids: ['nowhere:1']}}\n"),
    "person's name": ("channels.yaml", "people:\n  @: {ids: ['repl:local']}\n"),
    "tool's name": ("tools.yaml", f"{TOOLS}tools:\n  @: {{description: d, shell: ls}}\n"),
    "policy's name": ("tools.yaml", f"{TOOLS}  @: {{}}\n"),
    "tool that is missing": ("agents/main.yaml", AGENT.replace("read_file", "@")),
    "value": ("agents/main.yaml", f"{AGENT}prefix: @\n"),
    "list": ("agents/main.yaml", f"{AGENT}prefix: [@, 1]\n"),
    "mapping": ("agents/main.yaml", f"{AGENT}prefix: {{@: @}}\n"),
    "bare line": ("agents/main.yaml", f"{AGENT}@\n"),
    "unclosed": ("agents/main.yaml", f'{AGENT}prefix: "@\n'),
    "comment": ("agents/main.yaml", f"{AGENT}bad: 1 # @\n"),
    "soul": ("agents/main.md", "Say @ to them.\n"),
    "agent of a case": ("tests/scenarios/a.yaml", ROUTE.replace("main", "'@'")),
    "channel of a case": ("tests/scenarios/a.yaml", ROUTE.replace("repl", "'@'")),
    "person of a case": ("tests/scenarios/a.yaml", ROUTE.replace("from: local", "as: '@'")),
    "tool of a case": ("tests/scenarios/a.yaml", "decisions:\n  - {agent: main, tool: '@', expect: allow}\n"),
    "time of a case": ("tests/scenarios/a.yaml", f"given: {{now: '@'}}\n{ROUTE}"),
    "broken case": ("tests/scenarios/a.yaml", "routes: [{channel: '@', x: [@}\n"),
}
LINES = ["MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj",
         "Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MGFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6"]  # fmt: skip
BEGIN, END = "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----"
IN_ONE, IN_LINES = "\\n".join((BEGIN, *LINES)), "\n".join((BEGIN, *LINES, END))
KEYS = {
    "block": ("tools.yaml", f"{TOOL}env:\n      K: |\n" + "".join(f"        {x}\n" for x in IN_LINES.split("\n"))),
    "broken": ("tools.yaml", f"{TOOL}env:\n      K: {IN_LINES}\n"),
    "dedented": ("agents/main.yaml", f"{AGENT}soul_key: |\n{IN_LINES}\n"),
    "where keys belong": ("agents/main.yaml", f"{AGENT}{IN_LINES}\n"),
    "soul": ("agents/main.md", f"x\n{IN_LINES}\n"),
    "soul, in one line": ("agents/main.md", f"x\n{IN_ONE}\n"),
    "value in one line": ("agents/main.yaml", f'{AGENT}soul: "{IN_ONE}"\n'),
    "comment in one line": ("agents/main.yaml", f"{AGENT}bad: 1\n# {IN_ONE}\n"),
    "comment": ("agents/main.yaml", AGENT + "".join(f"# {line}\n" for line in IN_LINES.split("\n"))),
}
TOKENS = [
    "sk-ant-api03-a1B2c3D4a1B2c3D4a1B2c3D4a1B2c3D4", "123456789:AAabcdefghijklmnopqrstuvwxyz0123456",
    "AKIAQ3EGR7XK4TZB2MNP", "ghp_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8",
]  # fmt: skip
FIRST = [
    "",
    "!",
    "*",
    "#",
    "|",
    ">",
    "[",
    "{",
    "&",
    "%",
    "@",
    "`",
    "$",
    "-",
    "?",
    "~",
    "9",
    "é",
    "\u200b",
    "日",
    "𝔘",
    "\\",
    "=",
]
CORE = "kQz{0}7vXw"  # what may not be told: no word of ours


def told(file: str, text: str, variable: str = "") -> Iterator[tuple[str, str]]:
    """What each format says of a project that is sound but for this file."""
    files = {"agents/main.yaml": AGENT, "agents/main.md": "hi\n", "tools.yaml": TOOLS, "s.txt": f"{variable}\n"}
    folder = Folder.of({name: each.encode() for name, each in (files | {file: text}).items()})
    compiled, project = compile_open(folder, environment={"MY_TOKEN": variable}, importer=None, today=TODAY)
    checked = check(project, own(folder))
    found = arrange([*compiled.diagnostics, *checked.diagnostics])
    assert found, (file, text)
    yield from ((each, report(each).render(found, checked.over(folder))) for each in formats())


def holds(shown: str, *secrets: str) -> bool:
    folded = re.sub(r"[^a-z0-9]", "", shown.casefold())  # however a format or an advice spells it
    return any(re.sub(r"[^a-z0-9]", "", secret.casefold()) in folded for secret in secrets)


def drawn(rng: random.Random) -> tuple[str, str]:
    """A secret, and the part of it that is sought."""
    core = CORE.format(rng.randrange(10**6, 10**7))
    return f"{rng.choice(FIRST)}{core}{rng.choice(['', '', 'é', '日', '%', '+/=', '.x'])}", core


def hide(place: tuple[str, str], secret: str, core: str) -> None:
    file, text = place
    for format, shown in told(file, text.replace("@", secret, 4 if "://" not in text else 1), f"{secret} * * 9 {core}"):
        assert not holds(shown, core), (format, secret, shown)


@pytest.mark.parametrize("name", PLACES)
def test_a_secret_by_its_place_is_in_no_format(name: str) -> None:
    rng = random.Random(name)
    hide(PLACES[name], *drawn(rng))
    hide(PLACES[name], core := CORE.format(rng.randrange(10**6, 10**7)), core)


def test_a_secret_of_figures_alone_is_in_no_format() -> None:
    for name in ("value", "misspelt", "api_key", "env", "no space", "flow"):
        hide(PLACES[name], "918273645546372819", "918273645546372819")


@pytest.mark.parametrize("name", SHAPED)
def test_a_secret_by_its_shape_is_in_no_format(name: str) -> None:
    token = random.Random(name).choice(TOKENS)
    hide(SHAPED[name], token, token)


@pytest.mark.parametrize("name", KEYS)
def test_no_line_of_a_private_key_is_in_any_format(name: str) -> None:
    for format, shown in told(*KEYS[name]):
        assert not holds(shown, *LINES, LINES[0][:20]), (format, shown)


@pytest.mark.slow
def test_no_drawn_secret_in_any_place_is_in_any_format() -> None:
    rng = random.Random(5)
    for _ in range(15):
        for place in PLACES.values():
            hide(place, *drawn(rng))
    for token in TOKENS:
        for place in (*SHAPED.values(), *PLACES.values()):
            hide(place, token, token)


def test_what_is_no_secret_is_told() -> None:
    """Names of variables, inputs that are named like a secret, and what stands beside one."""
    shown = dict(told("channels.yaml", f"{TELEGRAM}token: ${{TELEGRAM_BOT}}\n    enabled: true\n"))["text"]
    assert "`TELEGRAM_BOT` is not set" in shown and "token: ${TELEGRAM_BOT}" in shown
    shown = dict(told("tools.yaml", f"{TOOL}input:\n      token: {{type: strng, description: d}}\n"))["text"]
    assert "`strng`" in shown and "token: {type: strng, description: d}" in shown
    shown = dict(told("channels.yaml", "channels:\n  t: {kind: telegram, token: abcd-1234-efgh, prot: [x]}\n"))["text"]
    assert "t: {kind: telegram, token: **************, prot: [x]}" in shown and "`prot`" in shown


def test_a_word_of_a_secret_that_is_one_of_a_message_stays_there() -> None:
    shown = dict(told("channels.yaml", f"{TELEGRAM}token: something-stands-here-9\n"))["json"]
    assert "a secret stands here in plain text" in shown


HOSTILE = {
    "one line": "x: {" + "token: abcdefg, " * 8_000 + "}", "lines": "token: abcdefgh\n" * 8_000,
    "words": "token=abcdefgh " * 8_000, "misspelt": "tokn" * 40_000, "blanks": "token " + " " * 100_000,
    "addresses": "://" * 30_000, "users": "://a/" * 20_000, "nested": "token:\n " * 15_000,
    "quotes": 'token: "aa\n  ' * 8_000, "keys": "".join(f"tok{n}: x\n" for n in range(10_000)),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_text_does_not_keep_the_search_for_secrets_busy(name: str) -> None:
    started = time.process_time()
    hidden.stretches("channels", HOSTILE[name])
    assert time.process_time() - started < 10  # a square of it would be minutes


def test_a_file_of_secrets_is_told_in_time_and_none_of_them_with_it() -> None:
    many = "".join(f"  c{n}: {{kind: http, token: unknown{n}xy, tokn: unkn{n}own}}\n" for n in range(205))
    for format, shown in told("channels.yaml", f"channels:\n{many}"):
        assert not re.search(r"unknown\d+xy|unkn\d+own", shown), format
