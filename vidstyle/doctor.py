"""What this machine has and what is missing: `vidstyle doctor`."""

from __future__ import annotations

import importlib
import os
import platform
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from vidstyle.errors import ResourceError, VidstyleError
from vidstyle.progress import printable

NEEDED_ENCODERS = ("libx264", "aac")
"""What the default settings write."""
OTHER_ENCODERS = (
    "libx265",
    "libsvtav1",
    "libvpx-vp9",
    "ffv1",
    "libopus",
    "h264_nvenc",
    "hevc_nvenc",
    "av1_nvenc",
)
PACKAGES = {
    "numpy": "numpy",
    "torch": "torch",
    "torchvision": "torchvision",
    "kornia": "kornia",
    "OpenCV": "cv2",
    "safetensors": "safetensors",
    "Pillow": "PIL",
}
"""Names as people know them, and as Python imports them; PyAV is asked by `vidstyle.media`."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report."""

    name: str
    ok: bool | None
    """None: missing, and not needed."""
    detail: str
    remedy: str | None = None
    """What to do about it."""


def run() -> int:
    """Print the report; 0 if all that is needed works, otherwise the exit code of ResourceError."""
    checks = report()
    show(checks, Console())
    return ResourceError.exit_code if any(check.ok is False for check in checks) else 0


def report() -> list[Check]:
    """Look at everything. Nothing raises: what fails is a check that says so."""
    parts: list[tuple[str, Callable[[], Iterable[Check]]]] = [
        ("vidstyle", _versions),
        ("CPU", _processor),
        ("CUDA", _cuda),
        ("encoders", _encoders),
        ("weights", _weights),
        ("terminal", _terminal),
    ]
    checks: list[Check] = []
    for name, look in parts:
        try:
            checks += look()
        except VidstyleError as error:
            checks.append(Check(name, False, error.reason, error.hint))
        except Exception as error:  # noqa: BLE001 - whatever is broken here is what was to be found out
            checks.append(Check(name, False, f"{type(error).__name__}: {error}", _remedy(error)))
    return checks


def show(checks: Iterable[Check], console: Console) -> None:
    """The report as a table, remedies under what they are for."""
    unicode = console.encoding.lower().startswith("utf")
    marks = {
        True: ("✓" if unicode else "ok", "green"),
        False: ("✗" if unicode else "NO", "bold red"),
        None: ("-", "dim"),
    }
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for check in checks:
        detail = Text(printable(check.detail))
        if check.remedy:
            detail.append("\n" + check.remedy, style="yellow")
        table.add_row(Text(*marks[check.ok]), Text(check.name, style="bold"), detail)
    console.print(table)


def _versions() -> Iterable[Check]:
    enough = sys.version_info >= (3, 11)
    yield Check(
        "Python",
        enough,
        f"{platform.python_version()} ({sys.executable})",
        None if enough else "install 3.11",
    )
    yield Check("vidstyle", True, f"{_version('vidstyle')} in {Path(__file__).parent}")
    for name, module in PACKAGES.items():
        yield _package(name, lambda module=module: str(importlib.import_module(module).__version__))  # type: ignore[misc]
    yield _package("PyAV", lambda: importlib.import_module("vidstyle.media.capabilities").library_versions())


def _package(name: str, version: Callable[[], str]) -> Check:
    try:
        return Check(name, True, version())
    except Exception as error:  # noqa: BLE001 - a broken library raises anything while it is imported
        return Check(name, False, f"{type(error).__name__}: {error}", _remedy(error))


def _remedy(error: Exception) -> str | None:
    """What helps against a failed import."""
    message = str(error)
    if "libGL" in message or "libgthread" in message or "libglib" in message:
        return (
            "install the system's libraries (Debian, Ubuntu: apt install libgl1 libglib2.0-0), or let "
            "opencv-python-headless take opencv-python's place"
        )
    if isinstance(error, ModuleNotFoundError):
        return "install vidstyle again: pip install --force-reinstall vidstyle"
    return None


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "(not installed, run from its folder)"


