"""OpenAI as a registered provider."""

from jobdash.domain.provider_info import Capabilities, ProviderInfo
from jobdash.providers.openai.profiles import PROFILES

INFO = ProviderInfo(
    name="openai",
    title="OpenAI",
    adapter="jobdash.providers.openai.batches:OpenAIBatches",
    input_rules="jobdash.providers.openai.input:OpenAIInput",
    result_reader="jobdash.providers.openai.results:read_line",
    base_url="https://api.openai.com/v1",
    capabilities=Capabilities(
        newest_first=True,
        reports_cancelling=True,
        deletes_records=False,
        deletes_files=True,
        partial_results=True,
        returns_input=True,
    ),
    # Ids of compatible servers follow no pattern.
    id_pattern=r"batch_[\w\-]+|[\w\-]{12,}",
    request_fields=("custom_id", "method", "url", "body"),
    key_envs=("OPENAI_API_KEY",),
    base_url_env="OPENAI_BASE_URL",
    price_id="openai",
    priced_model="jobdash.providers.openai.info:priced_model",
    submit_settings=(),  # the lines name both
    profiles=PROFILES,
    unused_settings={"api_version": "the version is a part of base_url (…/v1, or …?api-version=…)"},
)


_FINE_TUNED = "ft:"


def priced_model(model: str) -> str:
    """Return the name under which a model's price is listed.

    Of a fine-tuned one (``ft:BASE:ORGANIZATION:NAME:ID``) that is ``ft:BASE``: it has a price of its own, not
    that of its base.
    """
    if not model.startswith(_FINE_TUNED):
        return model
    base = model.removeprefix(_FINE_TUNED).partition(":")[0]
    return f"{_FINE_TUNED}{base}"
