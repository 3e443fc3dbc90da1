"""Starting the dashboard: nothing but Textual and the standard library stands before its first rows."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable

from jobdash.config import Config


def run_dashboard(config: Config, *, demo: bool = False, behind: Callable[[], None] | None = None) -> int:
    """Run the dashboard until it is left; returns its exit code. ``behind`` is called after the first paint.

    Raises StoreError when the store cannot be used at all.
    """
    # Collections during the imports find nothing to free; what is there afterwards stays for good.
    gc.disable()
    from jobdash.operations.browse import open_browser
    from jobdash.tui.app import JobdashApp
    from jobdash.tui.context import Context

    opened = open_browser(config.database)
    app = JobdashApp(Context.of(config, opened.browser, opened.read_only, demo=demo))
    if behind is not None:
        app.behind_first_paint = behind
    gc.freeze()
    gc.enable()
    try:
        app.run()
    finally:
        opened.browser.close()
    if app.last_words:
        sys.stdout.write(f"{app.last_words}\n")
    return app.return_code or 0
