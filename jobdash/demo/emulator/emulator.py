"""The emulator: both providers, one clock, one journal, one set of faults."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from jobdash.demo.emulator.clock import Clock, RealClock
from jobdash.demo.emulator.faults import Faults
from jobdash.demo.emulator.ids import IdGenerator
from jobdash.demo.emulator.journal import Journal
from jobdash.demo.emulator.provider import GEMINI, OPENAI, EmulatedProvider
from jobdash.demo.emulator.speed import Speed

OPENAI_KEY = "sk-emulated-openai"
GEMINI_KEY = "emulated-gemini"


class Emulator:
    """Everything an emulated world consists of; `EmulatorServer` puts it on a port.

    `keys` are the only API keys accepted (None: any); a batch belongs to the key that made it. `latency` is
    the time every answer takes, in real seconds. Batches move on ``speed`` times as fast as planned, from now
    on. The same `seed` gives the same ids and the same chances.
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        keys: AbstractSet[str] | None = None,
        latency: float = 0.0,
        seed: int = 0,
        speed: float = 1.0,
    ) -> None:
        self.clock = clock if clock is not None else RealClock()
        self.keys = keys
        self.latency = latency
        self.journal = Journal()
        self.faults = Faults(seed)
        ids = IdGenerator(seed)
        pace = Speed(speed, self.clock.now())
        self.openai = EmulatedProvider(OPENAI, clock=self.clock, ids=ids, key=OPENAI_KEY, speed=pace)
        self.gemini = EmulatedProvider(GEMINI, clock=self.clock, ids=ids, key=GEMINI_KEY, speed=pace)

    def accepts(self, key: str) -> bool:
        """Whether a request with that key is served."""
        return self.keys is None or key in self.keys
