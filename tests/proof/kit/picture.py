"""The dashboard without a terminal: looks at everything, and leaves pictures and a copy of the live store."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import time
from pathlib import Path

from jobdash.config.settings import load
from jobdash.operations.job_lookup import open_browser
from jobdash.tui.app import JobdashApp
from jobdash.tui.context import DashboardContext


async def main(folder: Path) -> None:
    config = load()
    opened = open_browser(config.database)
    app = JobdashApp(DashboardContext.of(config, opened.browser, opened.read_only))
    async with app.run_test(size=(160, 45), notifications=True) as pilot:
        deadline = time.monotonic() + 30
        while (
            not all(app.runtime.accounts)
            or sum(a.asked_at is not None for a in opened.browser.accounts()) < 3
        ):
            assert time.monotonic() < deadline
            await pilot.pause(0.05)
        for name, keys in {
            "main": (),
            "filter": ("slash", *"error:key", "enter"),
            "job": ("escape", "home", "enter"),
            "errors": ("tab", "right"),
            "log": ("escape", "l"),
            "dialog": ("escape", "x"),
        }.items():
            await pilot.press(*keys)
            await pilot.pause(0.2)
            (folder / f"{name}.svg").write_text(app.export_screenshot(), "utf-8")
        for file in config.database.parent.glob(f"{config.database.name}*"):
            shutil.copy(file, folder / f"live-{file.name}")
    opened.browser.close()


if __name__ == "__main__":
    os.environ.pop("NO_COLOR", None)
    asyncio.run(main(Path(sys.argv[1])))
