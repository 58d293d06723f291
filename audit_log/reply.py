"""What a request is answered with: values that any HTTP server can send."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

TEXT: Final = "text/plain; charset=utf-8"
BINARY: Final = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Reply:
    """A status, a body and what the headers say of it.

    Attributes:
        status: the HTTP status.
        body: the whole body.
        content_type: the header of that name.
        cache_control: the header of that name.
    """

    status: HTTPStatus
    body: bytes = b""
    content_type: str = TEXT
    cache_control: str = "no-store"

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """The headers to send, the length of the body left to the server."""
        return (
            ("Content-Type", self.content_type),
            ("Cache-Control", self.cache_control),
            ("X-Content-Type-Options", "nosniff"),
        )


def refusal(status: HTTPStatus, reason: str) -> Reply:
    """Say in one line why a request is not served."""
    return Reply(status, f"{reason}\n".encode())
