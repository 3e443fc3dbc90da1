"""Lines of Mistral's output and error files, which are shaped like OpenAI's."""

from __future__ import annotations

from collections.abc import Mapping

from jobdash.providers.base import ResultLine
from jobdash.providers.json_values import text
from jobdash.providers.openai.results import read_line as read_openai_line


def read_line(line: Mapping[str, object]) -> ResultLine | None:
    """Read ``{id, custom_id, response: {status_code, body}, error}``; failed lines may have no custom_id."""
    if text(line.get("custom_id")) is not None:
        return read_openai_line(line)
    nameless = read_openai_line({**line, "custom_id": f"(no custom_id, {text(line.get('id')) or 'no id'})"})
    if nameless is None or nameless.error is None:
        return None
    return nameless._replace(readable=False)
