"""jobdash: one live table of every batch job you have in flight, and of your own scripts' long loops."""

__version__ = "0.1.0"

# Spelled out, for `typing` would cost more than everything else here; type checkers know the name.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobdash.worker.cancellation import Token
    from jobdash.worker.exceptions import JobCancelled, LeaseLost, TooManyErrors
    from jobdash.worker.functions import ItemResult, JobEnd, JobFunction, Submitted, job, submit
    from jobdash.worker.item import Item
    from jobdash.worker.job import Job
    from jobdash.worker.threads import ItemOutcome
    from jobdash.worker.track import Track, track

__all__ = [
    "Item",
    "ItemOutcome",
    "ItemResult",
    "Job",
    "JobCancelled",
    "JobEnd",
    "JobFunction",
    "LeaseLost",
    "Submitted",
    "Token",
    "TooManyErrors",
    "Track",
    "__version__",
    "job",
    "submit",
    "track",
]

_PLACES = {
    "Item": "item",
    "ItemOutcome": "threads",
    "ItemResult": "functions",
    "Job": "job",
    "JobCancelled": "exceptions",
    "JobEnd": "functions",
    "JobFunction": "functions",
    "LeaseLost": "exceptions",
    "Submitted": "functions",
    "Token": "cancellation",
    "TooManyErrors": "exceptions",
    "Track": "track",
    "job": "functions",
    "submit": "functions",
    "track": "track",
}


def __getattr__(name: str) -> object:
    """Import what a script asks for when it asks for it: ``import jobdash`` alone costs nothing."""
    if name not in _PLACES:
        raise AttributeError(f"module 'jobdash' has no attribute {name!r}")
    import gc
    from importlib import import_module

    # There is no garbage in imports; looking for it takes a twentieth of a script's start.
    looked_for = gc.isenabled()
    gc.disable()
    try:
        value = getattr(import_module(f"jobdash.worker.{_PLACES[name]}"), name)
    finally:
        if looked_for:
            gc.enable()
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
