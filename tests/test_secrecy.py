"""Secrets: no value of any leaves in a log, a transcript, an error, a card, an audit line or a child's environment."""

from __future__ import annotations

import asyncio
import base64
import html
import io
import json
import logging
import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doubles.counter import Counting
from doubles.house import AGENT, Program, lived, project, until
from doubles.messages_server import HttpError, MessagesServer, Reply, text, tool
from openclaw import audit, logbook, output
from openclaw.app import App
from openclaw.clock import SystemClock
from openclaw.messages import Call, ToolCall, ToolResult, ToolStarted
from openclaw.permissions.decide import Effect, Rule
from openclaw.ports import Place
from openclaw.secrecy import NOTE, SECRETS, SHORTEST, STRUCK, Masking, Secrets, ambient, masked
from openclaw.tools.files import Tools as Files

SECRET = "correct-horse/battery+staple&ü"


def knowing(*values: str) -> Secrets:
    secrets = Secrets()
    secrets.hold("test", values)
    return secrets


# ── what is struck out ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        json.dumps(SECRET)[1:-1],
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode().rstrip("="),
        base64.b64encode(f"user:{SECRET}".encode()).decode(),
        base64.b64encode(f"x{SECRET}y".encode()).decode(),
        SECRET.upper(),
        repr(SECRET)[1:-1],
        SECRET.encode().hex(),
        f"0a{SECRET.encode().hex().upper()}0a",
        html.escape(SECRET),
        json.dumps(SECRET)[1:-1].replace("&", r"\u0026"),
        json.dumps(SECRET)[1:-1].replace("/", r"\/"),
        shlex.quote(SECRET),
        SECRET.replace("&", r"\&"),
    ],
)
def test_a_secret_is_struck_out_in_every_form(form: str) -> None:
    masked = knowing(SECRET).mask(f"before {form} after")
    assert STRUCK in masked and masked.startswith("before ") and masked.endswith(" after")
    assert form not in masked


QUOTED = 'it\'s 5 < 6 & "$HOME", or =6'


@pytest.mark.parametrize(
    "form",
    [
        html.escape(QUOTED),
        html.escape(QUOTED, quote=False),
        html.escape(QUOTED).replace("&#x27;", "&#39;"),
        html.escape(QUOTED).replace("&#x27;", "&#39;").replace("&quot;", "&#34;"),
        html.escape(QUOTED).replace("&#x27;", "'"),
        json.dumps(QUOTED)[1:-1].replace("<", r"\u003c").replace("&", r"\u0026"),
        json.dumps(QUOTED)[1:-1].translate({ord(char): rf"\u{ord(char):04x}" for char in "<&'="}),
        shlex.quote(QUOTED)[1:-1],
        QUOTED.replace("'", r"'\''"),
        QUOTED.replace('"', r"\"").replace("$", r"\$"),
        r"it\'s\ 5\ \<\ 6\ \&\ \"\$HOME\"\,\ or\ =6",
    ],
)
def test_a_secret_is_struck_out_however_it_is_quoted(form: str) -> None:
    assert knowing(QUOTED).mask(f"<{form}>") == f"<{STRUCK}>"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n    "])
@pytest.mark.parametrize("before", [0, 40, 47, 52, 53, 60])
def test_a_secret_is_struck_out_where_base64_or_hex_is_wrapped(before: int, end: str) -> None:
    content = b"." * before + SECRET.encode() + b"." * 60
    for encoded, width in ((base64.b64encode(content).decode(), 76), (content.hex(), 60)):
        wrapped = end.join(encoded[at : at + width] for at in range(0, len(encoded), width))
        left = "".join(knowing(SECRET).mask(f"as follows:{end}{wrapped}{end}the end").split())
        assert STRUCK in left and left.startswith("asfollows:") and left.endswith("theend")
        assert len(left) < len(f"asfollows:{encoded}theend") - len(SECRET)


