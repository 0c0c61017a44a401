"""The house rules that a program can check."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_import_directions():
    """The layers and the ban on labels in the engine, as pyproject.toml states them."""
    program = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_importing_the_package_loads_nothing_heavy():
    program = (
        "import detente, sys; "
        "sys.exit(bool({'jax', 'xarray', 'pandas', 'altair', 'scipy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_every_public_name_is_there():
    import detente

    for name in detente.__all__:
        assert getattr(detente, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Wrold'"):
        _ = detente.Wrold


def test_no_compiled_function_calls_lapack():
    """Two LAPACK calls side by side hang on small machines (see `numerics`): the engine's arrays never go there."""
    names = "solver together response system nests equations situation search equilibrium adjoint batch stack trailing"
    for name in [*names.split(), "design", "frontier"]:
        text = (ROOT / "src" / "detente" / f"{name}.py").read_text(encoding="utf-8")
        assert "jnp.linalg" not in text
        assert "jax.scipy" not in text


def test_files_stay_readable():
    """A file of more than 430 lines is two nouns."""
    for path in (ROOT / "src").rglob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 430, path.name


def test_constraints_cover_the_dependencies_and_hold_no_address():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert "://" not in pins
    assert "@" not in pins
    names = {line.split("==")[0].lower() for line in pins.splitlines() if "==" in line}
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    for requirement in wanted:
        name = requirement.split(">")[0].split("[")[0].strip().lower()
        assert name in names, f"{name} has no pin in constraints.txt"
