"""The command `vidstyle`: arguments -> Settings -> pipeline; errors -> one line and an exit code."""

from __future__ import annotations

import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from vidstyle import __version__
from vidstyle.batch import Batch, Job, Outcome, find_jobs
from vidstyle.errors import Interrupted, UsageError, VidstyleError, explain
from vidstyle.events import Event, Note, RunFinished
from vidstyle.library_exit import check_address_space, tell_before_libraries_end_the_process
from vidstyle.settings import (
    PRECISIONS,
    PROGRESS_MODES,
    CheckSettings,
    Clip,
    OutputSettings,
    Settings,
    StyleSettings,
    parse_time,
)
from vidstyle.suffixes import STILLS, default_result, is_file

if TYPE_CHECKING:
    from vidstyle.progress import Mode

STOPPED_AT_ONCE = b"""
vidstyle: error: Stopped at once.
  hint: the next run on this output goes on with what is left of the work, or removes it
"""
ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
BUG_EXIT = 1
USAGE_EXIT = 2


class PaintByDefault(click.Group):
    """`vidstyle in.mp4` means `vidstyle paint in.mp4`; a file that bears a command's name is reached as ./styles."""

    default = "paint"

    def parse_args(self, context: click.Context, arguments: list[str]) -> list[str]:
        if arguments and arguments[0] not in {*self.commands, *context.help_option_names, "-V", "--version"}:
            arguments = [self.default, *arguments]
        return super().parse_args(context, arguments)

    def format_usage(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage("vidstyle", "INPUT... [--style NAME] [OPTIONS]")

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        self.commands[self.default].format_options(context, formatter)
        with formatter.section("Commands"):
            formatter.write_dl(
                [
                    (name, command.get_short_help_str())
                    for name, command in sorted(self.commands.items())
                    if not command.hidden
                ]
            )


@click.group(
    cls=PaintByDefault,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    invoke_without_command=True,
)
@click.version_option(__version__, "-V", "--version", prog_name="vidstyle")
@click.pass_context
def cli(context: click.Context) -> None:
    """Paint a video in a style, every frame checked and mended.

    \b
    vidstyle in.mp4 --style oil      writes in.oil.mp4 and in.oil.anomalies.jsonl
    vidstyle photo.jpg --style oil   writes photo.oil.jpg
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


_Option = Callable[[Callable[..., Any]], Callable[..., Any]]

_OVERWRITE = click.option("-y", "--overwrite", is_flag=True, help="Replace an existing output.")
_CLIP_OPTIONS: tuple[_Option, ...] = (
    click.option("--start", help="Begin here: seconds, H:MM:SS or frames (150f)."),
    click.option("--end", help="Stop here."),
    click.option("--duration", help="Stop this long after the start."),
)
_ENCODER_OPTIONS: tuple[_Option, ...] = (
    click.option(
        "--codec", help="Video encoder, e.g. libx265, libsvtav1, ffv1, h264_nvenc. [default: libx264]"
    ),
    click.option("--crf", type=int, help="Quality, lower is better. [default: 18]"),
    click.option("--preset", help="The encoder's preset. [default: veryfast]"),
    click.option("--pix-fmt", help="Pixel format. [default: as the source]"),
    click.option("-e", "--encoder-option", multiple=True, metavar="K=V", help="Any option of the encoder."),
)
_FINDING_OPTIONS: tuple[_Option, ...] = (
    click.option(
        "--threshold", type=float, default=1.0, show_default=True, help="Score above which to flag."
    ),
    click.option("--anomaly-log", type=click.Path(path_type=Path), help="Where the log of every frame goes."),
)
_RUN_OPTIONS: tuple[_Option, ...] = (
    click.option("--max-pixels", type=int, help="Refuse larger pictures. [default: 8192x4320]"),
    click.option("--strict", is_flag=True, help="Exit 6 if input was damaged or frames stay unmended."),
    click.option("--progress", type=click.Choice(PROGRESS_MODES), default="auto", show_default=True),
    click.option("--preview/--no-preview", default=None, help="Show source and result in the terminal."),
    click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors."),
    click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="warning"),
    click.option("--debug", is_flag=True, help="Show tracebacks."),
)
_PAINT_OPTIONS: tuple[_Option, ...] = (
    click.option(
        "-s",
        "--style",
        default="oil",
        show_default=True,
        help="Style (see `vidstyle styles`), a blend of some (oil:0.6,sketch:0.4), or any picture.",
    ),
    click.option(
        "-o", "--output", type=click.Path(path_type=Path), help="Output file, or folder for several."
    ),
    _OVERWRITE,
    click.option(
        "--strength", type=float, default=1.0, show_default=True, help="0 (source) to 1 (full style)."
    ),
    click.option("--preserve-color", is_flag=True, help="Keep the source's colours."),
    click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N."),
    click.option("--precision", type=click.Choice(PRECISIONS), default="auto", show_default=True),
    click.option("--batch-size", default="auto", show_default=True, help="Frames at a time, or auto."),
    click.option("--tile", type=int, help="Paint in tiles of this many pixels."),
    *_CLIP_OPTIONS,
    *_ENCODER_OPTIONS,
    click.option("--audio/--no-audio", default=True, help="Keep the sound."),
    click.option("--subtitles/--no-subtitles", default=True, help="Keep the subtitles."),
    click.option("--detect/--no-detect", default=True, help="Inspect every frame."),
    click.option("--correct/--no-correct", default=True, help="Mend flagged frames."),
    *_FINDING_OPTIONS,
    click.option(
        "--resume/--no-resume",
        default=None,
        help="Go on after an interrupted run, and skip what is done. [default: skip only where many are asked for]",
    ),
    *_RUN_OPTIONS,
    click.option("--inject-faults", default="", hidden=True),
)
_CHECK_OPTIONS: tuple[_Option, ...] = (
    click.option("-o", "--output", type=click.Path(path_type=Path), help="Write STYLISED there, mended."),
    _OVERWRITE,
    *_CLIP_OPTIONS,
    *_ENCODER_OPTIONS,
    *_FINDING_OPTIONS,
    click.option("--resume/--no-resume", default=True, help="Go on after an interrupted run."),
    *_RUN_OPTIONS,
)


def _has(options: tuple[_Option, ...]) -> _Option:
    """Give a command these options, in the order in which --help shows them."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


@cli.command(hidden=True)
@click.argument(
    "inputs", nargs=-1, required=True, type=click.Path(readable=False, path_type=Path), metavar="INPUT..."
)
@_has(_PAINT_OPTIONS)
def paint(inputs: tuple[Path, ...], **options: Any) -> None:
    """Paint videos and pictures."""
    _set_up_logging(options["log_level"])
    from vidstyle.styles import available, wanted

    style, mode = wanted(options["style"]).name, _mode(options)
    _style(options)  # what is wrong with all files is said once

    def say(text: str) -> None:
        if mode not in ("none", "json"):
            with suppress(OSError, ValueError):
                click.echo(_printable(f"vidstyle: {text}"), err=True)

    todo = find_jobs(inputs, options["output"], style=style, styles=available())
    if todo.several and options["anomaly_log"]:
        raise UsageError("Several inputs need a log each.", name="--anomaly-log", hint="leave it away")
    # What is done already is no error where many are asked for: the next evening paints the rest.
    resume = options["resume"]
    skip = bool(resume) or (resume is None and todo.several and not options["overwrite"])

    def one(job: Job) -> Outcome:
        if skip and _is_done(job, options):
            say(f"{job.source}: done already, skipped")
            return "skipped"
        _paint_one(job.source, job.output, options, say)
        return "painted"

    if not todo.several:
        one(todo.jobs[0])
        return
    code = Batch(todo, style=style, say=say, complain=_complain).run(one)
    if code:
        raise SystemExit(code)


def _is_done(job: Job, options: dict[str, Any]) -> bool:
    """Whether an earlier run has painted this file with these settings. Of a picture, only its age tells."""
    if _is_still(job.source):
        from vidstyle.styles import wanted

        output = job.output or default_result(job.source, wanted(options["style"]).name)
        times = [path.stat().st_mtime if is_file(path) else 0.0 for path in (job.source, output)]
        return 0 < times[0] <= times[1]
    with _importing():
        from vidstyle.pipeline import is_done

    return is_done(job.source, job.output, settings=_settings(job.source, options))


def _mode(options: dict[str, Any]) -> Mode:
    return "none" if options["quiet"] else options["progress"]


def _paint_one(
    source: Path, output: Path | None, options: dict[str, Any], say: Callable[[str], None]
) -> None:
    mode = _mode(options)
    if _is_still(source):
        with _importing():
            from vidstyle.progress import make_view
            from vidstyle.stills import stylize_image

        with make_view("json" if mode == "json" else "none") as view:

            def listen(event: Event) -> None:
                view.listen(event)
                if isinstance(event, Note):
                    say(f"note: {event.text}")
                elif isinstance(event, RunFinished):
                    say(str(event.output))

            stylize_image(
                source,
                output,
                settings=_style(options),
                overwrite=options["overwrite"],
                max_pixels=options["max_pixels"],
                listener=listen,
            )
        return

    with _importing():
        from vidstyle.faults import parse_faults
        from vidstyle.pipeline import stylize_video
        from vidstyle.progress import make_view

    settings = _settings(source, options)
    with make_view(mode, preview=options["preview"]) as view:
        stylize_video(
            source,
            output,
            settings=settings,
            listener=view.listen,
            preview=view.preview_due,
            faults=parse_faults(options["inject_faults"]),
        )


def _is_still(path: Path) -> bool:
    return path.suffix.lower() in STILLS


def _style(options: dict[str, Any]) -> StyleSettings:
    return StyleSettings(
        style=options["style"],
        strength=options["strength"],
        preserve_color=options["preserve_color"],
        device=options["device"],
        precision=options["precision"],
        batch_size=_batch_size(options["batch_size"]),
        tile=options["tile"],
    )


def _settings(source: Path, options: dict[str, Any]) -> Settings:
    return Settings(
        style=_style(options),
        check=CheckSettings(
            detect=options["detect"], correct=options["correct"], threshold=options["threshold"]
        ),
        output=_output(options, audio=options["audio"], subtitles=options["subtitles"]),
        clip=_clip(source, options["start"], options["end"], options["duration"]),
        max_pixels=options["max_pixels"],
        strict=options["strict"],
    )


def _check_settings(stylised: Path, options: dict[str, Any]) -> Settings:
    return Settings(
        check=CheckSettings(threshold=options["threshold"]),
        output=_output(options),
        clip=_clip(stylised, options["start"], options["end"], options["duration"]),
        max_pixels=options["max_pixels"],
        strict=options["strict"],
    )


def _output(options: dict[str, Any], *, audio: bool = True, subtitles: bool = True) -> OutputSettings:
    return OutputSettings(
        codec=options["codec"],
        crf=options["crf"],
        preset=options["preset"],
        pix_fmt=options["pix_fmt"],
        options=dict(_key_value(text) for text in options["encoder_option"]),
        audio=audio,
        subtitles=subtitles,
        overwrite=options["overwrite"],
        resume=options["resume"] is not False,
        anomaly_log=options["anomaly_log"],
    )


def _batch_size(text: str) -> int | None:
    if text == "auto":
        return None
    if not text.isdecimal():
        raise UsageError(
            f"{text!r} is not a number of frames.", name="--batch-size", hint="use auto or a number"
        )
    return int(text)


def _key_value(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise UsageError(f"{text!r} is not K=V.", name="--encoder-option", hint="for example -e tune=grain")
    return key, value


def _clip(source: Path, start: str | None, end: str | None, duration: str | None) -> Clip:
    if not (start or end or duration):
        return Clip()
    if end and duration:
        raise UsageError("Give --end or --duration, not both.", name="--end")
    rate = Fraction(25)
    if any(text and text.endswith("f") for text in (start, end, duration)):
        with _importing():
            from vidstyle.media.probe import probe

        rate = probe(source).rate
    begin = parse_time(start, rate, "--start") if start else Fraction(0)
    stop = parse_time(end, rate, "--end") if end else None
    if duration:
        stop = begin + parse_time(duration, rate, "--duration")
    return Clip(_between_frames(begin, start, rate), stop and _between_frames(stop, end or duration, rate))


def _between_frames(seconds: Fraction, text: str | None, rate: Fraction) -> Fraction:
    """Half a frame earlier where frames were counted: some containers round times, and 20f means twenty frames."""
    return max(Fraction(0), seconds - 1 / (2 * rate)) if text and text.endswith("f") else seconds


@cli.command()
@click.argument("source", type=click.Path(readable=False, path_type=Path), metavar="SOURCE")
@click.argument("stylised", type=click.Path(readable=False, path_type=Path), metavar="STYLISED")
@_has(_CHECK_OPTIONS)
def check(source: Path, stylised: Path, **options: Any) -> None:
    """Judge and mend what any tool has stylised.

    \b
    vidstyle check in.mp4 in.anime.mp4                 writes in.anime.check.jsonl
    vidstyle check in.mp4 in.anime.mp4 -o fixed.mp4    writes fixed.mp4 and fixed.anomalies.jsonl

    Frames are paired by time, or by number where times differ and numbers do not. With --strict the exit code is 6
    if a video was damaged or a flagged frame is not mended (without -o: if a frame is flagged). Times count from the
    first frame of STYLISED.
    """
    _set_up_logging(options["log_level"])
    if options["output"] is None:
        for name in ("codec", "crf", "preset", "pix_fmt", "encoder_option"):
            if options[name] not in (None, ()):
                raise UsageError(
                    "Nothing is encoded without an output.",
                    name=f"--{name.replace('_', '-')}",
                    hint="name one with --output",
                )
    with _importing():
        from vidstyle.check import check_video
        from vidstyle.progress import make_view

    settings = _check_settings(stylised, options)
    with make_view(_mode(options), preview=options["preview"]) as view:
        check_video(
            source,
            stylised,
            options["output"],
            settings=settings,
            listener=view.listen,
            preview=view.preview_due,
        )


@cli.command()
@click.argument("picture", type=click.Path(path_type=Path), metavar="PICTURE")
@click.option("--name", required=True, help="What the style is called from then on.")
@click.option("--minutes", type=float, default=5.0, show_default=True, help="How long to learn.")
@click.option(
    "--content",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Pictures, videos or folders to learn on, best those to be painted.",
)
@click.option(
    "--features",
    type=click.Choice(["auto", "own", "vgg19"]),
    default="auto",
    show_default=True,
    help="What measures style: own ships, vgg19 does better but is a download of 550 MB; auto: vgg19 if it is there.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option("-y", "--overwrite", is_flag=True, help="Replace a style of yours with this name.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="warning")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
def learn(picture: Path, name: str, **options: Any) -> None:
    """Make a style of your own from a picture.

    \b
    vidstyle learn my_painting.jpg --name mine --content in.mp4
    vidstyle in.mp4 --style mine

    Starts from what `--style my_painting.jpg` does and tunes it on this machine; Ctrl-C keeps the best so far.
    """
    _set_up_logging(options["log_level"])
    StyleSettings(device=options["device"])  # checked before anything is loaded
    with _importing():
        from vidstyle.learn import learn as tune
        from vidstyle.progress.learning import learning_view

    with learning_view(options["quiet"]) as view:
        learnt = tune(
            picture,
            name,
            minutes=options["minutes"],
            content=options["content"],
            features=options["features"],
            device=options["device"],
            overwrite=options["overwrite"],
            tell=view.tell,
            say=view.say,
        )
        if not learnt.whole:
            view.say("stopped early: the best so far is kept")
        view.say(
            f"style distance {learnt.improvement:.0%} smaller after {learnt.steps} steps: {learnt.sample}"
        )
        view.say(f"use it with --style {learnt.name}")


@cli.command()
def styles() -> None:
    """List the styles."""
    from rich.console import Console
    from rich.table import Table

    from vidstyle.styles import available

    table = Table(box=None, header_style="bold")
    for heading in ("style", "looks like", "licence"):
        table.add_column(heading)
    for name, entry in sorted(available().items()):
        table.add_row(name, entry.description or entry.title, entry.licence)
    Console().print(table)


@cli.command()
def doctor() -> None:
    """Show versions, devices, encoders and weights, and what is wrong with them."""
    from vidstyle.doctor import run

    raise SystemExit(run())


class _StandardError(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes to whatever sys.stderr is at the moment: the terminal view redirects it while it draws."""

    @property
    def stream(self) -> Any:
        return sys.stderr

    @stream.setter
    def stream(self, _: Any) -> None: ...


def _set_up_logging(level: str) -> None:
    logging.basicConfig(
        level=level.upper(),
        format="vidstyle: %(levelname)s: %(message)s",
        handlers=[_StandardError()],
        force=True,
    )


@contextmanager
def _on_signals(handler: Callable[[int, object], NoReturn]) -> Iterator[None]:
    """Lets `handler` have the signals that end a run. A hang-up that is ignored (`nohup`) stays ignored."""
    taken = [n for n in ENDING_SIGNALS if n != signal.SIGHUP or signal.getsignal(n) != signal.SIG_IGN]
    before = {number: signal.signal(number, handler) for number in taken}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


@contextmanager
def _importing() -> Iterator[None]:
    """While the heavy libraries load, a signal ends the process at once: they would swallow what is raised in them.

    Nothing has been begun then. From then on they may end the process themselves, and only for want of memory.
    """

    def leave(number: int, _: object) -> NoReturn:
        _complain(Interrupted(number))
        os._exit(128 + number)

    def memory_ran_out() -> int:
        told = explain(MemoryError())
        _complain(told)
        return told.exit_code

    check_address_space()
    with _on_signals(leave):
        yield
    tell_before_libraries_end_the_process(memory_ran_out)


def _signals_end_the_run() -> AbstractContextManager[None]:
    """Ctrl-C, TERM and HUP end the run in order; a second one ends the process at once."""
    ending = False

    def stop(number: int, _: object) -> NoReturn:
        nonlocal ending
        if ending:
            with suppress(OSError):
                os.write(2, STOPPED_AT_ONCE)
            os._exit(128 + number)
        ending = True
        raise Interrupted(number)

    return _on_signals(stop)


def _complain(error: VidstyleError) -> None:
    """The one line (and hint) of an error."""
    lines = [f"vidstyle: error: {error}"]
    if error.hint:
        lines.append(f"  hint: {error.hint}")
    with suppress(OSError, ValueError):
        text = "\n".join(_printable(line) for line in lines)
        click.echo(text, err=True)


def _printable(text: str) -> str:
    """Control characters and lone surrogates (from file names) as '?', so that no name can steer a terminal."""
    return "".join(
        character if character.isprintable() and not "\ud800" <= character <= "\udfff" else "?"
        for character in text
    )


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command; every ending is an exit code of `vidstyle.errors`."""
    _open_standard_streams()
    debug = "--debug" in (sys.argv if arguments is None else arguments)
    sys.exit(_main(arguments, debug))


def _open_standard_streams() -> None:
    """Where a shell closed them (`2>&-`), the next file opened would become standard error and catch its words."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115, PTH123 - open as long as the process


def _main(arguments: list[str] | None, debug: bool) -> int:
    try:
        with _signals_end_the_run():
            cli.main(arguments, prog_name="vidstyle", standalone_mode=False)
        return 0
    except click.ClickException as error:
        _complain(UsageError(error.format_message(), hint="see `vidstyle --help`"))
        return USAGE_EXIT
    except VidstyleError as error:
        if debug:
            traceback.print_exc()
        _complain(error)
        return error.exit_code
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else BUG_EXIT
    except (KeyboardInterrupt, click.Abort):
        _complain(Interrupted(signal.SIGINT))
        return 128 + signal.SIGINT
    except BrokenPipeError:
        return 0
    except Exception as error:  # noqa: BLE001 - the last line of defence: no traceback reaches a user
        if debug:
            traceback.print_exc()
        told = explain(error)
        _complain(told)
        return told.exit_code
