"""Servers that speak OpenAI's API, as a table of what they do in another way.

What is not in it is as at OpenAI, or is taken as it comes: the adapter reads states that are skipped, counts
that are missing, and refusals with another status code, wherever they are met.
"""

from __future__ import annotations

from collections.abc import Iterator

from jobdash.domain.provider_info import Profile
from jobdash.domain.time import DAY, HOUR

_SELF_HOSTED = {"vllm": "vLLM", "litellm": "LiteLLM", "ogx": "OGX", "aibrix": "AIBrix", "llm-d": "llm-d"}


def _self_hosted() -> Iterator[Profile]:
    for name, title in _SELF_HOSTED.items():
        yield Profile(
            name=name, title=title, remark="states may be skipped, counts missing, a late cancel a 400 or 500"
        )


PROFILES = (
    Profile(
        name="openai",
        title="OpenAI",
        base_url="https://api.openai.com/v1",
        hosts=("api.openai.com",),
        windows=("24h",),
        file_expiry=(HOUR, 30 * DAY),
    ),
    # https://learn.microsoft.com/azure/ai-services/openai/how-to/batch
    Profile(
        name="azure",
        title="Azure OpenAI",
        hosts=("*.openai.azure.com", "*.cognitiveservices.azure.com", "*.services.ai.azure.com"),
        path="/openai/v1",
        key_env="AZURE_OPENAI_API_KEY",
        base_url_env="AZURE_OPENAI_ENDPOINT",
        key_header="api-key",
        windows=("24h",),
        max_requests=100_000,
        file_expiry=(14 * DAY, 30 * DAY),
        remark="the model of a line is a deployment; 500 files without an expiry, so set files_expire; "
        "24h is a target, a batch does not expire",
    ),
    Profile(
        name="groq",
        title="Groq",
        base_url="https://api.groq.com/openai/v1",
        hosts=("api.groq.com",),
        windows=("24h", "7d"),  # https://console.groq.com/docs/api-reference#batches
        any_window_between=True,
        pages=False,
    ),
    Profile(
        name="deepinfra",
        title="DeepInfra",
        base_url="https://api.deepinfra.com/v1/openai",
        hosts=("api.deepinfra.com",),
    ),
    Profile(
        name="doubleword",
        title="Doubleword",
        base_url="https://api.doubleword.ai/v1",
        hosts=("api.doubleword.ai",),
        windows=("24h", "1h"),
    ),
    Profile(
        name="moonshot",
        title="Moonshot",
        base_url="https://api.moonshot.ai/v1",
        hosts=("api.moonshot.ai", "api.moonshot.cn"),
    ),
    Profile(
        name="zhipu",
        title="Zhipu",
        base_url="https://open.bigmodel.cn/api/paas/v4",
        hosts=("open.bigmodel.cn", "api.z.ai"),
        differs={"returns_input": False},
        remark="the input file is deleted by itself",
    ),
    Profile(
        name="dashscope",
        title="DashScope",
        base_url="https://dashscope.aliyuncs.com/compatible-mode/v1",
        hosts=("dashscope.aliyuncs.com", "dashscope-intl.aliyuncs.com"),
        windows=("24h", "14d"),
        any_window_between=True,
    ),
    # https://novita.ai/docs/api-reference/model-apis-llm-create-batch
    Profile(
        name="novita",
        title="Novita",
        base_url="https://api.novita.ai/openai/v1",
        hosts=("api.novita.ai",),
        windows=("48h",),
    ),
    # https://docs.together.ai/docs/batch-inference
    Profile(
        name="together",
        title="Together",
        base_url="https://api.together.xyz/v1",
        hosts=("api.together.xyz", "api.together.ai"),
        windows=("24h",),
        max_bytes=100 * 1000 * 1000,
        pages=False,
        differs={
            "newest_first": False,
            "reports_cancelling": False,
            "reports_progress": False,
            "carries_key": False,
        },
        adapter="jobdash.providers.openai.together:TogetherBatches",
        remark="says how many percent are done",
    ),
    # https://openrouter.ai/docs/guides/features/batch-api
    Profile(
        name="openrouter",
        title="OpenRouter",
        base_url="https://openrouter.ai/api/v1",
        hosts=("openrouter.ai",),
        windows=("24h",),
        max_requests=5_000,
        differs={
            "cancels": False,
            "carries_key": False,
            "deletes_records": True,
            "deletes_files": False,
            "results_in_files": False,
            "returns_input": False,
        },
        usage_cost="cost",
        adapter="jobdash.providers.openai.openrouter:OpenRouterBatches",
        remark="a record can be deleted when its batch has ended",
    ),
    *_self_hosted(),
)
