"""The report in a real browser: what it shows, what it asks for, and what keys do."""

import json

import pytest
from gallery_scenes import HOSTILE, grid

from groupemo.report import write_report

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    evaluation = grid(4, ["eye", "labelled"], ["mind", "prior:classes=7"])
    return write_report(evaluation, tmp_path_factory.mktemp("report")).as_uri()


@pytest.fixture
def open_page(browser, address):
    """Open the report in a window of its own; nothing may end up in the console or on the wire."""
    faults, contexts = [], []

    def opened(width=1200, scheme="light", **options):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, **options
        )
        context.set_default_timeout(10_000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: faults.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: faults.append(f"error: {error}"))
        page.on("dialog", lambda dialog: faults.append(f"dialog: {dialog.message}"))
        page.on("request", lambda request: asked(request.url))
        page.goto(address)
        return page

    def asked(url):
        if url.partition("#")[0] != address and not url.startswith("data:"):
            faults.append(f"request: {url[:80]}")

    yield opened
    for context in contexts:
        context.close()
    assert not faults


def unfold(page):
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")


def has_focus(where):
    return where.evaluate("(one) => one.contains(document.activeElement)")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 768, 1600])
def test_the_page_fits(open_page, width, scheme):
    page = open_page(width, scheme)
    unfold(page)
    page.locator(".filters [name=runs]").select_option("")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("[...document.images].every((one) => one.naturalWidth || !one.src)")
    paper, ink = page.evaluate(
        "['backgroundColor', 'color'].map((name) => getComputedStyle(document.body)[name])"
    )
    assert (brightness(paper) > brightness(ink)) == (scheme == "light")
    page.locator(".shot:visible button").first.click()
    box = page.locator("dialog").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    stage = page.locator(".stage").bounding_box()
    image = page.locator(".stage img").bounding_box()
    assert stage == pytest.approx(image, abs=0.5)


def brightness(color):
    return sum(int(part) for part in color.strip("rgb()").split(","))


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (1600, "dark")])
def test_nobody_is_barred(open_page, width, scheme):
    page = open_page(width, scheme)
    unfold(page)
    assert barriers(page) == []
    page.locator(".shot:visible button").first.click()
    assert barriers(page, "dialog") == []


