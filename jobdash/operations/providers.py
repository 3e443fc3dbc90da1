"""What the faces and the planning need of providers, without an SDK."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress

from jobdash.domain.account import Account
from jobdash.domain.job import INPUT, JobDetails, JobRow
from jobdash.domain.provider_info import ProviderInfo
from jobdash.domain.status import Status
from jobdash.errors import ConfigError
from jobdash.providers.registry import bundled, find_provider
from jobdash.providers.servers import server_of


def servers(accounts: Iterable[Account]) -> dict[str, str]:
    """Return the server of each account by name, of those whose address can be read."""
    found: dict[str, str] = {}
    for account in accounts:
        with suppress(ConfigError):  # reported when the account is opened
            found[account.name] = server_of(account)
    return found


def providers_of(jobs: Iterable[JobRow]) -> Mapping[str, ProviderInfo]:
    """Return the providers of some jobs by name; those not installed are left out."""
    from jobdash.domain.backends.registry import rules_of  # which a list of jobs does without

    names = {job.provider for job in jobs if rules_of(job).at_provider}
    return {name: info for name in names if (info := find_provider(name)) is not None}


def provider_at(job: JobRow) -> ProviderInfo | None:
    """Return a job's provider as its server differs from it; None when it is not installed."""
    info = find_provider(job.provider)
    return None if info is None else info.at(job.origin, job.profile)


def without_cancel(jobs: Iterable[JobRow]) -> dict[tuple[str, str | None], str]:
    """Return the servers of jobs that cannot cancel a batch, by address and profile, with their names."""
    found: dict[tuple[str, str | None], str] = {}
    for provider, origin, profile in {(job.provider, job.origin, job.profile) for job in jobs}:
        info = find_provider(provider)
        if info is not None and not (here := info.at(origin, profile)).capabilities.cancels:
            found[origin, profile] = here.title
    return found


def has_results(details: JobDetails) -> bool | None:
    """Whether an ended batch left results to fetch; None where its provider reports no counts.

    Those that were deleted at the provider are none.
    """
    job = details.row
    if not job.terminal:
        return False
    info = provider_at(job)
    promised = info is None or info.capabilities.partial_results or job.status is Status.COMPLETED
    if not promised and "output" not in details.files:
        return False
    if not _keeps_results(details, info):
        return False
    return None if job.succeeded is None else job.succeeded > 0


def keeps_partial_results(job: JobRow) -> bool:
    """Whether the finished requests of a batch that ended early can be fetched from its provider."""
    info = provider_at(job)
    return info is not None and info.capabilities.partial_results


def _keeps_results(job: JobDetails, info: ProviderInfo | None) -> bool:
    """Whether a file of results is left, or else the batch that has them in itself."""
    if job.results_deleted:
        return False
    return bool(job.files.keys() - {INPUT}) or info is None or not info.capabilities.results_in_files


def profile_name(account: Account) -> str | None:
    """Return which of the servers with its provider's API an account is at; None for one not listed."""
    info = find_provider(account.provider)
    return (info.profile_of(account).name if info is not None else "") or None


def submit_settings(account: Account) -> tuple[str, ...]:
    """Return what a person is asked for where a file is submitted to an account: ``model``, ``endpoint``."""
    info = find_provider(account.provider)
    return () if info is None else info.submit_settings


def account_variables() -> list[str]:
    """Return the environment variables of which each makes an account, one a provider."""
    return [info.suggested_env or info.key_envs[0] for info in bundled().values()]


def account_hint() -> str:
    """Return how a person without an account gets one: ``export FIRST=… or SECOND=…``."""
    return f"export {' or '.join(f'{name}=…' for name in account_variables())}"


def request_key_field(job: JobRow) -> str:
    """Return the field of a request's line that holds its key; empty where the provider is not installed."""
    info = find_provider(job.provider)
    return info.request_fields[0] if info is not None else ""
