"""Names of Gemini's models, as price lists have them."""

from __future__ import annotations


def priced_model(model: str) -> str:
    """Return the name under which a model's price is listed: without folders, ``models/x`` as ``x``.

    A tuned one (``tunedModels/x``) keeps its own name, which no list has.
    """
    return model.rpartition("models/")[2]
