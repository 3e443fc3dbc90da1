"""What a script prints stands above its progress line, whole, wherever it comes from."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import textwrap
from pathlib import Path

import pyte
from worker_kit import REPOSITORY, Seen

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
            while some := os.read(ours, 4096):
                stream.feed(some)
                for prompt in [one for one in answers if screen.display[screen.cursor.y].strip() == one]:
                    os.write(ours, answers.pop(prompt).encode())
        except OSError:  # the other end is closed
            pass
        os.close(ours)
        assert process.wait(30) == 0
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
