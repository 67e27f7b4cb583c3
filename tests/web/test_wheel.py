"""The pages are in the wheel: installed anywhere, it serves them."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from service.api.web_pages import BUILT

ROOT = Path(__file__).parents[2]
SERVED = """
import json, re, sys
import service
from pathlib import Path
from service.api.app import create_app
from service.config import Settings
client = create_app(Settings(lake=Path("none"))).test_client()
page = client.get("/app/").text
part = client.get("/app/" + re.search(r'src="(assets/main-[^"]+)"', page)[1], headers={"Accept-Encoding": "br"})
print(json.dumps([service.__file__, part.status_code, part.content_type, part.headers["Content-Encoding"], len(part.data)]))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not (BUILT / "index.html").is_file():
        pytest.skip("the web pages are not made: `make web` makes them")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (made,) = folder.glob("*.whl")
    return made


def test_the_wheel_has_the_pages_and_not_what_they_are_made_from(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as held:
        names = {n.removeprefix("service/web/") for n in held.namelist() if n.startswith("service/web/")}
    built = {f"built/{f.relative_to(BUILT)}" for f in BUILT.rglob("*") if f.is_file()}
    assert names == built | {"__init__.py"}


@pytest.mark.slow
def test_a_wheel_that_is_installed_serves_the_pages(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=False)
    (place,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    with zipfile.ZipFile(wheel) as held:
        held.extractall(place)
    # the packages it needs, but not this checkout: a .pth file that is found through another is not read
    (place / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    python = tmp_path / "venv" / "bin" / "python"
    asked = subprocess.run(
        [python, "-c", SERVED], cwd=tmp_path, check=True, capture_output=True, text=True, timeout=120
    )
    where, status, kind, encoding, size = json.loads(asked.stdout.splitlines()[-1])
    assert Path(where).is_relative_to(place)
    assert (status, kind, encoding) == (200, "text/javascript; charset=utf-8", "br")
    assert size > 0


def test_the_pages_are_as_small_as_they_should_be() -> None:
    if not (BUILT / "made.json").is_file():
        pytest.skip("the web pages are not made: `make web` makes them")
    made = json.loads((BUILT / "made.json").read_text())
    compressed = sum(f.stat().st_size for f in (BUILT / "assets").glob("*.br") if not f.name.endswith(".LEGAL.txt.br"))
    assert made["compressed_bytes"] == compressed <= made["limit"] == 1_200_000
