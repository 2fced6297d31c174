"""What leaves the page: links and the way back through them, pictures and pages of a view, figures."""

from __future__ import annotations

from playwright.sync_api import expect

HELD = 2500  # ms: longer than a place must be held for Back to lead there
PASSED = 700  # ms: long enough for the address to follow, and no more


def entries(viewer) -> int:
    """How many places the browser knows in this window."""
    return viewer.frame.evaluate("history.length")


def test_a_link_that_is_put_into_the_open_page_is_followed(new_viewer, url):
    viewer = new_viewer()
    viewer.open(f"{url}#example=letters.png&scale=8&at=60,70&panes=bicubic,lit-light&pixel=61,71")
    viewer.wait_for_looks("lit-light")
    picture = viewer.picture()
    viewer.follow(
        "#example=letters.png&scale=12.5&magnify=2&at=100,40&panes=input,lit-light,clit-light&pins=100,40,101,41"
    )
    viewer.wait_for_view("scale === 12.5 && magnification === 2 && y === 100 && x === 40")
    assert viewer.picture() == picture
    assert viewer.picked() is None, "the link has no pixel"
    viewer.wait_for_pins(2)
    methods = viewer.shown_methods.evaluate_all("all => all.map(each => each.value)")
    assert methods == ["input", "lit-light", "clit-light"]
    viewer.follow("#example=pagoda.png&scale=3&at=20,30&panes=truth,lit-light&truth=3")
    viewer.wait_for_link("example=pagoda.png", "truth=3", "panes=truth,lit-light", "at=20,30")
    viewer.wait_until_exact(3)
    assert viewer.truth_toggle.get_attribute("aria-pressed") == "true"
    viewer.follow("#example=pagoda.png&scale=5&at=20,30&panes=bicubic,lit-light")
    viewer.wait_until_exact(5)
    assert viewer.truth_toggle.get_attribute("aria-pressed") == "false"
    viewer.follow("#example=none.png&scale=6&panes=x,lit-light")
    viewer.wait_until_exact(6)
    expect(viewer.notice_text).to_have_text("This link asks for what is not here: none.png, x. The rest is shown.")


def test_back_and_forward_walk_through_places_that_were_held(new_viewer, url):
    viewer = new_viewer()
    viewer.open(f"{url}#example=letters.png&scale=4&at=60,70&panes=bicubic,lit-light")
    viewer.wait_until_exact(4)
    viewer.page.wait_for_timeout(HELD)
    first = entries(viewer)
    viewer.set_scale(5)  # held
    viewer.wait_for_link("scale=5&")
    viewer.page.wait_for_timeout(HELD)
    assert entries(viewer) == first + 1
    for scale in (6, 7):  # passed through
        viewer.set_scale(scale)
        viewer.wait_for_link(f"scale={scale}&")
        viewer.page.wait_for_timeout(PASSED)
    viewer.examples.nth(1).click()  # held
    viewer.wait_for_link("example=pagoda.png")
    viewer.page.wait_for_timeout(HELD)
    assert entries(viewer) == first + 2
    viewer.page.go_back()
    viewer.wait_for_view("scale === 5 && y === 60")
    viewer.wait_for_link("example=letters.png", "scale=5&")
    viewer.page.go_back()
    viewer.wait_for_view("scale === 4")
    viewer.page.wait_for_timeout(PASSED)  # what the page makes of a place does not cut off the way forward
    viewer.page.go_forward()
    viewer.wait_for_view("scale === 5")
    viewer.page.go_forward()
    viewer.wait_for_link("example=pagoda.png")
    viewer.wait_for_view("scale !== 5")
    assert entries(viewer) == first + 2


def test_the_way_back_into_a_picture_that_was_brought(viewer):
    viewer.set_scale(3)
    viewer.wait_for_link("scale=3&")
    viewer.page.wait_for_timeout(HELD)
    viewer.switch_truth(True)
    viewer.wait_for_link("truth=3")
    viewer.page.wait_for_timeout(HELD)
    viewer.page.go_back()
    viewer.wait_for_picture(96)
    viewer.wait_until_exact(3)
    viewer.page.wait_for_timeout(HELD)
    viewer.examples.nth(0).click()
    viewer.wait_for_example()
    viewer.page.wait_for_timeout(HELD)
    example = viewer.picture()
    viewer.page.go_back()
    expect(viewer.notice_text).to_contain_text("picture of your own that is no longer open")
    assert viewer.picture() == example
