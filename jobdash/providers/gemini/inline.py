"""The JSON of a batch with inline results, split into its answers and the rest as it arrives."""

from __future__ import annotations

import re

from jobdash.errors import BadResponse
from jobdash.providers.json_values import decode

LONGEST_ANSWER = 64 * 1024 * 1024
"""Bytes of one answer, and of all that is no answer; more must not fill the memory."""

_OUTSIDE = re.compile(rb'["{}\[\]]')
_IN_TEXT = re.compile(rb'["\\]')
_ANSWERS = re.compile(rb'"inlinedResponses"\s*:\s*\[$')
_CLOSING = {b"{": b"}", b"[": b"]"}
_TAIL = 64
"""How far back the name of an array is looked for, in bytes."""


class OperationReader:
    """Reads a batch in pieces: `feed` returns its inline answers, `rest` is the batch without them.

    Gemini writes the answers twice, into ``metadata.output`` and into ``response``. The first copy is read;
    `complete` is set where the second one begins, after which nothing is needed.
    """

    def __init__(self, longest: int = LONGEST_ANSWER) -> None:
        self.complete = False
        self.answers = 0
        self._longest = longest
        self._rest = bytearray()
        self._answer = bytearray()
        self._open: list[bytes] = []
        """The brackets that close what is open."""
        self._depth: int | None = None
        """How many brackets are open around an answer; None outside the array of answers."""
        self._in_text = self._escaped = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """Read the next piece; return the answers it completes, one line of JSON each with its line end.

        Raises BadResponse for an answer, or a rest, of more than ``longest`` bytes.
        """
        found: list[bytes] = []
        start = place = 0
        while not self.complete and (place := self._next(chunk, place)):
            mark = chunk[place - 1 : place]
            if mark in _CLOSING:
                start = self._begin(mark, chunk, start, place, found)
            else:
                start = self._end(chunk, start, place, found)
        if not self.complete:
            self._keep(chunk[start:])
        return found

    def rest(self) -> object:
        """Return the batch without its inline answers; BadResponse when it is no JSON."""
        return decode(bytes(self._rest) + b"".join(reversed(self._open if self.complete else [])))

    def _next(self, chunk: bytes, place: int) -> int:
        """Return where the next bracket outside any text ends; 0 when there is none in this piece."""
        while place < len(chunk):
            if self._escaped:
                place, self._escaped = place + 1, False
                continue
            match = (_IN_TEXT if self._in_text else _OUTSIDE).search(chunk, place)
            if match is None:
                return 0
            place = match.end()
            if match.group() == b'"':
                self._in_text = not self._in_text
            elif match.group() == b"\\":
                self._escaped = True
            else:
                return place
        return 0

    def _begin(self, mark: bytes, chunk: bytes, start: int, place: int, found: list[bytes]) -> int:
        if self._depth is not None and len(self._open) == self._depth:
            self._keep(chunk[start : place - 1])
            self._others(found)
            start = place - 1
        self._open.append(_CLOSING[mark])
        if mark == b"[" and self._depth is None:
            self._keep(chunk[start:place])
            start = place
            if _ANSWERS.search(bytes(self._rest[-_TAIL:])):
                self._depth = len(self._open)
                self.complete = self.answers > 0
        return start

    def _end(self, chunk: bytes, start: int, place: int, found: list[bytes]) -> int:
        if self._open:
            self._open.pop()
        if self._depth is None:
            return start
        if len(self._open) == self._depth:
            self._keep(chunk[start:place])
            self._emit(bytes(self._answer), found)
            return place
        if len(self._open) < self._depth:
            self._keep(chunk[start : place - 1])
            self._others(found)
            self._depth = None
            return place - 1
        return start

    def _others(self, found: list[bytes]) -> None:
        """Emit what stands between answers and is none: ``null`` is an answer that cannot be read."""
        for word in bytes(self._answer).split(b","):
            if word.strip():
                self._emit(word.strip(), found)
        self._answer.clear()

    def _emit(self, answer: bytes, found: list[bytes]) -> None:
        # A line break of JSON stands between its words: inside a text it is escaped.
        found.append(answer.replace(b"\r", b" ").replace(b"\n", b" ") + b"\n")
        self.answers += 1
        self._answer.clear()

    def _keep(self, piece: bytes) -> None:
        kept = self._rest if self._depth is None else self._answer
        kept += piece
        if len(kept) > self._longest:
            raise BadResponse(f"a part of the batch is longer than {self._longest:,} bytes")
