"""What is kept of how a script was started, so that it can be started again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from shared.slices import rest_slow
from worker_kit import REPOSITORY, Scripts, Seen

from jobdash import track


@pytest.mark.parametrize("method", rest_slow(["fork", "spawn", "forkserver"], ["spawn"]))
def test_a_child_of_multiprocessing_has_no_command_line_of_its_own(
    method: str, scripts: Scripts, seen: Seen
) -> None:
    code, err, _ = scripts.run(
        f"""
        import multiprocessing
        def work(): list(jobdash.track([1], "child"))
        if __name__ == "__main__":
            child = multiprocessing.get_context({method!r}).Process(target=work)
            child.start()
            child.join()
            list(jobdash.track([1], "parent"))
        """
    )
    assert (code, err) == (0, "")
    kept = dict(seen.ask("SELECT name, argv FROM job JOIN attempt ON job.id = job_id"))
    assert kept["child"] is None
    assert kept["parent"] is not None


@pytest.mark.parametrize("words", [[], [""]])
def test_without_a_command_line_all_else_is_kept(
    words: list[str], seen: Seen, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", words)
    assert list(track([1], "no words")) == [1]
    assert capsys.readouterr().err == ""
    assert seen.counts("no words") == ("completed", 1, 1, 0)
    assert seen.ask("SELECT argv, cwd FROM attempt") == [(None, str(Path.cwd()))]


@pytest.mark.parametrize("given", ["jobs/moves.py", "./jobs/moves.py", "jobs/../jobs/moves.py"])
def test_the_folder_is_where_the_command_was_given_however_the_script_moves(
    given: str, path: Path, seen: Seen, tmp_path: Path
) -> None:
    folder = tmp_path / "project"
    (folder / "jobs").mkdir(parents=True)
    (folder / "jobs" / "moves.py").write_text(
        "import os, jobdash\nos.chdir('/')\nlist(jobdash.track([1], 'moves'))\n"
    )
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY), "JOBDASH_DATABASE": str(path)}
    subprocess.run([sys.executable, given], cwd=folder, env=env, check=True)
    ((cwd,),) = seen.ask("SELECT cwd FROM attempt")
    assert Path(cwd).samefile(folder)
