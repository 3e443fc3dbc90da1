"""The gate between text from outside and a person: hostile text, secrets, file names, sizes."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jobdash.domain import text as gate
from jobdash.domain.text import bounded, clean, file_name, redact

ANYTHING = st.text(st.characters(exclude_categories=()), max_size=60)
"""Lone surrogates, controls, unassigned and all."""
TRICKS = st.text(
    st.sampled_from(
        "a \t\n\r\x00\x07\x1b[]m;\\\x7f\x80\x9b\x9c"
        "\u200b\u200d\u200e\u202e\u2066\u2069\u2028\ufeff\u0301\u0489"
        "\u034f\u115f\u3164\ufe0f\U000e0041\U000e01ef\ud800\udfff\U0001f468\u2800\u00a0\u3000אب🏽ﷺ"
    ),
    max_size=40,
)
BIDI = set("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
ZERO_WIDTH = set("\u200b\u200c\u200d\u2060\ufeff\u00ad\u180e")


def harmless(line: str) -> bool:
    """One printable line without anything that moves, hides or turns text."""
    return (
        all(char.isprintable() for char in line)
        and not (BIDI | ZERO_WIDTH) & set(line)
        and len(line.splitlines()) <= 1
        and all(unicodedata.category(char)[0] != "C" for char in line)
        and line.encode("utf-8") is not None
    )


@given(ANYTHING | TRICKS)
@example("\x1b]52;c;aGk=\x07")
@example("\u0301" * 9)
@example("e" + "\u0301" * 99)
@example("\u200b\u0301\u202e\u0301")
@example("\ud83d\ude00")
def test_whatever_comes_in_one_harmless_line_goes_out(text: str) -> None:
    assert harmless(clean(text))


@given(ANYTHING | TRICKS)
@example("\u200b\u0301\u200b")
@example("\x00\u0301\u0301\u0301")
def test_what_went_through_once_goes_through_unchanged(text: str) -> None:
    assert clean(clean(text)) == clean(text)


@given(ANYTHING | TRICKS, st.integers(1, 20))
def test_a_long_text_is_cut_with_a_mark(text: str, limit: int) -> None:
    shown = clean(text, limit)
    assert len(shown) <= limit
    assert harmless(shown)
    if len(text) > limit:
        assert shown.endswith("…")


@given(st.text(st.characters(codec="ascii", exclude_categories=("C",)), max_size=80))
def test_plain_text_stays_what_it_is(text: str) -> None:
    assert clean(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("nightly-eval", "nightly-eval"),
        ("商品説明の翻訳", "商品説明の翻訳"),
        ("résumé (naïve)", "résumé (naïve)"),
        ("re\u0301sume\u0301", "re\u0301sume\u0301"),
        ("обзор 🚀", "обзор 🚀"),
        ("a\tb\nc\r\nd\u2028e\u00a0f", "a b c  d e f"),
        ("\x1b[31mred\x1b[0m", "␛[31mred␛[0m"),
        ("a\x00b\x07\x7f", "a␀b␇␡"),
        ("\x9b31m", "�31m"),
        ("abc\u202edcba", "abc�dcba"),
        ("a\u200b\u200b\u200bb", "a�b"),
        ("half \ud800", "half �"),
        ("z" + "\u0301" * 50, "z\u0301\u0301"),
        ("\u0301start", "start"),
        ("[bold]x[/bold]", "[bold]x[/bold]"),
        ("", ""),
    ],
)
def test_clean(text: str, shown: str) -> None:
    assert clean(text) == shown


def test_two_names_that_differ_in_what_cannot_be_seen_look_different() -> None:
    for hidden in ("\u200b", "\u3164", "\ufe0f", "\u2800", "\U000e0041"):
        assert clean(f"a{hidden}b") != clean("ab")


def test_a_megabyte_is_cut_before_it_is_looked_at() -> None:
    assert len(clean("\x1b" * 1_000_000)) == gate.SCREEN_LIMIT


@given(ANYTHING | st.text("aé商🚀\ud800", max_size=60), st.integers(20, 120))
def test_a_stored_text_fits_its_limit_and_stays_whole_below_it(text: str, limit: int) -> None:
    size = len(text.encode("utf-8", "surrogatepass"))
    kept = bounded(text, limit)
    if size <= limit:
        assert kept == text
    else:
        assert len(kept.encode("utf-8")) <= limit
        assert kept.endswith("… (cut)")
        assert text.startswith(kept.removesuffix("… (cut)")) or "\ud800" in text or not text.isprintable()


@given(ANYTHING | TRICKS | st.text('./\\~:*?"<>|-_ \n\0a', max_size=40))
@example("../../etc/passwd")
@example(".bashrc")
@example("-rf")
@example("CON")
@example("a" * 500)
def test_a_file_name_leads_nowhere(text: str) -> None:
    name = file_name(text)
    assert name
    assert len(name) <= 80
    assert name[0] not in ".-"
    assert not set(name) & set('/\\:*?"<>| \n\0')
    assert name not in {".", ".."}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("nightly eval/v2", "nightly-eval-v2"),
        ("../../etc/passwd", "etc-passwd"),
        ("...", "job"),
        ("", "job"),
        ("商品 説明", "商品-説明"),
    ],
)
def test_file_names(text: str, name: str) -> None:
    assert file_name(text) == name


SECRET = "[secret]"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Incorrect API key provided: sk-proj-abc123_XYZ.", f"Incorrect API key provided: {SECRET}"),
        ("sk-abcd1234********wxyz is wrong", f"{SECRET} is wrong"),
        ("key AIzaSyD-abcdef_123", f"key {SECRET}"),
        ("Authorization: Bearer abc.def", f"Authorization: Bearer {SECRET}"),
        ('{"x-goog-api-key": "abc"}', f'{{"x-goog-api-key": "{SECRET}"}}'),
        ("b'api-key': b'abc'", f"b'api-key': b'{SECRET}'"),
        ("https://h/v1?key=abc&x=1", f"https://h/v1?key={SECRET}&x=1"),
        ("ya29.a0AfH6", SECRET),
        ("task-1 is risky", "task-1 is risky"),
        ("sk-SK.json and sk-sk", "sk-SK.json and sk-sk"),
        ("sk-SKab0123456789 sk-sk_x12345678", f"{SECRET} {SECRET}"),
        ("pip install sk-learn", "pip install sk-learn"),
        ("row pk-100 of sk-2024.csv", "row pk-100 of sk-2024.csv"),
        ("The ring bearer went on, bearer of bad news", "The ring bearer went on, bearer of bad news"),
        ("the keyboard", "the keyboard"),
    ],
)
def test_whatever_is_shaped_like_a_key_is_hidden(text: str, kept: str) -> None:
    assert redact(text) == kept


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        *(
            (name, True)
            for name in ("api-key", "API_KEY", "x-goog-api-key", "apikey", "Authorization", "token")
        ),
        *(
            (name, True)
            for name in ("hf_token", "client_secret", "password", "access-token", "aws_secret_key")
        ),
        *(
            (name, False)
            for name in ("key", "tokens", "max-tokens", "tokenizer", "page_token", "secretary", "")
        ),
    ],
)
def test_the_name_of_a_secret_is_known(name: str, secret: bool) -> None:
    assert gate.names_a_secret(name) is secret


def test_a_key_of_this_process_is_hidden_whatever_its_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "_known", frozenset())
    gate.register_secret("plain words")
    gate.register_secret("abc")
    assert redact("said: plain words, abc") == f"said: {SECRET}, abc"


@given(ANYTHING)
def test_hiding_twice_hides_no_more(text: str) -> None:
    assert redact(redact(text)) == redact(text)
