"""The two jars with which Spark itself reads Delta tables: where they are looked for, and how they are fetched.

They are fetched by Ivy, the resolver that comes with Spark, from the repositories that Ivy is set up for; one by one, since the whole
tree of what they mention holds parts that are never loaded (docs/decisions/0004-delta-jars.md). `make delta-jars` runs this
module.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lake.errors import NotReady
from lake.runtime.machine import find_java, user_cache
from lake.storage import write_durable

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


_ADVICE = (
    "Name a Maven repository, as in `make delta-jars MAVEN_REPO=https://...`, or bring the jars by hand: put "
    f"{' and '.join(jar.name for jar in JARS)} into a folder and name it in {SETTING}."
)


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


def fetch_delta_jars(repository: str = "") -> tuple[Path, ...]:
    """Fetches what is not yet in the user's cache: by Spark's resolver, or from the Maven repository that is given.

    A file of another content is refused; raises `NotReady` with what to do.
    """
    paths = []
    for jar in JARS:
        path = user_cache() / "jars" / jar.name
        if not path.is_file():
            data = _download(jar, repository) if repository else _resolve(jar)
            got = hashlib.sha256(data).hexdigest()
            if got != jar.sha256:
                raise NotReady(f"{jar.name} came with the SHA-256 {got}, expected {jar.sha256}; it was not kept.")
            write_durable(path, data)
        paths.append(path)
    return tuple(paths)


def _download(jar: Jar, repository: str) -> bytes:
    url = f"{repository.rstrip('/')}/{jar.maven_path}"
    try:
        with urllib.request.urlopen(url, timeout=60) as response:
            data: bytes = response.read()
    except OSError as error:
        raise NotReady(f"{url} cannot be fetched: {error}. {_ADVICE}") from error
    return data


def _resolve(jar: Jar) -> bytes:
    """The jar as Ivy finds it, without what it depends on."""
    spark = importlib.util.find_spec("pyspark")
    jars = Path(spark.origin or "").parent / "jars" if spark is not None else Path()
    ivy = next(iter(sorted(jars.glob("ivy-*.jar"))), None)
    if ivy is None:
        raise NotReady(f"Spark's resolver is not among its jars. {_ADVICE}")
    with tempfile.TemporaryDirectory(prefix="varlake-jars-") as folder:
        command = [
            str(find_java().home / "bin" / "java"),
            "-cp",
            str(ivy),
            "org.apache.ivy.Main",
            "-cache",
            f"{folder}/cache",
        ]
        command += ["-dependency", "io.delta", jar.artefact, jar.version, "-confs", "default", "-notransitive"]
        command += ["-retrieve", f"{folder}/[artifact]-[revision].[ext]"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        found = Path(folder) / jar.name
        if done.returncode or not found.is_file():
            last = (done.stdout + done.stderr).strip().splitlines()[-1:] or ["no word"]
            raise NotReady(f"{jar.name} cannot be fetched by Spark's resolver: {last[0]}. {_ADVICE}")
        return found.read_bytes()


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
