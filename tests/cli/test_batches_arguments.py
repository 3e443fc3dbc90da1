"""The arguments and errors of `jobdash.batches`: a wrong argument ends a call before anything is sent."""

from __future__ import annotations

import re
import subprocess
import sys

from cli_kit import ROOT, Cli

from jobdash import batches


def test_what_the_help_names_is_there() -> None:
    texts = [batches.__doc__, *(getattr(batches, name).__doc__ for name in batches.__all__)]
    named = {word for text in texts for word in re.findall(r"`([A-Z]\w+)`", text or "")}
    assert named <= set(batches.__all__)
    assert {"FileFaults", "JobAmbiguous", "WaitTimeout"} <= named


def test_batches_and_results_can_be_kept_in_sets(cli: Cli) -> None:
    made = batches.get(cli.add_finished(total=3))
    assert {made, batches.get(made)} == {made}
    assert len(set(batches.results(made))) == 3


def test_fetched_results_are_a_file(cli: Cli) -> None:
    fetched = batches.fetch(cli.add_finished(total=3))
    assert isinstance(fetched, batches.FetchedBatch)
    assert len(fetched.results.read_text().splitlines()) == 3


def test_an_error_is_one_traceback(cli: Cli) -> None:
    program = "from jobdash import batches; batches.get('batch_none')"
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert ran.stderr.count("Traceback") == 1
    assert "jobdash.errors.JobNotFound" in ran.stderr
