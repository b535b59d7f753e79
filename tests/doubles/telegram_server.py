"""A strict double of the Telegram Bot API: a real server on a real socket, in a thread of its own.

    with TelegramServer() as server:
        server.say("hello", by=7)
        ... a bot with base_url=server.url + "/bot" and base_file_url=server.url + "/file/bot" ...
        assert [message["text"] for message in server.sent(7)] == ["hi"]

What people do is in telegram_people.py, what the service refuses in telegram_rules.py. `calls` holds every call
with its parameters, its time and the status of its answer; `sent` is what the bot wrote to a chat, as it stands
there now. A second poller ends the first one's poll with 409. On demand:

    revoke()                  the token is refused with 401 from now on; running polls end
    cut() and mend()          the network is gone: connections are cut, new ones end at once
    flood(chat, seconds)      the next message to this chat is refused with 429
    fail(method, status)      the next call of this method, `after` so many, is refused so; 0 cuts the connection
    hold(method)              calls of this method wait until `release(method)`; so do downloads of the path it names

Thread-safe for the test that scripts it, also from a loop. Updates go to a webhook by `await deliver()`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote

import httpx2

from doubles import telegram_rules as rules
from doubles.listening import listening
from doubles.telegram_people import BOT_ID, Chat, People, Update
from doubles.telegram_rules import Refusal, Upload, bad

TOKEN = f"{BOT_ID}:AAEdoubleTokenOfTheBotApi00000000000"
_NOT_SENDING = frozenset({"sendChatAction", "sendMessageDraft"})


@dataclass(slots=True)
class Called:
    method: str
    given: Mapping[str, Any]
    at: float  # monotonic
    status: int = 0  # of the answer; 0 while there is none


class TelegramServer(People):
    def __init__(self, *, port: int = 0, token: str = TOKEN, first_update: int = 700_000) -> None:
        super().__init__(first_update, int(token.partition(":")[0]))
        self.token = token
        self.calls: list[Called] = []
        self.webhook: Update = {"url": ""}
        self.commands: list[Update] = []
        self.actions: list[tuple[int, str]] = []
        self.drafts: list[tuple[int, int, str]] = []  # chat, draft, text
        self.uploads: list[tuple[int, Upload, str]] = []  # chat, file, caption
        self.alerts: dict[str, tuple[str, bool]] = {}  # query -> text, whether it is shown as an alert
        self._port = port
        self._valid, self._cut = True, False
        self._floods: dict[int, deque[int]] = {}
        self._failures: dict[str, deque[int | None]] = {}
        self._held: dict[str, threading.Event] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._poll: asyncio.Future[Refusal] | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    # ── what a test looks at ─────────────────────────────────────────────────────────────────────

    def sent(self, chat: int) -> list[Update]:
        """What the bot wrote to a chat, oldest first, as it stands there now."""
        with self._lock:
            kept = list(self.chats[chat].messages.values()) if chat in self.chats else []
        return [message for message in kept if message.get("from", {}).get("id") == self.bot]

    def texts(self, chat: int) -> list[str]:
        return [message.get("text", "") for message in self.sent(chat)]

    def called(self, method: str, status: int | None = None) -> list[Called]:
        with self._lock:
            return [one for one in self.calls if one.method == method and status in (None, one.status)]

    # ── what a test makes happen ─────────────────────────────────────────────────────────────────

    def revoke(self) -> None:
        self._valid = False
        self._end_poll(Refusal(401, "Unauthorized"))

    def cut(self) -> None:
        self._cut = True
        self._soon(lambda: [task.cancel() for task in self._connections])

    def mend(self) -> None:
        self._cut = False

    def flood(self, chat: int, seconds: int, times: int = 1) -> None:
        self._floods.setdefault(chat, deque()).extend([seconds] * times)

    def fail(self, method: str, status: int, times: int = 1, after: int = 0) -> None:
        self._failures.setdefault(method, deque()).extend([None] * after + [status] * times)

    def hold(self, method: str) -> None:
        with self._lock:
            self._held[method] = threading.Event()

    def release(self, method: str) -> None:
        self._held.pop(method).set()

    async def deliver(self, url: str = "", **headers: str) -> list[int]:
        """Posts what waits to the webhook, in order; the statuses. What is not taken with a 2xx stays waiting."""
        sent = {"X-Telegram-Bot-Api-Secret-Token": self.webhook.get("secret_token", ""), **headers}
        statuses = []
        async with httpx2.AsyncClient(trust_env=False, verify=False, timeout=10) as http:
            for update in list(self._updates):
                answer = await http.post(url or self.webhook["url"], json=update, headers=sent)
                statuses.append(answer.status_code)
                if not answer.is_success:
                    break
                with self._lock:
                    self._updates.remove(update)
        return statuses

    # ── its life ─────────────────────────────────────────────────────────────────────────────────

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(10):
            raise RuntimeError("the double did not start")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._soon(lambda: self._stopping.set())
        self._thread.join(10)

    def woken(self) -> None:
        self._soon(lambda: self._changed.set())

    def _soon(self, act: Callable[[], Any]) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(act)

    async def _serve(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        self._changed = asyncio.Event()
        self._connections: set[asyncio.Task[None]] = set()
        async with listening(self._accept, port=self._port, backlog=512) as self._port:
            self._ready.set()
            await self._stopping.wait()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while not self._cut and await self._exchange(reader, writer):
                pass

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        target = head[0].split(" ")[1]
        if target.startswith("/file/bot"):
            return await self._download(writer, target)
        token, _, method = target.removeprefix("/bot").partition("/")
        called = Called(method, {}, time.monotonic())
        answering = asyncio.ensure_future(self._answer(called, token, headers.get("content-type", ""), body))
        leaving = asyncio.ensure_future(_left(reader))
        try:
            await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not answering.done() or (found := answering.result()) is None:
                return False
            called.status = found[0]
            return await _write(writer, found[0], json.dumps(found[1]).encode())
        finally:
            for task in (answering, leaving):
                task.cancel()
            await asyncio.gather(answering, leaving, return_exceptions=True)

    async def _answer(self, called: Called, token: str, kind: str, body: bytes) -> tuple[int, Update] | None:
        """Status and body; None cuts the connection."""
        try:
            called.given, files = rules.fields(kind, body)
            with self._lock:
                self.calls.append(called)
                held = called.method in self._held  # of a call that was seen before, nothing is held any more
            if held:
                await self._wait_held(called.method)
            if (status := self._failure(called.method)) is not None:
                if status == 0:
                    return None
                raise Refusal(status, "the double was told to fail", {"retry_after": 1} if status == 429 else {})
            if token != self.token or not self._valid:
                raise Refusal(401, "Unauthorized")
            method = getattr(self, f"_on_{called.method}", None)
            if method is None:
                raise Refusal(404, "Not Found")
            self._flooded(called)
            if called.method == "getUpdates":
                return 200, {"ok": True, "result": await self._get_updates(called.given)}
            with self._lock:
                return 200, {"ok": True, "result": method(called.given, files)}
        except Refusal as refusal:
            return refusal.status, refusal.body

    async def _wait_held(self, method: str) -> None:
        while method in self._held:  # noqa: ASYNC110 - it is let go from another thread
            await asyncio.sleep(0.005)

    def _flooded(self, called: Called) -> None:
        waiting = self._floods.get(called.given.get("chat_id", 0))
        if waiting and called.method not in _NOT_SENDING:
            seconds = waiting.popleft()
            raise Refusal(429, f"Too Many Requests: retry after {seconds}", {"retry_after": seconds})

    def _failure(self, method: str) -> int | None:
        waiting = self._failures.get(method)
        return waiting.popleft() if waiting else None

    # ── updates ──────────────────────────────────────────────────────────────────────────────────

    def _on_getUpdates(self, given: Update, files: Any) -> None:
        raise AssertionError("it waits, so it is called in another way")

    async def _get_updates(self, given: Mapping[str, Any]) -> list[Update]:
        if self.webhook["url"]:
            raise Refusal(409, "Conflict: can't use getUpdates method while webhook is active")
        self._end_poll(Refusal(409, "Conflict: terminated by other getUpdates request"))
        self._poll = poll = asyncio.get_running_loop().create_future()
        try:
            return await self._polled(given, poll)
        finally:
            if self._poll is poll:
                self._poll = None

    async def _polled(self, given: Mapping[str, Any], ended: asyncio.Future[Refusal]) -> list[Update]:
        if "allowed_updates" in given:
            self.allowed = frozenset(given["allowed_updates"]) or None
        self._confirm(given.get("offset", 0))
        end = time.monotonic() + given.get("timeout", 0)
        while not (found := self._batch(given.get("limit", 100))) and time.monotonic() < end:
            self._changed.clear()
            changed: asyncio.Future[Any] = asyncio.ensure_future(self._changed.wait())
            await asyncio.wait({changed, ended}, timeout=end - time.monotonic(), return_when=asyncio.FIRST_COMPLETED)
            changed.cancel()
            if ended.done():
                raise ended.result()
        return found

    def _batch(self, limit: int) -> list[Update]:
        with self._lock:
            return list(self._updates[: max(1, min(limit, 100))])

    def _confirm(self, offset: int) -> None:
        with self._lock:
            if offset < 0:
                self._updates = self._updates[offset:]
            else:
                self._updates = [one for one in self._updates if one["update_id"] >= offset]

    def _end_poll(self, why: Refusal) -> None:
        def end() -> None:
            if self._poll is not None and not self._poll.done():
                self._poll.set_result(why)

        if threading.current_thread() is self._thread:
            end()
        else:
            self._soon(end)

    def _on_setWebhook(self, given: Update, files: Any) -> bool:
        if not given.get("url", "").startswith(("https://", "http://127.0.0.1")):
            raise bad("bad webhook: an HTTPS URL must be provided for webhook")
        self.webhook = {"url": given["url"], "secret_token": rules.secret(given.get("secret_token"))}
        if "allowed_updates" in given:
            self.allowed = frozenset(given["allowed_updates"]) or None
        return True

    def _on_deleteWebhook(self, given: Update, files: Any) -> bool:
        self.webhook = {"url": ""}
        if given.get("drop_pending_updates") == "true":
            self._updates.clear()
        return True

    def _on_getWebhookInfo(self, given: Update, files: Any) -> Update:
        waiting = len(self._updates)
        told = {name: self.webhook[name] for name in ("last_error_date", "last_error_message") if name in self.webhook}
        return {
            "url": self.webhook["url"],
            "has_custom_certificate": False,
            "pending_update_count": waiting,
            **told,
        }

    # ── messages ─────────────────────────────────────────────────────────────────────────────────

    def _place(self, given: Mapping[str, Any]) -> Chat:
        """The chat that a call is about, if the bot may write there now."""
        chat = self.chats.get(given.get("chat_id", 0))
        if chat is None:
            raise bad("chat not found")
        if chat.moved is not None:
            told = {"migrate_to_chat_id": chat.moved}
            raise Refusal(400, "Bad Request: group chat was upgraded to a supergroup chat", told)
        if chat.blocked:
            raise Refusal(403, "Forbidden: bot was blocked by the user")
        thread = given.get("message_thread_id")
        if thread is not None and thread not in chat.topics:
            raise bad("message thread not found")
        return chat

    def _new(self, given: Mapping[str, Any], content: Mapping[str, Any]) -> Update:
        chat = self._place(given)
        body: Update = {"from": self.me(), **content}
        if (thread := given.get("message_thread_id")) is not None:
            body["message_thread_id"] = thread
        if answered := given.get("reply_parameters"):
            if answered["message_id"] in chat.messages:
                body["reply_to_message"] = chat.messages[answered["message_id"]]
            elif not answered.get("allow_sending_without_reply"):
                raise bad("message to be replied not found")
        if markup := rules.keyboard(given.get("reply_markup")):
            body["reply_markup"] = markup
        return self.keep(chat, body)

    def _on_sendMessage(self, given: Update, files: Any) -> Update:
        text, entities = rules.words(given)
        return self._new(given, {"text": text, **({"entities": entities} if entities else {})})

    def _on_sendDocument(self, given: Update, files: Mapping[str, Upload]) -> Update:
        caption, _ = rules.words(given, "caption", rules.LONGEST_CAPTION)
        if "document" not in files or not files["document"].content:
            raise bad("file must be non-empty")
        told = self.file(files["document"].content, f"documents/{files['document'].name}")
        message = self._new(given, {"document": {**told, "file_name": files["document"].name}, "caption": caption})
        self.uploads.append((given["chat_id"], files["document"], caption))
        return message

    def _on_editMessageText(self, given: Update, files: Any) -> Update:
        chat = self._place(given)
        message = chat.messages.get(given.get("message_id", 0))
        if message is None or message.get("from", {}).get("id") != self.bot:
            raise bad("message to edit not found" if message is None else "message can't be edited")
        text, entities = rules.words(given)
        markup = rules.keyboard(given.get("reply_markup"))
        now = {"text": text, "entities": entities, "reply_markup": markup}
        if {name: message.get(name) or None for name in now} == {name: value or None for name, value in now.items()}:
            raise bad("message is not modified: specified new message content and reply markup are exactly the same")
        kept = {name: value for name, value in message.items() if name not in now}
        chat.messages[given["message_id"]] = {**kept, **{name: value for name, value in now.items() if value}}
        return chat.messages[given["message_id"]]

    def _on_editMessageReplyMarkup(self, given: Update, files: Any) -> Update:
        chat = self._place(given)
        message = chat.messages.get(given.get("message_id", 0))
        if message is None or message.get("from", {}).get("id") != self.bot:
            raise bad("message to edit not found" if message is None else "message can't be edited")
        markup = rules.keyboard(given.get("reply_markup"))
        if markup == message.get("reply_markup"):
            raise bad("message is not modified: specified new message content and reply markup are exactly the same")
        message = {name: value for name, value in message.items() if name != "reply_markup"}
        chat.messages[given["message_id"]] = {**message, **({"reply_markup": markup} if markup else {})}
        return chat.messages[given["message_id"]]

    def _on_deleteMessage(self, given: Update, files: Any) -> bool:
        if self._place(given).messages.pop(given.get("message_id", 0), None) is None:
            raise bad("message to delete not found")
        return True

    def _on_sendMessageDraft(self, given: Update, files: Any) -> bool:
        if self._place(given).type != "private":
            raise bad("TEXTDRAFT_PEER_INVALID")
        if not given.get("draft_id"):
            raise bad("TEXTDRAFT_ID_INVALID")
        text = rules.words(given)[0] if given.get("text", "").strip() else ""
        self.drafts.append((given["chat_id"], given["draft_id"], text))
        return True

    def _on_sendChatAction(self, given: Update, files: Any) -> bool:
        if given.get("action") not in ("typing", "upload_document", "upload_photo"):
            raise bad("wrong parameter action in request")
        self.actions.append((self._place(given).id, given["action"]))
        return True

    def _on_answerCallbackQuery(self, given: Update, files: Any) -> bool:
        id = given.get("callback_query_id", "")
        if self.queries.get(id, True):
            raise bad("query is too old and response timeout expired or query ID is invalid")
        if rules.units(given.get("text", "")) > 200:
            raise bad("MESSAGE_TOO_LONG")
        self.queries[id] = True
        self.alerts[id] = (given.get("text", ""), given.get("show_alert") == "true")
        return True

    # ── the bot itself, and files ────────────────────────────────────────────────────────────────

    def _on_getMe(self, given: Update, files: Any) -> Update:
        able = {"can_join_groups": True, "can_read_all_group_messages": False, "supports_inline_queries": False}
        return {**self.me(), **able}

    def _on_setMyCommands(self, given: Update, files: Any) -> bool:
        self.commands = rules.commands(given.get("commands"))
        return True

    def _on_getMyCommands(self, given: Update, files: Any) -> list[Update]:
        return self.commands

    def _on_getFile(self, given: Update, files: Any) -> Update:
        path, _, size = self.find_file(given.get("file_id", ""))
        id = given["file_id"]
        return {"file_id": id, "file_unique_id": f"unique-{id}", "file_size": size, "file_path": path}

    async def _download(self, writer: asyncio.StreamWriter, target: str) -> bool:
        token, _, path = unquote(target).removeprefix("/file/bot").partition("/")
        if token != self.token or not self._valid:
            return await _write(writer, 401, json.dumps(Refusal(401, "Unauthorized").body).encode())
        await self._wait_held(path)
        if (status := self._failure("download")) is not None:
            return status != 0 and await _write(writer, status, b"{}")
        found = [content for known, content, _ in self.files.values() if known == path]
        return await _write(writer, 200 if found else 404, found[0] if found else b"{}")


async def _write(writer: asyncio.StreamWriter, status: int, body: bytes) -> bool:
    head = f"HTTP/1.1 {status} Whatever\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()
    return True


async def _left(reader: asyncio.StreamReader) -> None:
    """Returns when the client has closed; reads nothing, for its next request may be on the way."""
    while not reader.at_eof():  # noqa: ASYNC110 - a StreamReader has no event for its end
        await asyncio.sleep(0.01)
