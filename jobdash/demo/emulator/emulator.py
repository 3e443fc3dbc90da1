"""The emulator: all providers, one clock, one journal, one set of faults."""

from __future__ import annotations

import hashlib
import itertools
import secrets
import threading
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from functools import partial

from jobdash.demo.emulator.batch import (
    BatchFile,
    BatchIndex,
    BatchRequests,
    EmulatedBatch,
    EmulatedFile,
    FileStore,
    Role,
    UploadedFile,
)
from jobdash.demo.emulator.batch_plan import BatchPlan, BatchScript, ListBehaviour, Switches
from jobdash.demo.emulator.faults import Faults
from jobdash.demo.emulator.journal import Journal
from jobdash.demo.emulator.timeline import BatchSnapshot, Clock, RealClock, Speed

OPENAI_KEY = "sk-emulated-openai"
GEMINI_KEY = "emulated-gemini"
ANTHROPIC_KEY = "sk-ant-emulated"
MISTRAL_KEY = "emulated-mistral"
HOUR = 3600.0


class IdGenerator:
    """Hands out identifiers; the sequence depends on the seed alone."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def number(self) -> int:
        """The next number, never given twice."""
        with self._lock:
            return next(self._numbers)

    def word(self, kind: str, length: int) -> str:
        """A new word of that many lower-case letters and digits."""
        return derived(f"{self._seed}/{kind}/{self.number()}", length)


def new_seed() -> int:
    """A seed of ids that no earlier emulator has given: a store may know theirs."""
    return secrets.randbits(32)


def derived(source: str, length: int) -> str:
    """The word of that many hexadecimal digits that always belongs to `source`; at most 64."""
    return hashlib.sha256(source.encode()).hexdigest()[:length]


@dataclass(frozen=True, slots=True)
class ProviderTraits:
    """The differences of the providers below their HTTP surface."""

    batch_prefix: str
    batch_length: int
    file_prefix: str
    result_roles: tuple[Role, ...]
    """The files a batch leaves behind."""
    result_file: Callable[[str, Role], str]
    """The id of such a file, from the batch's id."""
    window: float
    """Seconds from a batch's creation to its expiry."""
    keeps_partial: bool
    """Whether the results so far survive a cancel or an expiry."""
    has_files: bool = True
    """Requests and results are in files, not in the batch itself."""


OPENAI = ProviderTraits(
    batch_prefix="batch_",
    batch_length=32,
    file_prefix="file-",
    result_roles=(Role.OUTPUT, Role.ERRORS),
    result_file=lambda batch_id, role: f"file-{derived(f'{batch_id}/{role}', 24)}",
    window=24 * HOUR,
    keeps_partial=True,
)
GEMINI = ProviderTraits(
    batch_prefix="batches/",
    batch_length=36,
    file_prefix="files/",
    result_roles=(Role.OUTPUT,),
    # With 42 characters longer than the 40 the Files API allows: such files can be read, and not deleted.
    result_file=lambda batch_id, _: f"files/batch-{batch_id.removeprefix('batches/')}",
    window=48 * HOUR,
    keeps_partial=False,
)
ANTHROPIC = ProviderTraits(
    batch_prefix="msgbatch_",
    batch_length=24,
    file_prefix="",
    result_roles=(),
    result_file=lambda batch_id, _: batch_id,
    window=24 * HOUR,
    keeps_partial=True,
    has_files=False,
)
MISTRAL = ProviderTraits(
    batch_prefix="",  # UUIDs, without their dashes
    batch_length=32,
    file_prefix="",
    result_roles=(Role.OUTPUT, Role.ERRORS),
    result_file=lambda batch_id, role: derived(f"{batch_id}/{role}", 32),
    window=24 * HOUR,
    keeps_partial=True,
)
PROFILES = {
    "azure": OPENAI,
    "groq": OPENAI,
    "novita": OPENAI,
    "together": OPENAI,
    "openrouter": replace(OPENAI, result_roles=(), has_files=False),
}
"""Servers with OpenAI's API and differences, each with accounts of its own."""


@dataclass(slots=True)
class EmulatedAccount:
    """What belongs to one key."""

    batches: BatchIndex = field(default_factory=BatchIndex)
    files: FileStore = field(default_factory=FileStore)


