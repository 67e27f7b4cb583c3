"""The two jars with which Spark itself reads Delta tables: where they are looked for, and how they are fetched.

Named one by one rather than left to Spark's own resolution, which asks for the whole tree of what the jars mention and
fails offline on parts that are never loaded (docs/decisions/0004-delta-jars.md). `make delta-jars` runs this module.
"""

from __future__ import annotations

import hashlib
import os
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lake.errors import NotReady
from lake.runtime.machine import user_cache
from lake.storage import write_durable

MAVEN_CENTRAL = "https://repo1.maven.org/maven2"
SETTING = "VARLAKE_DELTA_JARS"


@dataclass(frozen=True)
class Jar:
    """An artefact of the group io.delta, pinned by its content."""

    artefact: str
    version: str
    sha256: str

    @property
    def name(self) -> str:
        return f"{self.artefact}-{self.version}.jar"

    @property
    def maven_path(self) -> str:
        return f"io/delta/{self.artefact}/{self.version}/{self.name}"


JARS = (
    Jar("delta-spark_4.2_2.13", "4.4.0", "27d4fd8b1f879535c573ed1c718177d6a27f24d3e626ba02e216369725721ead"),
    Jar("delta-storage", "4.4.0", "c46735481fa8e326b0957be02b4420cbcab4b325bb08009b7f2045a95133f1cc"),
)


def _places(jar: Jar) -> Iterator[Path]:
    """Where a jar may stand; the setting alone when it is given."""
    if folder := os.environ.get(SETTING):
        yield Path(folder).expanduser() / jar.name
        return
    yield user_cache() / "jars" / jar.name
    yield Path.home() / ".m2" / "repository" / jar.maven_path
    for ivy in sorted(Path.home().glob(".ivy2*")):
        yield ivy / "jars" / f"io.delta_{jar.name}"
        yield ivy / "cache" / "io.delta" / jar.artefact / "jars" / jar.name


def find_delta_jars() -> tuple[Path, ...]:
    """The jars in the folder VARLAKE_DELTA_JARS, or else in the user's cache, Maven or Ivy folders.

    Raises `NotReady` with what is missing and what to do.
    """
    found = {jar.name: next((p for p in _places(jar) if p.is_file()), None) for jar in JARS}
    missing = [name for name, path in found.items() if path is None]
    if missing:
        folder = os.environ.get(SETTING)
        where = f"in {folder}, which {SETTING} names" if folder else "in the cache, Maven and Ivy folders of this user"
        raise NotReady(
            f"Spark cannot read Delta tables without {' and '.join(missing)}, looked for {where}. Fetch them with "
            f"`make delta-jars`, or put them into a folder and name it in {SETTING}. Everything else works without them."
        )
    return tuple(path for path in found.values() if path is not None)


def fetch_delta_jars(repository: str = MAVEN_CENTRAL) -> tuple[Path, ...]:
    """Fetches what is not yet in the user's cache from a Maven repository; a file of another content is refused."""
    paths = []
    for jar in JARS:
        path = user_cache() / "jars" / jar.name
        if not path.is_file():
            url = f"{repository.rstrip('/')}/{jar.maven_path}"
            try:
                with urllib.request.urlopen(url, timeout=60) as response:
                    data = response.read()
            except OSError as error:
                raise NotReady(
                    f"{url} cannot be fetched: {error}. Name another Maven repository, as in "
                    "`make delta-jars MAVEN_REPO=https://...`, or bring the jars by hand: "
                    f"put {', '.join(j.name for j in JARS)} into {path.parent}."
                ) from error
            got = hashlib.sha256(data).hexdigest()
            if got != jar.sha256:
                raise NotReady(f"{url} has the SHA-256 {got}, expected {jar.sha256}; it was not kept.")
            write_durable(path, data)
        paths.append(path)
    return tuple(paths)


def main() -> int:
    """Fetches the jars from the repository named on the command line; 1 when that fails."""
    try:
        paths = fetch_delta_jars(*sys.argv[1:2])
    except NotReady as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.writelines(f"{path}\n" for path in paths)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
