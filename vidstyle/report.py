"""The anomaly log: one JSON object a line, flushed as each frame is finished.

Lines: a `header`, one `frame` per frame in presentation order, `input_damage` where the input was damaged, and a
`summary`. UTF-8, no NaN or Infinity; at a kill at most the last line is cut, and readers skip it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from vidstyle.errors import OutputError, UsageError
from vidstyle.events import FlaggedFrame
from vidstyle.frames import FinishedFrame
from vidstyle.new_file import create
from vidstyle.suffixes import fitting_name, is_file, is_folder

SCHEMA = 1
HEADER_BYTES = 1 << 16
UNPAIRED = re.compile("[\ud800-\udfff]")
"""Bytes of a file name that are no UTF-8, as Python has them."""
SHOWN_FRAMES = 5
"""Flagged frames that are shown to a person; the log has them all."""


def finite(value: Any) -> Any:
    """JSON knows no NaN: numbers are rounded to six digits and what is not finite becomes null."""
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def _escaped(character: re.Match[str]) -> str:
    return f"\\u{ord(character[0]):04x}"


def frame_line(frame: FinishedFrame, *, pts: int, time_base: Fraction) -> dict[str, Any]:
    """The log's object for one frame."""
    verdict = frame.verdict
    return {
        "type": "frame",
        "frame": frame.index,
        "time": float(pts * time_base),
        "pts": pts,
        "shot": frame.shot,
        "score": float(verdict.score),
        "flagged": verdict.flagged,
        "reasons": list(verdict.reasons),
        "cues": {name: float(value) for name, value in verdict.cues.items()},
        "region": list(verdict.region) if verdict.region else None,
        "reference": verdict.reference,
        "action": frame.action,
        "method": frame.method,
        "donors": list(frame.donors),
        "score_after": frame.score_after,
        "input_damaged": frame.damaged,
    }


def flagged_frame(line: Mapping[str, Any]) -> FlaggedFrame:
    """What a person is shown of a frame's line."""
    return FlaggedFrame(
        index=line["frame"],
        seconds=line["time"],
        score=line["score"],
        reasons=tuple(line["reasons"]),
        region=tuple(line["region"]) if line["region"] else None,
        action=line["action"],
    )


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Every complete object of a log; a cut last line (after a kill) is skipped."""
    with path.open("r", encoding="utf-8", errors="replace") as file:
        for text in file:
            with suppress(ValueError):
                line = json.loads(text)
                if isinstance(line, dict):
                    yield line


@dataclass
class Counts:
    """What the summary adds up."""

    frames: int = 0
    flagged: int = 0
    repaired: int = 0
    kept: int = 0
    input_damage: int = 0
    unpaired: int = 0
    """Frames of a video that was only checked for which there was no source frame to judge them by."""

    def add(self, line: dict[str, Any]) -> None:
        """Count one line of the log."""
        if line.get("type") == "input_damage":
            self.input_damage += 1
        if line.get("type") != "frame":
            return
        self.frames += 1
        self.flagged += bool(line.get("flagged"))
        self.repaired += line.get("action") in ("repaired", "restyled")
        self.kept += line.get("action") == "kept"
        self.unpaired += line.get("reference") == "unpaired"


class AnomalyLog:
    """Writes the log. Each line is one write and is flushed; `OutputError` where that fails.

    With `resume_frames` > 0 the lines of the first that many frames of the file at `path` (an interrupted run's)
    are taken over; `read_header` tells whose they are.
    """

    def __init__(self, path: Path, header: dict[str, Any], *, resume_frames: int = 0) -> None:
        self.path = path
        self.counts = Counts()
        self.first_flagged: list[FlaggedFrame] = []
        kept = list(_first_frames(path, resume_frames)) if resume_frames else []
        partial = path.with_name(fitting_name(f".{path.name}", ".partial"))
        try:
            self._file = create(partial)
            self._write({"type": "header", "schema": SCHEMA, **header})
            for line in kept:
                self._write(line)
            partial.replace(path)
        except OSError as error:
            raise OutputError(
                f"The anomaly log cannot be written: {error.strerror}.", name=str(path)
            ) from error

    def frame(self, frame: FinishedFrame, *, pts: int, time_base: Fraction) -> None:
        """Append one frame's line."""
        self._append(frame_line(frame, pts=pts, time_base=time_base))

    def input_damage(self, message: str, frame: int) -> None:
        """Append what was wrong with the input near `frame`."""
        self._append({"type": "input_damage", "frame": frame, "message": message})

    def summary(self, **fields: Any) -> None:
        """Append the last line."""
        self._append({"type": "summary", **vars(self.counts), **fields})

    def _append(self, line: dict[str, Any]) -> None:
        try:
            self._write(line)
        except OSError as error:
            raise OutputError(
                f"The anomaly log cannot be written: {error.strerror}.", name=str(self.path)
            ) from error

    def _write(self, line: dict[str, Any]) -> None:
        text = json.dumps(finite(line), ensure_ascii=False, allow_nan=False)
        self._file.write(UNPAIRED.sub(_escaped, text).encode() + b"\n")
        self.counts.add(line)
        if line["type"] == "frame" and line["flagged"] and len(self.first_flagged) < SHOWN_FRAMES:
            self.first_flagged.append(flagged_frame(line))

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if kind is not None and not self.counts.frames:  # it says nothing yet
            with suppress(OSError):
                self.path.unlink(missing_ok=True)


def _first_frames(path: Path, frames: int) -> Iterator[dict[str, Any]]:
    """The frame lines (and damage lines between them) of the first `frames` frames of a log."""
    seen = 0
    for line in read_lines(path):
        if line.get("type") == "frame":
            seen += 1
        if seen > frames:
            return
        if line.get("type") in ("frame", "input_damage"):
            yield line
        if seen == frames:
            return


def read_header(path: Path) -> dict[str, Any] | None:
    """The header of the log at `path`; None where there is no file or it is no log of vidstyle's."""
    if not is_file(path):  # opening a pipe would wait for ever
        return None
    try:
        with path.open("rb") as file:
            line = json.loads(file.readline(HEADER_BYTES))
    except (OSError, ValueError):
        return None
    return line if isinstance(line, dict) and line.get("type") == "header" else None


def check_log(
    path: Path, *, overwrite: bool, others: Iterable[Path], ours: Mapping[str, object] | None = None
) -> None:
    """Find out before any work whether the log may be written to `path`.

    ours: what the header of a log has to say for it to be replaced unasked; None or empty: any log is.

    Raises UsageError where it is one of `others` (the inputs, the output), OutputError where something else that is
    not a log, or another run's log, is in the way.
    """
    name = str(path)
    for other in others:
        if path.absolute() == other.absolute() or (is_file(path) and is_file(other) and path.samefile(other)):
            raise UsageError("The log would replace the input or the output.", name=name)
    if not is_folder(path.parent):
        raise OutputError("There is no such folder.", name=str(path.parent), hint="make it first")
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"This name cannot be used ({reason}).", name=name) from error
    if not is_file(path):
        raise OutputError(
            "This is not a regular file.", name=name, hint="give a file name with --anomaly-log"
        )
    if overwrite:
        return
    header = read_header(path)
    if header is None or any(header.get(key) != value for key, value in (ours or {}).items()):
        what = "is no anomaly log" if header is None else "is the log of another run"
        raise OutputError(
            f"This file exists already and {what}.",
            name=name,
            hint="give --overwrite to replace it, or another name with --anomaly-log",
        )
