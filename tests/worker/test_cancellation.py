"""The cancel token: in the process of its job, and sent to another."""

from __future__ import annotations

import pickle

import pytest
from worker_kit import Seen, until

from jobdash import JobCancelled, LeaseLost, Token, track


def test_a_token_raises_the_reason() -> None:
    token = Token()
    token.raise_if_cancelled()
    token.cancel()
    with pytest.raises(JobCancelled) as caught:
        token.raise_if_cancelled()
    assert not isinstance(caught.value, LeaseLost)
    token.lose("was removed")
    with pytest.raises(LeaseLost, match="was removed"):
        token.raise_if_cancelled()


def test_a_token_sent_elsewhere_reads_the_store(seen: Seen) -> None:  # D-8
    with track(range(3), "sent", key=str, on_cancel="continue") as job:
        elsewhere = pickle.loads(pickle.dumps(job.token))
        assert not elsewhere.cancelled
        seen.cancel("sent")
        until(lambda: elsewhere.cancelled, "the cancel")
        until(lambda: job.token.cancelled, "the cancel here")
    assert job.status == "cancelled"