@pytest.mark.parametrize("value", ["hunter2", 'a b"c/ü%', "h4nt"])
def test_a_short_value_is_struck_out_in_every_form_where_it_stands_by_itself(value: str) -> None:
    forms = [value, value.upper(), quote(value), quote(value, safe=""), repr(value)[1:-1], json.dumps(value)[1:-1]]
    for form in forms:
        for before, after in ((" ", " "), ("=", "\n"), ("%20", "%0A"), ("\\n", "\\n"), (":", "@"), ("\\u000a", ".")):
            assert masked(f"x{before}{form}{after}", [value]) == f"x{before}{STRUCK}{after}"
    encoded = base64.b64encode(value.encode()).decode().rstrip("=")
    assert encoded not in masked(f"x {encoded} y", [value]) != f"x {encoded} y"


def test_a_longer_value_goes_before_a_shorter_one_in_it() -> None:
    assert masked("hunter22 hunter2", ["hunter2", "hunter22"]) == "*** ***"
    assert masked("a/b-0123456789012345-c", ["0123456789ab", "b-0123456789012345"]) == "a/***-c"
    assert masked("nothing is hidden", ["", "x"]) == "nothing is hidden"


@given(st.text(min_size=SHORTEST, max_size=60), st.binary(max_size=20), st.binary(max_size=20))
def test_no_form_of_any_secret_is_left(secret: str, before: bytes, after: bytes) -> None:
    secret = secret.encode("utf-8", "replace").decode()
    secrets = knowing(secret)
    for said in (secret, quote(secret, safe=""), json.dumps(secret), f"a {secret} b"):
        left = secrets.mask(said)
        assert secret not in left or secret in STRUCK * 3
    encoded = base64.b64encode(before + secret.encode() + after).decode()
    if len(secret.encode()) >= 9:
        assert STRUCK in secrets.mask(encoded)


LINE = "MIIEpAIBAAKCAQEA0Z3VS5JJcds3xfn/ygWyF8PbnGy0AHB7MaUcVFTfT4xw3F9D"
HEAD, TAIL = "-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----"
PGP = "-----{} PGP PRIVATE KEY BLOCK-----"
KEYS = {
    "plain": f"{HEAD}\n{LINE}\n{LINE}\nMIIE=\n{TAIL}",
    "locked": f"{HEAD}\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0A1B\n\n{LINE}\n{LINE}\n{TAIL}",
    "with the ends of lines of DOS": f"{HEAD}\r\n{LINE}\r\nMIIE\r\n{TAIL}",
    "in JSON": f"{HEAD}\\n{LINE}\\n{LINE}\\nMIIE\\n{TAIL}",
    "twice in JSON": f"{HEAD}\\\\n{LINE}\\\\nMIIE\\\\n{TAIL}",
    "indented": f"{HEAD}\n    {LINE}\n    MIIE==\n    {TAIL}",
    "in a diff": f"{HEAD}\n-{LINE}\n-{LINE}\n-{TAIL}",
    "with numbers of lines": f"{HEAD}\n2:{LINE}\n3:{LINE}\n4:{TAIL}",
    "in one line": f"{HEAD} {LINE} {LINE} {TAIL}",
    "as a literal": f'{HEAD}\\n"\n    "{LINE}\\n"\n    "{TAIL}',
    "cut off": f"{HEAD}\n{LINE}\n{LINE[:20]}",
    "of PGP": f"{PGP.format('BEGIN')}\nVersion: 1\n\n{LINE}\n=aB3d\n{PGP.format('END')}",
}


@pytest.mark.parametrize("name", KEYS)
def test_a_private_key_is_struck_out_and_what_follows_it_stays(name: str) -> None:
    assert knowing().mask(f"see {KEYS[name]}\n\nand then: this.") == f"see {STRUCK}\n\nand then: this."


# What the patterns look for, and what leads them on.
FRAGMENTS = (
    "Aa: -----BEGIN PRIVATE KEY-----\n", "-----BEGIN PRIVATE KEY-----\n", "-----BEGIN PRIVATE KEY-----\nAa: x\n",
    "-----BEGIN PRIVATE KEY-----\n" + "A" * 32, "-----BEGIN " + " " * 40, "-----END PRIVATE KEY-----", "-----", "Aa: ",
    "sk-", "sk-aB1", "sk-a1-", "sk-ant-", "ghp_", "github_pat_", "xoxb-", "AKIA", "12345678:", "MTIz.abcdef.", "MTIz",
    "a", "1", "A" * 40 + "\n", "-", "_", ".", " ", "\n", "\n ", "\n1:", "\\n", "%41", "\\u0041", "&amp;", "\\", "'",
    "postgres", "c3Rl",
)  # fmt: skip


