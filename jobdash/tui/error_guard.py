"""Reading and drawing in a handler: neither an unreadable store nor the data of one job ends anything."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar, cast

from textual.widget import Widget

from jobdash.domain.text import clean
from jobdash.errors import StoreError

if TYPE_CHECKING:
    from jobdash.tui.app import JobdashApp

P = ParamSpec("P")
W = TypeVar("W", bound=Widget)


def display_error(error: Exception) -> str:
    """Return a sentence for something that cannot be shown."""
    return clean(f"This cannot be shown: {type(error).__name__}: {error}", 200)


def reading(handler: Callable[Concatenate[W, P], None]) -> Callable[Concatenate[W, P], None]:
    """Decorate a widget's method that reads; an exception would end the widget's own message loop."""

    @wraps(handler)
    def guarded(self: W, /, *args: P.args, **more: P.kwargs) -> None:
        try:
            handler(self, *args, **more)
        except StoreError as error:
            cast("JobdashApp", self.app).store_unreadable(error)
        except Exception as error:  # noqa: BLE001 - the data of one job must not end a screen
            cast("JobdashApp", self.app).cannot_show(error)

    return guarded
