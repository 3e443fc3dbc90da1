"""A batch as large as they come is fetched in the memory that a small one takes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cli_kit import KEYS, ROOT, Cli

from jobdash.demo.emulator.batch import INPUT_TOKENS, OUTPUT_TOKENS, UploadedFile

REQUESTS = 50_000
ANSWER = 4_000
"""Characters of one answer: 200 MB in all."""
_RUN = """
import os, sys
pid = os.fork()
if not pid:
    os.execv(sys.executable, [sys.executable, "-m", "jobdash", *sys.argv[1:]])
_, status, usage = os.wait4(pid, 0)
print(usage.ru_maxrss // 1024, file=sys.stderr)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def peak_of_fetch(cli: Cli, batch: str, out: Path) -> int:
    """Fetch a batch in a process of its own; return its peak memory in MiB."""
    command = [sys.executable, "-c", _RUN, "fetch", batch, "--out", str(out)]
    ran = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return int(ran.stderr.split()[-1])


def line(number: int) -> bytes:
    body = {
        "choices": [{"finish_reason": "stop", "message": {"content": "x" * ANSWER}}],
        "usage": {"prompt_tokens": INPUT_TOKENS, "completion_tokens": OUTPUT_TOKENS},
    }
    response = {"status_code": 200, "body": body}
    return json.dumps({"custom_id": f"request-{number}", "response": response}).encode() + b"\n"


@pytest.mark.slow
def test_fifty_thousand_requests_take_no_more_memory_than_a_few(cli: Cli, tmp_path: Path) -> None:
    small = cli.add_finished(name="small", total=10)
    large = cli.add_finished(name="large", total=REQUESTS)
    cli("sync", "--account", "openai")
    output = cli.job(large)["files"]["output"]
    content = b"".join(map(line, range(REQUESTS, 0, -1)))  # in another order than the requests
    assert len(content) > 200_000_000
    files = cli.emulator.openai.account(KEYS["openai"]).files
    files.add(UploadedFile(output, "output.jsonl", cli.clock.now(), content))

    floor = peak_of_fetch(cli, small, tmp_path)
    peak = peak_of_fetch(cli, large, tmp_path)

    job = cli.job(large)
    assert job["results"] == {"ok": REQUESTS, "error": 0, "cut_off": 0, "missing": 0}
    assert job["input_tokens"] == INPUT_TOKENS * REQUESTS
    assert job["output_tokens"] == OUTPUT_TOKENS * REQUESTS
    with (Path(job["results_folder"]) / "results.jsonl").open() as file:
        assert [json.loads(each)["key"] for each in (next(file), next(file))] == ["request-1", "request-2"]
    assert peak - floor < 64, f"{peak} MiB, {floor} MiB for a small one"
