"""Standard error of a script: its own prints above the progress line, and the line itself."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import textwrap
from pathlib import Path

import pyte
import pytest
from shared.deadlines import read_terminal
from worker_kit import REPOSITORY, Scripts, Seen

from jobdash import track
from jobdash.worker import terminal
from jobdash.worker.terminal import ProgressLine, ProgressState, _fitting, line

PRINTS = """
    import logging, sys, threading, time, warnings
    logging.basicConfig(level=logging.INFO, format="log %(message)s")
    import jobdash
    def shown(): time.sleep(0.15)
    for number in jobdash.track(range(8), "prints"):
        time.sleep(0.12)
        if number == 2: print("printed", number)
        if number == 3: logging.info("of the root logger")
        if number == 4: print("half", end=""); shown(); print(" and half")
        if number == 5: print("to stderr", file=sys.stderr)
        if number == 6: sys.stdout.writelines(["two ", "pieces\\n"])
    print("behind", type(sys.stdout).__name__, type(sys.stderr).__name__)
    """


def on_a_terminal(
    path: Path, folder: Path, code: str, columns: int = 100, answers: dict[str, str] | None = None
) -> list[str]:
    """Run a script in a terminal; return the lines that stand there in the end.

    ``answers`` has what is typed when a text stands at the end of a line.
    """
    answers = dict(answers or {})
    file = folder / "prints.py"
    file.write_text(textwrap.dedent(code), encoding="utf-8")
    ours, theirs = pty.openpty()
    env = {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        "PYTHONPATH": str(REPOSITORY),
        "PYTHONUTF8": "1",
        "JOBDASH_DATABASE": str(path),
        "JOBDASH_CONFIG": str(folder / "config.toml"),
        "TERM": "xterm",
    }
    with subprocess.Popen(
        [sys.executable, str(file)], env=env, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        screen = pyte.Screen(columns, 40)
        stream = pyte.ByteStream(screen)
        try:
            for some in read_terminal(ours):
                stream.feed(some)
                for prompt in [one for one in answers if screen.display[screen.cursor.y].strip() == one]:
                    os.write(ours, answers.pop(prompt).encode())
            assert process.wait(30) == 0
        finally:
            os.close(ours)
            process.kill()
    return [line.rstrip() for line in screen.display if line.strip()]


def test_prints_stand_above_the_progress_line(path: Path, seen: Seen, tmp_path: Path) -> None:
    lines = on_a_terminal(path, tmp_path, PRINTS)
    *printed, last, behind = lines
    assert printed == ["printed 2", "log of the root logger", "half and half", "to stderr", "two pieces"]
    assert last.startswith(f"prints ({seen.job('prints')['public_id']}) ━")
    assert "8/8 items  100 %" in last
    assert behind == "behind TextIOWrapper TextIOWrapper"


def test_a_question_of_the_script_stands_alone(path: Path, tmp_path: Path) -> None:
    code = """
        import builtins, time
        import jobdash
        before = builtins.input
        for number in jobdash.track(range(3), "asks"):
            time.sleep(0.4)
            if number == 1: answer = input("go on? ")
        print("answer", answer, builtins.input is before)
        """
    lines = on_a_terminal(path, tmp_path, code, answers={"go on?": "yes\n"})
    assert lines[0] == "go on? yes"
    assert lines[-1] == "answer yes True"


@pytest.mark.parametrize(
    ("progress", "seconds", "text"),
    [
        (
            ProgressState(20, 5, 100, 0),
            10.0,
            "x ━━━━━╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌  25/100 files  25 %  2.5/s  ~30s  5 errors",
        ),
        (
            ProgressState(49, 1, 100, 40),
            1.0,
            "x ━━━━━━━━━━╌╌╌╌╌╌╌╌╌╌  50/100 files  50 %  10/s  ~5s  1 error",
        ),
        (ProgressState(100, 0, 100, 0), 1.0, "x ━━━━━━━━━━━━━━━━━━━━  100/100 files  100 %  100/s"),
        (ProgressState(1_200, 0, None, 0), 1.0, "x  1,200 files  1,200/s"),
        (ProgressState(0, 0, 0, 0), 0.0, "x  0 files"),
    ],
)
def test_the_progress_line_shows_how_far_it_is(
    progress: ProgressState, seconds: float, text: str
) -> None:  # C-1
    assert line("x", "files", progress, seconds) == text


def test_the_line_is_shown_in_a_terminal_only(scripts: Scripts) -> None:
    code = """
        import time
        with jobdash.track(range(3), "shown \\x1b[31m", key=str) as job:
            for item in job:
                with item:
                    if item.value == 1: sys.stdin.readline()
        """
    assert _fitting("a漢字b", 4) == "a漢"
    for env, shown in (({}, True), ({"JOBDASH_PROGRESS": "0"}, False)):
        ours, theirs = pty.openpty()
        script = scripts.start(code, stderr_to=theirs, **env)
        os.close(theirs)
        text = ""
        written = read_terminal(ours)
        while shown and "1/3 items" not in text:
            text += next(written).decode()
        script.go_on()
        assert script.finish() == (0, "")
        text += b"".join(written).decode()
        os.close(ours)
        assert ("3/3 items  100 %" in text) is shown
        assert "\x1b[31m" not in text
        assert text.endswith("\r\n") is shown
    assert scripts.run(code.replace("sys.stdin.readline()", "pass"))[1] == ""


def test_no_standard_error_is_no_trouble(monkeypatch: pytest.MonkeyPatch, seen: Seen) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    terminal.print_line("x")
    assert not terminal.shown_here()
    assert list(track([1], "silent")) == [1]
    with Path(os.devnull).open("w") as closed:
        pass
    monkeypatch.setattr(sys, "stderr", closed)
    terminal.print_line("x")
    assert not terminal.shown_here()


EMOJI = ("❤️", "⚙️", "1️⃣", "🇩🇪", "👨‍👩‍👧‍👦", "🏳️‍🌈", "👍🏽")


@pytest.mark.parametrize("emoji", EMOJI)
def test_a_name_is_whole(emoji: str) -> None:
    drawn = ProgressLine(f"{emoji} up {emoji}", "files")._name
    assert drawn == f"{emoji} up {emoji}".replace("\u200d", "")
    assert f"{drawn} ━" in line(drawn, "files", ProgressState(25, 0, 100, 0), 10.0)


@pytest.mark.parametrize("emoji", EMOJI)
@pytest.mark.parametrize("cells", range(1, 30))
def test_a_cut_divides_none(emoji: str, cells: int) -> None:
    cut = _fitting(f"{emoji}{emoji} up", cells)
    assert cut in {"", emoji, *(f"{emoji}{emoji}{rest}" for rest in ("", " ", " u", " up"))}
