"""Notifications through the terminal: the sequence that each understands, also from inside tmux."""

from __future__ import annotations

from dataclasses import replace

import pytest
from domain_kit import job
from hypothesis import given
from hypothesis import strategies as st

from jobdash.config.notify import NotifySettings
from jobdash.domain.notification import Notification, NotificationKind
from jobdash.domain.status import Status
from jobdash.operations.terminal_notification import terminal_sequence

ROW = job(Status.COMPLETED, name="nightly; eval", public_id="k3f9abcd", succeeded=9, failed=1, total=10)
DONE = Notification(NotificationKind.FINISHED, ROW, 0)


@pytest.mark.parametrize(
    ("env", "start"),
    [
        ({"TERM": "xterm-256color"}, "\x1b]9;nightly, eval: partial · 10 of 10 done, 1 failed"),
        ({"TERM": "xterm-kitty"}, "\x1b]99;i=k3f9abcd:d=0:p=title;nightly, eval: partial\x1b\\"),
        ({"VTE_VERSION": "7200"}, "\x1b]777;notify;nightly, eval: partial;10 of 10 done"),
        ({"TMUX": "/tmp/x"}, "\x1bPtmux;\x1b\x1b]9;nightly, eval: partial"),
    ],
)
def test_each_terminal_has_its_sequence(env: dict[str, str], start: str) -> None:
    assert terminal_sequence(NotifySettings(desktop="auto"), DONE, env).startswith(start)


def test_a_bell_alone_is_one_character() -> None:
    assert terminal_sequence(NotifySettings(bell=True), DONE, {}) == "\a"


@given(name=st.text())
def test_no_name_ends_a_sequence(name: str) -> None:
    one = replace(DONE, row=replace(ROW, name=name))
    sequence = terminal_sequence(NotifySettings(desktop="777"), one, {})
    assert sequence.count("\x1b") == 2
    assert sequence.count(";") == 3
    assert sequence.endswith("\x1b\\")
