"""The command `vidstyle`, also as `python -m vidstyle`.

From the first moment a Ctrl-C is one line: while modules load, Python's own way, an exception, ends in a traceback
or is swallowed by whatever is being loaded.
"""

import os
import signal
from typing import NoReturn


def _stop(number: int, _: object) -> NoReturn:
    os.write(2, b"vidstyle: error: Stopped before the end.\n")
    os._exit(128 + number)


if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it is ignored, and stays so
    signal.signal(signal.SIGINT, _stop)

from vidstyle.cli import main  # noqa: E402 - not before a signal can be taken

if __name__ == "__main__":
    main()
