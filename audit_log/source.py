"""Where a log's files are read from when it is verified: a directory, or a URL."""

import http.client
import ssl
import threading
import time
import zlib
from http import HTTPStatus
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import urlsplit

from audit_log.errors import LogUnreachable
from audit_log.reply import BINARY, Reply

TIMEOUT_SECONDS: Final = 30.0
_MAX_REPLY_BYTES: Final = 1 << 20
_CHUNK_BYTES: Final = 1 << 16
_GZIP: Final = 31  # zlib's word for a gzip stream
_PATIENCE: Final = 4  # an answer that trickles in may take so many times the silence that is borne
_RETRIES: Final = 1  # a kept connection may have been closed by the server in the meantime
_AGENT: Final = "audit-log-verifier/1"


class Source(Protocol):
    """Gives a log's files by their path below its prefix."""

    def read(self, path: str, most: int) -> bytes | None:
        """Return a file, None if there is none; of a longer one than `most` bytes, the first `most` + 1.

        Raises:
            LogUnreachable: it could not be found out.
        """


class DirectorySource:
    """An exported log."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def read(self, path: str, most: int) -> bytes | None:
        """Return a regular file's bytes; a link is none."""
        place = self._directory / path
        if place.is_symlink() or not place.is_file():
            return None
        with place.open("rb") as file:
            return file.read(most + 1)


class HttpSource:
    """A log, or a witness, over HTTP: one kept connection, answers of bounded length within a bounded time.

    Nothing is followed elsewhere: a redirect is an answer like any other, and not the file. Time and length are
    bounded, so that a server can make a verifier fail but not wait or fill up for ever.
    """

    def __init__(self, url: str, *, timeout: float = TIMEOUT_SECONDS, context: ssl.SSLContext | None = None) -> None:
        """Name a server and prefix; nothing is sent yet.

        Args:
            url: the log's prefix, such as "https://operator.example/log"; http or https, no query or user name.
            timeout: seconds of silence after which an answer is given up.
            context: for https; the system's authorities by default.

        Raises:
            LogUnreachable: not such a URL.
        """
        secure = context or ssl.create_default_context()
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
            if parts.scheme not in {"http", "https"} or not host or parts.query or parts.fragment or "@" in url:
                raise LogUnreachable(url, "a log's URL is http(s)://host/path")
            self._connection: http.client.HTTPConnection = (
                http.client.HTTPSConnection(host, port, timeout=timeout, context=secure)
                if parts.scheme == "https"
                else http.client.HTTPConnection(host, port, timeout=timeout)
            )
        except (ValueError, http.client.InvalidURL) as error:
            raise LogUnreachable(url, "not a URL") from error
        self._url = url.rstrip("/")
        self._prefix = parts.path.rstrip("/")
        self._deadline = _PATIENCE * timeout
        self._lock = threading.Lock()

    def read(self, path: str, most: int) -> bytes | None:
        """Return a file of the log; None for 404 and 410."""
        reply = self._request("GET", f"/{path}", b"", most)
        if reply.status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
            return None
        if reply.status is not HTTPStatus.OK:
            raise LogUnreachable(f"{self._url}/{path}", f"status {reply.status.value}")
        return reply.body

    def post(self, path: str, body: bytes) -> Reply:
        """Send a body below the prefix and return the answer, whatever its status."""
        return self._request("POST", path, body, _MAX_REPLY_BYTES)

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._connection.close()

    def _request(self, method: str, path: str, body: bytes, most: int) -> Reply:
        headers = {"User-Agent": _AGENT, "Accept-Encoding": "gzip, identity"}
        with self._lock:
            for attempt in range(_RETRIES + 1):
                try:
                    self._connection.request(method, self._prefix + path, body or None, headers)
                    answer = self._connection.getresponse()
                    content = self._content(answer, most)
                    return Reply(HTTPStatus(answer.status), content, answer.getheader("Content-Type", BINARY))
                except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError) as error:
                    self._connection.close()
                    if attempt == _RETRIES:
                        raise LogUnreachable(self._url + path, str(error) or type(error).__name__) from error
                except (OSError, http.client.HTTPException, ValueError, zlib.error) as error:
                    self._connection.close()
                    raise LogUnreachable(self._url + path, str(error) or type(error).__name__) from error
        raise LogUnreachable(self._url + path, "no answer")

    def _content(self, answer: http.client.HTTPResponse, most: int) -> bytes:
        """Read an answer within bounds, compressed or not (c2sp.org/tlog-tiles lets logs compress without asking)."""
        encoding = answer.getheader("Content-Encoding", "identity")
        # What does not compress becomes a little longer.
        raw = _read(answer, most + most // 64 + 1024 if encoding == "gzip" else most, time.monotonic() + self._deadline)
        if not answer.isclosed():
            self._connection.close()  # what is left of the answer would be read as the next one
        if encoding == "identity":
            return raw
        if encoding != "gzip":
            raise http.client.HTTPException(f"encoding {encoding!r}")
        inflating = zlib.decompressobj(_GZIP)
        content = inflating.decompress(raw, most + 1)
        if len(content) <= most and not inflating.eof:
            raise http.client.HTTPException("a compressed answer ends early")
        return content


def _read(answer: http.client.HTTPResponse, most: int, until: float) -> bytes:
    parts: list[bytes] = []
    length = 0
    while length <= most:
        part = answer.read(min(_CHUNK_BYTES, most + 1 - length))
        if not part:
            break
        parts.append(part)
        length += len(part)
        if time.monotonic() > until:
            raise TimeoutError("the answer takes too long")
    return b"".join(parts)


class HttpPoster:
    """Carries requests to witnesses, each at a URL of its own."""

    def __init__(self, *, timeout: float = TIMEOUT_SECONDS, context: ssl.SSLContext | None = None) -> None:
        self._timeout = timeout
        self._context = context

    def post(self, url: str, body: bytes) -> Reply:
        """Send a body and return the answer.

        Raises:
            LogUnreachable: none came.
        """
        prefix, _, name = url.rpartition("/")
        witness = HttpSource(prefix, timeout=self._timeout, context=self._context)
        try:
            return witness.post(f"/{name}", body)
        finally:
            witness.close()
