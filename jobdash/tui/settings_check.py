"""Checks of the settings that need the dashboard: themes, orders, keys."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING

from jobdash.config.settings import Config
from jobdash.domain.text import clean
from jobdash.operations.job_lookup import SORT_ORDERS

if TYPE_CHECKING:
    from textual.binding import Binding, BindingType

_MODIFIERS = frozenset({"ctrl", "shift", "alt", "super", "hyper", "meta"})
_BUILT_IN = "built in"


def settings_warnings(config: Config) -> Iterator[str]:
    """Yield what is wrong with ``[ui]`` and ``[keys]``; Textual is imported only where they are set."""
    place, ui = clean(str(config.path)), config.ui
    if ui.theme and ui.theme not in (known := _themes()):
        yield f"{place}: [ui] theme {clean(ui.theme)} is not known; there are {', '.join(sorted(known))}"
    if ui.sort.lstrip("+-") not in SORT_ORDERS:
        yield f"{place}: [ui] sort {clean(ui.sort)} is not known; there are {', '.join(SORT_ORDERS)}"
    for wrong in _wrong_keys(config.keys) if config.keys else ():
        yield f"{place}: [keys] {wrong}"


def _themes() -> set[str]:
    from textual.theme import BUILTIN_THEMES

    from jobdash.tui.render.theme import DARK, LIGHT

    return {*BUILTIN_THEMES, DARK.name, LIGHT.name}


def _wrong_keys(keys: Mapping[str, str]) -> Iterator[str]:
    by_screen = _by_screen()
    known = [binding.id for bindings in by_screen for binding in bindings if binding.id]
    for name, own in keys.items():
        if name not in known:
            near = get_close_matches(name, known, 1, 0.4)
            yield f"{clean(name)} is not known" + (f"; do you mean {near[0]}?" if near else "")
        for key in own.split(","):
            if not _is_key(key.strip()):
                wrong = f"no key is called {clean(key.strip(), 40)!r}; write it like ctrl+x, f2, ?"
                yield f"{clean(name)}: {wrong}"
    yield from _clashes(by_screen, _spelled(keys))


def _clashes(by_screen: list[list[Binding]], keymap: Mapping[str, str]) -> Iterator[str]:
    """Yield the keys of a person's own that another action at the same place has as well."""
    for bindings in by_screen:
        holders: dict[str, list[str]] = {}
        for binding in bindings:
            for key in keymap.get(binding.id or "", binding.key).split(","):
                words = (binding.description or binding.action).lower()
                name = binding.id or f"{words} ({_BUILT_IN})"
                if name not in (names := holders.setdefault(key.strip(), [])):
                    names.append(name)
        for key, names in holders.items():
            own = next((name for name in names if name in keymap), None)
            if own is not None and len(names) > 1:
                others = ", ".join(name for name in names if name != own)
                yield f"{own}: {key} is also the key of {others}"


def _spelled(keys: Mapping[str, str]) -> Mapping[str, str]:
    """Return keys as Textual spells them: ``question_mark`` for ``?``."""
    from textual.app import App

    return App._normalize_keymap(dict(keys))  # noqa: SLF001  the same that `App.set_keymap` does with them


def _is_key(key: str) -> bool:
    """Whether a key is spelled as Textual spells one, or is a single character."""
    from textual.keys import KEY_NAME_REPLACEMENTS, Keys

    *modifiers, base = key.split("+") if len(key) > 1 else [key]
    if not set(modifiers) <= _MODIFIERS:
        return False
    if len(base) == 1 or key in set(Keys) or base in set(Keys) or base in KEY_NAME_REPLACEMENTS.values():
        return True
    try:
        unicodedata.lookup(base.replace("_", " "))
    except KeyError:
        return False
    return True


def _by_screen() -> list[list[Binding]]:
    """Return the bindings of each screen: the table, a job's own, and a fetched result's.

    Each comes with those of the app, of which only those with an id can be given other keys.
    """
    from textual.app import App
    from textual.binding import Binding
    from textual.screen import Screen

    from jobdash.tui.commands import APP_BINDINGS, Place, bindings

    def of(found: Iterable[BindingType]) -> list[Binding]:
        return [binding for binding in found if isinstance(binding, Binding)]

    palette = Binding(App.COMMAND_PALETTE_BINDING, "command_palette", "Palette")
    everywhere = [*of(APP_BINDINGS), *of(Screen.BINDINGS), palette]
    table = [binding for place in (Place.MAIN, Place.LIST, Place.TABLE) for binding in of(bindings(place))]
    others = [[*of(bindings(place)), *everywhere] for place in (Place.JOB, Place.ITEM)]
    return [[*table, *everywhere], *others]
