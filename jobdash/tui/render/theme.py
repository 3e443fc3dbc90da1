"""The themes of jobdash, dark and light, beside Textual's own."""

from __future__ import annotations

from textual.theme import Theme

DARK = Theme(
    name="jobdash-dark",
    primary="#a893f0",
    secondary="#6fb3d9",
    accent="#e89b66",
    foreground="#c3c9dd",
    background="#16171f",
    surface="#1d1f2a",
    panel="#262936",
    success="#8cc570",
    warning="#dfae5e",
    error="#ef6f82",
    dark=True,
    variables={
        "footer-key-foreground": "#e89b66",
        "input-selection-background": "#a893f0 35%",
        "scrollbar": "#343849",
        "scrollbar-hover": "#4a4f66",
        "scrollbar-active": "#a893f0",
        "scrollbar-background": "#16171f",
        "scrollbar-background-hover": "#16171f",
        "scrollbar-background-active": "#16171f",
    },
)

LIGHT = Theme(
    name="jobdash-light",
    primary="#6046c4",
    secondary="#23709c",
    accent="#b3541e",
    foreground="#2b2f40",
    background="#fafafc",
    surface="#f1f1f6",
    panel="#e5e5ee",
    success="#2f7d2c",
    warning="#93650a",
    error="#c22d49",
    dark=False,
    variables={
        "footer-key-foreground": "#b3541e",
        "input-selection-background": "#6046c4 25%",
        "scrollbar": "#cfd0dc",
        "scrollbar-hover": "#b2b4c6",
        "scrollbar-active": "#6046c4",
        "scrollbar-background": "#fafafc",
        "scrollbar-background-hover": "#fafafc",
        "scrollbar-background-active": "#fafafc",
    },
)
