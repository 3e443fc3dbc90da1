"""The emulator on a port of this machine, in a thread of its own or as a process."""

from __future__ import annotations

import signal
import socket
import sys
import threading
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TYPE_CHECKING, Self

from jobdash.demo.emulator.emulator import Emulator

if TYPE_CHECKING:
    from jobdash.demo.emulator.http_server import PromptServer


HOST = "127.0.0.1"
START_TIMEOUT = 10.0
_VARIABLES = {"azure": ("AZURE_OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT")}
"""The variables of a profile's key and address, where it has some."""
_SETTINGS_HEAD = "## more servers with OpenAI's API: sed -n 's/^# //p' of this makes a config file"


def _key_env(profile: str) -> str:
    return f"EMULATED_{profile.upper()}_KEY"


class EmulatorServer:
    """An emulator with a URL: `with EmulatorServer(emulator) as server: ...`.

    `port` 0 takes a free one. Raises OSError on entering when the port is taken.
    """

    def __init__(self, emulator: Emulator | None = None, *, port: int = 0) -> None:
        self.emulator = emulator if emulator is not None else Emulator()
        self._port = port
        self._running: tuple[PromptServer, threading.Thread] | None = None

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return f"http://{HOST}:{self._port}"

    @property
    def openai_base_url(self) -> str:
        """What the OpenAI client wants as `base_url`."""
        return f"{self.url}/v1"

    @property
    def gemini_base_url(self) -> str:
        """What the Gemini client wants as `base_url`; it adds the version itself."""
        return self.url

    @property
    def anthropic_base_url(self) -> str:
        """What the Anthropic client wants as `base_url`; it adds the version itself."""
        return self.url

    @property
    def mistral_base_url(self) -> str:
        """What the Mistral client wants as `server_url`: a place of its own, as its paths are OpenAI's."""
        return f"{self.url}/mistral"

    def profile_base_url(self, name: str) -> str:
        """What the OpenAI client wants as `base_url` for a profile of `Emulator.profiles`."""
        return f"{self.url}/{name}/openai/v1"

    def environment(self, **keys: str) -> dict[str, str]:
        """The environment variables that lead every SDK here; ``openai_key=…`` and so on are other keys."""
        emulator = self.emulator
        return {
            "OPENAI_API_KEY": keys.get("openai_key", emulator.openai.key),
            "OPENAI_BASE_URL": self.openai_base_url,
            "GEMINI_API_KEY": keys.get("gemini_key", emulator.gemini.key),
            "GOOGLE_GEMINI_BASE_URL": self.gemini_base_url,
            "ANTHROPIC_API_KEY": keys.get("anthropic_key", emulator.anthropic.key),
            "ANTHROPIC_BASE_URL": self.anthropic_base_url,
            "MISTRAL_API_KEY": keys.get("mistral_key", emulator.mistral.key),
            "MISTRAL_SERVER_URL": self.mistral_base_url,
        }

    def profile_environment(self) -> dict[str, str]:
        """The variables of the profiles: those that make an account, and the keys of `profile_settings`."""
        found = {}
        for name, side in self.emulator.profiles.items():
            key_env, url_env = _VARIABLES.get(name, (_key_env(name), None))
            found[key_env] = side.key
            if url_env is not None:
                found[url_env] = self.profile_base_url(name)
        return found

    def profile_settings(self) -> str:
        """The accounts of the profiles that have no variables, as a config file has them."""
        return "\n".join(
            f'[accounts.{name}]\nprovider = "openai"\nprofile = "{name}"\napi_key_env = "{_key_env(name)}"\n'
            f'base_url = "{self.profile_base_url(name)}"'
            for name in self.emulator.profiles
            if name not in _VARIABLES
        )

    def start(self) -> None:
        """Return as soon as requests are answered."""
        listener = socket.create_server((HOST, self._port))
        # Connections inherit it; without, an answer's body waits 40 ms for the ACK of its headers.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._port = listener.getsockname()[1]
        started: Future[PromptServer] = Future()
        thread = threading.Thread(
            target=_run, args=(self.emulator, listener, started), name="emulator", daemon=True
        )
        thread.start()
        self._running = started.result(START_TIMEOUT), thread

    def stop(self) -> None:
        """Drop all connections, answered or not, and return when the port is free."""
        if self._running is not None:
            server, thread = self._running
            self._running = None
            server.stop()
            thread.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _run(emulator: Emulator, listener: socket.socket, started: Future[PromptServer]) -> None:
    """The thread; whatever keeps it from starting is raised where it was started."""
    with listener:
        try:
            # Only here, because uvicorn and Starlette take a tenth of a second to import.
            from jobdash.demo.emulator.http_server import PromptServer

            PromptServer(emulator, started.set_result).run(sockets=[listener])
        except Exception as error:
            if started.done():
                raise
            started.set_exception(error)


def serve(emulator: Emulator, *, port: int = 0) -> None:
    """Serve until SIGINT or SIGTERM; only in a main thread. Raises OSError when the port is taken."""
    ended: SimpleQueue[None] = SimpleQueue()  # unlike an event, it may be put into by the code it interrupts
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: ended.put(None)) for number in numbers]
    try:
        with EmulatorServer(emulator, port=port) as server:
            for name, value in (server.environment() | server.profile_environment()).items():
                sys.stdout.write(f"export {name}={value}\n")
            lines = (f"# {line}" for line in server.profile_settings().splitlines())
            sys.stdout.write("\n".join((_SETTINGS_HEAD, *lines, "")))
            # A reader of a pipe waits for it.
            sys.stdout.flush()
            ended.get()
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
