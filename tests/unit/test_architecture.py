"""The rules of the house, kept by reading the code: who may import whom, and what the wheel holds."""

import ast
import configparser
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "vidstyle"
MODULES = sorted(PACKAGE.rglob("*.py"))
STAGES = {"vidstyle.stylize", "vidstyle.detect", "vidstyle.correct"}


def imports(path: Path) -> set[str]:
    """Modules that a file imports at any level, dotted; TYPE_CHECKING blocks do not count."""
    found = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            if node.module == "vidstyle":
                found |= {f"vidstyle.{alias.name}" for alias in node.names}
    return found


def stage_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:2])


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_one_way(path: Path) -> None:
    inside = path.relative_to(PACKAGE).parts[0]
    used = imports(path)
    if inside != "media":
        assert not {name for name in used if name.split(".")[0] == "av"}, "only media/ uses PyAV"
    if inside not in ("training", "learn.py"):  # which trains
        assert not {name for name in used if name.startswith("vidstyle.training")}, (
            "training stays out of the run"
        )
    if inside not in ("cli.py", "__main__.py", "__init__.py"):
        assert not used & {"vidstyle.cli"}
    if inside not in ("cli.py", "pipeline.py", "__init__.py"):
        assert "vidstyle.pipeline" not in used
    if stage_of(path) in STAGES:
        others = STAGES - {stage_of(path)}
        assert not {name for name in used if any(name.startswith(other) for other in others)}, (
            "stages are strangers"
        )
    if inside == "models":
        assert not {name for name in used if name.startswith("vidstyle.media")}


@pytest.mark.parametrize(
    "module", ["vidstyle", "vidstyle.cli", "vidstyle.settings", "vidstyle.errors", "vidstyle.events"]
)
def test_light_modules_load_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print([m for m in ('torch', 'cv2', 'av', 'numpy') if m in sys.modules])"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert loaded.stdout.strip() == "[]"


def test_setup_cfg_names_every_package() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    named = set(config["options"]["packages"].split())
    found = {".".join(path.parent.relative_to(ROOT).parts) for path in PACKAGE.rglob("__init__.py")}
    assert named == found | {"vidstyle.checkpoints"}


def test_public_names_are_listed_and_exist() -> None:
    import vidstyle

    for name in vidstyle.__all__:
        assert getattr(vidstyle, name) is not None
    assert len(set(vidstyle.__all__)) == len(vidstyle.__all__)
    with pytest.raises(AttributeError):
        _ = vidstyle.stylise  # type: ignore[attr-defined]


def test_version_is_the_same_everywhere() -> None:
    import tomllib

    import vidstyle

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == vidstyle.__version__
    assert f"## {vidstyle.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_nothing_loads_pickles() -> None:
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                assert any(
                    keyword.arg == "weights_only" and ast.unparse(keyword.value) == "True"
                    for keyword in node.keywords
                )
            if isinstance(node, ast.Import):
                assert "pickle" not in {alias.name for alias in node.names}
