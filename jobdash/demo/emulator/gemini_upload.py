"""Gemini's resumable upload: a start that gives a URL, then the bytes in one or more pieces."""

from __future__ import annotations

from dataclasses import dataclass, field

from jobdash.demo.emulator.errors import ApiError


@dataclass(slots=True)
class UploadSession:
    """An upload under way, in the account whose key started it."""

    key: str
    display_name: str
    mime_type: str
    wanted_id: str | None
    content: bytearray = field(default_factory=bytearray)


class UploadSessions:
    """The uploads under way, by the id in their URL."""

    def __init__(self) -> None:
        self._sessions: dict[str, UploadSession] = {}

    def start(self, upload_id: str, session: UploadSession) -> None:
        """Open one."""
        self._sessions[upload_id] = session

    def receive(self, upload_id: str, command: str, offset: str, piece: bytes) -> tuple[UploadSession, bool]:
        """Take a piece; True with the last one, after which the upload is closed."""
        session = self._sessions.get(upload_id)
        if session is None:
            raise ApiError(404, "The upload is unknown or was finalized.")
        commands = {word.strip() for word in command.split(",")}
        if not commands or commands - {"upload", "finalize"}:
            raise ApiError(400, f"Unknown upload command: '{command}'.")
        if "upload" in commands:
            if offset != str(len(session.content)):
                raise ApiError(400, f"The offset is {offset}; {len(session.content)} bytes were received.")
            session.content += piece
        if "finalize" in commands:
            del self._sessions[upload_id]
            return session, True
        return session, False