def barriers(page, where=None):
    """Return what axe-core finds that is serious or critical."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    found = axe.run(page, context=where, options={"resultTypes": ["violations"]}).response
    return [
        (rule["id"], [node["html"][:300] for node in rule["nodes"][:3]])
        for rule in found["violations"]
        if rule["impact"] in ("serious", "critical")
    ]


def test_axe_finds_a_barrier_where_there_is_one(open_page):
    page = open_page()
    page.evaluate("document.querySelector('.shot img').removeAttribute('alt')")
    assert [rule for rule, _ in barriers(page, "#gallery")] == ["button-name", "image-alt"]


def test_a_table_is_sorted_by_its_headings(open_page):
    page = open_page()
    table = page.locator("table.sortable").first
    heading = table.locator("thead th").filter(has=page.locator("button")).nth(1)
    column = heading.evaluate("(head) => head.cellIndex")
    heading.locator("button").focus()
    for order, sign in (("descending", -1), ("ascending", 1)):
        page.keyboard.press("Enter")
        assert heading.get_attribute("aria-sort") == order
        values = table.evaluate(
            "({tBodies: [{rows}]}, i) => [...rows].map((row) => row.cells[i].dataset.sort)", column
        )
        known = [float(value) for value in values if value]
        assert known == sorted(known, key=lambda value: sign * value)
        assert values == [*filter(None, values), *("" for value in values if not value)]


def test_pictures_are_filtered_by_keyboard(open_page):
    page = open_page()
    count, shown = page.locator(".filters output"), page.locator(".shot:visible")
    total = page.locator(".shot").count()
    assert count.get_attribute("aria-live") == "polite"

    def told():
        assert count.text_content().startswith(f"{shown.count()} of {total} pictures shown, by ")
        return shown.count()

    first = told()
    assert 0 < first < total
    assert count.text_content().endswith("by eye x mind")
    words = page.evaluate(
        "[...document.querySelectorAll('.shot')].map((one) => ({...one.dataset}))"
    )
    page.locator(".filters [name=runs]").focus()
    page.keyboard.press("Home")  # all detectors and backends
    assert told() == total
    page.locator(".filters [value=missed]").focus()
    page.keyboard.press("Space")
    assert page.locator(".shot[data-kind=missed]:visible").count() == 0
    assert page.get_by_role("heading", name="Missed").is_hidden()
    assert told() < total
    words = [one for one in words if one["kind"] != "missed"]
    labelled, answered = words[0]["labelled"], words[0]["answered"]
    page.locator(".filters [name=labelled]").select_option(labelled)
    assert told() == sum(one["labelled"] == labelled for one in words) > 0
    page.locator(".filters [name=answered]").select_option(answered)
    both = sum((one["labelled"], one["answered"]) == (labelled, answered) for one in words)
    assert told() == both > 0
    for kind in {one["kind"] for one in words}:
        page.locator(f".filters [value={kind}]").uncheck()
    assert told() == 0
    page.get_by_role("button", name="Reset").press("Enter")
    page.wait_for_function("document.querySelector('.filters').checkVisibility()")
    assert told() == first


def test_a_photo_opens_over_the_page_and_closes_again(open_page):
    page = open_page()
    cards, dialog = page.locator(".shot:visible"), page.locator("dialog")
    cards.nth(1).locator("button").focus()
    page.keyboard.press("Enter")
    assert dialog.is_visible()
    text = cards.nth(1).get_attribute("data-text")
    assert text in dialog.get_by_role("heading").text_content()
    assert page.locator(".place").text_content() == f"2 of {cards.count()}"
    assert has_focus(dialog)
    page.keyboard.press("Escape")
    assert dialog.is_hidden()
    assert has_focus(cards.nth(1))


def test_arrows_lead_to_the_next_photo_and_back(open_page):
    page = open_page()
    cards, place = page.locator(".shot:visible"), page.locator(".place")
    n = cards.count()
    cards.first.locator("button").press("Enter")
    for key, position in (("ArrowLeft", n), ("ArrowRight", 1), ("ArrowRight", 2)):
        page.keyboard.press(key)
        assert place.text_content() == f"{position} of {n}"
        text = cards.nth(position - 1).get_attribute("data-text")
        assert text in page.locator("dialog h3").text_content()
    page.get_by_role("button", name="Close").click()
    assert has_focus(cards.nth(1))


def test_the_boxes_are_those_of_the_run_that_is_picked(open_page):
    page = open_page()
    data = json.loads(page.locator("#gallery-data").text_content())
    page.locator(".filters [name=runs]").select_option("")
    card = page.locator(".shot[data-kind=missed]:visible").first
    card.locator("button").click()
    photo = data["photos"][int(card.get_attribute("data-photo"))]
    for row, (number, name) in enumerate(data["runs"]):
        page.locator("dialog select").select_option(str(number))
        seen = photo["runs"][row]
        assert page.locator(".stage .face").count() == len(photo["faces"])
        assert page.locator(".stage span:not(.face, .target)").count() == len(seen["found"])
        missed = seen["faces"].count(data["bins"].index("missed"))
        assert page.locator(".stage .face.b-missed").count() == missed
        legend = " ".join(page.locator("dialog .legend").text_content().split())
        assert f"labelled {len(photo['faces'])}" in legend
        assert (f"missed {missed}" in legend) == (missed > 0)
        assert name in page.locator(".stage").get_attribute("aria-label")
    image, target = (page.locator(f".stage {one}").bounding_box() for one in ("img", ".target"))
    scale = image["width"] / photo["size"][0]
    x1, y1, x2, y2 = map(int, card.get_attribute("data-box").split())
    assert target["x"] - image["x"] == pytest.approx(scale * x1, abs=1)
    assert target["width"] == pytest.approx(scale * (x2 - x1), abs=1)
    assert target["height"] == pytest.approx(scale * (y2 - y1), abs=1)


def test_a_hostile_name_is_only_text(open_page):
    page = open_page()
    page.locator(".filters [name=runs]").select_option("")
    card = page.locator(".shot", has=page.get_by_text(HOSTILE, exact=True)).first
    card.locator("button").click()
    assert page.locator("dialog h3 bdi").text_content() == HOSTILE
    assert page.locator("img[src=x]").count() == 0


def test_without_scripts_everything_is_shown(open_page):
    page = open_page(java_script_enabled=False)
    assert page.locator(".shot").count() == page.locator(".shot:visible").count() > 0
    assert page.locator(".filters").is_hidden()
    assert page.locator("dialog").is_hidden()


def test_it_prints(open_page):
    page = open_page()
    printed = page.pdf(format="A4", print_background=True)
    assert printed.startswith(b"%PDF")
    assert len(printed) > 50_000
    page.emulate_media(media="print")
    assert page.locator(".filters select").first.is_hidden()
    assert page.locator(".shot:visible").count() > 0
