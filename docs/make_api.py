"""Writes docs/api.md from the docstrings of the public API, with pdoc's converter.

python docs/make_api.py           write it
python docs/make_api.py --check   exit with 1 if it is out of date
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

from pdoc.docstrings import convert

import shamisa

PAGE = Path(__file__).with_name("api.md")
INTRODUCTION = """\
# Python API

`import shamisa` gives `load`, `Scorer`, `Score`, and the errors, `ShamisaError` and its kinds.
`import shamisa_cli` gives the same. Everything else may change.

The examples run in the test suite. `python docs/make_api.py` makes this page from the docstrings.
"""
ERRORS = (
    "ShamisaError",
    "PhotoError",
    "UsageError",
    "UnknownNameError",
    "WeightsError",
    "HubError",
)


def sections() -> Iterator[str]:
    """A section for each public name, and below a class for each of its public members."""
    yield INTRODUCTION
    for name in ("load", "Scorer", "Score", *ERRORS):
        public = getattr(shamisa, name)
        yield section(f"## {name}", public)
        for member, value in vars(public).items() if inspect.isclass(public) else ():
            if not member.startswith("_") and inspect.getdoc(value) and not is_plain(value):
                yield section(f"### {name}.{member}", value)


def is_plain(value: object) -> bool:
    """Whether this is the default of a field, whose docstring is that of its type."""
    return not isinstance(value, (property, classmethod)) and not inspect.isfunction(value)


def section(heading: str, member: object) -> str:
    """Heading, signature and docstring as Markdown."""
    return "\n\n".join([heading, *signature(member), text(inspect.getdoc(member) or "")]) + "\n"


def signature(member: object) -> list[str]:
    """The signature of a function as its source has it, which no version of Python words anew."""
    function = member.__func__ if isinstance(member, classmethod) else member
    if not inspect.isfunction(function):
        return []
    made = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(made, ast.FunctionDef)
    assert made.returns is not None
    arguments = re.sub(r"^(self|cls)(, )?", "", ast.unparse(made.args))
    if len(arguments) > 80:
        arguments = "\n    " + re.sub(r", (?=\w+:|\*)", ",\n    ", arguments) + ",\n"
    return [f"```python\n{made.name}({arguments}) -> {ast.unparse(made.returns)}\n```"]


def text(docstring: str) -> str:
    """A docstring as Markdown; pdoc takes what follows ``name :`` for a type, here it is prose."""
    docstring = re.sub(r"^(\w+(?:, \w+)*) : ", r"\1\n    ", docstring, flags=re.MULTILINE)
    made = convert(docstring, "numpy", None) + "\n"
    made = re.sub(r"^#+ (\w+)", r"**\1**\n", made, flags=re.MULTILINE)
    made = re.sub(r"\n^ - ", "\n- ", made, flags=re.MULTILINE)
    made = re.sub(r"((?:^>>> .*\n(?:^\S.*\n)*)+)", r"```pycon\n\1```\n", made, flags=re.MULTILINE)
    return re.sub(r"\n{3,}", "\n\n", made).strip()


def main() -> None:
    made = "\n".join(sections())
    if sys.argv[1:] != ["--check"]:
        PAGE.write_text(made, encoding="utf-8")
    elif PAGE.read_text(encoding="utf-8") != made:
        sys.exit(f"{PAGE} is out of date: run python docs/make_api.py")


if __name__ == "__main__":
    main()
