"""What a Hub holds, and what it answers to the requests of huggingface_hub's client."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

LARGE = (".safetensors", ".bin", ".tgz", ".zip", ".tar")
"""Endings of the files that are served from elsewhere, with their SHA-256 (LFS)."""
Answer = tuple[int, dict[str, str], bytes]
"""Status, headers, content."""


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
        facts = [self.refs.get(branch, ""), message, len(self.commits), sorted(files.items())]
        self.refs[branch] = hashlib.sha1(repr(facts).encode()).hexdigest()
        self.commits[self.refs[branch]] = dict(files)
        self.messages.append(message)
        return self.refs[branch]

    def resolve(self, revision: str) -> str | None:
        """The commit of a branch, a tag or a commit."""
        return {**{commit: commit for commit in self.commits}, **self.tags, **self.refs}.get(
            revision
        )

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
        self.keep(files)
        return repository

    def apply(self, repository: Repository, branch: str, lines: Iterable[bytes]) -> str:
        """A commit as the client sends it: one JSON object a line."""
        files = dict(repository.files(branch if branch in repository.refs else "main"))
        message = ""
        for line in lines:
            item = json.loads(line)
            key, value = item["key"], item["value"]
            if key == "header":
                message = value["summary"]
            elif key == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif key == "deletedFile":
                del files[value["path"]]
        self.keep(files)
        return repository.commit(branch, files, message)

    def keep(self, files: dict[str, bytes]) -> None:
        """Keep the large ones by digest, from where they are served."""
        self.large |= {sha256(c): c for path, c in files.items() if path.endswith(LARGE)}


@dataclass
class Api:
    """Answers one request.

    Attributes
    ----------
    state : what the Hub holds.
    url, cdn_url : where it is, and where it sends those who want large files.
    headers, query, body : of the request.
    """

    state: State
    url: str
    cdn_url: str
    headers: dict[str, str]
    query: dict[str, str]
    body: bytes

    ROUTES = (
        ("POST", r"/api/repos/create", "create"),
        ("POST", r"/api/validate-yaml", "validate"),
        ("GET", r"/api/(model|dataset)s/([^/]+/[^/]+)(?:/revision/(.+))?", "info"),
        ("GET", r"/api/(model)s/([^/]+/[^/]+)/tree/(.+)", "tree"),
        ("GET", r"/api/(model)s/([^/]+/[^/]+)/refs", "refs"),
        ("POST", r"/api/(model)s/([^/]+/[^/]+)/preupload/(.+)", "preupload"),
        ("POST", r"/api/(model)s/([^/]+/[^/]+)/commit/(.+)", "commit"),
        ("GET", r"/cdn/([0-9a-f]{64})", "cdn"),
        ("GET", r"/(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", "resolve"),
    )

    def answer(self, method: str, path: str) -> Answer:
        """The answer to a request."""
        token = self.headers.get("authorization", "").removeprefix("Bearer ")
        self.user, self.may_write = self.state.tokens.get(token, ("", False))
        if token and not self.user:
            return refuse(401, message="Invalid credentials in Authorization header")
        wanted = "GET" if method == "HEAD" else method
        for route, pattern, name in self.ROUTES:
            match = re.fullmatch(pattern, path)
            if route == wanted and match:
                made: Callable[..., Answer] = getattr(self, name)
                try:
                    return made(*match.groups())
                except RefusedError as refused:
                    return refused.args[0]
        return refuse(404, message=f"no such route: {method} {path}")

    def validate(self) -> Answer:
        return as_json({"errors": [], "warnings": []})

    def create(self) -> Answer:
        asked = json.loads(self.body)
        owner = asked["organization"] or self.user
        if not self.user:
            return refuse(401, message="Invalid username or password.")
        if owner != self.user or not self.may_write:
            return refuse(403, message=f"You don't have the rights to create a model under {owner}")
        name = f"{owner}/{asked['name']}"
        known = ("model", name) in self.state.repositories
        repository = self.state.repositories.setdefault(("model", name), Repository())
        if not known:
            repository.private = asked.get("private") or asked.get("visibility") == "private"
        return as_json({"url": f"{self.url}/{name}"}, status=409 if known else 200)

    def info(self, kind: str, name: str, revision: str | None) -> Answer:
        repository, commit = self._find(kind, name, revision or "main")
        files = [describe(path, c) for path, c in repository.commits[commit].items()]
        facts = {"id": name, "sha": commit, "private": repository.private, "siblings": files}
        return as_json(facts)

    def tree(self, kind: str, name: str, revision: str) -> Answer:
        repository, commit = self._find(kind, name, revision)
        return as_json([describe(path, c) for path, c in repository.commits[commit].items()])

    def refs(self, kind: str, name: str) -> Answer:
        repository, _ = self._find(kind, name, "main")
        branches, tags = (
            [{"name": n, "ref": f"refs/{where}/{n}", "targetCommit": c} for n, c in refs.items()]
            for where, refs in (("heads", repository.refs), ("tags", repository.tags))
        )
        return as_json({"branches": branches, "tags": tags, "converts": []})

    def preupload(self, kind: str, name: str, revision: str) -> Answer:
        repository, commit = self._find(kind, name, revision)
        there = repository.commits[commit]
        files = []
        for path in (file["path"] for file in json.loads(self.body)["files"]):
            answer = {"path": path, "uploadMode": "regular", "shouldIgnore": False}
            files.append(answer | ({"oid": git_sha1(there[path])} if path in there else {}))
        return as_json({"files": files})

    def commit(self, kind: str, name: str, revision: str) -> Answer:
        repository, _ = self._find(kind, name, revision)
        request = "create_pr" in self.query
        branch = "refs/pr/1" if request else revision
        commit = self.state.apply(repository, branch, self.body.splitlines())
        address = f"{self.url}/{name}"
        facts = {"commitUrl": f"{address}/commit/{commit}", "commitOid": commit}
        return as_json({**facts, "pullRequestUrl": f"{address}/discussions/1" if request else None})

    def resolve(self, datasets: str | None, name: str, revision: str, path: str) -> Answer:
        repository, commit = self._find("dataset" if datasets else "model", name, revision)
        if repository.gated and not self.user:
            return refuse(401, "GatedRepo", f"Access to model {name} is restricted.")
        content = repository.commits[commit].get(path)
        if content is None:
            return refuse(404, "EntryNotFound", "Entry not found")
        facts = describe(path, content)
        shown = {"X-Repo-Commit": commit, "ETag": f'"{facts["oid"]}"'}
        if "lfs" not in facts:
            return 200, shown, content
        large = {"X-Linked-Etag": f'"{sha256(content)}"', "X-Linked-Size": str(len(content))}
        if self.state.xet:
            large["X-Xet-Hash"] = sha256(content)
            large["Link"] = f'<{self.url}/api/models/{name}/xet-read-token/main>; rel="xet-auth"'
        return 302, {**shown, **large, "Location": f"{self.cdn_url}/cdn/{sha256(content)}"}, b""

    def cdn(self, oid: str) -> Answer:
        return 200, {"ETag": f'"{oid}"', "Accept-Ranges": "bytes"}, self.state.large[oid]

    def _find(self, kind: str, name: str, revision: str) -> tuple[Repository, str]:
        """The repository and the commit; refused as the real Hub words it."""
        repository = self.state.repositories.get((kind, name))
        owner = name.split("/")[0]
        if repository is None or (repository.private and self.user != owner):
            status = 404 if self.user else 401
            raise RefusedError(refuse(status, "RepoNotFound", "Repository not found"))
        commit = repository.resolve(revision)
        if commit is None:
            raise RefusedError(refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}"))
        return repository, commit


class RefusedError(Exception):
    """Its argument is the answer."""


def as_json(value: object, status: int = 200) -> Answer:
    return status, {"Content-Type": "application/json"}, json.dumps(value).encode()


def refuse(status: int, code: str = "", message: str = "") -> Answer:
    headers = {"X-Error-Code": code} if code else {}
    return status, headers | ({"X-Error-Message": message} if message else {}), b""


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def git_sha1(content: bytes) -> str:
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()


def describe(path: str, content: bytes) -> dict[str, object]:
    """A file as the Hub lists it, with the keys of both kinds of list."""
    blob, size, digest = git_sha1(content), len(content), sha256(content)
    facts = {"type": "file", "path": path, "rfilename": path, "oid": blob, "size": size}
    if path.endswith(LARGE):
        facts["lfs"] = {"oid": digest, "sha256": digest, "size": size, "pointerSize": 134}
    return facts
