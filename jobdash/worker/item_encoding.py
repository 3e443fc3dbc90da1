"""What is kept of an item: its key, its error, and its result as JSON, exact, bounded and never pickled.

A result that is no JSON is taken where its text is plain (dates, paths, UUIDs, decimals, numpy scalars,
dataclasses, pydantic models, sets); anything else is refused with the part that is in the way. Only keys of
this process are replaced in it: those of its accounts, and of environment variables named like a secret.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from math import isfinite
from typing import Any

from jobdash.domain.text import clean, redact_known
from jobdash.store.sanitize import distinct, stored, stored_error

DETAIL_BYTES = 16 * 1024
"""The most bytes of JSON that are kept of one detail, by default."""
_NAMED_CHARACTERS = 80
_OF_A_SET = object()

_encode = json.JSONEncoder(separators=(",", ":")).encode
_Path = tuple[Any, object] | None
"""The place of a part: the path of what it is in, and its key or index there; None for the whole."""
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]{6,}>")
"""In the text of an object: its place in memory."""


def detail_json(value: object, limit: int = DETAIL_BYTES) -> str | None:
    """Return a detail as JSON; None for None.

    Raises TypeError for what is no JSON and ValueError for JSON of more than ``limit`` bytes, or without an
    end; both name the part.
    """
    if value is None:
        return None
    try:
        text = _encode(_plain(value, None))
    except RecursionError:
        raise ValueError("the result is nested too deeply, or contains itself, and cannot be kept") from None
    if len(text) > limit and (size := _size(text)) > limit:
        raise ValueError(
            f"the result is {size:,} bytes of JSON, and at most {limit:,} are kept: raise max_detail=,"
            " or write it to a file and keep the file's name"
        )
    return text


def _size(text: str) -> int:
    """Return the bytes of a JSON text in UTF-8; kept in ASCII, a letter of other scripts takes six."""
    return len(
        json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":")).encode(
            "utf-8", "surrogatepass"
        )
    )


def _plain(value: Any, path: _Path) -> Any:
    """Return a value in the types of JSON; ``path`` is its place in the whole."""
    kind = type(value)
    if kind is str:
        return redact_known(value)
    if value is None or kind is bool or kind is int:
        return value
    if kind is float:
        if isfinite(value):
            return value
        raise ValueError(f"{_place(path)} is {value!r}, for which JSON has no number; it cannot be kept")
    if isinstance(value, dict):
        return _mapping(value, path)
    if isinstance(value, list | tuple):
        return [_plain(some, (path, at)) for at, some in enumerate(value)]
    if isinstance(value, set | frozenset):
        return sorted((_plain(some, (path, _OF_A_SET)) for some in value), key=_encode)
    return _other(value, path)


def _mapping(value: dict[Any, Any], path: _Path) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for key, some in value.items():
        name = _name(key, path)
        if name in plain:
            raise ValueError(f"two keys of {_place(path)} are {name!r} as text; it cannot be kept")
        plain[name] = _plain(some, (path, name))
    return plain


def _name(key: object, path: _Path) -> str:
    plain = _plain(key, (path, key))
    if isinstance(plain, str):
        return plain
    if plain is None or isinstance(plain, bool | int | float):
        return _encode(plain)
    raise TypeError(f"a key of {_place(path)} is {_kind(key)}, which is not a text; it cannot be kept")


def _other(value: Any, path: _Path) -> Any:
    """Return what is no JSON by itself: a subclass of one of its types, or what has a plain text."""
    for known, convert in _subclasses():
        if isinstance(value, known):
            return _plain(convert(value), path)
    for convert_by_shape in (_numpy_scalar, _pydantic_model, _dataclass):
        converted = convert_by_shape(value)
        if converted is not None:
            return _plain(converted[0], path)
    hint = "; use its tolist()" if hasattr(value, "tolist") else ""
    raise TypeError(
        f"{_place(path)} is {_kind(value)}, which is no JSON and cannot be kept{hint};"
        " return text, numbers, lists and dicts, or None"
    )


def _subclasses() -> Iterator[tuple[Any, Callable[[Any], Any]]]:
    """Yield types and their conversions; only of loaded modules, for no value has others."""
    modules = sys.modules
    if "enum" in modules:
        yield modules["enum"].Enum, lambda value: value.value
    yield str, str.__str__
    yield bool, bool
    yield int, int.__int__
    yield float, float.__float__
    if "datetime" in modules:
        times = modules["datetime"]
        yield (times.date, times.time), lambda value: value.isoformat()
    if "pathlib" in modules:
        yield modules["pathlib"].PurePath, str
    if "uuid" in modules:
        yield modules["uuid"].UUID, str
    if "decimal" in modules:
        yield modules["decimal"].Decimal, str


def _numpy_scalar(value: Any) -> tuple[Any] | None:
    numpy = sys.modules.get("numpy")
    if numpy is None or not isinstance(value, numpy.generic):
        return None
    if isinstance(value, numpy.datetime64 | numpy.timedelta64):  # item() of nanoseconds is a bare number
        return (str(value),) if isinstance(value, numpy.datetime64) else None
    scalar = value.item()
    return None if isinstance(scalar, numpy.generic) else (scalar,)


def _pydantic_model(value: Any) -> tuple[Any] | None:
    kind = type(value)
    if hasattr(kind, "__pydantic_validator__") and callable(getattr(kind, "model_dump", None)):
        return (value.model_dump(mode="json"),)
    if hasattr(kind, "__fields__") and callable(getattr(kind, "__get_validators__", None)):  # version 1
        return (json.loads(value.json()),)
    return None


def _dataclass(value: Any) -> tuple[Any] | None:
    if not hasattr(type(value), "__dataclass_fields__"):
        return None
    fields = sys.modules["dataclasses"].fields(value)  # not those of the class itself (`ClassVar`)
    return ({field.name: getattr(value, field.name) for field in fields if hasattr(value, field.name)},)


def _place(path: _Path) -> str:
    places: list[str] = []
    while path is not None:
        path, at = path
        places.append("{…}" if at is _OF_A_SET else f"[{at!r}]")
    if not places:
        return "the result"
    return f"the part {clean(''.join(reversed(places)), _NAMED_CHARACTERS)} of the result"


def _kind(value: object) -> str:
    kind = type(value)
    if kind is bytes:
        return "bytes"
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    name = clean(f"{module}{kind.__qualname__}", _NAMED_CHARACTERS)
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def kept_key(key: object) -> str:
    """Return an item's key as the store keeps it: its text, the same for the same key in every run.

    One that is too long, holds half a character or what looks like a secret, is made unique by a hash. Keys
    of one text are one key: 1 and "1". Raises TypeError for what has another text in the next run.
    """
    text = key if isinstance(key, str) else str(key)
    if isinstance(key, set | frozenset) or (" at 0x" in text and _ADDRESS.search(text)):
        raise TypeError(
            "key= has to return the same for an item in every run, a path or a row's id:"
            f" not {clean(text, 80)}"
        )
    return distinct(text)


def kept_error(error: BaseException) -> tuple[str, str]:
    """Return an exception's type and message as they are kept."""
    try:
        message = str(error)
    except Exception as second:  # noqa: BLE001 - a user's __str__ may do anything
        message = f"(its message cannot be read: {type(second).__name__})"
    return stored(type(error).__qualname__), stored_error(message)


def sentence_of(error: BaseException) -> str:
    """Return an exception as one sentence: ``ValueError: no such colour``."""
    kind, message = kept_error(error)
    return f"{kind}: {message}" if message else kind
