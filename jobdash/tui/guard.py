"""Reading in a handler: a store that cannot be read any more is said in a banner, and ends nothing."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar, cast

from textual.widget import Widget

from jobdash.errors import StoreError

if TYPE_CHECKING:
    from jobdash.tui.app import JobdashApp

P = ParamSpec("P")
W = TypeVar("W", bound=Widget)


def reading(handler: Callable[Concatenate[W, P], None]) -> Callable[Concatenate[W, P], None]:
    """Decorate a widget's method that reads; an exception would end the widget's own message loop."""

    @wraps(handler)
    def guarded(self: W, /, *args: P.args, **more: P.kwargs) -> None:
        try:
            handler(self, *args, **more)
        except StoreError as error:
            cast("JobdashApp", self.app).store_unreadable(error)

    return guarded
