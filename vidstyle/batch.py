"""Many inputs in one go: which files they are, where each result goes, and what became of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vidstyle.errors import (
    DamagedError,
    InputError,
    Interrupted,
    OutputError,
    UsageError,
    VidstyleError,
    explain,
)
from vidstyle.suffixes import STILLS, VIDEOS, default_result, fitting_name, is_folder, result_suffix

SHOWN_FAILURES = 20
"""Failures listed again at the end; each was told when it happened."""
SHOWN_IGNORED = 8

Outcome = Literal["painted", "skipped"]


@dataclass(frozen=True, slots=True)
class Job:
    """One file to be painted."""

    source: Path
    output: Path | None
    """None: beside the source, under the usual name."""
    refused: InputError | None = None
    """What is wrong with it, where that is known beforehand: a folder with nothing in it."""


@dataclass(frozen=True, slots=True)
class Jobs:
    """What a command line asks for."""

    jobs: tuple[Job, ...]
    several: bool
    """Whether it asks for any number of files: a folder, or more than one."""
    ignored: tuple[str, ...] = ()
    """What folders hold that is no video or picture by its name, looks like a result, or is a folder (`deeper/`)."""


def find_jobs(inputs: Sequence[Path], output: Path | None, *, style: str, styles: Iterable[str] = ()) -> Jobs:
    """The files named, and in place of a folder the videos and pictures in it.

    style, styles: the one asked for and all there are; what a folder holds of results in them is no input.
    output: the output itself, or for several inputs the folder that gets them under their own names; made if missing.
    Raises InputError for a folder without any if nothing else is asked for, UsageError where one file would have to
    hold several results, OutputError where the folder cannot be made.
    """
    sources: list[Path] = []
    refused: dict[Path, InputError] = {}
    ignored: list[str] = []
    for path in inputs:
        if not is_folder(path):
            sources.append(path)
            continue
        try:
            found, others = _in_folder(path, {style, *styles})
        except InputError as error:
            if len(inputs) == 1:
                raise
            found, others = [path], []
            refused[path] = error
        sources += found
        ignored += others
    several = len(sources) > 1 or any(is_folder(path) for path in inputs)
    if output is None or not (several or is_folder(output)):
        return Jobs(
            tuple(Job(source, output, refused.get(source)) for source in sources), several, tuple(ignored)
        )
    _make_folder(output)
    jobs = (Job(source, output / _result_name(source), refused.get(source)) for source in sources)
    return Jobs(tuple(jobs), several, tuple(ignored))


def _in_folder(folder: Path, styles: set[str]) -> tuple[list[Path], list[str]]:
    """The videos and pictures in a folder, and the names of what else a user may have meant."""
    try:
        everything = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise InputError(f"This folder cannot be read: {error.strerror}.", name=str(folder)) from error
    deeper = [path for path in everything if is_folder(path)]
    media = [p for p in everything if p.suffix.lower() in STILLS | VIDEOS and p not in deeper]
    # A folder that is painted again holds the results of the first time: NAME.STYLE beside NAME.
    results = [default_result(path, style) for path in media for style in styles]
    alike = {result.stem for result in results}
    found = [path for path in media if path.stem not in alike]
    if not found:
        raise InputError("There are no videos or pictures in this folder.", name=str(folder))
    known = {*found, *deeper, *results}
    others = [p.name for p in everything if p not in known and p.suffix != ".jsonl"]
    return found, others + [f"{path.name}/" for path in deeper]


def _make_folder(output: Path) -> None:
    if output.suffix.lower() in STILLS | VIDEOS and not is_folder(output):
        raise UsageError("Several inputs need a folder, not a file.", name=f"--output {output}")
    try:
        output.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"The folder cannot be made: {error.strerror}.", name=str(output)) from error


def _result_name(source: Path) -> str:
    return fitting_name(source.stem, result_suffix(source.suffix))


class Batch:
    """Paints several files one after the other; what fails stops none of the others."""

    def __init__(
        self,
        jobs: Jobs,
        *,
        style: str,
        say: Callable[[str], object],
        complain: Callable[[VidstyleError], object],
    ) -> None:
        self._jobs = jobs
        self._style = style
        self._say = say
        self._complain = complain
        self._counts: Counter[str] = Counter()
        self._failures: list[tuple[Path, VidstyleError]] = []
        self._taken: dict[Path, Path] = {}

    def run(self, paint: Callable[[Job], Outcome]) -> int:
        """Paint all; the exit code: that of the first failure, 0 without any.

        Raises Interrupted, after the summary, where a signal ends the run.
        """
        try:
            for job in self._jobs.jobs:
                self._counts[self._one(job, paint)] += 1
        finally:
            for line in self._summary():
                self._say(line)
        return self._failures[0][1].exit_code if self._failures else 0

    def _one(self, job: Job, paint: Callable[[Job], Outcome]) -> str:
        try:
            if job.refused:
                raise job.refused
            self._take_name(job)
            return paint(job)
        except Interrupted:
            raise
        except DamagedError as error:  # finished nevertheless
            self._fail(job, error)
            return "painted"
        except VidstyleError as error:
            self._fail(job, error)
        except Exception as error:  # noqa: BLE001 - a bug that one file brings out stops none of the others
            self._fail(job, explain(error, name=str(job.source)))
        return "failed"

    def _take_name(self, job: Job) -> None:
        """Two inputs may want one name (`a.avi` and `a.ts` both become `a.oil.mkv`): the second must not win."""
        output = job.output or default_result(job.source, self._style)
        first = self._taken.setdefault(output.absolute(), job.source)
        if first is not job.source:
            raise OutputError(
                f"Its result would replace that of {first.name}.",
                name=str(job.source),
                hint="paint it alone, with --output",
            )

    def _fail(self, job: Job, error: VidstyleError) -> None:
        self._failures.append((job.source, error))
        self._complain(error)

    def _summary(self) -> Iterator[str]:
        counts, asked = self._counts, len(self._jobs.jobs)
        words = [f"{counts['painted']} painted"]
        words += [f"{counts[word]} {word}" for word in ("failed", "skipped") if counts[word]]
        if left := asked - counts.total():
            words.append(f"{left} not reached")
        yield f"{asked} files: {', '.join(words)}"
        for source, error in self._failures[:SHOWN_FAILURES]:
            yield f"  {source}: {error.reason}"
        if len(self._failures) > SHOWN_FAILURES:
            yield f"  and {len(self._failures) - SHOWN_FAILURES} more"
        if ignored := self._jobs.ignored:
            more = ", ..." if len(ignored) > SHOWN_IGNORED else ""
            yield (
                f"{len(ignored)} left alone (no video or picture by its name, a result, or a folder): "
                f"{', '.join(ignored[:SHOWN_IGNORED])}{more}"
            )
