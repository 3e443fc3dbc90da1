"""The start of the dashboard: before the first rows only Textual and the standard library are imported."""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Callable

from jobdash.config.settings import Config
from jobdash.tui.terminal.exit_signals import ExitSignals


def run_dashboard(
    config: Config,
    *,
    demo: bool = False,
    behind: Callable[[], None] | None = None,
    signals: ExitSignals | None = None,
) -> int:
    """Run the dashboard until it is left; returns its exit code, 128 + N when signal N has ended it.

    ``behind`` is called after the first paint. Raises StoreError when the store cannot be used at all, and
    whatever has ended the dashboard though it should not.
    """
    with contextlib.ExitStack() as stack:
        signals = signals or stack.enter_context(ExitSignals())
        # Collections during the imports find nothing to free; what is there afterwards stays for good.
        gc.disable()
        from jobdash.operations.accounts.keys import in_store
        from jobdash.operations.job_lookup import open_browser
        from jobdash.tui.app import JobdashApp
        from jobdash.tui.context import DashboardContext

        notices: list[str] = []
        opened = open_browser(config.database, notice=notices.append, read_only=config.read_only)
        stack.callback(opened.browser.close)
        config = in_store(config, opened.browser)
        opened.browser.follow()
        app = JobdashApp(DashboardContext.of(config, opened.browser, opened.read_only, demo=demo))
        app.notices = notices
        if behind is not None:
            app.behind_first_paint = behind
        gc.freeze()
        gc.enable()
        if signals.code is None:
            app.on_running, app.on_leaving = signals.attach, signals.end
            app.terminal_taken = lambda taken: setattr(signals, "drawing", taken)
            app.run()
        signals.end()
        if app.crash is not None:
            raise app.crash
        for sentence in (*notices, app.last_words):
            if sentence:
                with contextlib.suppress(OSError):  # the terminal is gone
                    sys.stdout.write(f"{sentence}\n")
                    sys.stdout.flush()
        return app.return_code or 0 if signals.code is None else signals.code
