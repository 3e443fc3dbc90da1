"""ACME as a provider of jobdash: what is known of it before its adapter is needed."""

from collections.abc import Mapping

from jobdash.domain.provider_info import Capabilities, ProviderInfo
from jobdash.domain.remote_job import RemoteError
from jobdash.errors import UsageError
from jobdash.providers.base import ResultLine
from jobdash.providers.input_check import FileCheck, InputRules, SubmitWishes
from jobdash.providers.json_values import text
from jobdash.providers.results import answer

INFO = ProviderInfo(
    name="acme",
    title="ACME",
    adapter="jobdash_acme_batches:AcmeBatches",
    input_rules="jobdash_acme:AcmeInput",
    result_reader="jobdash_acme:read_line",
    base_url="https://batch.acme.example",
    capabilities=Capabilities(
        newest_first=True,
        reports_cancelling=True,
        deletes_records=True,
        deletes_files=True,
        partial_results=True,
        results_in_files=False,
    ),
    id_pattern=r"job-\d+",
    request_fields=("id", "prompt"),
    key_envs=("ACME_KEY",),
)


class AcmeInput(InputRules):
    info = INFO
    max_bytes = 10_000_000

    def check_request(self, request: Mapping[str, object]) -> None:
        if not isinstance(request.get("prompt"), str):
            self.refuse('"prompt" has to be a text')

    @staticmethod
    def check_wishes(check: FileCheck, wishes: SubmitWishes) -> tuple[str, ...]:
        if wishes.endpoint:
            raise UsageError("ACME has one endpoint only")
        return ()


def read_line(line: Mapping[str, object]) -> ResultLine | None:
    """Read a line of ACME's answers: ``{id, answer}`` or ``{id, error}``."""
    key, reason = text(line.get("id")), text(line.get("error"))
    if key is None:
        return None
    return answer(key, line.get("answer"), RemoteError(reason) if reason else None)
