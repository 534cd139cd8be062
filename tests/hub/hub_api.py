"""What a Hub answers to the requests of huggingface_hub's client."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hub_state import LARGE, Repository, State, describe, git_sha1, sha256

Answer = tuple[int, dict[str, str], bytes]
"""Status, headers, content."""


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
        ("GET", r"/api/whoami-v2", "whoami"),
        ("POST", r"/api/repos/create", "create"),
        ("POST", r"/api/validate-yaml", "validate"),
        ("GET", r"/api/(model|dataset)s/([^/]+/[^/]+)(?:/revision/(.+))?", "info"),
        ("GET", r"/api/(model|dataset)s/([^/]+/[^/]+)/tree/(.+)", "tree"),
        ("GET", r"/api/(model|dataset)s/([^/]+/[^/]+)/refs", "refs"),
        ("POST", r"/api/(model)s/([^/]+/[^/]+)/preupload/(.+)", "preupload"),
        ("POST", r"/api/(model)s/([^/]+/[^/]+)/commit/(.+)", "commit"),
        ("POST", r"/([^/]+/[^/]+)\.git/info/lfs/objects/batch", "lfs_batch"),
        ("PUT", r"/lfs/([0-9a-f]{64})", "lfs_upload"),
        ("POST", r"/lfs/verify", "lfs_verify"),
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
                return made(*match.groups())
        return refuse(404, message=f"no such route: {method} {path}")

    def whoami(self) -> Answer:
        return as_json({"name": self.user}) if self.user else refuse(401)

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
        repository, commit, refusal = self._find(kind, name, revision or "main")
        if refusal:
            return refusal
        files = [describe(path, c) for path, c in repository.commits[commit].items()]
        siblings = []
        for file in files:
            lfs: Any = file.get("lfs")
            sibling = {"rfilename": file["path"], "size": file["size"], "blobId": file["oid"]}
            if lfs:
                sibling["lfs"] = {"sha256": lfs["oid"], "size": lfs["size"], "pointerSize": 134}
            siblings.append(sibling)
        facts = {"id": name, "sha": commit, "private": repository.private, "siblings": siblings}
        return as_json(facts)

    def tree(self, kind: str, name: str, revision: str) -> Answer:
        repository, commit, refusal = self._find(kind, name, revision)
        if refusal:
            return refusal
        return as_json([describe(path, c) for path, c in repository.commits[commit].items()])

    def refs(self, kind: str, name: str) -> Answer:
        repository, _, refusal = self._find(kind, name, "main")
        if refusal:
            return refusal

        def listed(refs: dict[str, str], where: str) -> list[dict[str, str]]:
            return [
                {"name": name, "ref": f"refs/{where}/{name}", "targetCommit": commit}
                for name, commit in refs.items()
            ]

        branches, tags = listed(repository.refs, "heads"), listed(repository.tags, "tags")
        return as_json({"branches": branches, "tags": tags, "converts": []})

    def preupload(self, kind: str, name: str, revision: str) -> Answer:
        repository, commit, refusal = self._find(kind, name, revision, write=True)
        if refusal:
            return refusal
        there = repository.commits[commit]
        files = []
        for path in (file["path"] for file in json.loads(self.body)["files"]):
            answer = {"path": path, "uploadMode": "regular", "shouldIgnore": False}
            if path.endswith(LARGE):
                answer["uploadMode"] = "lfs"
            if path in there:
                answer["oid"] = (sha256 if path.endswith(LARGE) else git_sha1)(there[path])
            files.append(answer)
        return as_json({"files": files})

    def commit(self, kind: str, name: str, revision: str) -> Answer:
        repository, _, refusal = self._find(kind, name, revision, write=True)
        if refusal:
            return refusal
        request = "create_pr" in self.query
        branch = "refs/pr/1" if request else revision
        commit = self.state.apply(repository, branch, self.body.splitlines())
        address = f"{self.url}/{name}"
        facts = {"commitUrl": f"{address}/commit/{commit}", "commitOid": commit}
        return as_json({**facts, "pullRequestUrl": f"{address}/discussions/1" if request else None})

    def lfs_batch(self, name: str) -> Answer:
        _, _, refusal = self._find("model", name, "main")
        if refusal or not self.user:
            return refusal or refuse(401)
        objects = []
        for wanted in json.loads(self.body)["objects"]:
            entry = {"oid": wanted["oid"], "size": wanted["size"]}
            if wanted["oid"] not in self.state.large:
                entry["actions"] = {
                    "upload": {"href": f"{self.url}/lfs/{wanted['oid']}"},
                    "verify": {"href": f"{self.url}/lfs/verify"},
                }
            objects.append(entry)
        return as_json({"transfer": "basic", "objects": objects})

    def lfs_upload(self, oid: str) -> Answer:
        if sha256(self.body) != oid:
            return refuse(400, message="the content has another digest")
        self.state.large[oid] = self.body
        return 200, {}, b""

    def lfs_verify(self) -> Answer:
        asked = json.loads(self.body)
        there = len(self.state.large.get(asked["oid"], b"")) == asked["size"]
        return (200, {}, b"") if there else refuse(404)

    def resolve(self, datasets: str | None, name: str, revision: str, path: str) -> Answer:
        kind = "dataset" if datasets else "model"
        repository, commit, refusal = self._find(kind, name, revision)
        if refusal:
            return refusal
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

    def _find(
        self, kind: str, name: str, revision: str, *, write: bool = False
    ) -> tuple[Repository, str, Answer | None]:
        """The repository and the commit, or a refusal as the real Hub words it."""
        repository = self.state.repositories.get((kind, name))
        owner = name.split("/")[0]
        if repository is None or (repository.private and self.user != owner):
            status = 404 if self.user else 401
            return Repository(), "", refuse(status, "RepoNotFound", "Repository not found")
        commit = repository.resolve(revision)
        if commit is None:
            return repository, "", refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        if write and not (self.may_write and self.user == owner) and "create_pr" not in self.query:
            return repository, commit, refuse(403, message="Forbidden: pass `create_pr=1`")
        return repository, commit, None


def as_json(value: object, status: int = 200) -> Answer:
    return status, {"Content-Type": "application/json"}, json.dumps(value).encode()


def refuse(status: int, code: str = "", message: str = "") -> Answer:
    headers = {"X-Error-Code": code} if code else {}
    return status, headers | ({"X-Error-Message": message} if message else {}), b""
