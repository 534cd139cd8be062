"""What a Hub holds: repositories with branches and commits, tokens, large files by digest."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field

LARGE = (".safetensors", ".bin", ".tgz", ".zip", ".tar")
"""Endings of the files that go through LFS, as .gitattributes says on the real Hub."""


@dataclass
class Repository:
    """Branches and tags point at commits, a commit at files (path to content)."""

    private: bool = False
    gated: bool = False
    refs: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.commit("main", {}, "initial commit")

    def commit(self, branch: str, files: dict[str, bytes], message: str) -> str:
        """Make ``files`` the whole content of a branch."""
        parent = self.refs.get(branch, "")
        digest = hashlib.sha1(f"{parent} {message} {len(self.commits)}".encode())
        for path, content in sorted(files.items()):
            digest.update(path.encode() + content)
        self.refs[branch] = digest.hexdigest()
        self.commits[self.refs[branch]] = dict(files)
        self.messages.append(message)
        return self.refs[branch]

    def resolve(self, revision: str) -> str | None:
        """The commit of a branch, a tag or a commit."""
        known = {**{commit: commit for commit in self.commits}, **self.tags, **self.refs}
        return known.get(revision)

    def files(self, branch: str = "main") -> dict[str, bytes]:
        """What is on a branch."""
        return self.commits[self.refs[branch]]


@dataclass
class State:
    """All of a Hub. ``tokens`` maps a token to (user, may write); with ``xet``, large files are
    said to be had by Xet, and are not."""

    repositories: dict[tuple[str, str], Repository] = field(default_factory=dict)
    tokens: dict[str, tuple[str, bool]] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)
    xet: bool = False

    def add(self, name: str, files: dict[str, bytes], kind: str = "model") -> Repository:
        """A repository with ``files`` on its main branch."""
        repository = self.repositories.setdefault((kind, name), Repository())
        repository.commit("main", files, "add files")
        self.large |= {sha256(c): c for path, c in files.items() if path.endswith(LARGE)}
        return repository

    def apply(self, repository: Repository, branch: str, lines: Iterable[bytes]) -> str:
        """A commit as the client sends it: one JSON object a line."""
        files = dict(repository.files(branch) if branch in repository.refs else repository.files())
        message = ""
        for line in lines:
            item = json.loads(line)
            key, value = item["key"], item["value"]
            if key == "header":
                message = value["summary"]
            elif key == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif key == "lfsFile":
                files[value["path"]] = self.large[value["oid"]]
            elif key == "deletedFile":
                del files[value["path"]]
        return repository.commit(branch, files, message)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def git_sha1(content: bytes) -> str:
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()


def describe(path: str, content: bytes) -> dict[str, object]:
    """A file as the tree of the Hub lists it."""
    facts: dict[str, object] = {"type": "file", "path": path, "size": len(content)}
    facts["oid"] = git_sha1(content)
    if path.endswith(LARGE):
        facts["lfs"] = {"oid": sha256(content), "size": len(content), "pointerSize": 134}
    return facts
