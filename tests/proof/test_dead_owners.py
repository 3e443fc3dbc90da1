"""Who counts as dead: only then may another process take over what it left behind."""

from __future__ import annotations

import os
import subprocess
import sys

from kit.child_processes import environment
from shared.deadlines import within

from jobdash.store.owner import Owner

TELLS = "from jobdash.store.owner import current_owner; print(current_owner().encode(), flush=True); input()"


def test_a_killed_process_is_dead_before_anybody_has_buried_it() -> None:
    """As in a container whose first process waits for no one's children: it stays on the list for ever."""
    with subprocess.Popen(
        [sys.executable, "-c", TELLS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(),
        text=True,
    ) as child:
        assert child.stdout is not None
        owner = Owner.decode(within(child.stdout.readline))
        assert not owner.provably_dead()
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert owner.provably_dead()
    assert owner.provably_dead()
