"""An editor without a screen: it opens manifests as a person does and asks the yaml-language-server, over its stdin.

Knows the Language Server Protocol as far as it is asked here. The server is what `install` puts into a folder outside
the repository; without Node or without a registry there is none, and `Missing` says so.
"""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from queue import Empty, Queue
from types import TracebackType
from typing import Any, TypeAlias

HERE = Path(__file__).parent
PATIENCE = 120.0  # seconds
Value: TypeAlias = Any


class Missing(Exception):
    """Why there is no language server here."""


def install(folder: Path) -> Path:
    """Installs what package.json pins; the program. Leaves no lock file."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        raise Missing("needs node and npm")
    shutil.copy(HERE / "package.json", folder)
    words = [npm, "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"]
    try:
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        raise Missing(f"npm gave no answer for {PATIENCE:.0f} s") from None
    program = folder / "node_modules" / "yaml-language-server" / "bin" / "yaml-language-server"
    if done.returncode or not program.is_file():
        raise Missing(f"npm could not install it: {done.stderr.strip().splitlines()[-1:]}")
    return program


class Editor:
    """One session. Positions are given as `line:column` of the text, 1-based, as diagnostics have them."""

    def __init__(self, program: Path, folder: Path) -> None:
        self.folder = folder
        self._ids = itertools.count(1)
        self._heard: Queue[dict[str, Value]] = Queue()
        self._told: dict[str, list[dict[str, Value]]] = {}  # diagnostics by address
        self._versions: dict[str, int] = {}
        self._process = subprocess.Popen(
            ["node", str(program), "--stdio"],
            cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        threading.Thread(target=self._listen, daemon=True).start()

    def __enter__(self) -> Editor:
        capable = {"textDocument": {"completion": {"completionItem": {"snippetSupport": False}}, "hover": {}}}
        root = self.folder.as_uri()
        folders = [{"uri": root, "name": "project"}]
        capable["workspace"] = {"configuration": True, "workspaceFolders": True}  # type: ignore[dict-item]
        self.ask("initialize", processId=None, rootUri=root, workspaceFolders=folders, capabilities=capable)
        self._say("initialized", {})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    # ── what a person does ───────────────────────────────────────────────────────────────────────

    def open(self, name: str, text: str) -> list[dict[str, Value]]:
        """Shows a text under this name, saved or not; what the server has to say of it."""
        uri = (self.folder / name).as_uri()
        version = self._versions[uri] = self._versions.get(uri, 0) + 1
        self._told.pop(uri, None)
        if version == 1:
            item = {"uri": uri, "languageId": "yaml", "version": version, "text": text}
            self._say("textDocument/didOpen", {"textDocument": item})
        else:
            document = {"uri": uri, "version": version}
            self._say("textDocument/didChange", {"textDocument": document, "contentChanges": [{"text": text}]})
        while uri not in self._told:
            self._hear()
        return self._told[uri]

    def complete(self, name: str, at: str) -> dict[str, dict[str, Value]]:
        """What is offered, by label."""
        found = self.ask("textDocument/completion", **self._at(name, at))
        items = found["items"] if isinstance(found, dict) else found or []
        return {item["label"]: item for item in items}

    def hover(self, name: str, at: str) -> str:
        found = self.ask("textDocument/hover", **self._at(name, at))
        if not found:
            return ""
        content = found["contents"]
        return str(content["value"] if isinstance(content, dict) else content)

    def _at(self, name: str, at: str) -> dict[str, Value]:
        line, column = map(int, at.split(":"))
        position = {"line": line - 1, "character": column - 1}
        return {"textDocument": {"uri": (self.folder / name).as_uri()}, "position": position}

    # ── the protocol ─────────────────────────────────────────────────────────────────────────────

    def ask(self, method: str, **params: Value) -> Value:
        number = next(self._ids)
        self._send({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        while True:
            heard = self._hear()
            if heard.get("id") == number and "method" not in heard:
                assert "error" not in heard, heard
                return heard.get("result")

    def _hear(self) -> dict[str, Value]:
        """The next thing that the server says; its own questions are answered on the way."""
        try:
            heard = self._heard.get(timeout=PATIENCE)
        except Empty:
            raise AssertionError("the language server says nothing") from None
        match heard.get("method"):
            case "textDocument/publishDiagnostics":
                params = heard["params"]
                self._told[params["uri"]] = params["diagnostics"]
            case "workspace/configuration":
                self._send({"jsonrpc": "2.0", "id": heard["id"], "result": [SETTINGS.get(item["section"]) for item
                            in heard["params"]["items"]]})  # fmt: skip
            case str() if "id" in heard:
                self._send({"jsonrpc": "2.0", "id": heard["id"], "result": None})
        return heard

    def _say(self, method: str, params: Value) -> None:
        self._send({"jsonrpc": "2.0", "method": method, "params": params})

    def _send(self, message: Mapping[str, Value]) -> None:
        body = json.dumps(message).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self._process.stdin.flush()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for message in _messages(self._process.stdout):
            self._heard.put(message)


SETTINGS: Mapping[str, Value] = {
    "yaml": {"validate": True, "hover": True, "completion": True, "schemaStore": {"enable": False}}
}
"""As editors have it, but that no schema is fetched from afar."""


def _messages(stream: Any) -> Iterator[dict[str, Value]]:
    while head := stream.readline():
        length = re.match(rb"Content-Length: (\d+)", head)
        while head.strip():
            head = stream.readline()
            length = length or re.match(rb"Content-Length: (\d+)", head)
        if length:
            yield json.loads(stream.read(int(length[1])))