def _processor() -> Iterable[Check]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    model, flags = _cpu_model()
    fast = [
        name
        for name, flag in (("AMX", "amx_bf16"), ("AVX-512", "avx512f"), ("AVX2", "avx2"))
        if flag in flags
    ]
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    yield Check("CPU", True, ", ".join([model, f"{cores} cores", *fast, f"{gigabytes:.0f} GB of memory"]))


def _cpu_model() -> tuple[str, set[str]]:
    """The CPU's name and its flags, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.machine(), set()
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    return facts.get("model name", platform.machine()), set(facts.get("flags", "").split())


def _cuda() -> Iterable[Check]:
    import torch

    if torch.version.cuda is None:
        yield Check("CUDA", None, "this build of torch has none; the CPU is used")
        return
    if not torch.cuda.is_available():
        driver = Path("/proc/driver/nvidia/version").exists()
        remedy = (
            f"update the NVIDIA driver, it is older than CUDA {torch.version.cuda} needs" if driver else None
        )
        why = "the NVIDIA driver does not serve it" if driver else "no NVIDIA driver is loaded"
        yield Check(
            "CUDA", None, f"torch brings CUDA {torch.version.cuda}, but {why}; the CPU is used", remedy
        )
        return
    for index in range(torch.cuda.device_count()):
        facts = torch.cuda.get_device_properties(index)
        free, total = torch.cuda.mem_get_info(index)
        yield Check(
            f"cuda:{index}",
            True,
            f"{facts.name}, {free / 1e9:.0f} of {total / 1e9:.0f} GB free, compute {facts.major}.{facts.minor}, "
            f"CUDA {torch.version.cuda}, driver {_driver_version()}",
        )


def _driver_version() -> str:
    try:
        words = Path("/proc/driver/nvidia/version").read_text(encoding="utf-8").split()
    except OSError:
        return "unknown"
    return next(
        (word for word in words if word.count(".") >= 1 and word.replace(".", "").isdecimal()), "unknown"
    )


def _encoders() -> Iterable[Check]:
    from vidstyle.media.capabilities import usable_encoders

    found = usable_encoders(NEEDED_ENCODERS + OTHER_ENCODERS)
    for name, problem in found.items():
        if problem and name in NEEDED_ENCODERS:
            yield Check(
                name, False, problem, "reinstall PyAV from its wheel: pip install --force-reinstall av"
            )
    yield Check(
        "encoders", True, ", ".join(name for name, problem in found.items() if problem is None) or "none"
    )
    missing: dict[str, list[str]] = {}
    for name, problem in found.items():
        if problem and name in OTHER_ENCODERS:
            missing.setdefault(problem, []).append(name)
    for problem, names in missing.items():
        yield Check("not usable", None, f"{', '.join(names)} ({problem})")


def _weights() -> Iterable[Check]:
    from vidstyle.weights import verify_all

    remedy = "get the file again: git checkout -- checkpoints, or reinstall vidstyle"
    for name, ok, detail in verify_all():
        yield Check(name, ok, detail, None if ok else remedy)


def _terminal(environment: Mapping[str, str] = os.environ) -> Iterable[Check]:
    from vidstyle.preview import choose_graphics
    from vidstyle.progress.dashboard import COLORS

    console = Console(stderr=True)
    if not console.is_terminal:
        yield Check("terminal", None, "none on standard error: progress is shown as plain lines")
        return
    colors = COLORS.get(console.color_system, 0)
    kinds = {
        "kitty": "pictures by kitty's protocol",
        "sixel": "sixel pictures",
        "blocks": "pictures in half blocks",
        "none": "no pictures",
    }
    detail = (
        f"{environment.get('TERM', 'unknown')}, {console.width}x{console.height}, {colors or 'no'} colours"
    )
    yield Check("terminal", True, f"{detail}, {kinds[choose_graphics(environment, colors)]}")
