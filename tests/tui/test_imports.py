"""What stands between a start and the first rows, and between a key and its dialog: nothing heavy."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tui_kit import jobs, machine_env, make_store

HEAVY = ("openai", "google.genai", "sqlalchemy", "sqlmodel", "pydantic", "alembic", "httpx2", "stamina",
         "jobdash.operations.results.items")  # fmt: skip
_PROGRAM = """
import asyncio, json, sys
from pathlib import Path
from jobdash.config.settings import Config
from jobdash.domain.account import Account, Secret
from jobdash.operations.job_lookup import open_browser
from jobdash.tui.app import JobdashApp
from jobdash.tui.context import DashboardContext

path = Path(sys.argv[1])
account = Account("openai", "openai", "K", Secret("sk-test-key"))
config = Config(path.with_name("c.toml"), False, path, (account,))
opened = open_browser(path)
app = JobdashApp(DashboardContext.of(config, opened.browser, opened.read_only))
# The seam: everything the dashboard does behind its first paint begins here.
app.runtime.start = lambda: None
seen = {}

async def main():
    async with app.run_test(notifications=True) as pilot:
        await pilot.pause()
        assert app.main.view.table.current is not None
        seen["first paint"] = sorted(sys.modules)
        await pilot.press("c")
        while not getattr(app.screen, "drawn", False):
            await pilot.pause(0.01)
        seen["dialog"] = sorted(sys.modules)

asyncio.run(main())
print(json.dumps(seen))
"""


def test_no_sdk_and_no_orm_before_the_first_rows_nor_before_a_dialog(path: Path) -> None:
    make_store(path, jobs("in_progress", "pending"))
    ran = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(path)],
        capture_output=True,
        text=True,
        env=machine_env(PYTHONPATH=str(Path(__file__).parents[2])),
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    seen = json.loads(ran.stdout.splitlines()[-1])
    for moment, modules in seen.items():
        loaded = {name for name in modules if name.startswith(HEAVY)}
        assert not loaded, (moment, loaded)
