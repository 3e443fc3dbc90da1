"""A server that speaks the batch API of ACME, a provider made up for the example adapter."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from shared.deadlines import joined

KEY = "acme-key-0123456789"
CREATED = 1_790_000_000


class AcmeServer(ThreadingHTTPServer):
    """Keeps jobs and files in memory."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.jobs: dict[str, dict[str, Any]] = {}
        self.files: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def add(self, name: str, state: str = "working", **more: Any) -> str:
        """Add a job; return its id."""
        job_id = f"job-{len(self.jobs) + 1}"
        created = CREATED + len(self.jobs)
        self.jobs[job_id] = {"id": job_id, "name": name, "state": state, "created": created, **more}
        return job_id

    def complete(self, job_id: str) -> None:
        self.jobs[job_id]["state"] = "done"


class _Handler(BaseHTTPRequestHandler):
    server: AcmeServer

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        with self.server.lock:
            self.server.requests.append(f"{self.command} {self.path}")
            if self.headers.get("authorization") != f"Bearer {KEY}":
                self._answer(401, {"error": {"message": "who are you"}})
                return
            url = urlsplit(self.path)
            parts = url.path.strip("/").split("/")
            handler = getattr(self, f"_{self.command.lower()}_{parts[0]}")
            self._answer(*handler(parts[1:], parse_qs(url.query), body))

    do_GET = do_POST = do_DELETE = _serve  # noqa: N815

    def _get_jobs(self, parts: list[str], query: dict[str, list[str]], _body: bytes) -> tuple[int, Any]:
        if not parts:
            ids = sorted(self.server.jobs, key=lambda job_id: -int(job_id[4:]))
            begin = ids.index(query["after"][0]) + 1 if "after" in query else 0
            size = int(query["limit"][0])
            page = ids[begin : begin + size]
            more = page[-1] if begin + size < len(ids) else None
            return 200, {"jobs": [self.server.jobs[job_id] for job_id in page], "next": more}
        job = self.server.jobs.get(parts[0])
        if job is None:
            return 404, {"error": {"message": "no such job"}}
        if parts[1:] == ["answers"]:
            lines = [json.loads(line) for line in self.server.files[job["file"]].splitlines()]
            answers = [{"id": line["id"], "answer": line["prompt"].upper()} for line in lines]
            return 200, "\n".join(map(json.dumps, answers)).encode()
        return 200, job

    def _post_jobs(self, parts: list[str], _query: dict[str, list[str]], body: bytes) -> tuple[int, Any]:
        if not parts:
            return 200, self.server.jobs[self.server.add(state="waiting", **json.loads(body))]
        job = self.server.jobs.get(parts[0])
        if job is None:
            return 404, {"error": {"message": "no such job"}}
        if job["state"] == "done":
            return 409, {"error": {"message": "it is done"}}
        job["state"] = "stopping"
        return 200, job

    def _delete_jobs(self, parts: list[str], _query: dict[str, list[str]], _body: bytes) -> tuple[int, Any]:
        return (200, {}) if self.server.jobs.pop(parts[0], None) else (404, {"error": {"message": "gone"}})

    def _post_files(self, _parts: list[str], _query: dict[str, list[str]], body: bytes) -> tuple[int, Any]:
        file_id = f"file-{len(self.server.files)}"
        self.server.files[file_id] = body
        return 200, {"id": file_id}

    def _delete_files(self, parts: list[str], _query: dict[str, list[str]], _body: bytes) -> tuple[int, Any]:
        gone = self.server.files.pop(parts[0], None) is None
        return (404, {"error": {"message": "gone"}}) if gone else (200, {})

    def _answer(self, status: int, value: Any) -> None:
        content = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def acme_server() -> Iterator[AcmeServer]:
    server = AcmeServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        joined(thread)
        server.server_close()
