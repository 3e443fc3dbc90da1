"""Backends: who runs a job is asked through one Protocol, found by the job."""

from __future__ import annotations

from pathlib import Path

import jobdash
from jobdash.domain.backends.registry import RULES
from jobdash.operations.backends.registry import backend

PACKAGE = Path(jobdash.__file__).parent
OTHERS = {"domain/job.py", "domain/describe/job_text.py"}


def test_every_backend_has_rules_and_acts_by_them() -> None:
    assert len({rules.name for rules in RULES}) == len(RULES)
    for rules in RULES:
        assert backend(rules).rules is rules


def test_no_module_asks_whether_a_script_runs_a_job() -> None:
    asking = {
        module.relative_to(PACKAGE).as_posix()
        for module in PACKAGE.rglob("*.py")
        if any(f"{name}.local " in module.read_text(encoding="utf-8") for name in ("row", "job"))
    }
    assert asking <= OTHERS
