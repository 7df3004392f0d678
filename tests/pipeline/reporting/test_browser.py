"""The page in a real browser: Debian's chromium and chromium-driver, headless."""

import contextlib
import json
import shutil
import time
from collections.abc import Callable, Iterator

import pytest

from pipeline.config import save
from pipeline.decoding.settings import DecodeSettings
from pipeline.report import report
from pipeline.score import score

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    BROWSER is None or DRIVER is None,
    reason="needs Debian's chromium and chromium-driver",
)
NARROW, WIDE = 390, 1360


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    options = Options()
    options.binary_location = str(BROWSER)
    # A container's root has no sandbox and little shared memory.
    for word in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "disable-gpu"):
        options.add_argument(f"--{word}")
    options.add_argument("--autoplay-policy=no-user-gesture-required")
    options.set_capability(
        "goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"}
    )
    driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def address(scored_corpus, tmp_path_factory) -> str:
    """A page of two models, where nothing else is; `dev` was tuned on itself."""
    corpus = tmp_path_factory.mktemp("browser") / "corpus"
    shutil.copytree(scored_corpus, corpus)
    path = tmp_path_factory.mktemp("page") / "report.html"
    with contextlib.chdir(corpus):
        shutil.copytree("exp/net/decode_test", "exp/net/decode_dev")
        settings = DecodeSettings(
            search="viterbi", tuned_on="data/test", decoded="data/test"
        )
        save("exp/net/decode_dev/settings.yaml", settings)
        score("data/test", "exp/net/decode_dev", lang="lang")
        report(["exp/net", "exp/other"], lang="lang", out=str(path))
    return path.as_uri()


@pytest.fixture
def page(browser, address):
    """The page, freshly loaded, wide and light."""
    look(browser)
    browser.get(address)
    return browser


def look(browser, *, width=WIDE, dark=False, media=""):
    """Sets what the page finds itself on."""
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500},
    )
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    still = {"name": "prefers-reduced-motion", "value": "reduce"}
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"media": media, "features": [scheme, still]}
    )


def all_of(page, selector):
    return page.find_elements("css selector", selector)


def one(page, selector):
    return page.find_element("css selector", selector)


