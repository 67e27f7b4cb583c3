"""Every page of the shell, walked: it opens, fits, can be used by everybody, and goes nowhere else."""

from __future__ import annotations

import pytest
from browser_tab import Tab


def pages_of(tab: Tab) -> list[str]:
    """Names of all pages, as the navigation has them."""
    tab.open()
    names: list[str] = tab.page.eval_on_selector_all(
        'nav[aria-label="pages"] a', "links => links.map(a => a.getAttribute('href').split('?')[0])"
    )
    assert "ask" in names
    return names


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), pytest.param("dark", 1920, marks=pytest.mark.slow)])
def test_every_page_opens_fits_the_screen_is_accessible_and_is_the_same_again(tab: Tab, theme: str, width: int) -> None:
    tab.page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
    tab.page.set_viewport_size({"width": width, "height": 900})
    for name in pages_of(tab):
        page = tab.open(name)
        assert page.locator("h1").count() == 1, name
        assert page.locator('nav[aria-label="pages"] a[aria-current="page"]').get_attribute("href") == name
        assert page.title().endswith(" – varlake")
        assert page.evaluate("() => document.documentElement.dataset.theme") == theme
        assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), (
            f"{name} is wider than {width}"
        )
        tab.picture(f"{name}-{theme}-{width}")
        assert tab.inaccessible() == [], name
        address, shown = tab.shown(), page.locator("main").inner_text()
        page.reload()
        tab.settled()
        assert (tab.shown(), page.locator("main").inner_text()) == (address, shown), name
        assert tab.wrong == [], name
