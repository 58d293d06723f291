"""A real HTTP server on the loopback that carries what the pure functions answer."""

import threading
from contextlib import contextmanager

from audit_log import HttpServer


@contextmanager
def served(answer, most_bytes=1 << 22):
    """Serve `answer(method, path, body) -> Reply`; yield the server's URL."""
    server = HttpServer("127.0.0.1", 0, answer, most_bytes=most_bytes)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.url
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
