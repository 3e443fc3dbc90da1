"""Names of OpenAI's models, as price lists have them."""

from __future__ import annotations

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
