"""What a user is told where a native library ends the process."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only glibc has on_exit")

FROM_A_LIBRARY = """
import ctypes, threading
from vidstyle.cli import _importing
with _importing():
    {load}
ends = threading.Thread(target=ctypes.CDLL(None).exit, args=(1,))
ends.start()
ends.join()
"""
IN_ORDER = """
import sys
from vidstyle.cli import _importing
for _ in range(2):
    with _importing():
        pass
print("last words")
sys.exit(6)
"""


def run(code: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("load", ["pass", "import cv2, torch"])
def test_a_library_that_ends_the_process_is_told_as_want_of_memory(load: str) -> None:
    ended = run(FROM_A_LIBRARY.format(load=load))
    assert ended.returncode == 5
    assert ended.stderr.startswith("vidstyle: error: Memory ran out.\n  hint: ")
    assert len(ended.stderr.splitlines()) == 2


def test_an_end_in_order_keeps_its_code_and_its_output() -> None:
    ended = run(IN_ORDER)
    assert (ended.returncode, ended.stdout, ended.stderr) == (6, "last words\n", "")
