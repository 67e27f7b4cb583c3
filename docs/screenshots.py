"""Takes the pictures of the web pages: `make screenshots`. Arguments: the folder of a lake like the demo's, the folder of the pictures."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from urllib.parse import urlencode

from PIL import Image

from service.bench.browser import browser
from service.bench.http import server
from service.config import Settings

# what a page shows in its picture, where that is not what it begins with
_BOOK = {"as_of": "2020-03-16", "by": "desk"}
_CHANGE = {"from": "2020-02-14", "to": "2020-03-16", "by": "desk"}
SHOWN = {
    "ask": {"question": "explain", **_CHANGE},
    "compare": {"tab": "causes", "interval": "0.95", **_CHANGE},
    "stress": {"tab": "preview", "scenarios": "equity[region=US] -20%; rate[ccy=USD] +100bp", **_BOOK},
    "what-if": {"changes": '{"scale": ["desk=Treasury*0.5"]}', **_BOOK},
}
MOST_BYTES = 200_000


def main(lake: Path, folder: Path) -> None:
    with server(lake) as url, browser(Settings()) as opened:
        page = opened.new_page(viewport={"width": 1280, "height": 800})
        page.goto(f"{url}app/")
        page.wait_for_selector("main h1")
        links = page.eval_on_selector_all('nav[aria-label="pages"] a', "all => all.map(a => a.getAttribute('href'))")
        for name in links:
            page.goto(f"{url}app/{name}?{urlencode(SHOWN.get(name, {}))}")
            page.wait_for_selector("main h1")
            page.wait_for_function("() => !document.querySelector('[aria-busy=\"true\"], .loading')", timeout=120_000)
            page.wait_for_load_state("networkidle")
            small = Image.open(io.BytesIO(page.screenshot())).convert("RGB").quantize(128)
            small.save(folder / f"web-{name}.png", optimize=True)
            size = (folder / f"web-{name}.png").stat().st_size
            if size > MOST_BYTES:
                raise SystemExit(
                    f"web-{name}.png has {size:,} bytes, more than the {MOST_BYTES:,} of a picture of the docs."
                )
            print(f"web-{name}.png {size:,} bytes")  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
