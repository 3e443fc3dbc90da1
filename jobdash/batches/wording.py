"""What a message for commands says to a caller in Python: arguments in place of options."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from jobdash.errors import FileFaults, JobdashError

_OPTIONS = {
    "account": "account=",
    "config": "config=",
    "db": "database=",
    "endpoint": "endpoint=",
    "input": "requests=",
    "model": "model=",
    "name": "name=",
    "tag": "tags=",
}
_SENTENCES = (
    (re.compile(r"jobdash retry \S+ --input FILE"), "requests= names it"),
    (re.compile(r"--input FILE of jobdash retry"), "requests= of resume"),
    (re.compile(r"(?<!jobdash submit )--split"), "jobdash submit --split"),
)
_ONLY = re.compile(r"--only ([a-z,-]+)")
_OPTION = re.compile(rf"--({'|'.join(_OPTIONS)})\b( (?=['\"]))?")
"""Of ``--model 'x'`` the space goes, too."""


@contextmanager
def arguments_named() -> Iterator[None]:
    """Have the errors that are raised in the block name arguments."""
    try:
        yield
    except JobdashError as error:
        error.args = tuple(as_arguments(each) if isinstance(each, str) else each for each in error.args)
        if isinstance(error, FileFaults):
            error.faults = tuple(map(as_arguments, error.faults))
        raise


def as_arguments(message: str) -> str:
    """Return a message with the arguments that stand for the options it names."""
    for sentence, argument in _SENTENCES:
        message = sentence.sub(argument, message)
    message = _ONLY.sub(lambda found: f"only={found[1].split(',')}", message)
    return _OPTION.sub(lambda found: _OPTIONS[found[1]], message)
