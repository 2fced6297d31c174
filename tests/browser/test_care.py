"""Wrong scales and files, the tour, keyboard alone, a phone's width in the dark, and what axe finds."""

from __future__ import annotations

import json

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

JSON = "application/json"


def test_wrong_scale_gets_one_sentence(viewer):
    for typed in ("0", "-1", "NaN", "1000", "four"):
        viewer.set_scale(typed)
        assert viewer.field_error.inner_text() == f"The scale is {typed}, but must be a number from 1 to 30."
        assert viewer.scale() == 4
    viewer.set_scale(5)
    assert viewer.field_error.is_hidden()


def test_unreadable_upload_gets_one_sentence(viewer, tmp_path):
    (tmp_path / "notes.png").write_text("these are words")
    viewer.upload(tmp_path / "notes.png")
    expect(viewer.notice).to_be_visible()
    notice = viewer.notice_text.inner_text()
    assert notice.startswith("notes.png is not") and notice.count(".") <= 2
    assert viewer.picture()["width"] == 96, "the picture before it stays"
    viewer.notice_close.click()
    expect(viewer.notice).to_be_hidden()


def test_what_the_server_refuses_is_told_in_its_own_words(viewer, photograph):
    sent = (
        (413, "This is too long: at most 40.1 MB are taken."),
        (429, "Too many files are being sent now: send it again in a moment."),
        (507, "The server has no room for this file now: try again in some minutes."),
    )
    viewer.answer_instead("gradio_api/upload", *[(status, JSON, json.dumps({"error": told})) for status, told in sent])
    for _, told in sent:
        viewer.upload(photograph)
        expect(viewer.notice_text).to_have_text(told)
        assert viewer.picture()["width"] == 96, "the picture before it stays"
    asked = (
        (403, JSON, '{"error": "Pages of other sites may not ask this server."}'),
        (408, "text/plain; charset=utf-8", "The rest did not arrive in time: send it again."),
        (502, "text/html", "<h1>Bad Gateway</h1>"),
    )
    viewer.answer_instead("open_example", *asked, (503, "text/plain", "Service Unavailable"))
    for told in (
        "Pages of other sites may not ask this server.",
        "The rest did not arrive in time: send it again.",
        "The server refuses this (status 502): try again in a minute.",
    ):
        viewer.examples.first.evaluate("each => each.click()")
        expect(viewer.notice_text).to_have_text(told)
    viewer.examples.first.evaluate("each => each.click()")  # refused for lack of connections, and asked again
    viewer.wait_for_example()
    expect(viewer.notice).to_be_hidden()


REJECT = """async (names) => {
  const [{ engine, useEngine }, { state }] = await Promise.all(
    ['engine', 'store'].map((name) => import(new URL(`viewer/${name}.js`, location))));
  window.restore = () => useEngine(engine);
  window.held = () => [state.looking, state.drawingAhead, state.panes.filter(({ request }) => request).length];
  const reject = () => Promise.reject(new Error('no memory'));
  useEngine({ ...engine, ...Object.fromEntries(names.map((name) => [name, reject])) });
}"""


def test_after_a_fault_of_the_page_itself_it_goes_on(viewer):
    """The browser may have no memory for a picture that has arrived, say: whoever waits for it must hear of that."""
    told = "This could not be done: try again, and load the page again where that does not help."
    viewer.frame.evaluate(REJECT, ["open", "view", "inspect"])
    for ask in (
        lambda: viewer.examples.first.evaluate("each => each.click()"),
        lambda: viewer.set_scale(5),
        lambda: viewer.pick(0, 50, 50),
    ):
        ask()
        expect(viewer.notice_text).to_have_text(told)
        viewer.notice_close.click()
    assert viewer.frame.evaluate("held()") == [False, False, 0]
    viewer.frame.evaluate("restore()")
    viewer.press("Escape")
    viewer.set_scale(6)
    viewer.wait_until_exact(6)
    viewer.pick(0, 50, 50)
    viewer.wait_until_inspected()
    viewer.examples.first.evaluate("each => each.click()")
    viewer.wait_for_example()


