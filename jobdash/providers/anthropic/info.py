"""Anthropic as a registered provider."""

from jobdash.domain.provider_info import Capabilities, ProviderInfo

INFO = ProviderInfo(
    name="anthropic",
    title="Anthropic",
    adapter="jobdash.providers.anthropic.batches:AnthropicBatches",
    input_rules="jobdash.providers.anthropic.input:AnthropicInput",
    result_reader="jobdash.providers.anthropic.results:read_line",
    base_url="https://api.anthropic.com",
    capabilities=Capabilities(
        newest_first=True,
        reports_cancelling=True,
        deletes_records=True,
        deletes_files=False,
        partial_results=True,
        reports_progress=False,
        carries_key=False,
    ),
    id_pattern=r"msgbatch_[\w\-]+",
    request_fields=("custom_id", "params"),
    key_envs=("ANTHROPIC_API_KEY",),
    base_url_env="ANTHROPIC_BASE_URL",
    price_id="anthropic",
    submit_settings=(),  # the lines name the model, and there is one endpoint
    unused_settings={
        "organization": "the key belongs to one",
        "project": 'the key belongs to a workspace; headers = {"anthropic-workspace-id" = "…"} names another',
    },
)
