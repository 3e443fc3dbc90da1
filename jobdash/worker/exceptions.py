"""The exceptions that end a loop.

SystemExit             Python's own: uncaught, it ends a script without a traceback
└── JobCancelled       it was cancelled (130)
    └── LeaseLost      the job is no longer this run's: removed, failed, taken over (75)
TooManyErrors          more items failed than ``max_errors`` allows

An ``except Exception`` around an item lets a cancel through. In a thread or process that a library runs
(joblib, a pool, an executor) a cancel is a `CancelledInWorker` or `LeaseLostInWorker` as well: such libraries
pass an Exception on to their caller, and lose or hang on anything else.
"""

from __future__ import annotations


class JobCancelled(SystemExit):
    """The job was cancelled; the exit code is 130, as of a program that was interrupted."""

    exit_code = 130

    def __init__(self, message: str = "Job was cancelled") -> None:
        super().__init__(message)
        self.code = self.exit_code


class LeaseLost(JobCancelled):
    """The job is no longer this run's, and nothing more of it will be recorded; the exit code is 75."""

    exit_code = 75


class CancelledInWorker(JobCancelled, Exception):
    """`JobCancelled` in a thread or process of a library, which passes it on like any Exception."""


class LeaseLostInWorker(LeaseLost, Exception):
    """`LeaseLost` in a thread or process of a library."""


class TooManyErrors(Exception):
    """More items failed than ``max_errors`` allows."""
