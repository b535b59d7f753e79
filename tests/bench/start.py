"""How long things take to begin: `--help`, `validate`, and a whole runtime to /readyz; how much it holds when idle.

Medians of real processes, with what they imported: neither `--help` nor `validate` may load the model's SDK, a chat
library or the web. Targets: 150 ms, 150 ms, 1 s, 130 MB. From the tests folder:

    python -m bench.start [--times 7]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench._house import of

HEAVY = (
    "anthropic", "telegram", "discord", "prompt_toolkit", "rich", "starlette", "uvicorn", "httpx2", "jsonschema",
    "watchfiles", "asyncio", "sqlite3",
)  # fmt: skip
COUNT = """\
import json, sys
from openclaw.cli import main
sys.stdout = sys.stderr
main(sys.argv[1:])
sys.__stdout__.write(json.dumps(sorted(sys.modules)))
"""
REQUEST = b"GET /readyz HTTP/1.1\r\nHost: runtime\r\nConnection: close\r\n\r\n"


def seconds(*command: str) -> float:
    begun = time.perf_counter()
    subprocess.run([sys.executable, *command], check=True, capture_output=True, timeout=60)
    return time.perf_counter() - begun


def commands(project: Path, times: int) -> None:
    bare = statistics.median(seconds("-c", "pass") for _ in range(times))
    print(f"python itself        {bare * 1000:5.0f} ms")
    for arguments in (("--help",), ("validate", str(project))):
        taken = statistics.median(seconds("-m", "openclaw", *arguments) for _ in range(times))
        told = subprocess.run([sys.executable, "-c", COUNT, *arguments], capture_output=True, text=True, timeout=60)
        modules = json.loads(told.stdout)
        heavy = [name for name in HEAVY if name in modules]
        print(
            f"openclaw {arguments[0]:<11} {taken * 1000:5.0f} ms   {len(modules)} modules   heavy ones: "
            f"{', '.join(heavy) or 'none'}",
            flush=True,
        )


def start(project: Path, state: Path) -> tuple[float, float]:
    """Seconds to /readyz, and MB when the SDK has been imported behind it."""
    environment = {**os.environ, "ANTHROPIC_API_KEY": "none"}
    command = [sys.executable, "-m", "openclaw", "-C", str(project), "--state", str(state), "run"]
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    try:
        while not ready(state / "control.sock"):
            if process.poll() is not None or time.perf_counter() - begun > 30:
                raise RuntimeError("it did not start")
            time.sleep(0.005)
        taken = time.perf_counter() - begun
        return taken, settled(Path(f"/proc/{process.pid}/status"))
    finally:
        process.terminate()
        process.wait(20)


def ready(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(5)
        try:
            link.connect(str(path))
            link.sendall(REQUEST)
            return link.recv(64).startswith(b"HTTP/1.1 200")
        except OSError:
            return False


def settled(status: Path) -> float:
    """The memory once it has not grown for a second."""
    seen = [0.0]
    while len(seen) < 10 or seen[-1] > seen[-10] + 0.5:
        time.sleep(0.2)
        seen.append(of(status))
    return seen[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description="how long things take to begin")
    parser.add_argument("--times", type=int, default=7)
    times = parser.parse_args().times
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder, "project")
        subprocess.run([sys.executable, "-m", "openclaw", "init", str(project)], check=True, capture_output=True)
        (project / "channels.yaml").write_text("channels:\n  http: {kind: http, port: 0}\n")
        shutil.rmtree(project / "tests")  # scenarios speak of the channels that are gone
        commands(project, times)
        starts = [start(project, Path(folder, f"state{n}")) for n in range(3)]
    taken, held = (statistics.median(column) for column in zip(*starts, strict=True))
    print(f"run, to /readyz      {taken * 1000:5.0f} ms   resident when idle, SDK imported: {held:.0f} MB")


if __name__ == "__main__":
    main()
