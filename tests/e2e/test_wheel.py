"""What is built from this repository is whole: the wheel, installed elsewhere, paints without the source folder."""

import site
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)],
        check=True,
        capture_output=True,
    )
    (path,) = folder.glob("*.whl")
    return path


def test_the_wheel_holds_code_and_weights(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"vidstyle/cli.py", "vidstyle/py.typed", "vidstyle/checkpoints/manifest.json"} <= names
    for path in (ROOT / "checkpoints").glob("*.safetensors"):
        assert f"vidstyle/checkpoints/{path.name}" in names
    for path in (ROOT / "vidstyle").rglob("*.py"):
        assert str(path.relative_to(ROOT)) in names
    assert not {name for name in names if name.startswith(("tests/", "scripts/"))}


def test_the_installed_wheel_paints_from_another_folder(wheel: Path, sample: Path, tmp_path: Path) -> None:
    environment = tmp_path / "venv"
    venv.create(environment, with_pip=False)
    python = environment / "bin" / "python"
    # The dependencies (gigabytes) are lent by this environment; vidstyle itself comes from the wheel alone.
    library = Path(sysconfig.get_path("purelib", vars={"base": str(environment)}))
    (library / "lent.pth").write_text("\n".join(site.getsitepackages()))
    zipfile.ZipFile(wheel).extractall(library)
    output = tmp_path / "out.mp4"
    done = subprocess.run(
        [str(python), "-m", "vidstyle", str(sample), "-o", str(output), "--duration", "6f"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert output.stat().st_size > 1000
    where = subprocess.run(
        [str(python), "-c", "import vidstyle; print(vidstyle.__file__)"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert str(library) in where.stdout
