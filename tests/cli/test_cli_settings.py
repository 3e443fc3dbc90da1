"""Mistakes in the settings that only the dashboard stumbles over: found by ``doctor``, ``config show``."""

from __future__ import annotations

from cli_kit import Cli

SETTINGS = """
[ui]
theme = "jobdash-drak"
sort = "-age"
columns = ["name", "colour"]

[keys]
"job.cancle" = "ctrl+x"
"job.retry" = "ctrl+q"
"job.remove" = "?"
"job.undo" = "ctrl-u"
"view.mark" = "ctrl+p"
"job.fetch" = "j"
"one.cancel" = "tab"
"""
WORDS = (
    "[ui] columns: colour is not known; there are name",
    "[ui] theme jobdash-drak is not known; there are",
    "[ui] sort -age is not known; there are created",
    "[keys] job.cancle is not known; do you mean job.cancel?",
    "[keys] job.retry: ctrl+q is also the key of quit (built in)",
    "[keys] job.remove: question_mark is also the key of app.help",
    "[keys] job.undo: no key is called 'ctrl-u'",
    "[keys] view.mark: ctrl+p is also the key of palette (built in)",
    "[keys] job.fetch: j is also the key of table.down",
    "[keys] one.cancel: tab is also the key of next page (built in)",
)


def test_doctor_and_config_show_find_what_the_dashboard_finds(cli: Cli) -> None:
    cli.config.write_text(cli.config.read_text() + SETTINGS)

    doctor, shown = cli("doctor"), cli("config", "show")

    for words in WORDS:
        assert f"! config: {cli.config}: {words}" in doctor.out
        assert f"warning: {cli.config}: {words}" in shown.err
    for warnings in (cli.json("doctor")["config"]["warnings"], cli.json("config", "show")["warnings"]):
        assert len(warnings) == len(WORDS)
    assert doctor.code == shown.code == 0


def test_sound_settings_warn_of_nothing(cli: Cli) -> None:
    more = '[ui]\ntheme = "nord"\nsort = "+name"\n[keys]\n"job.cancel" = "f2,ctrl+k"\n"job.retry" = "."\n'
    cli.config.write_text(cli.config.read_text() + more)

    assert cli.json("doctor")["config"]["warnings"] == []
    assert "warning" not in cli("config", "show").err
