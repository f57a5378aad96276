"""What a type checker and an editor learn from the package, as basedpyright reads it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.tables import for_each_row

ROOT = Path(__file__).resolve().parent.parent
#: `--verifytypes` ignores `--pythonpath`: it reads the environment of the first python in PATH.
ENVIRONMENT = {
    **os.environ,
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
}

pytestmark = pytest.mark.matrix


def test_the_type_of_every_public_name_is_known() -> None:
    """`basedpyright --verifytypes qrlogin --ignoreexternal` gives 100 %."""
    command = [sys.executable, "-m", "basedpyright", "--verifytypes", "qrlogin"]
    done = subprocess.run(
        [*command, "--ignoreexternal", "--outputjson"],
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
    )
    assert done.stdout, done.stderr
    report = json.loads(done.stdout)["typeCompleteness"]
    unclear = [
        f"{symbol['name']}: {', '.join(each['message'] for each in symbol['diagnostics'])}"
        for symbol in report["symbols"]
        if symbol["isExported"] and (not symbol["isTypeKnown"] or symbol["isTypeAmbiguous"])
    ]
    assert not unclear, "\n".join(unclear)
    assert report["completenessScore"] == 1
    assert report["exportedSymbolCounts"]["withKnownType"] > 2000  # it has read the package


class Editor:
    """Asks the language server what an editor asks it."""

    def __init__(self, server: "subprocess.Popen[bytes]") -> None:
        self._server, self._id = server, 0

    def send(self, method: str, **params: Any) -> None:
        self._write({"method": method, "params": params})

    def ask(self, method: str, **params: Any) -> Any:
        self._id += 1
        self._write({"id": self._id, "method": method, "params": params})
        while (message := self._read()).get("id") != self._id or "method" in message:
            if "id" in message:  # the server's own question, such as for the configuration
                items = message["params"].get("items", ()) if message.get("params") else ()
                self._write({"id": message["id"], "result": [None] * len(items)})
        return message["result"]

    def _write(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._server.stdin is not None
        self._server.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        self._server.stdin.flush()

    def _read(self) -> dict[str, Any]:
        assert self._server.stdout is not None
        length = 0
        while line := self._server.stdout.readline().strip():
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        message: dict[str, Any] = json.loads(self._server.stdout.read(length))
        return message


@contextmanager
def language_server(folder: Path) -> Iterator[Editor]:
    with subprocess.Popen(
        [sys.executable, "-c", "import basedpyright.langserver as it; it.main()", "--stdio"],
        cwd=folder,
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as server:
        editor = Editor(server)
        try:
            where = {"uri": folder.as_uri(), "name": "mine"}
            mine = {"processId": os.getpid(), "workspaceFolders": [where]}
            editor.ask("initialize", capabilities={}, **mine)
            editor.send("initialized")
            yield editor
        finally:
            editor.ask("shutdown")
            editor.send("exit")


SOURCE = """\
from qrlogin import MemoryStore, Policy, QRLogin

qr = QRLogin(MemoryStore(), secret_keys=[], verification_uri="https://example.com/qr")
begun = qr.begin(subject="42")
begun.device_code
qr.status(begun.device_code).scanned_by
qr.core
Policy().decide_window
"""


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Editor, str]]:
    folder = tmp_path_factory.mktemp("project")
    page = (folder / "mine.py").as_uri()
    with language_server(folder) as server:
        document = {"uri": page, "languageId": "python", "version": 1, "text": SOURCE}
        server.send("textDocument/didOpen", textDocument=document)
        yield server, page


@for_each_row(
    "name, shown",
    [
        ("QRLogin", ["verification_uri: str", "on_event:", "a ring of keys: the first signs"]),
        ("begin", ["subject: str | None", "Begin a login for one browser."]),
        ("device_code", ["device_code: str", "The browser's secret. Never put it into a URL"]),
        ("scanned_by", ["ScannedBy | None", "The user who scanned; None before the scan"]),
        ("core", ["core: Core", "Makes the operations that `run` runs"]),
        ("decide_window", ["decide_window: int", "Seconds after a scan"]),
    ],
)
def test_an_editor_shows_what_a_name_means(
    name: str, shown: list[str], editor: tuple[Editor, str]
) -> None:
    server, page = editor
    lines = SOURCE.splitlines()
    line = max(at for at, text in enumerate(lines) if name in text and "import" not in text)
    place = {"line": line, "character": lines[line].rindex(name) + 1}
    found = server.ask("textDocument/hover", textDocument={"uri": page}, position=place)
    text = found["contents"]["value"]
    assert [each for each in shown if each not in text] == [], text
