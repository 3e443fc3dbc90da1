"""Mistral as a registered provider."""

from jobdash.domain.provider_info import Capabilities, ProviderInfo

INFO = ProviderInfo(
    name="mistral",
    title="Mistral",
    adapter="jobdash.providers.mistral.batches:MistralBatches",
    input_rules="jobdash.providers.mistral.input:MistralInput",
    result_reader="jobdash.providers.mistral.results:read_line",
    base_url="https://api.mistral.ai",
    capabilities=Capabilities(
        newest_first=True,
        reports_cancelling=True,
        deletes_records=True,
        deletes_files=True,
        partial_results=False,  # not promised; what there is, is fetched all the same
        returns_input=True,
    ),
    id_pattern=r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}",
    request_fields=("custom_id", "body"),
    key_envs=("MISTRAL_API_KEY",),
    base_url_env="MISTRAL_SERVER_URL",
    price_id="mistral",
    unused_settings={
        "api_version": "the version is a part of base_url",
        "organization": "the key belongs to one",
        "project": "the key belongs to a workspace",
    },
)