class EmulatedProvider:
    """All accounts at one provider.

    `plan`, `switches`, `listing` and `enqueued_limit` may be replaced at any time: the plan and the limit
    count for batches created from then on, the other two for the next answer.
    """

    def __init__(
        self, traits: ProviderTraits, *, clock: Clock, ids: IdGenerator, key: str, speed: Speed
    ) -> None:
        self.traits = traits
        self.clock = clock
        self.ids = ids
        self.speed = speed
        self.key = key
        """The key whose account is meant when none is named."""
        self.plan = BatchPlan()
        self.switches = Switches()
        self.listing = ListBehaviour()
        self.enqueued_limit: int | None = None
        """How many tokens of one model's unfinished batches an account may have; OpenAI only. None: any."""
        self._accounts: dict[str, EmulatedAccount] = {}

    def account(self, key: str | None = None) -> EmulatedAccount:
        """The account of that key; a new key has an empty one."""
        return self._accounts.setdefault(self.key if key is None else key, EmulatedAccount())

    def add_batch(self, script: BatchScript, *, key: str | None = None) -> str:
        """Put a batch into an account by a script, and return its id."""
        input_file = None if script.inline or not self.traits.has_files else self.new_file_id()
        batch = self.create(self.key if key is None else key, script, BatchRequests(script.total), input_file)
        if input_file is not None:
            self.account(key).files.add(BatchFile(input_file, batch, Role.INPUT))
        return batch.id

    def create(
        self, key: str, script: BatchScript, requests: BatchRequests, input_file: str | None
    ) -> EmulatedBatch:
        """A new batch with the requests of that file, or inline ones."""
        created = self.clock.now() if script.created_at is None else script.created_at
        batch = EmulatedBatch(
            id=self.traits.batch_prefix + self.ids.word("batch", self.traits.batch_length),
            number=self.ids.number(),
            created=created,
            window=self.traits.window,
            script=script,
            requests=requests,
            input_file=input_file,
            cancelled=script.cancelled_at,
        )
        account = self.account(key)
        account.batches.add(batch)
        for role in self.traits.result_roles:
            account.files.add(BatchFile(self.result_file(batch, role), batch, role))
        return batch

    def new_file_id(self) -> str:
        """The id of a file about to be made."""
        return self.traits.file_prefix + self.ids.word("file", 24)

    def remove_batch(self, batch_id: str, *, key: str | None = None) -> bool:
        """Forget a batch, as a provider does now and then; False if there is none of that id."""
        return self.account(key).batches.remove(batch_id)

    def remove_file(self, file_id: str, *, key: str | None = None) -> None:
        """Delete a file, as a provider or another user does; its batch still names it."""
        self.account(key).files.remove(file_id)

    def snapshot(self, batch_id: str, *, key: str | None = None) -> BatchSnapshot:
        """How a batch looks now; KeyError if there is none of that id."""
        return self.snapshot_of(self._known(batch_id, key))

    def cancel(self, batch_id: str, *, key: str | None = None) -> bool:
        """Cancel as if it were done elsewhere; False if the batch had ended. KeyError if there is none."""
        return self.ask_cancel(self._known(batch_id, key))

    def ask_cancel(self, batch: EmulatedBatch) -> bool:
        """Note the first request to cancel; False if the batch had ended before."""
        if self.snapshot_of(batch).phase.terminal:
            return False
        if batch.cancelled is None:
            batch.cancelled = self.clock.now()
        return True

    def snapshot_of(self, batch: EmulatedBatch) -> BatchSnapshot:
        """How a batch looks now."""
        return batch.at(self.clock.now(), self.switches_of(batch), self.speed)

    def expires(self, batch: EmulatedBatch) -> float:
        """When a batch's window closes."""
        return self.speed.real(batch.expires, batch.created)

    def switches_of(self, batch: EmulatedBatch) -> Switches:
        """The batch's own switches, else the provider's."""
        return batch.plan.switches if batch.plan.switches is not None else self.switches

    def keeps_partial(self, batch: EmulatedBatch) -> bool:
        """Whether results survive when this batch is cancelled or expires."""
        chosen = self.switches_of(batch).keep_partial
        return self.traits.keeps_partial if chosen is None else chosen

    def result_file(self, batch: EmulatedBatch, role: Role) -> str:
        """The id of a batch's output or error file, whether or not it exists yet."""
        return self.traits.result_file(batch.id, role)

    def made_at(self, file: EmulatedFile) -> float:
        """When a file was made: input files are as old as their batch, results as old as its end."""
        if isinstance(file, UploadedFile):
            return file.created
        if file.role is Role.INPUT:
            return file.batch.created
        snapshot = self.snapshot_of(file.batch)
        return snapshot.entered[snapshot.phase]

    def deleted_at(self, file: EmulatedFile) -> float | None:
        """When a file is deleted, in seconds since the epoch; None for never."""
        if isinstance(file, UploadedFile):
            return file.expires
        kept, snapshot = self.switches_of(file.batch).results_kept, self.snapshot_of(file.batch)
        if kept is None or file.role is Role.INPUT or not snapshot.phase.terminal:
            return None
        return snapshot.entered[snapshot.phase] + kept

    def is_deleted(self, file: EmulatedFile) -> bool:
        """Whether a file was deleted by its age."""
        moment = self.deleted_at(file)
        return moment is not None and self.clock.now() >= moment

    def _known(self, batch_id: str, key: str | None) -> EmulatedBatch:
        batch = self.account(key).batches.get(batch_id)
        if batch is None:
            raise KeyError(batch_id)
        return batch


class Emulator:
    """All providers with their clock, journal and faults; `EmulatorServer` serves it on a port.

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
        pace = Speed(speed, self.clock.now())
        make = partial(EmulatedProvider, clock=self.clock, ids=IdGenerator(seed), speed=pace)
        self.openai = make(OPENAI, key=OPENAI_KEY)
        self.gemini = make(GEMINI, key=GEMINI_KEY)
        self.anthropic = make(ANTHROPIC, key=ANTHROPIC_KEY)
        self.mistral = make(MISTRAL, key=MISTRAL_KEY)
        self.profiles = {name: make(each, key=f"emulated-{name}") for name, each in PROFILES.items()}

    @property
    def providers(self) -> tuple[EmulatedProvider, ...]:
        """All of them."""
        return self.openai, self.gemini, self.anthropic, self.mistral

    def side(self, name: str) -> EmulatedProvider:
        """The provider, or the server with OpenAI's API, of that name."""
        side: EmulatedProvider = self.profiles[name] if name in self.profiles else getattr(self, name)
        return side

    def accepts(self, key: str) -> bool:
        """Whether a request with that key is served."""
        return self.keys is None or key in self.keys
