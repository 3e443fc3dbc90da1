"""A job function whose effect is a line in a file."""

from __future__ import annotations

import os
import threading

import jobdash


@jobdash.job
def effect(number: int) -> str:
    threading.Event().wait(float(os.environ["ITEM_S"]))
    if str(number) == os.environ["DEADLY"]:
        os._exit(9)  # as of what is killed for its memory, nothing is heard of it any more
    descriptor = os.open(os.environ["DID"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, f"{number}\n".encode())
    os.close(descriptor)
    return "done"
