"""The web page as a person uses it: a real Chromium against a server of its own."""

from __future__ import annotations

import base64
import io
import shutil
import threading
import time

import cv2
import numpy as np
import pytest
from PIL import Image

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")

from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (shutil.which("chromium") and shutil.which("chromedriver")),
        reason="chromium and chromedriver are not installed",
    ),
]


class Halves:
    """In the place of a network: the left half of a picture is of class 0, the right of class 1."""

    data, engine, classes = "two halves", "numpy", ["left", "right", "nowhere"]
    palette = np.array([[250, 10, 20], [30, 240, 40], [0, 0, 0]], np.uint8)

    def __init__(self, model, swapped=False):
        self.model, self.backbone, self.swapped = model, "none", swapped

    def __call__(self, image):
        labels = np.zeros(image.shape[:2], np.uint8)
        labels[:, labels.shape[1] // 2 :] = 1
        return (1 - labels if self.swapped else labels), 0.01

    def shares(self, labels):
        counts = np.bincount(labels.ravel(), minlength=3)
        return [(int(i), counts[i] / labels.size) for i in np.argsort(-counts, kind="stable") if counts[i]]


@pytest.fixture(scope="module")
def server(segmenter):
    import web

    server = web.make_server([Halves("first"), Halves("second", swapped=True)], port=0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()
    server.desk.close(10)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    folder = tmp_path_factory.mktemp("chromium")
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in (
        "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
        "--disable-background-networking --disable-component-update --disable-dev-shm-usage "
        "--use-fake-device-for-media-stream --use-fake-ui-for-media-stream --window-size=1300,1000 "
        f"--user-data-dir={folder / 'profile'}"
    ).split():
        options.add_argument(flag)
    options.add_experimental_option("prefs", {"download.default_directory": str(folder)})
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    driver = webdriver.Chrome(options=options, service=service)
    driver.folder = folder
    yield driver
    driver.quit()


@pytest.fixture
def page(chromium, server):
    chromium.get(f"http://127.0.0.1:{server.server_port}/")
    wait(chromium, lambda d: d.find_elements(By.CSS_SELECTOR, "#samples img"))
    return chromium


@pytest.fixture
def photograph(tmp_path):
    path = tmp_path / "grey.png"
    cv2.imwrite(str(path), np.full((60, 100, 3), 128, np.uint8))
    return path


def wait(driver, condition, seconds=60):
    return WebDriverWait(driver, seconds).until(condition)


def upload(page, *paths):
    page.find_element(By.ID, "file").send_keys("\n".join(map(str, paths)))


def timing(page):
    return page.find_element(By.ID, "timing").text


def pixels(page):
    """The picture that is shown, RGB (H, W, 3)."""
    data = page.execute_script("return view.toDataURL('image/png')").partition(",")[2]
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")).astype(int)


def legend(page):
    return [row.text.split() for row in page.find_elements(By.CSS_SELECTOR, "#legend li") if "%" in row.text]


def errors(page):
    return [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE"]


def test_an_uploaded_picture_is_tinted_listed_and_named_under_the_pointer(page, photograph):
    upload(page, photograph)
    wait(page, timing)
    assert "100 × 60" in timing(page)
    assert legend(page) == [["left", "50.0%"], ["right", "50.0%"]]
    shown = pixels(page)
    # 55 % of the class's colour over grey.
    assert np.abs(shown[30, 20] - (0.45 * 128 + 0.55 * Halves.palette[0])).max() <= 1
    assert np.abs(shown[30, 80] - (0.45 * 128 + 0.55 * Halves.palette[1])).max() <= 1
    rows = [row.text for row in page.find_elements(By.CSS_SELECTOR, "#stages tr")]
    assert [row.split(" ")[0] for row in rows] == ["decode", "network", "encode", "in"]
    view = page.find_element(By.ID, "view")
    webdriver.ActionChains(page).move_to_element_with_offset(view, view.size["width"] // 4, 0).perform()
    assert page.find_element(By.ID, "tip").text.strip() == "right"
    assert errors(page) == []


def test_another_network_sees_the_same_picture_otherwise(page, photograph):
    upload(page, photograph)
    wait(page, timing)
    choice = page.find_element(By.ID, "network")
    assert [o.text for o in choice.find_elements(By.TAG_NAME, "option")] == [
        "first none, two halves, numpy",
        "second none, two halves, numpy",
    ]
    before = pixels(page)
    choice.send_keys("second")
    wait(page, lambda d: len(d.find_elements(By.CSS_SELECTOR, "#strip button")) == 2)
    assert np.abs(pixels(page)[30, 20] - before[30, 80]).max() == 0
    page.find_elements(By.CSS_SELECTOR, "#strip button")[0].click()  # back to the first
    assert (pixels(page) == before).all()


def test_overlay_and_mask_can_be_saved(page, photograph):
    upload(page, photograph)
    wait(page, timing)
    for button, name in (("save", "overlay.png"), ("mask", "mask.png")):
        page.find_element(By.ID, button).click()
        wait(page, lambda d, name=name: (d.folder / name).is_file())
        time.sleep(0.2)
    overlay, mask = (
        np.asarray(Image.open(page.folder / f"{n}.png").convert("RGB")) for n in ("overlay", "mask")
    )
    assert (overlay == pixels(page)).all()
    assert (mask[:, :50] == Halves.palette[0]).all() and (mask[:, 50:] == Halves.palette[1]).all()


def test_several_pictures_are_segmented_one_after_the_other(page, photograph, tmp_path):
    wide = tmp_path / "wide.jpg"
    cv2.imwrite(str(wide), np.zeros((40, 200, 3), np.uint8))
    upload(page, photograph, wide)
    wait(page, lambda d: len(d.find_elements(By.CSS_SELECTOR, "#strip button")) == 2)
    assert "200 × 40" in timing(page)


def test_a_file_that_is_no_picture_is_said_in_words_and_the_page_goes_on(page, photograph, tmp_path):
    text = tmp_path / "notes.png"
    text.write_text("no picture")
    upload(page, text)
    error = page.find_element(By.ID, "error")
    wait(page, lambda d: error.text)
    assert "not a picture" in error.text
    upload(page, photograph)
    wait(page, timing)
    assert not error.is_displayed()


def test_the_keyboard_alone_is_enough(page):
    """Tab to a sample, Enter; tab to a class of the legend, Enter: only that one stays coloured."""

    def reach(selector):
        for _ in range(40):
            webdriver.ActionChains(page).send_keys(Keys.TAB).perform()
            if page.execute_script("return document.activeElement.matches(arguments[0])", selector):
                return page.switch_to.active_element
        raise AssertionError(f"{selector} cannot be reached")

    reach("#samples button").send_keys(Keys.ENTER)
    wait(page, timing)
    before = pixels(page)
    row = reach("#legend li")
    row.send_keys(Keys.ENTER)
    assert row.get_attribute("aria-pressed") == "true"
    after, middle = pixels(page), before.shape[1] // 2
    assert (after[:, : middle - 1] == before[:, : middle - 1]).all()
    assert (after[:, middle + 1 :] != before[:, middle + 1 :]).any()


def test_a_camera_s_picture_is_segmented(page):
    page.find_element(By.ID, "camera").click()
    video = page.find_element(By.ID, "video")
    wait(page, lambda d: d.execute_script("return arguments[0].videoWidth", video))
    page.find_element(By.ID, "frame").click()
    wait(page, timing)
    page.find_element(By.ID, "close").click()
    assert not page.find_element(By.ID, "film").is_displayed()
