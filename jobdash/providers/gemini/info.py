"""Gemini as a registered provider."""

from jobdash.domain.provider_info import Capabilities, ProviderInfo

INFO = ProviderInfo(
    name="gemini",
    title="Gemini",
    adapter="jobdash.providers.gemini.batches:GeminiBatches",
    input_rules="jobdash.providers.gemini.input:GeminiInput",
    result_reader="jobdash.providers.gemini.results:read_line",
    base_url="https://generativelanguage.googleapis.com",
    capabilities=Capabilities(
        newest_first=False,
        reports_cancelling=False,
        deletes_records=True,
        deletes_files=True,
        deletes_results=False,
        partial_results=False,
        results_in_files=False,
    ),
    id_pattern=r"batches/[\w\-.]+",
    request_fields=("key", "request"),
    # In this order, as in google-genai.
    key_envs=("GOOGLE_API_KEY", "GEMINI_API_KEY"),
    suggested_env="GEMINI_API_KEY",
    base_url_env="GOOGLE_GEMINI_BASE_URL",
    keeps_input="48 h",
    price_id="google",
    priced_model="jobdash.providers.gemini.info:priced_model",
    submit_settings=("model",),
    unused_settings={
        "organization": "Gemini knows none",
        "project": "Gemini knows none; the key belongs to one",
        "list_history": "its list is in no known order, and is read whole",
    },
)


def priced_model(model: str) -> str:
    """Return the name under which a model's price is listed: without folders, ``models/x`` as ``x``.

    A tuned one (``tunedModels/x``) keeps its own name, which no list has.
    """
    return model.rpartition("models/")[2]
