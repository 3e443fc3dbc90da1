"""Hosts as namespaces of this computer's kernel, each joined to it by a cable that can be pulled.

A host has a network, a name and process ids of its own: of its processes nothing can be known elsewhere, as
of those of another computer. Linux, as root, with ``ip`` (package iproute2) and ``unshare``.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_NETWORK = "10.231.77"
TIMEOUT_S = 20.0


def why_not() -> str:
    """Return why there can be no namespaces here; empty where there can."""
    if os.geteuid() != 0:
        return "network namespaces can be made by root only"
    missing = [name for name in ("ip", "unshare") if shutil.which(name) is None]
    if missing:
        return f"there is no {' and no '.join(missing)} here (packages iproute2, util-linux)"
    probe = f"jd{os.getpid()}p"
    if _tried("ip", "netns", "add", probe) or _tried("ip", "netns", "exec", probe, "true"):
        return "this computer lets nobody make network namespaces"
    _tried("ip", "netns", "del", probe)
    return ""


def _tried(*command: str) -> int:
    return subprocess.run(command, capture_output=True, timeout=TIMEOUT_S).returncode


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=TIMEOUT_S)


@dataclass(frozen=True)
class Host:
    """A host with an address of its own; ``server`` is this computer's as seen from there."""

    name: str
    namespace: str
    cable: str
    server: str

    def command(self, *words: str) -> list[str]:
        """Return a command that runs another one there; it is killed with it."""
        inside = f'hostname {self.name} && exec "$@"'
        unshare = ("unshare", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc")
        return ["ip", "netns", "exec", self.namespace, *unshare, "sh", "-c", inside, "sh", *words]

    @staticmethod
    def terminate(process: subprocess.Popen[bytes]) -> None:
        """Ask a command on a host to end: ``unshare``, which is its parent, hands no signal on."""
        (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(child), signal.SIGTERM)

    def pull_cable(self) -> None:
        _run("ip", "link", "set", self.cable, "down")

    def plug_cable(self) -> None:
        _run("ip", "link", "set", self.cable, "up")


@contextmanager
def hosts(*names: str) -> Iterator[list[Host]]:
    """Make hosts, and take them away again."""
    made: list[Host] = []
    try:
        for number, name in enumerate(names):
            cable, other = f"jd{os.getpid()}v{number}", f"jd{os.getpid()}w{number}"
            server, own = (f"{_NETWORK}.{4 * number + last}" for last in (1, 2))
            host = Host(name, f"jd{os.getpid()}{name}", cable, server)
            _run("ip", "netns", "add", host.namespace)
            made.append(host)
            _run("ip", "link", "add", cable, "type", "veth", "peer", "name", other)
            _run("ip", "link", "set", other, "netns", host.namespace)
            _run("ip", "addr", "add", f"{server}/30", "dev", cable)
            _run("ip", "link", "set", cable, "up")
            for words in (f"addr add {own}/30 dev {other}", f"link set {other} up", "link set lo up"):
                _run("ip", "-n", host.namespace, *words.split())
        yield made
    finally:
        for host in made:
            _tried("ip", "link", "del", host.cable)
            _tried("ip", "netns", "del", host.namespace)