def effort(secrets: Secrets, text: str) -> float:
    """Of this thread alone, the least of three: what others run meanwhile is not counted."""
    spent = []
    for _ in range(3):
        began = time.thread_time()
        secrets.mask(text)
        spent.append(time.thread_time() - began)
    return min(spent)


@pytest.mark.parametrize("fragment", FRAGMENTS, ids=repr)
def test_a_text_twelve_times_as_long_takes_no_square_of_that(fragment: str) -> None:
    """A square would be 144 times as much."""
    secrets = knowing(SECRET, "postgres", "it's 9")
    little = fragment * (8_000 // len(fragment))
    assert effort(secrets, little * 12) < 50 * max(effort(secrets, little), 0.0002)


MENTIONED = [
    f'import re\nX = re.compile("{HEAD}")\ndef important():\n    return 42\n',
    f'starts = text.startswith("{HEAD}\\n") and text.endswith("{TAIL}")',
    f"it stands between {HEAD} and {TAIL}.",
    f"{HEAD}\nThis text explains what stands there.\n",
    f"{HEAD}\n...\n{TAIL}",
    f"{HEAD}\nabstract_base_class_of_every_widget_there_is_here(1)\n",
]


@pytest.mark.parametrize("text", MENTIONED)
def test_a_text_that_only_mentions_private_keys_stays(text: str) -> None:
    assert knowing().mask(text) == text


@pytest.mark.parametrize(
    "token",
    [
        "123456789:AAF" + "x" * 32,
        "sk-ant-api03-" + "a" * 40,
        "sk-proj-" + "bA3" * 10,
        "sk-1234567890abcdef1234567890abcdef",
        "sk-or-v1-" + "0123456789abcdef" * 4,
        "sk-svcacct-bA3_x-" + "bA3" * 6 + "_-4",
        "sk-aB3-x9Qr7LmN2pZ_tYw6k",
        "ghp_" + "c" * 36,
        "github_pat_" + "d1" * 20,
        "xoxb-1234567890-abcdefghij",
        "AKIA" + "A" * 16,
        "MTk4NjIyNDgzNDcxOTI1MjQ4" + ".abcdef." + "f" * 27,
    ],
)
@pytest.mark.parametrize("before", ["see ", "x\n", '{"a": "x\\n', "KEY=", "https://api/bot"])
def test_what_looks_like_a_token_is_struck_out_though_nobody_knows_it(token: str, before: str) -> None:
    if not (before.endswith("bot") and token[:1] in "sM"):  # whose shapes would be found in words
        assert knowing().mask(f"{before}{token}") == f"{before}{STRUCK}"


@pytest.mark.parametrize(
    "plain",
    [
        "disk usage: 12345678:00", "a sk-ip of words", "10.0.0.1:8080", "https://example.org/a.b.c", "AKIA is a name",
        "-----BEGIN CERTIFICATE-----\nMIIE", "", "xoxo-love", "ghp_short", "0" * 40,
        "sk-learn-contrib-categorical-encoding", "pip install sk-learn-v2-contrib-categorical-encoding",
        "task-Runner-with-1-very-long-name-in-it", "github_pat_token_from_the_environment", "xoxb-and-other-prefixes",
        "MicrosoftExtensionsHosting.Common.BackgroundServiceExceptionBehaviour",
        "risk-Assessment-2024-of-the-committee",
        "sk-Button-Primary-Large-v2-active-Hover", "sk-learn-1-Foo-bar-baz-qux-quux-2024-edition",
        "NotificationsControllerV2x.create.thisIsALongMethodNameInRuby",
        "OrganizationServiceTest1234.should.returnTheOrganizationById1",
    ],
)  # fmt: skip
def test_ordinary_words_stay(plain: str) -> None:
    assert knowing("a-secret-value").mask(plain) == plain


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        ("postgres", "pip install postgres-driver; cd /var/lib/postgresql; docker run my_postgres; postgres://db"),
        ("postgres", "/usr/lib/postgres/bin postgres.service postgres_data PostgresClient"),
        ("secret", "a secretary, secrets, k8s/secret.yaml"),
        ("123456", "id 91234567, 0.123456, 2024-123456, /var/123456/x"),
        ("20260101120000", "id 1202601011200009"),
        ("hunter2", "hunter22, xhunter2"),
    ],
)
def test_a_value_that_is_a_word_or_a_number_strikes_nothing_that_it_is_a_part_of(value: str, plain: str) -> None:
    secrets = knowing(value)
    assert secrets.mask(plain) == plain
    for said in (f"password={value}", f"'{value}'", f"app:{value}@db", f"it is {value}.", f"A: {value}, B", value):
        assert secrets.mask(said) == said.replace(value, STRUCK)


