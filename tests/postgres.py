"""A PostgreSQL server of the test's own, from the binaries of this machine, in a folder that goes with it."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

USER = "postgres"


def binaries() -> Path | None:
    """The folder of the newest server that is installed."""
    found = shutil.which("initdb")
    of_debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parent.parent.name))
    return Path(found).parent if found else of_debian[-1].parent if of_debian else None


class Postgres:
    """The server; it listens on a socket in its folder alone, and asks for a password."""

    password = "secret of the test"

    def __init__(self, folder: Path, bin_folder: Path, owner: str | None) -> None:
        self._folder, self._bin, self._owner = folder, bin_folder, owner
        self.url = f"postgresql+psycopg://{USER}@/postgres?host={folder}"
        secret = folder / "password"
        secret.write_text(self.password)
        if owner is not None:
            shutil.chown(secret, owner)
        self._run("initdb", "--no-sync", "-U", USER, "-A", "scram-sha-256", f"--pwfile={secret}", "-D", folder / "data")

    def start(self) -> None:
        options = f"-k {self._folder} -c listen_addresses='' -c fsync=off -c shared_buffers=1MB -c max_connections=10"
        self._run("pg_ctl", "-D", self._folder / "data", "-l", self._folder / "log", "-w", "-o", options, "start")

    def stop(self) -> None:
        """As a kill ends it."""
        self._run("pg_ctl", "-D", self._folder / "data", "-w", "-m", "immediate", "stop")

    def _run(self, program: str, *arguments: object) -> None:
        command = [str(self._bin / program), *map(str, arguments)]
        done = subprocess.run(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            user=self._owner,
            group=self._owner,
            cwd=self._folder,
            env={"PATH": os.defpath, "LC_ALL": "C"},
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()


@contextlib.contextmanager
def postgres() -> Iterator[Postgres]:
    """Skips where there is no server, or none may run: it refuses to run as root, and then runs as its own user."""
    found = binaries()
    if found is None:
        pytest.skip("PostgreSQL is not installed: no initdb on the path or in Debian's folder")
    owner = None
    if os.geteuid() == 0:
        try:
            owner = pwd.getpwnam(USER).pw_name
        except KeyError:
            pytest.skip("PostgreSQL refuses to run as root, and there is no user postgres")
    folder = Path(tempfile.mkdtemp(prefix="pg"))  # a socket's path may have a hundred characters
    try:
        if owner is not None:
            shutil.chown(folder, owner)
        server = Postgres(folder, found, owner)
        server.start()
        try:
            yield server
        finally:
            with contextlib.suppress(AssertionError):  # where the test has stopped it
                server.stop()
    finally:
        shutil.rmtree(folder)