def test_the_tour_sets_each_stop_itself_and_goes_on_by_its_button_alone(new_viewer, url):
    viewer = new_viewer()
    viewer.open(url)
    expect(viewer.tour).to_be_hidden()  # what the page opens with stays until it is asked for
    viewer.set_scale(5)
    viewer.examples.nth(1).click()
    viewer.wait_for_view("scale !== 5")
    viewer.tour_begin.click()
    viewer.wait_for_view("scale === 12")
    expect(viewer.tour_step).to_have_text("1 of 4")
    viewer.wait_until_exact(12)
    assert list(viewer.passes()) == ["bicubic", "lit-light"] and viewer.wipe_handle.is_visible()
    viewer.tour_next.click()
    viewer.wait_for_looks("lit-light")
    expect(viewer.large_title).to_contain_text("LIT, head")  # means look alike
    assert list(viewer.passes()) == ["liif-light", "lit-light"]
    assert viewer.picked() == (1502, 560)
    for _ in range(3):
        viewer.roll_wheel(1, 60, 300, -100)
    viewer.press("ArrowRight")
    viewer.wait_until_exact()
    expect(viewer.tour_step).to_have_text("2 of 4")  # a hand that plays skips no stop
    viewer.tour_next.click()
    viewer.wait_until_exact(12)
    assert list(viewer.passes()) == ["lit-light", "lit-light-no-bias"]
    assert viewer.picked() is None
    viewer.tour_next.click()
    with viewer.page.expect_file_chooser():
        viewer.tour_next.click()
    expect(viewer.tour).to_be_hidden()
    viewer.examples.nth(1).click()
    viewer.wait_for_picture(128)
    viewer.set_scale(5.5)
    for seen in (True, False):  # ended at its first stop, and before that is reached
        viewer.tour_begin.click()
        if seen:
            viewer.wait_for_view("scale === 12")
        viewer.tour_end.click()
        expect(viewer.tour).to_be_hidden()
        viewer.wait_for_view("scale === 5.5")
        viewer.wait_for_picture(128)
        viewer.wait_until_exact(5.5)


def test_by_keyboard_alone(viewer):
    keyboard = viewer.page.keyboard
    viewer.heading.click()
    reached = []

    def tab_to(name):
        for _ in range(60):
            keyboard.press("Tab")
            reached.append(viewer.focused())
            if reached[-1] == name:
                return
        pytest.fail(f"no Tab leads to {name}, only to {reached}")

    tab_to("more-toggle")
    keyboard.press("Enter")
    tab_to("panes")
    for key in ("+", "ArrowLeft", ">", "Enter"):
        keyboard.press(key)
    viewer.wait_for_looks("lit-light")
    assert viewer.scale() == 4.2
    picked, centre = viewer.picked(), viewer.centre()
    keyboard.press("ArrowRight")
    keyboard.press("ArrowDown")
    assert viewer.picked() == (picked[0] + 1, picked[1] + 1), "arrows walk the pixel that Enter picked"
    assert viewer.centre() == centre, "and the view stays"
    keyboard.press("p")
    viewer.wait_for_pins(1)
    tab_to("tab")
    keyboard.press("ArrowRight")
    tab_to("trace-stop")
    tab_to("trace-map")
    viewer.traces_tab.focus()
    for _ in range(2):
        keyboard.press("ArrowRight")
    tab_to("make-start")
    wanted = {
        "example", "upload-input", "truth-toggle", "tour-begin", "full-screen", "scale-number", "scale-slider",
        "pane-count", "wipe-toggle", "blink-toggle", "differ", "loupe-toggle", "paint-what", "magnify-in",
        "fit", "size-width", "chain", "method", "fold", "make-kind", "make-model",
    }  # fmt: skip
    assert wanted <= set(reached)
    viewer.pane_group.focus()
    keyboard.press("Escape")
    assert viewer.picked() is None


def test_phone_width_in_the_dark(viewer):
    viewer.page.emulate_media(color_scheme="dark")
    viewer.page.set_viewport_size({"width": 390, "height": 844})
    viewer.wait_for_view("pane.width < 200")
    viewer.wait_until_exact(4)
    assert viewer.content_width() <= 390
    viewer.pick(3, 120, 60)
    viewer.wait_for_looks("clit-light")
    assert viewer.content_width() <= 390


@pytest.mark.parametrize("width, height", [(390, 844), (1366, 630), (1440, 900), (1920, 1080)])
def test_axe_finds_nothing_serious(viewer, width, height):
    found = []

    def look():
        for scheme in ("light", "dark"):
            viewer.page.emulate_media(color_scheme=scheme)
            found.extend(Axe().run(viewer.page).response["violations"])

    viewer.page.set_viewport_size({"width": width, "height": height})
    viewer.wait_for_view(f"pane.width < {width / 2}")
    viewer.wait_until_exact(4)
    assert viewer.content_width() <= width and viewer.controls_lie_apart()
    viewer.press("Enter")
    viewer.wait_for_looks("clit-light")
    viewer.page.keyboard.press("p")
    viewer.open_more()
    viewer.paint.select_option("direction")
    look()
    viewer.more.click()
    viewer.open_all_maps()
    viewer.pin_rows.first.wait_for()
    look()
    viewer.all_close.click()
    viewer.set_scale(3)
    viewer.open_more()
    viewer.switch_truth(True)
    viewer.wait_for_scores(4)
    look()
    grave = [(each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in ("serious", "critical")]
    assert not grave
