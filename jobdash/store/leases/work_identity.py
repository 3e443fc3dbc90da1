"""What a run works on, as the store keeps it with each attempt."""

from __future__ import annotations

import json
from typing import NamedTuple


class WorkIdentity(NamedTuple):
    """What a run works on, apart from the job's name: a job is continued by runs of the same work alone.

    Its texts are as `distinct` returns them.
    """

    script: str
    """The path of the main script."""
    file: str
    """The path of the file that calls `jobdash.track`."""
    function: str
    """The qualified name of that function."""
    line: int | None
    """The line of the call, for a job without a name of its own."""
    arguments: str
    """A digest of the command's arguments."""
    root: str
    """The process that the run belongs to, as the store keeps owners: its own, or the parent of a pool."""
    given: str = ""
    """A digest of the function's arguments, for a loop that is not the first of its kind: the process may
    skip what it did before, and then its turns belong to other documents."""
    item: str = ""
    """The items of other jobs that the loop is inside of; empty outside of any."""
    turn: int = 0
    """How many loops of this kind the process had begun before: a loop that is called for each of several
    documents is another work each time."""

    def encode(self) -> str:
        """Return the text that the store keeps."""
        return json.dumps(self)

    def loop_pattern(self) -> tuple[str, str]:
        """Return the encoded text before ``root`` and after ``given``: the same for the same loop."""
        before, behind = self[: self._fields.index("root")], self[self._fields.index("item") :]
        return f'{json.dumps(before)[:-1]}, "', f'", {json.dumps(behind)[1:]}'

    def is_same_loop(self, other: WorkIdentity) -> bool:
        """Whether all agrees but the process, and what the function was given; as `loop_pattern` has it."""
        return self._replace(root="", given="") == other._replace(root="", given="")

    @classmethod
    def decode(cls, text: str | None) -> WorkIdentity | None:
        """Read what `encode` wrote; None for None, and for what another version wrote."""
        try:
            return None if text is None else cls(*json.loads(text))
        except (ValueError, TypeError, RecursionError):
            return None

    @property
    def place(self) -> tuple[str, str, str]:
        """The script and function, which an edited line does not change."""
        return self.script, self.file, self.function
