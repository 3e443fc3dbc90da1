"""Checks that every engine has to pass, ours and a third party's alike.

In the tests of a package that registers an engine, with pytest::

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_conformance(check, make):
        check(make)

    @pytest.mark.parametrize("check", PROCESS_CHECKS, ids=lambda check: check.__name__)
    def test_several_workers(check, tested):
        check(tested)

where ``make`` returns a new engine over the same empty queue, of a worker with the given name, and ``tested``
is an `EngineUnderTest` over an empty database: `EngineUnderTest.make` is such a ``make``. A check raises
`NotConforming`. Those of one process use engines one after another; the others start processes, and kill
some.
"""

from jobdash.engines.conformance.deliveries import Check as Check
from jobdash.engines.conformance.deliveries import MakeEngine as MakeEngine
from jobdash.engines.conformance.deliveries import NotConforming as NotConforming
from jobdash.engines.conformance.deliveries import keys_of as keys_of
from jobdash.engines.conformance.one_process import CHECKS as CHECKS
from jobdash.engines.conformance.several_processes import PROCESS_CHECKS as PROCESS_CHECKS
from jobdash.engines.conformance.several_processes import ProcessCheck as ProcessCheck
from jobdash.engines.conformance.worker_process import EngineUnderTest as EngineUnderTest
