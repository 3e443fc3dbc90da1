"""A small HTTP server that answers what a test says, for servers no emulator is like."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    """By name in lower case."""
    body: bytes

    @property
    def line(self) -> str:
        return f"{self.method} {self.path}"


Answer = Callable[[Asked], Any]
"""Returns JSON, or ``(status, JSON | bytes, headers)``, the last two optional; None breaks the connection."""


@dataclass
class Answering:
    """The server: how to reach it, and what it was asked."""

    url: str
    answer: Answer
    asked: list[Asked] = field(default_factory=list)

    @property
    def lines(self) -> list[str]:
        return [asked.line for asked in self.asked]

    def count(self, line: str) -> int:
        return self.lines.count(line)


@contextmanager
def answering(answer: Answer) -> Iterator[Answering]:
    """Serve on a free port of this machine."""
    made = Answering("", answer)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None: ...

        def _read(self) -> bytes:
            if self.headers.get("transfer-encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("content-length") or 0))
            body = b""
            while size := int(self.rfile.readline().strip() or b"0", 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        def _serve(self) -> None:
            url = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(self.command, url.path, url.query, headers, self._read())
            made.asked.append(asked)
            said = made.answer(asked)
            if said is None:
                self.close_connection = True
                self.connection.close()
                return
            status, content, more = (*said, {}, {})[:3] if isinstance(said, tuple) else (200, said, {})
            raw = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            for name, value in {"content-type": "application/json", **more}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST = do_DELETE = do_PUT = _serve  # noqa: N815

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    made.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()


def batch(number: int, status: str = "in_progress", **more: Any) -> dict[str, Any]:
    """Return a batch as OpenAI shows it."""
    return {
        "id": f"batch_{number}",
        "object": "batch",
        "endpoint": "/v1/chat/completions",
        "input_file_id": f"file-in{number}",
        "status": status,
        "created_at": 1_800_000_000 - 60,
        "request_counts": {"total": 10, "completed": 4, "failed": 0},
        "metadata": None,
        **more,
    }


def page(*batches: Any, more: object = False, **fields: Any) -> dict[str, Any]:
    """Return a page of a list as OpenAI shows it."""
    return {"object": "list", "data": list(batches), "has_more": more, **fields}