def test_short_values_blot_out_nothing_and_a_dropped_one_is_no_secret_any_more() -> None:
    secrets = knowing("abc", "longer-secret")
    assert secrets.mask("abc longer-secret") == f"abc {STRUCK}"
    secrets.hold("test", ["another-one"])
    assert secrets.mask("longer-secret another-one") == f"{STRUCK} {STRUCK}"
    secrets.drop("test")
    assert secrets.mask("longer-secret") == "longer-secret"


def test_values_and_keys_are_masked_however_deep() -> None:
    found = knowing("hunter-two").mask_all({"a": ["hunter-two", 1, None, {"hunter-two": ("x", True)}]})
    assert found == {"a": [STRUCK, 1, None, {STRUCK: ["x", True]}]}
    token = "sk-proj-" + "bA3" * 10
    assert knowing("hunter2").mask_all([f"a\n{token}\nhunter2"]) == [f"a\n{STRUCK}\n{STRUCK}"]


def test_a_value_is_a_secret_as_long_as_anybody_holds_it_however_often_it_was_held() -> None:
    secrets = knowing("alpha-and-omega")
    for values in ((), ("alpha-and-omega",)):
        secrets.hold("test", values)
        assert secrets.mask("alpha-and-omega") == STRUCK
    secrets.hold("other", ["alpha-and-omega"])
    secrets.drop("test")
    assert secrets.mask("alpha-and-omega") == STRUCK
    secrets.drop("other")
    assert secrets.mask("alpha-and-omega") == "alpha-and-omega"


def test_an_environment_holds_secrets_by_their_names() -> None:
    place = "/home/me/.ssh/id_ed25519"
    assert ambient({"GH_TOKEN": "g" * 20, "HOME": "h" * 20, "SSH_KEY": place, "X_PASSWORD": "short"}) == {"g" * 20}


# ── the log ──────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def log() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(Masking(knowing("hunter-two-2")))
    logger = logging.getLogger("openclaw.test-secrecy")
    logger.addHandler(handler)
    logger.propagate = False
    yield logger, stream
    logger.removeHandler(handler)
    logger.propagate = True


