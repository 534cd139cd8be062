"""The door: help is instant, wrong words are answered with near ones."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner

import shamisa_cli
from shamisa_cli.cli import COMMANDS, app


def test_help_imports_no_torch() -> None:
    """That of shamisa imports no other large library either."""
    code = (
        "import sys; from click.testing import CliRunner\n"
        "from shamisa_cli.cli import COMMANDS, app\n"
        "def loaded(*arguments, names={'torch', 'timm'}):\n"
        "    result = CliRunner().invoke(app, [*arguments, '--help'])\n"
        "    assert result.exit_code == 0, result.output\n"
        "    return names & set(sys.modules)\n"
        "print(loaded(names={'torch', 'timm', 'numpy', 'sklearn', 'PIL'}))\n"
        "print({command: loaded(command) for command in COMMANDS if loaded(command)})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n") == ["set()", "{}", ""]


def test_every_command_is_listed_with_a_line_of_its_own() -> None:
    shown = CliRunner().invoke(app, ["--help"]).output
    for command in COMMANDS:
        line = next(line for line in shown.splitlines() if line.startswith(f"  {command} "))
        assert len(line.split()) > 2, command


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("scoree", "mean score"), ("pretain", "mean pretrain"), ("pretrain --presset x", "--preset")],
)
def test_a_mistyped_command_or_option(typed: str, meant: str) -> None:
    result = CliRunner().invoke(app, typed.split())
    assert result.exit_code == 2
    assert meant in result.output.replace("--presset", "")


def test_version() -> None:
    assert shamisa_cli.__version__ in CliRunner().invoke(app, ["--version"]).output


def test_the_public_names_load_on_first_use() -> None:
    assert callable(shamisa_cli.load)
    with pytest.raises(AttributeError, match="no attribute 'laod'"):
        _ = shamisa_cli.laod  # type: ignore[attr-defined]
