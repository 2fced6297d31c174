"""One screen: what is seen without scrolling on a laptop and on a phone, the dock folded, the last wish of several."""

from __future__ import annotations

import json
import urllib.request

import pytest
from playwright.sync_api import expect

LAPTOP = {"width": 1366, "height": 630}
PHONE = {"width": 390, "height": 844}


def assert_inside(viewer, element, window: dict) -> None:
    top, left, bottom, right = viewer.rectangle(element)
    assert 0 <= top and 0 <= left and bottom <= window["height"] and right <= window["width"], element
    assert bottom - top >= 21, "a map, and not a line"


def test_a_click_is_answered_in_the_window_of_a_laptop(new_viewer, open_photograph):
    viewer = open_photograph(new_viewer(viewport=LAPTOP))
    viewer.set_scale(17.5)
    viewer.wait_until_exact(17.5)
    viewer.pick(1, 120, 200)
    viewer.wait_for_looks("liif-light", "lit-light", "clit-light")
    expect(viewer.mean_maps).to_have_count(1 + 1 + 3)
    expect(viewer.head_maps).to_have_count(2)
    for each in (*viewer.mean_maps.all(), *viewer.head_maps.all(), viewer.large_map, viewer.all_maps):
        assert_inside(viewer, each, LAPTOP)
    assert viewer.frame.evaluate("scrollY") == 0
    head, tools = viewer.rectangle(viewer.head), viewer.rectangle(viewer.tools)
    assert head[2] - head[0] <= 48 and tools[2] - tools[0] <= 44
    top, left, bottom, right = viewer.rectangle(viewer.pane_group)
    assert (bottom - top) * (right - left) >= 0.58 * LAPTOP["height"] * LAPTOP["width"]
    pane = viewer.view()["pane"]
    assert 2 * pane["height"] >= bottom - top - 4 and 2 * pane["width"] >= right - left - 4, "panes fill what is left"


def test_the_dock_can_be_folded(viewer):
    before = viewer.view()["pane"]["width"]
    viewer.fold.click()
    viewer.wait_for_view(f"pane.width > {before + 100}")
    expect(viewer.make_tab).to_be_hidden()
    viewer.fold.click()
    viewer.wait_for_view(f"pane.width === {before}")
    expect(viewer.make_tab).to_be_visible()


def test_a_tap_opens_the_sheet_of_a_phone(new_viewer, url):
    viewer = new_viewer(viewport=PHONE, has_touch=True, is_mobile=True)
    viewer.open(url)
    viewer.wait_until_exact(8)  # the tower's
    assert list(viewer.passes()) == ["bicubic", "lit-light"]
    assert viewer.box(0)[0] < 130
    for each in (viewer.more, viewer.picture_toggle, viewer.wipe_toggle, viewer.scale_slider, viewer.grip):
        top, left, bottom, right = viewer.rectangle(each)
        assert min(bottom - top, right - left) >= 44
    viewer.tap(0, 200, 100)
    viewer.wait_for_looks("lit-light")
    for each in (*viewer.mean_maps.all(), *viewer.head_maps.all(), viewer.scale_slider, viewer.let_go):
        assert_inside(viewer, each, PHONE)
    top, _, bottom, _ = viewer.rectangle(viewer.dock)
    assert PHONE["height"] / 3 < bottom - top <= PHONE["height"] / 2
    assert viewer.scale() == 8, "the tap is not heard by what the sheet pushed under the finger"
    pane = viewer.view()["pane"]
    assert viewer.box(0)[0] + pane["height"] <= top, "panes shrink to what is seen"
    viewer.let_go.tap()
    viewer.grip.tap()
    viewer.wait_for_view(f"pane.height > {pane['height']}")
    assert viewer.content_width() <= PHONE["width"]


def test_a_double_click_fits_and_picks_nothing(viewer):
    for held in (None, (100, 150)):
        viewer.press("Escape", ">")
        if held:
            viewer.pick(1, *held)
        picked = viewer.picked()
        assert bool(picked) == bool(held)
        viewer.canvases.nth(1).dblclick(position={"x": 220, "y": 90})
        viewer.wait_for_view("magnification === 1")
        assert viewer.picked() == picked


def test_the_last_of_several_wishes_is_opened(new_viewer, open_photograph, photograph):
    viewer = new_viewer()
    viewer.delay_answers()
    open_photograph(viewer)
    viewer.slow_down()
    viewer.upload(photograph)
    viewer.examples.nth(2).click()
    viewer.upload(photograph)
    viewer.examples.nth(1).click()
    viewer.wait_for_example()
    viewer.wait_until_exact()
    viewer.wait_for_late_answers()
    wanted = viewer.examples.nth(1).get_attribute("data-name")
    assert viewer.picture()["id"] == f"example-{wanted}"
    viewer.upload({"name": "notes.png", "mimeType": "image/png", "buffer": b"words"})
    viewer.upload(photograph)
    viewer.wait_for_picture(96)
    viewer.wait_until_exact()
    assert viewer.notice.is_hidden(), "what was wished no more does not complain"


def test_a_forgotten_visit_comes_back_with_its_pixel(new_viewer, url):
    viewer = new_viewer()
    viewer.open(url)
    viewer.wait_until_exact()
    viewer.press("3")
    with viewer.page.expect_request(lambda request: "component_server" in request.url) as asked:
        viewer.set_scale(7)
    viewer.wait_until_exact(7)
    viewer.pick(1, 120, 90)
    viewer.press("p", "ArrowRight", "ArrowRight")
    viewer.wait_for_looks("lit-light")
    viewer.wait_for_pins(1)
    before, pins = viewer.picked(), [(pin["row"], pin["column"]) for pin in viewer.pins()]
    [token] = _find(json.loads(asked.value.post_data), "token")
    urllib.request.urlopen(urllib.request.Request(f"{url}/end", token.encode(), method="POST")).close()
    viewer.set_scale(8)
    viewer.wait_until_exact(8)
    viewer.set_scale(7)
    viewer.wait_until_exact(7)
    viewer.wait_for_looks("lit-light")
    assert viewer.picked() == before
    assert [(pin["row"], pin["column"]) for pin in viewer.pins()] == pins
    expect(viewer.shown_panes).to_have_count(3)


def _find(sent, key: str) -> list:
    """All values of a key in what was sent, however deep."""
    if isinstance(sent, dict):
        return [value for name, each in sent.items() for value in ([each] if name == key else _find(each, key))]
    return [value for each in sent for value in _find(each, key)] if isinstance(sent, list) else []


def test_another_example_keeps_the_ground_truth(viewer):
    viewer.examples.nth(1).click()
    viewer.wait_for_example()
    viewer.set_scale(2)
    viewer.switch_truth(True)
    viewer.wait_for_scores(4)
    viewer.examples.nth(2).click()
    expect(viewer.examples.nth(2)).to_have_attribute("aria-pressed", "true")
    expect(viewer.truth_toggle).to_have_attribute("aria-pressed", "true")
    viewer.wait_for_scores(4)
    assert viewer.scale() == 2


@pytest.mark.parametrize("name", ["bicubic", "liif-light", "lit-light", "clit-light"])
def test_menus_say_what_a_method_is(viewer, name):
    option = viewer.methods.first.locator(f"option[value={name}]")
    assert len(option.text_content().partition(": ")[2]) > 20
