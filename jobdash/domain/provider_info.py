"""What is known of a provider without its SDK: its capabilities, names, environment and rules."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

LOCAL = "local"
"""Provider and account of every local job. Not in `domain.job`, which a user's script need not import."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a provider's API can do and report; decides which keys, choices and sentences exist."""

    newest_first: bool
    """Its list is ordered by creation, newest first: a sync may stop early."""
    reports_cancelling: bool
    """It has a status of its own for a cancel under way."""
    deletes_records: bool
    """`Adapter.delete` removes the batch itself."""
    deletes_files: bool
    partial_results: bool
    """Finished requests of a cancelled or expired batch can be fetched."""
    results_in_files: bool = True
    """Results exist only where the batch names an output or error file."""
    returns_input: bool = False
    """An uploaded input file can be downloaded again."""
    reports_progress: bool = True
    """It counts the requests that are done before a batch has ended."""
    carries_key: bool = True
    """A batch carries our key and its name. Else a submit without an answer is found by its time and its
    number of requests, if one batch alone has these."""


@dataclass(frozen=True, slots=True)
class ProviderInfo:
    """A provider as it is registered in the entry-point group ``jobdash.providers``."""

    name: str
    """As in ``provider = "…"`` of the settings, in the store and in JSON."""
    title: str
    """As people read it."""
    adapter: str
    """The class that implements `jobdash.providers.base.Adapter`: ``module:class``, imported when opened."""
    input_rules: str
    """The class that implements `jobdash.providers.input_check.InputRules`: ``module:class``."""
    result_reader: str
    """The function that reads a JSON object of its result files: ``module:function``, a
    `jobdash.providers.results.ReadLine`; its module imports no SDK."""
    base_url: str
    """Where its API is, for accounts that name no ``base_url``."""
    capabilities: Capabilities
    id_pattern: str
    """A regular expression of whole batch ids; with it an id is recognised before anything is asked."""
    request_fields: tuple[str, ...]
    """What a line of its input files has: the key of the request first."""
    key_envs: tuple[str, ...] = ()
    """Environment variables that hold a key. Of a provider that comes with jobdash, the first that is set
    makes an account of its name; others have accounts in the settings file alone."""
    suggested_env: str = ""
    """The variable to name to a person without an account; empty: the first of ``key_envs``."""
    base_url_env: str | None = None
    """The environment variable that names another server for that account."""
    keeps_input: str = ""
    """For how long it keeps an uploaded input file, in words (``48 h``); empty where that is not known."""
    price_id: str = ""
    """Its id in the price table of the package genai-prices; empty: it is not there."""
    priced_model: str = ""
    """The function that returns the name under which a model's price is listed: ``module:function``; its
    module imports no SDK. Empty: names are listed as they are."""
    submit_settings: tuple[str, ...] = ("model", "endpoint")
    """What a person is asked for where a file is submitted, as its lines may not name it."""
    unused_settings: Mapping[str, str] = field(default_factory=dict)
    """Settings of an account that it ignores, and why."""

    def claims(self, word: str) -> bool:
        """Whether ``word`` may be the id of one of its batches."""
        return re.fullmatch(self.id_pattern, word, re.ASCII) is not None
