"""The catalogue of public models, and fetching them from a server on the loopback address."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import create_server
from urllib.parse import urlsplit

import pytest

from celosia.golden.errors import CelosiaError
from celosia.runtime.cli import main
from celosia.runtime.models import BASE_URL, CATALOGUE, PublicModel, embedded_data, fetch, find

BODY = bytes(range(256)) * 300  # several chunks of the download
MODEL = PublicModel(
    name="toy",
    task="none",
    source="nowhere",
    path="models/toy.tflite",
    licence="none",
    size=len(BODY),
    sha256=hashlib.sha256(BODY).hexdigest(),
    macs=1,
)


class Server(ThreadingHTTPServer):
    """Answers with `body`; says `declared` as its length where that is set."""

    body = BODY
    declared: int | None = None
    asked: list[str]

    def handle_error(self, *_: object) -> None:
        pass  # a client that has read enough closes the connection

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/mirror"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if not urlsplit(self.path).path.startswith("/mirror/models/"):
            self.send_error(404)
            return
        self.send_response(200)
        if self.server.declared is not None:
            self.send_header("Content-Length", str(self.server.declared))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "*")
    with Server(("127.0.0.1", 0), Handler) as server:
        server.asked = []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def fails(folder: Path, url: str, match: str) -> None:
    """Fetching raises one sentence, and leaves the folder as it was."""
    before = sorted(folder.rglob("*"))
    with pytest.raises(CelosiaError, match=match) as caught:
        fetch(MODEL, folder / "new", base_url=url)
    assert "\n" not in str(caught.value)
    assert sorted(folder.rglob("*")) == before


def test_fetch_writes_the_whole_file(server: Server, tmp_path: Path):
    chunks: list[int] = []
    path = fetch(MODEL, tmp_path / "a" / "b", base_url=server.url + "/", on_bytes=chunks.append)
    assert path == tmp_path / "a" / "b" / "toy.tflite"
    assert path.read_bytes() == BODY
    assert [entry.name for entry in path.parent.iterdir()] == ["toy.tflite"]
    assert server.asked == ["/mirror/models/toy.tflite"]
    assert sum(chunks) == len(BODY)
    assert len(chunks) > 1


def test_fetch_replaces_what_is_there(server: Server, tmp_path: Path):
    (tmp_path / "toy.tflite").write_bytes(b"old")
    assert fetch(MODEL, tmp_path, base_url=server.url).read_bytes() == BODY


def test_wrong_bytes(server: Server, tmp_path: Path):
    server.body = bytes(len(BODY))
    fails(tmp_path, server.url, r"has SHA-256 [0-9a-f]{64}, but toy must have [0-9a-f]{64}; it isn")


def test_short_body(server: Server, tmp_path: Path):
    server.body = BODY[:-1]
    fails(tmp_path, server.url, r"ended after 76799 of 76800 bytes; try it once more$")


def test_connection_closed_early(server: Server, tmp_path: Path):
    server.body, server.declared = BODY[:-1], len(BODY)
    fails(tmp_path, server.url, r"ended after 76799 of 76800 bytes|can't be fetched \(")


@pytest.mark.parametrize("extra", [1, 10_000_000])
def test_long_body(server: Server, tmp_path: Path, extra: int):
    server.body = BODY + bytes(extra)
    fails(tmp_path, server.url, r"holds more than the 76800 bytes of toy; it isn't that model$")


def test_not_found(server: Server, tmp_path: Path):
    fails(
        tmp_path,
        server.url.replace("mirror", "elsewhere"),
        r"^the server answered 404 Not Found for http://\S+; is the base URL right\?$",
    )


def test_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("no_proxy", "*")
    with closing(create_server(("127.0.0.1", 0))) as nobody:
        port = nobody.getsockname()[1]
    fails(tmp_path, f"http://127.0.0.1:{port}", r"can't be fetched \(.*refused\); is there a net")


def test_answer_that_is_not_http(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("no_proxy", "*")

    def answer() -> None:
        connection, _ = listener.accept()
        with closing(connection):
            connection.recv(4096)
            connection.sendall(b"what?\r\n\r\n")

    with closing(create_server(("127.0.0.1", 0))) as listener:
        thread = threading.Thread(target=answer)
        thread.start()
        fails(tmp_path, f"http://127.0.0.1:{listener.getsockname()[1]}", r"can't be fetched \(")
        thread.join()


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "file:///etc", "127.0.0.1:80", ""])
def test_base_url_of_another_kind(tmp_path: Path, url: str):
    fails(tmp_path, url, r"^the base URL must start with http:// or https://, not ")


def test_base_url_that_is_malformed(tmp_path: Path):
    fails(tmp_path, "http://127.0.0.1:port", r"can't be fetched \(")


def test_folder_that_is_a_file(server: Server, tmp_path: Path):
    (tmp_path / "new").write_bytes(b"mine")
    fails(tmp_path, server.url, r"^can't make the folder '.*new': File exists$")
    assert (tmp_path / "new").read_bytes() == b"mine"


def test_file_that_is_a_folder(server: Server, tmp_path: Path):
    (tmp_path / "new" / "toy.tflite").mkdir(parents=True)
    fails(tmp_path, server.url, r"^can't write '.*toy\.tflite': Is a directory$")


def test_unknown_name_suggests_near_ones():
    with pytest.raises(
        CelosiaError, match=r"^no public model is called 'resnet8'; did you mean ic"
    ):
        find("resnet8")
    with pytest.raises(CelosiaError, match=r"^no public model is called 'qqq'; known are ic_.*dig"):
        find("qqq")
    with pytest.raises(CelosiaError, match=r"^no public model is called ''; known are "):
        find("")


def test_catalogue_matches_the_files(models_dir: Path):
    for model in CATALOGUE:
        if model.path is not None:
            body = (models_dir / model.filename).read_bytes()
            assert len(body) == model.size
            assert hashlib.sha256(body).hexdigest() == model.sha256


def test_catalogue_matches_the_embedded_model():
    model = find("digits_int8")
    body = embedded_data(model.filename)
    assert len(body) == model.size
    assert hashlib.sha256(body).hexdigest() == model.sha256


def test_embedded_model_needs_no_network(tmp_path: Path):
    path = fetch(find("digits_int8"), tmp_path, base_url="http://127.0.0.1:1")
    assert path.read_bytes() == embedded_data("digits_int8.tflite")


def test_list_names_source_licence_and_digest(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main(["models"])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    for model in CATALOGUE:
        for fact in (model.name, model.source, model.licence, model.sha256, f"{model.macs:,}"):
            assert fact in out


def test_list_as_json(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main(["models", "--json"])
    assert ended.value.code == 0
    entries = json.loads(capsys.readouterr().out)["models"]
    assert [entry["name"] for entry in entries] == [model.name for model in CATALOGUE]
    assert entries[0]["url"] == f"{BASE_URL}/{CATALOGUE[0].path}"
    assert entries[-1]["url"] is None


def test_fetch_command(server: Server, tmp_path: Path, monkeypatch, capsys):
    monkeypatch.setattr("celosia.runtime.models.CATALOGUE", (MODEL,))
    arguments = ["models", "fetch", "toy", "-o", str(tmp_path), "--base-url", server.url]
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--json"])
    assert ended.value.code == 0
    streams = capsys.readouterr()
    assert json.loads(streams.out) == {"written": {"toy": str(tmp_path / "toy.tflite")}}
    assert streams.err == ""

    server.body = b""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    streams = capsys.readouterr()
    assert streams.out == ""
    assert streams.err.startswith("error: http://127.0.0.1:")
    assert streams.err.count("\n") == 1


def test_fetch_command_checks_every_name_first(server: Server, tmp_path: Path, monkeypatch, capsys):
    monkeypatch.setattr("celosia.runtime.models.CATALOGUE", (MODEL,))
    with pytest.raises(SystemExit) as ended:
        main(["models", "fetch", "toy", "tov", "-o", str(tmp_path), "--base-url", server.url])
    assert ended.value.code == 2
    assert capsys.readouterr().err == ("error: no public model is called 'tov'; did you mean toy\n")
    assert server.asked == []
