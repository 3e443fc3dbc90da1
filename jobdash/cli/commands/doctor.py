"""``jobdash doctor``: what is wrong, and what to do about it."""

from __future__ import annotations

from jobdash.cli.command import face_command, pass_face
from jobdash.cli.face import Face


@face_command("doctor", "jobdash doctor", "jobdash doctor --json")
@pass_face
def command(face: Face) -> int:
    """Look at the store, the config, the keys, and ask each account for one page.

    Keys are never printed. Exit code 0 when all is well, 5 or 6 for what config or store are to blame for.
    """
    from jobdash.cli.diagnosis import diagnose

    face.reading = True
    return diagnose(face)
