"""`openclaw doctor --deep`: the models and chat services are asked, through the clients that the runtime uses."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from doubles.discord_server import DiscordServer
from doubles.house import MODELS, project
from doubles.messages_server import HttpError, MessagesServer
from doubles.telegram_server import TOKEN, TelegramServer
from openclaw.cli import _doctor_deep as deep
from openclaw.cli import main
from openclaw.cli._doctor_finding import Finding
from openclaw.cli._doctor_project import manifests
from openclaw.clock import SystemClock

CHANNELS = (
    "channels:\n"
    "  tele: {{kind: telegram, token: '{token}', groups: {groups}, api_base: '{telegram}'}}\n"
    "  disc: {{kind: discord, token: '{secret}', groups: {groups}, message_content: {content},\n"
    "         api_base: '{discord}'}}\n"
)


def whole(capsys: pytest.CaptureFixture[str], root: Path, state: Path) -> dict[str, Mapping[str, Any]]:
    main(["-C", str(root), "--state", str(state), "doctor", "--deep", "--json"])
    text = capsys.readouterr().out
    assert TOKEN not in text and "secret-of-the-bot" not in text
    return {finding["about"]: finding for finding in json.loads(text)["findings"]}


def asked(root: Path) -> dict[str, Finding]:
    """Only what is asked."""
    manifest, read = manifests(root)
    assert read is not None, manifest
    found = asyncio.run(deep.asked(read, SystemClock(), {}))
    assert TOKEN not in repr(found) and "secret-of-the-bot" not in repr(found) and "refused-key" not in repr(found)
    return {finding.about: finding for finding in found}


def test_models_and_bots_that_answer_are_in_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with MessagesServer() as model, TelegramServer() as telegram, DiscordServer() as discord:
        model.say("ready")
        channels = CHANNELS.format(
            token=TOKEN,
            telegram=telegram.url,
            secret=discord.token,
            discord=discord.api,
            groups="mention",
            content="true",
        )
        root = project(tmp_path / "p", model.url, files={"channels.yaml": channels})
        found = whole(capsys, root, tmp_path / "state")
        assert len(model.requests) == 1 and model.violations == []
        assert [call.method for call in telegram.calls] == ["getMe"]
        assert {call.method for call in discord.calls} == {"GET"}
    for about in ("model smart", "channel tele", "channel disc"):
        assert found[about]["state"] == "ok", found[about]
    assert "claude-sonnet-5-5 answered in" in found["model smart"]["found"]
    assert "takes the token: @" in found["channel tele"]["found"]
    assert "Discord takes the token: " in found["channel disc"]["found"]


def test_what_a_service_refuses_is_a_problem_with_its_cure(tmp_path: Path) -> None:
    with MessagesServer() as model, TelegramServer() as telegram, DiscordServer() as discord:
        model.say(HttpError(401, "authentication_error", "invalid x-api-key"))
        telegram.revoke()
        channels = CHANNELS.format(
            token=TOKEN,
            telegram=telegram.url,
            secret="MTA.old.one",
            discord=discord.api,
            groups="mention",
            content="false",
        )
        models = MODELS.format(url=model.url, key="refused-key-0123456789")
        root = project(tmp_path / "p", model.url, files={"channels.yaml": channels, "models.yaml": models})
        found = asked(root)
    for about in ("model smart", "channel tele", "channel disc"):
        assert found[about].state == "problem", found[about]
    assert "BotFather" in found["channel tele"].cure
    assert found["channel tele"].found == "Telegram refuses the token"
    assert found["channel disc"].found == "Discord refuses the token"
    assert found["model smart"].cure == "get a valid key, and set it where the old one is"


def test_a_bot_that_may_not_read_what_it_is_to_read_is_told(tmp_path: Path) -> None:
    with MessagesServer() as model, TelegramServer() as telegram, DiscordServer(message_content=False) as discord:
        model.say("ready")
        channels = CHANNELS.format(
            token=TOKEN, telegram=telegram.url, secret=discord.token, discord=discord.api, groups="all", content="true"
        )
        root = project(tmp_path / "p", model.url, files={"channels.yaml": channels})
        found = asked(root)
    assert found["channel tele"].state == "warning" and "setprivacy" in found["channel tele"].cure
    assert found["channel disc"].state == "problem" and "Message Content Intent" in found["channel disc"].cure


def test_services_that_are_away_are_told_as_that(tmp_path: Path) -> None:
    with TelegramServer() as telegram:
        gone = telegram.url
    channels = "channels: {tele: {kind: telegram, token: '" + TOKEN + "', api_base: '" + gone + "'}}\n"
    root = project(tmp_path / "p", gone, files={"channels.yaml": channels})
    found = asked(root)
    assert found["model smart"].state == found["channel tele"].state == "problem"
    assert "network" in found["model smart"].cure and "network" in found["channel tele"].cure


@contextmanager
def elsewhere(status: int, body: str) -> Iterator[str]:
    """What answers in place of every service: a proxy, or the page of a network where one signs in."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            self.send_header("Content-Type", "application/json" if body.startswith("[") else "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join(10)


def beside(tmp_path: Path, url: str, discord: str = "MTA.secret-of-the-bot.one") -> Path:
    channels = CHANNELS.format(
        token=TOKEN, telegram=url, secret=discord, discord=url, groups="mention", content="false"
    )
    return project(tmp_path / "p", url, files={"channels.yaml": channels})


@pytest.mark.parametrize(
    ("status", "body"), [(200, "<html>sign in</html>"), (200, "[]"), (404, "<html>not here</html>"), (401, "<html>")]
)
def test_what_answers_in_a_service_s_place_is_told_beside_all_the_rest(tmp_path: Path, status: int, body: str) -> None:
    with elsewhere(status, body) as url:
        found = asked(beside(tmp_path, url))
    assert {about: finding.state for about, finding in found.items()} == dict.fromkeys(
        ("model smart", "channel tele", "channel disc"), "problem"
    )
    assert "refuses the token" not in found["channel tele"].found + found["channel disc"].found
    assert "BotFather" not in found["channel tele"].cure and "Reset Token" not in found["channel disc"].cure
    assert "<html>" not in repr(found)


def test_a_token_with_the_end_of_a_line_is_called_that(tmp_path: Path) -> None:
    with elsewhere(200, "[]") as url:
        found = asked(beside(tmp_path, url, "secret-of-the-bot and more"))
    assert found["channel disc"].found == "its token holds a space or the end of a line"


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:9", "http://[::1"])
def test_a_proxy_that_no_client_can_use_is_named_and_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    channels = "channels: {tele: {kind: telegram, token: '" + TOKEN + "', api_base: 'https://127.0.0.1:9'}}\n"
    root = project(tmp_path / "p", "http://127.0.0.1:9", files={"channels.yaml": channels})
    found = asked(root)
    assert found["channel tele"].state == found["model smart"].state == "problem"
    assert "ALL_PROXY is set" in found["channel tele"].cure and "127.0.0.1" not in found["channel tele"].cure
