"""Secrets: no value of any leaves in a log, a transcript, an error, a card, an audit line or a child's environment."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doubles.house import AGENT, Program, lived, project, until
from doubles.messages_server import HttpError, MessagesServer, Reply, text, tool
from openclaw import audit
from openclaw.app import App
from openclaw.secrecy import SHORTEST, STRUCK, Masking, Secrets, ambient

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
    ],
)
def test_a_secret_is_struck_out_in_every_form(form: str) -> None:
    masked = knowing(SECRET).mask(f"before {form} after")
    assert STRUCK in masked and masked.startswith("before ") and masked.endswith(" after")
    assert form not in masked


@given(st.text(min_size=SHORTEST, max_size=60), st.binary(max_size=20), st.binary(max_size=20))
def test_no_form_of_any_secret_is_left(secret: str, before: bytes, after: bytes) -> None:
    secret = secret.encode("utf-8", "replace").decode()
    secrets = knowing(secret)
    if len(secret) < SHORTEST:
        return
    said = f"{secret} {quote(secret, safe='')} {json.dumps(secret)}"
    left = secrets.mask(said)
    assert secret not in left or secret in STRUCK * 3
    encoded = base64.b64encode(before + secret.encode() + after).decode()
    if len(secret.encode()) >= 9:
        assert STRUCK in secrets.mask(encoded)


@pytest.mark.parametrize(
    "token",
    [
        "123456789:AAF" + "x" * 32,
        "sk-ant-api03-" + "a" * 40,
        "sk-proj-" + "b" * 30,
        "ghp_" + "c" * 36,
        "github_pat_" + "d" * 40,
        "xoxb-1234567890-abcdefghij",
        "AKIA" + "A" * 16,
        "M" + "e" * 23 + ".abcdef." + "f" * 27,
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nMIIE",
    ],
)
def test_what_looks_like_a_token_is_struck_out_though_nobody_knows_it(token: str) -> None:
    assert knowing().mask(f"see {token}") == f"see {STRUCK}"


@pytest.mark.parametrize(
    "plain",
    [
        "disk usage: 12345678:00", "a sk-ip of words", "10.0.0.1:8080", "https://example.org/a.b.c", "AKIA is a name",
        "-----BEGIN CERTIFICATE-----\nMIIE", "", "xoxo-love", "ghp_short", "0" * 40,
    ],
)  # fmt: skip
def test_ordinary_words_stay(plain: str) -> None:
    assert knowing("a-secret-value").mask(plain) == plain


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


def test_an_environment_holds_secrets_by_their_names() -> None:
    place = "/home/me/.ssh/id_ed25519"
    assert ambient({"GH_TOKEN": "g" * 20, "HOME": "h" * 20, "SSH_KEY": place, "X_PASSWORD": "short"}) == {"g" * 20}


# ── the log ──────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def log() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(Masking(knowing("hunter-two")))
    logger = logging.getLogger("openclaw.test-secrecy")
    logger.addHandler(handler)
    logger.propagate = False
    yield logger, stream
    logger.removeHandler(handler)
    logger.propagate = True


def test_a_log_line_its_arguments_and_its_traceback_hold_no_secret(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, stream = log
    logger.error("calling %s with %r", "https://api/bothunter-two/getMe", {"token": "hunter-two"})
    try:
        try:
            raise ValueError("url https://api/hunter-two")
        except ValueError as inner:
            raise RuntimeError("while hunter-two") from inner
    except RuntimeError:
        logger.exception("it failed")
    logger.error("broken %d", "hunter-two")
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
    texts["requests"] = json.dumps([request.body for request in model.requests])
    texts["environment"] = (state / "workspace/environment.txt").read_text()
    assert all(texts.values()) and "PATH=" in texts["environment"]
    for place, said in texts.items():
        for name, value in VALUES.items():
            assert value not in said, f"{name} is in the {place}"
            assert base64.b64encode(value.encode()).decode()[:-4] not in said, f"{name} is in the {place}, encoded"
    assert STRUCK in texts["requests"] and STRUCK in texts["log"]
