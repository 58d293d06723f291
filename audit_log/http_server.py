"""Carry what the pure functions answer over HTTP, on the standard library's server.

It speaks plain HTTP, at a loopback address unless told otherwise: whoever opens it to others puts a proxy with a
certificate before it. What others may do to it is bounded: connections at once, seconds of silence, bytes of a body.
"""

import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import socket
from typing import Any, Final, TypeAlias

from audit_log.reply import Reply, refusal

MOST_CONNECTIONS: Final = 64
SILENCE_SECONDS: Final = 30.0

# Method, path and body go in; what is raised becomes a 500 that says nothing.
Answer: TypeAlias = Callable[[str, str, bytes], Reply]


class HttpServer(ThreadingHTTPServer):
    """Serves one `Answer`, each connection in a thread of its own."""

    daemon_threads = True
    request_queue_size = MOST_CONNECTIONS

    def __init__(self, host: str, port: int, answer: Answer, *, most_bytes: int) -> None:
        """Listen; `serve_forever` answers.

        Args:
            host: the address to listen at.
            port: 0 for any that is free.
            answer: what is served.
            most_bytes: of a request's body; a longer one is refused unread.

        Raises:
            OSError: the address is taken, or not this machine's.
        """
        self.answer = answer
        self.most_bytes = most_bytes
        self._free = threading.BoundedSemaphore(MOST_CONNECTIONS)
        super().__init__((host, port), _Connection)

    @property
    def url(self) -> str:
        """Where it is reached."""
        host, port = self.server_address[:2]
        return f"http://{host!s}:{port}"

    def process_request(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:
        """Begin to serve a connection, or close it at once where there are too many."""
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._free.release()
            raise

    def process_request_thread(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:
        """Serve a connection until it ends."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """Pass over a connection that broke: it is its client's affair."""


class _Connection(BaseHTTPRequestHandler):
    """One connection, kept open between requests."""

    protocol_version = "HTTP/1.1"
    server_version = "audit-log"
    sys_version = ""
    timeout = SILENCE_SECONDS
    wbufsize = -1  # headers and body in one packet
    server: HttpServer

    def _serve(self) -> None:
        reply = self._reply()
        self.send_response(reply.status)
        for name, value in reply.headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    def _reply(self) -> Reply:
        length = self.headers.get("Content-Length", "0")
        # A body of unknown length would be read as the next request.
        if self.headers.get("Transfer-Encoding") is not None or not (length.isascii() and length.isdecimal()):
            self.close_connection = True
            return refusal(HTTPStatus.LENGTH_REQUIRED, "a request says how long its body is")
        if len(length) > len(str(self.server.most_bytes)) or int(length) > self.server.most_bytes:
            self.close_connection = True
            return refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the body is too long")
        body = self.rfile.read(int(length))
        try:
            return self.server.answer("GET" if self.command == "HEAD" else self.command, self.path, body)
        except Exception:
            return refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "the request could not be served")

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815  # names that the base class calls

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
        """Keep silent: what was asked is nobody's business."""
