"""What can happen to a run from within and around it; called in the run's own process before it begins."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

AFTER = 5
"""Calls that go well first."""


def _after(calls: int, then: Callable[[], object], target: Any, name: str) -> None:
    """Let the function `target.name` do something else once it has been called so often."""
    original, count = getattr(target, name), iter(range(1_000_000))

    def counting(*arguments: Any, **named: Any) -> Any:
        if next(count) == calls:
            then()
        return original(*arguments, **named)

    setattr(target, name, counting)


def _raise(error: BaseException) -> Callable[[], object]:
    def fail() -> object:
        raise error

    return fail


def no_memory_to_decode() -> None:
    from vidstyle.media import decode

    _after(AFTER, _raise(MemoryError()), decode, "upright")


def no_memory_to_track() -> None:
    """OpenCV has an exception of its own for that."""
    import cv2

    from vidstyle import flow

    _after(
        AFTER, _raise(cv2.error("(-4:Insufficient memory) Failed to allocate 9 bytes")), flow, "analysis_gray"
    )


def no_memory_to_paint() -> None:
    """Neither for fewer frames nor for tiles."""
    from vidstyle.stylize import Painter

    def fail(*_: object) -> object:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")

    Painter.paint = fail  # type: ignore[method-assign, assignment]


def no_memory_to_write() -> None:
    from vidstyle.media.segments import Output

    _after(AFTER, _raise(MemoryError()), Output, "write")


def thread_dies() -> None:
    """Without a word: its error cannot be handed over either."""
    from vidstyle import prefetch

    prefetch._work = lambda *_: None  # type: ignore[assignment]


def bug_in_a_thread() -> None:
    from vidstyle.media import decode

    _after(AFTER, _raise(ZeroDivisionError("division by zero")), decode, "upright")


def folder_vanishes() -> None:
    """With all that is in it."""
    from vidstyle.media.segments import Output

    _after(AFTER, lambda: shutil.rmtree(Path.cwd() / "out"), Output, "write")


def folder_vanishes_at_the_end() -> None:
    from vidstyle.media.segments import Output

    _after(0, lambda: shutil.rmtree(Path.cwd() / "out"), Output, "finish")


def input_vanishes() -> None:
    from vidstyle.media.segments import Output

    _after(AFTER, lambda: (Path.cwd() / "in.mp4").unlink(), Output, "write")


def interrupted_twice() -> None:
    from vidstyle.media.segments import Output

    def twice() -> None:
        both = {signal.SIGINT, signal.SIGTERM}
        signal.pthread_sigmask(signal.SIG_BLOCK, both)
        for number in both:
            signal.pthread_kill(threading.get_ident(), number)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, both)  # the second comes while the first is dealt with

    _after(AFTER, twice, Output, "write")


def interrupted_at_the_end() -> None:
    """Between the last frame and the new name."""
    from vidstyle.media import segments

    _after(0, lambda: os.kill(os.getpid(), signal.SIGTERM), segments, "replace_file")


def killed(frames: str) -> None:
    """After so many frames."""
    from vidstyle.media.segments import Output

    _after(int(frames), _kill, Output, "write")


def killed_before(step: str) -> None:
    """In the last third of a second: before what happens after the last frame."""
    from vidstyle.media import segments, store
    from vidstyle.report import AnomalyLog

    place = {
        "finish": (segments.Output, "finish"),
        "join": (segments, "join"),
        "rename": (segments, "replace_file"),
        "clearing": (store.SegmentStore, "remove"),
        "summary": (AnomalyLog, "summary"),
    }[step]
    _after(0, _kill, *place)


def killed_in_join(packets: str) -> None:
    from vidstyle.media import mux

    _after(0, lambda: _after_items(mux, int(packets)), mux, "_video_packets")


def _after_items(module: Any, count: int) -> None:
    original = module.read_packets

    def counting(paths: Any) -> Any:
        for number, packet in enumerate(original(paths)):
            if number == count:
                _kill()
            yield packet

    module.read_packets = counting


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def full_at_1_kb() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))


def full_at_8_kb() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (8_000, 8_000))


def full_at_12_kb() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (12_000, 12_000))


def weights_tampered_with() -> None:
    """One bit of them."""
    from vidstyle import styles, weights

    folder = Path.cwd() / "checkpoints"
    shutil.copytree(weights.checkpoints_folder(), folder, ignore=shutil.ignore_patterns("samples"))
    os.environ[weights.FOLDER_VARIABLE] = str(folder)
    path = styles.find("oil").path
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def few_files() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (5, 5))


def no_locks() -> None:
    """As on some network file systems."""
    import fcntl

    fcntl.flock = lambda *_: (_ for _ in ()).throw(OSError(38, "Function not implemented"))  # type: ignore[assignment]
