import signal
from pathlib import Path

import pytest
from click.testing import CliRunner

from vidstyle.cli import _main, _printable, cli


def run(*arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = _main(list(arguments), debug=False)
    return code, capsys.readouterr().err


def test_help_shows_the_painting_options_and_the_commands() -> None:
    text = CliRunner().invoke(cli, ["--help"]).output
    for word in ("--style", "--strength", "--resume", "doctor", "styles", "in.oil.mp4"):
        assert word in text
    assert "--inject-faults" not in text


def test_version() -> None:
    assert "0.1" in CliRunner().invoke(cli, ["-V"]).output


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["nowhere.mp4"], 3, "nowhere.mp4"),
        (["x.mp4", "--strength", "2"], 2, "--strength"),
        (["x.mp4", "--strength", "many"], 2, "--strength"),
        (["x.mp4", "--device", "gpu"], 2, "--device"),
        (["x.mp4", "--batch-size", "some"], 2, "--batch-size"),
        (["x.mp4", "-e", "tune"], 2, "K=V"),
        (["x.mp4", "--start", "soon"], 2, "--start"),
        (["x.mp4", "--end", "3", "--duration", "2"], 2, "not both"),
        (["x.mp4", "--end", "3", "--start", "4"], 2, "--end"),
        (["--no-such-option", "x.mp4"], 2, "--no-such-option"),
        (["x.mp4", "--inject-faults", "melt@1"], 2, "melt"),
    ],
)
def test_errors_are_one_line_with_the_right_code(
    arguments: list[str], code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    actual, text = run(*arguments, capsys=capsys)
    assert actual == code
    lines = text.splitlines()
    assert lines[0].startswith("vidstyle: error: ")
    assert words in lines[0]
    assert len(lines) <= 2
    assert "Traceback" not in text


def test_an_unknown_style_lists_the_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "x.mp4"
    source.write_bytes(b"not a video")
    code, text = run(str(source), "--style", "cubism", capsys=capsys)
    assert code == 2
    assert "oil" in text


def test_a_text_file_named_mp4_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "notes.mp4"
    source.write_text("just some words, and no video at all\n" * 50)
    code, text = run(str(source), capsys=capsys)
    assert code == 3
    assert "notes.mp4" in text
    assert list(tmp_path.iterdir()) == [source], "nothing is left behind"


def test_a_folder_without_media_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(tmp_path), capsys=capsys)[0] == 3


def test_hostile_names_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    _, text = run("a\x1b[31m\nb\udcff.mp4", capsys=capsys)
    assert "\x1b" not in text
    assert "a?[31m?b?.mp4" in text


def test_printable_keeps_ordinary_names() -> None:
    assert _printable("Ein schöner Film – 映画.mp4") == "Ein schöner Film – 映画.mp4"


def test_signal_handlers_are_put_back(capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    run("nowhere.mp4", capsys=capsys)
    assert signal.getsignal(signal.SIGTERM) is before