def test_a_log_line_its_arguments_and_its_traceback_hold_no_secret(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, stream = log
    logger.error("calling %s with %r", "https://api/bothunter-two-2/getMe", {"token": "hunter-two-2"})
    try:
        try:
            raise ValueError("url https://api/hunter-two-2")
        except ValueError as inner:
            raise RuntimeError("while hunter-two-2") from inner
    except RuntimeError:
        logger.exception("it failed")
    logger.error("broken %d", "hunter-two-2")
    said = stream.getvalue()
    assert "hunter" not in said
    assert said.count(STRUCK) >= 5 and "ValueError" in said and "it failed" in said


# ── the whole runtime ────────────────────────────────────────────────────────────────────────────

VALUES = {
    "COUNT_KEY": "count-key-9f8e7d6c5b4a",
    "MODEL_KEY": "model-key-0a1b2c3d4e5f",
    "SHOP_TOKEN": "shop-token-" + "7" * 30,
    "STRAY_TOKEN": "stray-token-of-the-environment",
}
TOOLS = """\
tools:
  env_dump:
    description: Writes its environment
    shell: sh dump.sh
  leak: {python: "leaky:leak", with: {key: "${COUNT_KEY}"}}
  fail: {python: "leaky:fail", with: {key: "${COUNT_KEY}"}}
policies:
  works:
    default: ask
    rules: [{allow: [leak, fail, read_file, list_files]}]
"""
LEAKY = '''\
import base64
import logging

import openclaw


@openclaw.tool
def leak(key: str) -> str:
    """Says its key in every way."""
    logging.getLogger("leaky").error("the key is %s", key)
    return f"{key} {base64.b64encode(('user:' + key).encode()).decode()} ghp_{'a' * 36}"


@openclaw.tool
def fail(key: str) -> str:
    """Fails with its key."""
    raise RuntimeError(f"https://service/{key}/x answered 500")
'''
MODELS = 'default: smart\nmodels: {{smart: {{id: claude-sonnet-5-5, base_url: "{url}", api_key: "${{MODEL_KEY}}"}}}}\n'
CHANNELS = """\
channels:
  http:
    kind: http
    port: 0
    token: operator-token-0123456789
    tokens: {shop: {secret: "${SHOP_TOKEN}", senders: declared, scopes: [chat]}}
"""


@pytest.fixture
def model() -> Iterator[MessagesServer]:
    with MessagesServer(key=VALUES["MODEL_KEY"]) as server:
        yield server


def everything(folder: Path) -> Iterator[tuple[Path, bytes]]:
    for path in folder.rglob("*"):
        if path.is_file() and "last-good" not in path.parts:
            yield path, path.read_bytes()


def test_no_value_of_any_secret_leaves_the_whole_runtime(
    tmp_path: Path, model: MessagesServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name, value in VALUES.items():
        monkeypatch.setenv(name, value)
    agent = AGENT.replace("[list_files, add]", "[list_files, leak, fail, env_dump, read_file]")
    files = {"agents/main.yaml": agent, "tools.yaml": TOOLS, "leaky.py": LEAKY, "channels.yaml": CHANNELS}
    files["models.yaml"] = MODELS.format(url=model.url)
    root, state = project(tmp_path / "project", model.url, files=files), tmp_path / "state"
    (state / "workspace").mkdir(parents=True, mode=0o700)
    (state / "workspace/dump.sh").write_text("env > environment.txt\n")
    (state / "workspace/notes.txt").write_text(f"a note with {VALUES['MODEL_KEY']} in it")
    model.say(Reply(tool("leak"), tool("fail"), tool("read_file", path="notes.txt"), tool("env_dump")), text("done"))
    model.say(HttpError(400, message=f"the key {VALUES['MODEL_KEY']} is not liked"))
    seen: list[str] = []

    async def scene(app: App, operator: Program) -> None:
        answer = await operator.say(f"go on with {VALUES['COUNT_KEY']}", session="s")
        assert answer.status_code == 202, answer.text
        pending = (await operator.http.get("/api/approvals")).text
        [approval] = json.loads(pending)["pending"]
        said = await operator.http.post(f"/api/approvals/{approval['id']}", json={"decision": "allow-once"})
        await until(lambda: not app.sessions.running(), "the end of the turn")
        told = await operator.http.get(f"/api/messages/{answer.json()['id']}")
        again = await operator.say("again", session="s")
        [session] = (await operator.http.get("/api/sessions")).json()["sessions"]
        entries = json.dumps(await operator.entries(session["key"]))
        seen.extend([answer.text, pending, said.text, told.text, again.text, entries])

    async def whole() -> None:
        async with lived(root, state) as (app, operator):
            await asyncio.wait_for(scene(app, operator), 40)

    asyncio.run(whole())
    texts = {"answers": "\n".join(seen), "log": caplog.text, "audit": json.dumps(list(audit.records(state / "logs")))}
    texts |= {path.name: content.decode("utf-8", "replace") for path, content in everything(state / "sessions")}
    texts["log's file"] = (state / "logs" / logbook.NAME).read_text("utf-8")
    texts["requests"] = json.dumps([request.body for request in model.requests])
    texts["environment"] = (state / "workspace/environment.txt").read_text()
    assert all(texts.values()) and "PATH=" in texts["environment"]
    for place, said in texts.items():
        for name, value in VALUES.items():
            assert value not in said, f"{name} is in the {place}"
            assert base64.b64encode(value.encode()).decode()[:-4] not in said, f"{name} is in the {place}, encoded"
    assert STRUCK in texts["requests"] and STRUCK in texts["log"]


# ── what was struck out is not written back ──────────────────────────────────────────────────────

SETTINGS = "# settings ***\nhost = localhost\npassword = hunter-2-hunter\nport = 80\n"
SEEN = SETTINGS.replace("hunter-2-hunter", STRUCK)


@pytest.fixture
def held() -> Iterator[None]:
    SECRETS.hold(SETTINGS, ["hunter-2-hunter"])
    yield
    SECRETS.drop(SETTINGS)


def on_files(workspace: Path, name: str, **input: Any) -> ToolResult:
    tools = Files({}, Place("/nonexistent", "/nonexistent"), SystemClock())
    return asyncio.run(tools.run(name, {"path": "app.ini", **input}, Call("main", "s", "repl:local", workspace, "c")))


@pytest.mark.parametrize(
    ("name", "input"),
    [
        ("write_file", {"content": SEEN.replace("80", "81")}),
        ("edit_file", {"old": "port = 80", "new": "port = 80\npassword = ***"}),
        ("edit_file", {"old": "password = ***\nport = 80", "new": "port = 81"}),
    ],
)
@pytest.mark.usefixtures("held")
def test_a_secret_in_a_file_is_not_replaced_by_what_stands_for_it(
    tmp_path: Path, name: str, input: dict[str, str]
) -> None:
    (tmp_path / "app.ini").write_text(SETTINGS)
    refused = on_files(tmp_path, name, **input)
    assert refused.is_error and "holds a secret" in refused.text and "with edit_file" in refused.text
    assert (tmp_path / "app.ini").read_text() == SETTINGS


@pytest.mark.usefixtures("held")
def test_what_does_not_touch_a_secret_is_written(tmp_path: Path) -> None:
    (tmp_path / "app.ini").write_text(SETTINGS)
    edits = [("port = 80", "port = 81"), ("# settings ***", "# settings *** of ours"), ("of ours", "of all")]
    for old, new in edits:
        assert not on_files(tmp_path, "edit_file", old=old, new=new).is_error
    assert "password = hunter-2-hunter\nport = 81" in (tmp_path / "app.ini").read_text()
    assert not on_files(tmp_path, "write_file", content="a new one\n").is_error
    assert not on_files(tmp_path, "write_file", content="a line\n***\nanother").is_error
    assert not on_files(tmp_path, "edit_file", old="a line", new="***").is_error
    assert not on_files(tmp_path, "write_file", path="new.ini", content=SEEN).is_error


EXAMPLE = "see AKIAIOSFODNN7EXAMPLE in the documents\n"
KEY_FILE = f"{KEYS['plain']}\n"


@pytest.mark.parametrize(
    ("text", "content"),
    [
        (EXAMPLE, "# Notes\n\n***\n\nThis is ***important***.\n"),
        (EXAMPLE, EXAMPLE + "\n***\n\nThis is ***important***.\n"),
        (EXAMPLE, "# Notes\n\nthe key is in ***bold italic*** letters\n"),
        (f"a ***\nb\n{EXAMPLE}", "a ***\nb\nwithout an example\n"),
        (KEY_FILE, "# Notes\n\n***\n\nmore\n"),
    ],
)
def test_asterisks_that_stand_for_themselves_are_written(tmp_path: Path, text: str, content: str) -> None:
    (tmp_path / "app.ini").write_text(text)
    written = on_files(tmp_path, "write_file", content=content)
    assert not written.is_error, written.text


@pytest.mark.parametrize(
    ("text", "content"),
    [
        (EXAMPLE, "# Notes\nsee *** in other documents\n"),
        (EXAMPLE, "Look at *** in the documents.\n"),
        (f"a: AKIAIOSFODNN7EXAMPLE\n{EXAMPLE}", '{"a": "***"}\n'),
        ("keys:\n- AKIAIOSFODNN7EXAMPLE\n", "all_keys:\n- ***\n- b\n"),
        ("a\nkey=AKIAIOSFODNN7EXAMPLE\nb\n", "a\nname: ***\nb\n"),
        ("a ***\n\nb: AKIAIOSFODNN7EXAMPLE\n", "a ***\n\nb: ***\n"),
        (KEY_FILE, "***\n"),
        (f"key: |\n  {KEY_FILE}end: 1\n", "key: |\n  ***\nend: 2\n"),
    ],
)
def test_asterisks_where_a_secret_stood_are_not_written(tmp_path: Path, text: str, content: str) -> None:
    (tmp_path / "app.ini").write_text(text)
    assert "holds a secret" in on_files(tmp_path, "write_file", content=content).text
    assert (tmp_path / "app.ini").read_text() == text


def test_an_edit_writes_asterisks_into_a_file_with_a_secret_where_they_stand_for_themselves(tmp_path: Path) -> None:
    (tmp_path / "app.ini").write_text(f"{EXAMPLE}the end\n")
    assert not on_files(tmp_path, "edit_file", old="the end", new="***\n\nthe ***end***").is_error
    assert (tmp_path / "app.ini").read_text() == f"{EXAMPLE}***\n\nthe ***end***\n"
    assert "holds a secret" in on_files(tmp_path, "edit_file", old="AKIAIOSFODNN7EXAMPLE", new="***").text


@pytest.mark.usefixtures("held")
def test_a_model_is_told_that_something_was_struck_out(tmp_path: Path) -> None:
    counting = Counting(tmp_path, [Rule(Effect.ALLOW, ("pay", "read_file"))])
    counting.tools.says["read_file"] = ToolResult(SETTINGS)
    assert asyncio.run(counting.call("read_file", path="app.ini")).text == f"{SEEN}\n{NOTE}"
    assert asyncio.run(counting.call("pay", to="ana")).text == "pay ran"
    checked = asyncio.run(counting.calls().check(ToolCall("c", "read_file", {"path": "app.ini"})))
    assert checked.text == SEEN


@pytest.mark.usefixtures("held")
@pytest.mark.parametrize("at", [150, 190, 290, 299, 9_990, 9_999, 15_690])
def test_no_cut_leaves_half_of_a_secret(tmp_path: Path, at: int) -> None:
    """Lines for people are cut, the audit's arguments, results and the lines of files; each only after the striking."""
    long = "x." * (at // 2) + "hunter-2-hunter" + "." * 30_000
    counting = Counting(tmp_path, [Rule(Effect.ALLOW, ("pay", "read_file"))])
    (tmp_path / "app.ini").write_text(long)
    call = Call("main", "s", "telegram:1", tmp_path, "c")
    counting.tools.says["pay"] = output.result(long, call)
    counting.tools.says["read_file"] = on_files(tmp_path, "read_file")
    said = [asyncio.run(counting.call("pay", to=long)).text, asyncio.run(counting.call("read_file", path="x")).text]
    asyncio.run(counting.call("pay", to=[long]))
    shown = json.dumps(
        [said, counting.lines, [event.line for event in counting.told if isinstance(event, ToolStarted)]]
    )
    assert "hunt" not in shown and STRUCK in shown


def test_a_card_shows_no_secret_that_is_escaped_or_stands_on_several_lines(tmp_path: Path) -> None:
    lines = "first-line-of-it\nsecond-line-of-it\n"
    SECRETS.hold(LINE, [lines, "pass\\wörd-€-0123"])
    try:
        counting = Counting(tmp_path)

        async def play() -> str:
            calling = await counting.asked("pay", to=f"a\n{lines}b pass\\wörd-€-0123\n{KEYS['plain']}")
            [one] = counting.approvals.pending()
            counting.approvals.cancel(reason="enough")
            await calling
            calling = await counting.asked("run_command", command="touch 'pass\\wörd-€-0123'")
            [two] = counting.approvals.pending()
            counting.approvals.cancel(reason="enough")
            await calling
            return "\n".join((*one.lines, *two.lines))

        shown = asyncio.run(play())
    finally:
        SECRETS.drop(LINE)
    assert shown.count(STRUCK) == 4
    assert all(part not in shown for part in ("line-of-it", "pass", "0123", LINE[:20]))
