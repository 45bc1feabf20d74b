"""Whatever clients send: a whole result or one line that says why not, through the real command.

Some of the cases run always; all of them with `scripts/test -m slow`.
"""

from __future__ import annotations

import importlib.util
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.conftest import SHARED
from tests.e2e import odd_inputs
from tests.e2e.forked import Herd
from tests.e2e.manifest import Case

SCRIPT = SHARED / "hostile" / "make_inputs.py"
ALWAYS = {
    "vfr_mp4",
    "ts_glued",
    "rot90",
    "col_hdr_pq",
    "mp3_with_cover",
    "three_audio",
    "subs_mov_text",
    "metadata_hostile",
    "trunc_ts_70",
    "fifo_input",
    "m3u8_http",
    "concat_script",
    "bomb_gif",
    "still_exif6",
    "name_12",
}
ODD_ALWAYS = {
    "pixels_rgba64le",
    "clock_of_a_million",
    "clock_wraps_around",
    "edit_list_hides_the_beginning",
    "transparent_gif",
    "hole_of_four_gigabytes",
    "words_that_steer_a_terminal",
    "transport_packets_lost",
    "picture_of_zeros",
    "playlist_as_ts",
    "loop_of_links",
    "pipe_as_picture",
    "bomb_png",
    "bomb_avi",
    "jpeg_named_mp4",
    "name_06",
    "name_12",
}


class Web:
    """A web server on this machine that counts who asks."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        asked = self.asked

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                self.send_error(404)

            def log_message(self, *_: object) -> None: ...

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    web = Web()
    yield web
    web.close()


def load_script() -> ModuleType | None:
    if not SCRIPT.is_file():
        return None
    spec = importlib.util.spec_from_file_location("make_inputs", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_inputs"] = module
    spec.loader.exec_module(module)
    return module


make_inputs = load_script()


def selected(names: list[str], always: set[str]) -> list[Any]:
    return [
        name if name in always else pytest.param(name, marks=pytest.mark.slow) for name in names or ["none"]
    ]


@pytest.mark.parametrize("name", selected([c[0] for c in make_inputs.CASES] if make_inputs else [], ALWAYS))
def test_the_manifest_holds(name: str, shared: Path, herd: Herd, web: Web, tmp_path: Path) -> None:
    assert make_inputs
    (entry,) = make_inputs.build(str(tmp_path), [name], http_port=web.server.server_port)
    ended, deviations = Case(tmp_path, entry).run(herd)
    assert not deviations, ended.stderr
    assert not web.asked


@pytest.mark.parametrize("name", selected(odd_inputs.names(), ODD_ALWAYS))
def test_odd_inputs_of_our_own(name: str, herd: Herd, tmp_path: Path) -> None:
    (entry,) = odd_inputs.build(tmp_path, [name])
    ended, deviations = Case(tmp_path, entry).run(herd)
    assert not deviations, ended.stderr
