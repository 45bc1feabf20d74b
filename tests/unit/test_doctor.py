"""The doctor finds what is broken, names the remedy, and survives everything."""

from __future__ import annotations

import importlib
import io

import pytest
from rich.console import Console

from vidstyle import doctor
from vidstyle.doctor import Check
from vidstyle.errors import WeightsError
from vidstyle.media.capabilities import library_versions, usable_encoders


def whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidstyle.weights.verify_all", lambda: [("oil.safetensors", True, "sha256 0123")])


def by_name(checks: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


def test_a_whole_installation_is_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole(monkeypatch)
    assert doctor.run() == 0
    checks = by_name(doctor.report())
    for name in ("Python", "vidstyle", "torch", "OpenCV", "PyAV", "CPU", "encoders", "oil.safetensors"):
        assert checks[name].ok is True
    assert "libx264" in checks["encoders"].detail
    assert "oil.safetensors" in capsys.readouterr().out


def test_a_missing_system_library_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    whole(monkeypatch)
    real = importlib.import_module

    def load(name: str) -> object:
        if name == "cv2":
            raise ImportError("libGL.so.1: cannot open shared object file: No such file or directory")
        return real(name)

    monkeypatch.setattr("vidstyle.doctor.importlib.import_module", load)
    check = by_name(doctor.report())["OpenCV"]
    assert check.ok is False
    assert "libGL.so.1" in check.detail
    assert check.remedy is not None
    assert "libgl1" in check.remedy
    assert "opencv-python-headless" in check.remedy
    assert doctor.run() == 5


def test_damaged_weights_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidstyle.weights.verify_all", lambda: [("oil.safetensors", False, "wrong checksum")])
    assert by_name(doctor.report())["oil.safetensors"].remedy
    assert doctor.run() == 5


def test_missing_weights_show_the_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing() -> None:
        raise WeightsError("There is no manifest.", hint="get it")

    monkeypatch.setattr("vidstyle.weights.verify_all", nothing)
    check = by_name(doctor.report())["weights"]
    assert (check.ok, check.detail, check.remedy) == (False, "There is no manifest.", "get it")


def test_a_check_that_crashes_is_a_line_of_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    whole(monkeypatch)

    def crash() -> None:
        raise ValueError("odd")

    monkeypatch.setattr(doctor, "_processor", crash)
    assert by_name(doctor.report())["CPU"] == Check("CPU", False, "ValueError: odd")


def test_a_missing_needed_encoder_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    whole(monkeypatch)
    monkeypatch.setattr(
        "vidstyle.media.capabilities.usable_encoders", lambda names: dict.fromkeys(names, "not built in")
    )
    assert by_name(doctor.report())["libx264"].ok is False
    assert doctor.run() == 5


def test_encoders_are_really_opened(capfd: pytest.CaptureFixture[str]) -> None:
    found = usable_encoders(["libx264", "aac", "ffv1", "libopus", "no_such_encoder"])
    assert {name for name, problem in found.items() if problem is None} == {
        "libx264",
        "aac",
        "ffv1",
        "libopus",
    }
    assert found["no_such_encoder"]
    assert capfd.readouterr() == ("", "")


def test_versions_name_ffmpeg() -> None:
    assert "FFmpeg" in library_versions()


@pytest.mark.parametrize(("encoding", "mark"), [("utf-8", "✗"), ("ascii", "NO")])
def test_the_table_shows_remedies_and_takes_brackets_literally(encoding: str, mark: str) -> None:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding)
    doctor.show([Check("weights", False, "a [red]b\x1b[2J", "do [this]")], Console(file=file, width=60))
    file.flush()
    text = raw.getvalue().decode(encoding)
    assert mark in text
    assert "a [red]b?[2J" in text
    assert "do [this]" in text
    assert "\x1b" not in text
