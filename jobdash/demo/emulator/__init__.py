"""An emulator of the batch APIs of OpenAI, Gemini, Anthropic and Mistral, on one port and in memory.

For the demo, for tests, and to try jobdash (or one's own code) without an account:

    emulator = Emulator()
    emulator.openai.add_batch(BatchScript(name="nightly", total=1_000))
    with EmulatorServer(emulator) as server:
        client = AsyncOpenAI(base_url=server.openai_base_url, api_key=OPENAI_KEY)
"""

from jobdash.demo.emulator.batch_plan import (
    BatchFailure,
    BatchPlan,
    BatchScript,
    CancelBehaviour,
    Ending,
    LineError,
    ListBehaviour,
    Phase,
    Switches,
    Timing,
)
from jobdash.demo.emulator.emulator import (
    ANTHROPIC_KEY,
    GEMINI_KEY,
    MISTRAL_KEY,
    OPENAI_KEY,
    PROFILES,
    Emulator,
)
from jobdash.demo.emulator.faults import (
    CutBody,
    Delay,
    EmptyJson,
    ErrorAnswer,
    FaultRule,
    MalformedJson,
    Reset,
)
from jobdash.demo.emulator.journal import JournalEntry, key_label
from jobdash.demo.emulator.server import EmulatorServer
from jobdash.demo.emulator.timeline import Clock, ManualClock, RealClock, ScaledClock

__all__ = [
    "ANTHROPIC_KEY",
    "GEMINI_KEY",
    "MISTRAL_KEY",
    "OPENAI_KEY",
    "PROFILES",
    "BatchFailure",
    "BatchPlan",
    "BatchScript",
    "CancelBehaviour",
    "Clock",
    "CutBody",
    "Delay",
    "EmptyJson",
    "Emulator",
    "EmulatorServer",
    "Ending",
    "ErrorAnswer",
    "FaultRule",
    "JournalEntry",
    "LineError",
    "ListBehaviour",
    "MalformedJson",
    "ManualClock",
    "Phase",
    "RealClock",
    "Reset",
    "ScaledClock",
    "Switches",
    "Timing",
    "key_label",
]
