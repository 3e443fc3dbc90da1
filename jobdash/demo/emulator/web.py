"""What the handlers of both APIs share: strict reading of requests, errors in the provider's form."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from jobdash.demo.emulator.errors import ApiError, JsonObject

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute


async def read_object(request: Request) -> JsonObject:
    """The body, which has to be a JSON object."""
    try:
        body = json.loads(await request.body())
    except ValueError as error:
        raise ApiError(400, f"We could not parse the JSON body of your request. ({error})") from error
    if not isinstance(body, dict):
        raise ApiError(400, "The JSON body of your request has to be an object.")
    return body


def read_number(request: Request, name: str, *, default: int, highest: int) -> int:
    """A whole number of the query, between 1 and `highest`."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not text.isdecimal() or not 1 <= int(text) <= highest:
        raise ApiError(400, f"Invalid '{name}': {text!r} is not between 1 and {highest}.", param=name)
    return int(text)


def api_app(
    routes: Sequence[BaseRoute],
    form: Callable[[ApiError], JsonObject],
    unrouted: Callable[[Request, int], ApiError],
) -> Starlette:
    """An application whose every error has the provider's form.

    `unrouted` words the answers to unknown paths (404) and wrong methods (405).
    """

    async def refuse(_request: Request, error: Exception) -> Response:
        if not isinstance(error, ApiError):
            raise error
        return JSONResponse(form(error), status_code=error.status)

    async def refuse_unrouted(request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            raise error
        return await refuse(request, unrouted(request, error.status_code))

    return Starlette(
        routes=list(routes), exception_handlers={ApiError: refuse, HTTPException: refuse_unrouted}
    )
