"""A Hub on loopback that speaks what huggingface_hub's client asks over HTTP, faults included."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

from click.testing import CliRunner, Result
from hub_api import Answer, Api, State

from shamisa_cli.cli import app


def run(*args: object, code: int = 0) -> Result:
    """Run a command that succeeds, or with ``code`` one that is refused in plain words."""
    result = CliRunner().invoke(app, [str(arg) for arg in args])
    assert result.exit_code == code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output
    return result


@dataclass
class Faults:
    """What goes wrong: ``cuts`` large downloads break off after ``cut_after`` bytes each; ``spoil``
    turns a bit of each; answers after the first ``delay_after``, to paths with ``delay_in`` in
    them, wait ``delay`` seconds; answers have ``status``."""

    cuts: int = 0
    cut_after: int = 0
    spoil: bool = False
    delay: float = 0.0
    delay_after: int = 0
    delay_in: str = ""
    status: int = 0


@dataclass
class HubServer:
    """State: what the Hub holds, the faults, and every request (method, path, headers)."""

    state: State = field(default_factory=State)
    faults: Faults = field(default_factory=Faults)
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    def __enter__(self) -> HubServer:
        hub = self

        class Handler(_Handler):
            server_of = hub

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{port}"
        self.cdn = f"http://localhost:{port}"  # another host, as the real one's
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def ranges(self) -> list[str]:
        """The Range headers of the downloads so far."""
        return [headers["range"] for _, _, headers in self.requests if "range" in headers]


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """A client that hangs up is none."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_of: HubServer

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""

    def do_GET(self) -> None:
        headers = {key.lower(): value for key, value in self.headers.items()}
        hub = self.server_of
        hub.requests.append((self.command, self.path, headers))
        late = len(hub.requests) > hub.faults.delay_after and hub.faults.delay_in in self.path
        body = self.rfile.read(int(headers.get("content-length", 0)))
        if late:  # tests take time.sleep away
            threading.Event().wait(hub.faults.delay)
        url = urlsplit(self.path)
        if hub.faults.status:
            answer: Answer = (hub.faults.status, {}, b"")
        else:
            query = {key: values[0] for key, values in parse_qs(url.query).items()}
            api = Api(hub.state, hub.url, hub.cdn, headers, query, body)
            answer = api.answer(self.command, unquote(url.path))
        self._send(*answer, headers)

    do_HEAD = do_POST = do_PUT = do_GET

    def _send(
        self, status: int, extra: dict[str, str], content: bytes, headers: dict[str, str]
    ) -> None:
        faults = self.server_of.faults
        start = 0
        if status == 200 and "range" in headers:
            start = int(headers["range"].removeprefix("bytes=").rstrip("-"))
            extra = {**extra, "Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
            status = 206
        self.send_response(status)
        for key, value in {"Content-Length": str(len(content) - start), **extra}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        rest = content[start:]
        if self.path.startswith("/cdn/"):
            if faults.spoil:
                rest = rest[:-1] + bytes([rest[-1] ^ 1])
            if faults.cuts > 0:
                self.wfile.write(rest[: faults.cut_after])
                faults.cuts -= 1
                self.close_connection = True
                return
        self.wfile.write(rest)
