"""The checks that tests of pages rely on find what they are for."""

from __future__ import annotations

import pytest
from browser import low_contrast, off_screen, show, watched_page


def test_low_contrast_is_measured_against_what_is_painted_behind(page):
    page.set_content(
        "<body style='background:#fff'><p style='color:#767676'>enough</p>"
        "<p style='color:#777'>too little</p>"
        "<div style='background:#000'><b style='color:#fff'>enough</b></div>"
        "<svg width=50 height=20><text y=15 fill='#ddd'>pale</text></svg>"
        "<p style='color:#fff;visibility:hidden'>hidden</p></body>"
    )
    assert [fault.partition(":")[0] for fault in low_contrast(page)] == ["too little", "pale"]


def test_what_lies_off_screen_is_found_unless_it_scrolls_in_a_box(page):
    show(page, 390, "light")
    wide = "<div style='width:{}px;height:9px'></div>"
    page.set_content(f"<div style='overflow-x:auto'>{wide.format(900)}</div>{wide.format(300)}")
    assert off_screen(page) == []
    page.set_content(wide.format(900))
    assert len(off_screen(page)) == 2


@pytest.mark.parametrize(
    "script",
    ["null.x", "console.error('broken')", "new Image().src = 'http://example.invalid/a.png'"],
)
def test_a_page_that_fails_or_asks_the_network_fails_its_test(browser, script):
    watched = watched_page(browser)
    page = watched.__enter__()
    page.set_content(f"<p>text</p><script>{script}</script>")
    page.wait_for_timeout(50)
    with pytest.raises(AssertionError):
        watched.__exit__(None, None, None)