def comes_true(happens: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Whether what a browser may take its time for happens at last."""
    deadline = time.monotonic() + seconds
    while not happens():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def press(page, *keys):
    """Presses keys where the focus is."""
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    chain = ActionChains(page)
    for key in keys:
        chain.send_keys(getattr(Keys, key) if len(key) > 1 else key)
    chain.perform()


def focused(page):
    return page.execute_script(
        "return document.activeElement.getAttribute('aria-label')"
    )


def choose(page, label, value):
    """Takes an option of the list beside a label."""
    from selenium.webdriver.support.ui import Select

    for field in all_of(page, ".field"):
        if field.text.startswith(label):
            Select(field.find_element("css selector", "select")).select_by_value(value)
            return
    raise AssertionError(f"no list {label!r}")


def row_names(page):
    return [th.text for th in all_of(page, "table.heat tbody th")]


def cell(page, label):
    return one(page, f'.heat [role=gridcell][aria-label^="{label}"]')


def test_it_loads_alone_and_without_complaint(page, address):
    page.execute_script("scrollTo(0, document.body.scrollHeight)")
    page.execute_async_script("setTimeout(arguments[0], 300)")
    assert page.get_log("browser") == []
    asked = []
    for entry in page.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            asked.append(message["params"]["request"]["url"])
    assert asked  # the log was on
    assert {url for url in asked if not url.startswith("data:")} == {address}


def test_the_headline_and_its_protocol_are_there(page):
    assert one(page, "h1").text == "net"
    assert one(page, ".hero-number").text == "20.00 %"
    assert "15 tokens in 4 utterances of 2 speakers" in one(page, "#summary").text
    rows = [row.text.split()[:2] for row in all_of(page, ".policies tbody tr")]
    assert rows[0] == ["strict", "20.00"]
    assert len(rows) == 3
    compared = one(page, "#comparison").text
    assert "other" in compared
    assert "p = " in compared


def test_sets_are_changed_and_one_tuned_on_itself_is_marked(page):
    assert not all_of(page, ".warning")
    one(page, ".title input[value=dev]").find_element("xpath", "..").click()
    assert one(page, "#summary h2").text == "Summary of dev"
    assert one(page, ".warning").text.startswith("Tuned on this set.")
    assert one(page, "#comparison .hint").text == "Without a scored dev: other."


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("name", ["a", "b", "sil"]),
        ("class", ["b", "sil", "a"]),  # stop, silence, other
        # b: substituted and inserted once, a: deleted once
        ("errors", ["b", "a", "sil"]),
        ("tokens", ["sil", "b", "a"]),
    ],
)
def test_confusions_are_sorted(page, order, expected):
    choose(page, "order by", order)
    assert row_names(page) == [*expected, "inserted"]
    heads = [th.text for th in all_of(page, "table.heat thead th")]
    assert heads == [*expected, "deleted"]


def test_a_click_leads_to_the_utterance(page):
    cell(page, "b → a: 1 ").click()
    shown = all_of(page, ".heat-detail .utterance-list button")
    assert [button.text.split() for button in shown] == [["s1-<b>", "♪"]]
    shown[0].click()
    card = one(page, ".looked .utterance")
    assert card.get_attribute("data-utterance") == "s1-<b>"
    assert len(card.find_elements("css selector", ".pair.wanted")) == 1
    top = page.execute_script("return arguments[0].getBoundingClientRect().top", card)
    assert 0 <= top < 900
    assert page.execute_script("return document.activeElement === arguments[0]", card)


def test_the_keyboard_walks_through_the_confusions(page):
    choose(page, "order by", "name")
    page.execute_script("arguments[0].focus()", one(page, ".heat [tabindex='0']"))
    assert focused(page).startswith("a right: 2")
    press(page, "ARROW_DOWN")
    assert focused(page).startswith("b → a: 1")
    press(page, "ARROW_RIGHT", "ARROW_RIGHT", "ARROW_RIGHT", "ARROW_RIGHT")
    assert focused(page).startswith("b deleted: 0")
    press(page, "HOME", "ENTER")
    assert one(page, ".heat-detail h3").text == "b → a"
    assert len(all_of(page, ".heat [tabindex='0']")) == 1


def test_the_first_key_skips_the_navigation(page):
    press(page, "TAB")
    assert page.switch_to.active_element.text == "Skip to the content"
    press(page, "ENTER")
    assert page.execute_script("return document.activeElement.id") == "content"


def test_broad_classes_are_confused_too(page):
    one(page, "input[value=classes]").find_element("xpath", "..").click()
    assert row_names(page) == ["stop", "silence", "other", "inserted"]


@pytest.mark.parametrize("width", [NARROW, 700, WIDE])
def test_nothing_is_wider_than_the_window(page, width):
    look(page, width=width)
    page.execute_async_script(
        "requestAnimationFrame(() => requestAnimationFrame(arguments[0]))"
    )
    wider = page.execute_script(
        "const e = document.documentElement; return e.scrollWidth - e.clientWidth"
    )
    assert wider == 0


def background(page):
    return page.execute_script("return getComputedStyle(document.body).backgroundColor")


def test_dark_as_the_system_is_and_as_the_reader_says(page):
    light = background(page)
    look(page, dark=True)
    dark = background(page)
    assert light != dark
    button = one(page, "#theme")
    assert button.get_attribute("aria-label") == "Switch to light colours"
    button.click()
    assert background(page) == light

    def remembered():
        page.refresh()
        return background(page) == light

    assert comes_true(remembered)
    page.execute_script("localStorage.clear()")


def test_sound_plays_and_the_playhead_moves(page):
    card = one(page, "#utterances .utterance")
    page.execute_script("arguments[0].scrollIntoView()", card)
    line = card.find_element("css selector", ".timeline")
    page.execute_script("arguments[0].focus()", line)
    press(page, "ARROW_RIGHT")
    assert float(line.get_attribute("aria-valuenow")) == pytest.approx(0.2, abs=0.07)
    at = "return arguments[0].querySelector('.playhead').style.transform"
    before = page.execute_script(at, card)
    press(page, " ")
    assert comes_true(lambda: page.execute_script(at, card) != before)
    assert (
        page.execute_script("return arguments[0].querySelector('audio').error", card)
        is None
    )


def test_pictures_are_drawn(page):
    card = one(page, "#utterances .utterance")
    page.execute_script("arguments[0].scrollIntoView()", card)
    sizes = "return [...arguments[0].querySelectorAll('canvas')].map((c) => [c.width, c.height])"

    def drawn():
        spectrogram, posteriors, *_ = page.execute_script(sizes, card)
        # Frequencies; frames and phones.
        return spectrogram[1] == 129 and posteriors == [40, 5]

    assert comes_true(drawn)


def test_utterances_are_found_by_name(page):
    one(page, "input[value=all]").find_element("xpath", "..").click()
    one(page, "input[type=search]").send_keys("S2-")
    names = [b.text for b in all_of(page, "#utterances tbody th")]
    assert sorted(names) == ['s2-"x"\'', "s2-</script>"]


def test_everything_that_can_be_used_has_a_name(page):
    unnamed = page.execute_script(
        "return [...document.querySelectorAll('button, input, select, audio, canvas, svg[role],"
        " [role=gridcell], [role=slider]')].filter((e) => !(e.getAttribute('aria-label') ||"
        " e.textContent.trim() || e.labels?.[0]?.textContent.trim())).map((e) => e.outerHTML)"
    )
    assert unnamed == []


def test_it_can_be_printed(page):
    look(page, dark=True, media="print")
    assert not one(page, ".bar").is_displayed()
    assert one(page, ".hero-number").is_displayed()
    ink = page.execute_script("return getComputedStyle(document.body).color")
    assert ink == "rgb(27, 31, 42)"
