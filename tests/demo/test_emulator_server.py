"""The server: quick to start and to stop, silent, and a process of its own when asked."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from urllib.parse import urlsplit

import httpx2
import pytest
from shared.deadlines import within

from jobdash.demo.emulator import (
    ANTHROPIC_KEY,
    MISTRAL_KEY,
    OPENAI_KEY,
    Delay,
    Emulator,
    EmulatorServer,
    FaultRule,
    ManualClock,
    RealClock,
    ScaledClock,
)
from jobdash.demo.emulator.__main__ import fill
from jobdash.demo.emulator.http_server import PromptServer

AUTH = {"Authorization": f"Bearer {OPENAI_KEY}"}


def test_environment() -> None:
    with EmulatorServer() as server:
        assert server.environment(gemini_key="mine") == {
            "OPENAI_API_KEY": OPENAI_KEY,
            "OPENAI_BASE_URL": f"{server.url}/v1",
            "GEMINI_API_KEY": "mine",
            "GOOGLE_GEMINI_BASE_URL": server.url,
            "ANTHROPIC_API_KEY": ANTHROPIC_KEY,
            "ANTHROPIC_BASE_URL": server.url,
            "MISTRAL_API_KEY": MISTRAL_KEY,
            "MISTRAL_SERVER_URL": f"{server.url}/mistral",
        }


def test_a_stopped_server_leaves_its_port() -> None:
    with EmulatorServer() as server:
        _, port = _address(server)
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(server.url)
    server.stop()  # once more does no harm
    with EmulatorServer(port=port) as again:
        assert again.url == server.url


def test_a_taken_port_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(OSError, match="in use"):
        EmulatorServer(port=other.getsockname()[1]).start()


def test_a_failure_to_start_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(_server: PromptServer, sockets: list[socket.socket]) -> None:
        raise RuntimeError(f"no luck with {len(sockets)} socket")

    monkeypatch.setattr(PromptServer, "run", run)
    with pytest.raises(RuntimeError, match="no luck with 1 socket"):
        EmulatorServer().start()


def test_stopping_does_not_wait_for_answers() -> None:
    emulator = Emulator()
    emulator.faults.add(FaultRule(effect=Delay(60, applied_first=True), nth=1))
    with EmulatorServer(emulator) as server, socket.create_connection(_address(server)) as waiting:
        waiting.sendall(b"GET /v1/models HTTP/1.1\r\nHost: emulator\r\n\r\n")
        httpx2.get(f"{server.url}/v1/models", headers=AUTH)
        assert [entry.fault for entry in emulator.journal] == ["Delay", None]
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < 1
        assert _rest(waiting) == b""


def test_importing_the_emulator_is_cheap() -> None:
    code = "import sys, jobdash.demo.emulator as e; e.EmulatorServer(); print(*sys.modules)"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert {"uvicorn", "starlette", "openai", "google", "asyncio"}.isdisjoint(output.split())


def _address(server: EmulatorServer) -> tuple[str, int]:
    parts = urlsplit(server.url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


def _rest(connection: socket.socket) -> bytes:
    """What still arrives; a reset counts as an end."""
    try:
        return connection.recv(1_000)
    except ConnectionResetError:
        return b""


TROUBLE = """
import httpx2
from jobdash.demo.emulator import CutBody, Delay, Emulator, EmulatorServer, FaultRule, Reset

emulator = Emulator()
emulator.faults.add(
    FaultRule(effect=Reset(applied=True), nth=1),
    FaultRule(effect=CutBody(), nth=2),
    FaultRule(effect=Delay(60), nth=3),
)
with EmulatorServer(emulator) as server:
    for _ in range(3):
        try:
            httpx2.get(server.url + "/v1/models", headers={"Authorization": "Bearer x"}, timeout=0.2)
        except httpx2.TransportError as error:
            print(type(error).__name__)
"""


def test_nothing_reaches_the_terminal() -> None:
    """Neither faults nor a stop in the middle of an answer, in a process that has not set up logging."""
    done = subprocess.run([sys.executable, "-c", TROUBLE], capture_output=True, text=True)
    assert (done.stdout.split(), done.stderr) == (["ReadError", "RemoteProtocolError", "ReadTimeout"], "")


GONE = """
import httpx2
from jobdash.demo.emulator import OPENAI_KEY, BatchPlan, BatchScript, Emulator, EmulatorServer, Timing

auth = {"Authorization": f"Bearer {OPENAI_KEY}"}
emulator = Emulator()
script = BatchScript(
    total=20_000,
    created_at=emulator.clock.now() - 3600,
    plan=BatchPlan(timing=Timing(validating=1, running=60)),
)
batch = emulator.openai.add_batch(script, key=OPENAI_KEY)
with EmulatorServer(emulator) as server:
    job = f"{server.openai_base_url}/batches/{batch}"
    file = httpx2.get(job, headers=auth).json()["output_file_id"]
    with httpx2.stream("GET", f"{server.openai_base_url}/files/{file}/content", headers=auth) as answer:
        print(len(next(answer.iter_raw(1))))
    print(httpx2.get(job, headers=auth).status_code)
"""


def test_a_file_is_made_no_further_for_a_client_that_has_gone() -> None:
    """Of each further piece asyncio would say on the terminal that it cannot be sent."""
    done = subprocess.run([sys.executable, "-c", GONE], capture_output=True, text=True)
    assert (done.stdout.split(), done.stderr) == (["1", "200"], "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_of_its_own(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "jobdash.demo.emulator", "--batches", "3", "--latency", "0.05"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        lines = [within(process.stdout.readline) for _ in range(4)]
        settings = dict(line.removeprefix("export ").strip().split("=", 1) for line in lines)
        answer = httpx2.get(
            f"{settings['OPENAI_BASE_URL']}/batches",
            headers={"Authorization": f"Bearer {settings['OPENAI_API_KEY']}"},
        )
        process.send_signal(number)
        assert process.wait(5) == 0
        assert process.stderr.read() == ""
    assert len(answer.json()["data"]) == 3
    assert answer.elapsed.total_seconds() >= 0.05


@pytest.mark.slow
def test_ten_thousand_batches_in_pages() -> None:
    emulator = Emulator(clock=ManualClock())
    fill(emulator, 10_000)
    seen: set[str] = set()
    with EmulatorServer(emulator) as server, httpx2.Client(base_url=server.url, headers=AUTH) as client:
        page = {"has_more": True, "last_id": None}
        while page["has_more"]:
            cursor = {"after": page["last_id"]} if page["last_id"] else {}
            page = client.get("/v1/batches", params={"limit": 100, **cursor}).json()
            seen |= {batch["id"] for batch in page["data"]}
    assert len(seen) == 10_000


def test_clocks() -> None:
    before = time.time()
    assert before <= RealClock().now() <= time.time()
    scaled = ScaledClock(1_000, start=500)
    first, second = scaled.now(), scaled.now()
    assert 500 <= first <= second
    assert ScaledClock(60).now() >= before
    manual = ManualClock(100)
    manual.advance(5)
    assert manual.now() == 105
    with pytest.raises(ValueError, match="never goes back"):
        manual.advance(-1)
