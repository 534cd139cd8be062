"""The Dockerfile, read: what it is made of, and that nothing in it runs with rights.

There is no Docker where the tests run, so this is no build.
"""

from __future__ import annotations

import ast
import json
import re
import shlex
from fnmatch import fnmatch
from pathlib import Path

import pytest

from shamisa_cli.commands.serve import serve

PROJECT = Path(__file__).resolve().parents[1]
PYPROJECT = (PROJECT / "pyproject.toml").read_text(encoding="utf-8")
TEXT = (PROJECT / "Dockerfile").read_text(encoding="utf-8")


def instructions() -> list[tuple[str, str]]:
    """The name and the arguments of each, with continued lines joined."""
    joined = re.sub(r"\\\n\s*", "", re.sub(r"^\s*#.*\n", "", TEXT, flags=re.MULTILINE))
    pairs = [line.split(maxsplit=1) for line in joined.splitlines() if line.strip()]
    return [(name, arguments) for name, arguments in pairs]


def last_stage() -> list[tuple[str, str]]:
    all_of_them = instructions()
    start = max(n for n, (name, _) in enumerate(all_of_them) if name == "FROM")
    return all_of_them[start:]


def arguments(name: str) -> list[str]:
    return [arguments for each, arguments in last_stage() if each == name]


def test_the_base_is_a_python_that_is_supported() -> None:
    bases = [arguments.split()[0] for name, arguments in instructions() if name == "FROM"]
    assert len(set(bases)) == 1
    version = re.fullmatch(r"python:3\.(\d+)-slim", bases[0])
    assert version is not None
    assert int(version[1]) >= 10


def test_it_runs_as_a_user_without_rights() -> None:
    names = [name for name, _ in last_stage()]
    users = arguments("USER")
    assert len(users) == 1
    assert int(users[0]) >= 1000
    assert "RUN" not in names[names.index("USER") :]
    assert f"--uid {users[0]}" in arguments("RUN")[0]
    assert not {"sudo", "chmod", "setcap"} & set(TEXT.split())


def test_torch_is_the_build_for_cpus_and_comes_first() -> None:
    runs = [arguments for name, arguments in instructions() if name == "RUN"]
    torch, project = [run for run in runs if run.startswith("pip install")]
    assert torch.split()[2:] == [
        "torch",
        "torchvision",
        "--index-url",
        "https://download.pytorch.org/whl/cpu",
    ]
    extras = re.fullmatch(r'pip install "\.\[([\w,]+)\]"', project)
    assert extras is not None
    for extra in extras[1].split(","):
        assert re.search(rf"^{extra} = \[", PYPROJECT, re.MULTILINE)


def test_what_is_copied_is_there_and_is_what_the_package_is_made_of() -> None:
    copies = [arguments.split() for name, arguments in instructions() if name == "COPY"]
    copied = {path for copy in copies if "--from=build" not in copy for path in copy[:-1]}
    wheel = re.search(r"targets\.wheel\]\npackages = (\[.*?\])", PYPROJECT)
    assert wheel is not None
    packages = {path.split("/")[0] for path in ast.literal_eval(wheel[1])}
    described = {"pyproject.toml", "README.md", "LICENSE", "NOTICE"}
    assert copied == {*described, *packages, "weights"}
    patterns = (PROJECT / ".dockerignore").read_text().splitlines()
    assert patterns[1] == "*"  # nothing is sent that is not named: no .git, no photos
    kept = {pattern[1:] for pattern in patterns if pattern.startswith("!")}
    assert kept == copied
    assert all((PROJECT / path).exists() for path in copied)
    assert any(fnmatch("shamisa_cli/__pycache__", pattern) for pattern in patterns[2:])


def test_it_starts_the_server_and_stops_it_gracefully() -> None:
    assert json.loads(arguments("ENTRYPOINT")[0]) == ["shamisa"]
    command, *options = json.loads(arguments("CMD")[0])
    assert command == "serve"
    values = serve.make_context("serve", options).params
    assert values["host"] == "0.0.0.0"  # of the container; `docker run -p` says who sees it
    assert arguments("EXPOSE") == [str(values["port"])]
    assert arguments("STOPSIGNAL") == ["SIGTERM"]
    assert "-p 127.0.0.1:8000:8000" in TEXT


def test_its_health_is_asked_where_the_server_tells_it() -> None:
    pytest.importorskip("fastapi", reason="needs the extra serve")
    *_, command = re.split(r"\bCMD ", arguments("HEALTHCHECK")[0])
    python, option, code = json.loads(command)
    assert (python, option) == ("python", "-c")
    calls = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)]
    url = ast.literal_eval(calls[0].args[0])
    port = shlex.split(arguments("EXPOSE")[0])[0]
    assert url == f"http://127.0.0.1:{port}/health"
