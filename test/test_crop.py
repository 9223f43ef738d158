"""`hilrl crop`: boxes by numbers and on the page, on recorded images and on a running cropper."""

import json
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
import yaml
from sensor_msgs.msg import Image

from hilrl import cli, parameter_files
from hilrl.crop import LiveCameras, RecordedCameras, saved_crops
from hilrl.crop_page import CropPage
from hilrl_perception.crop import Crop, crop_and_resize
from hilrl_ros import images, qos
from hilrl_ros.testing import Probe

FRAME = np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "front.png"
    cv2.imwrite(str(path), FRAME[..., ::-1])
    return path


def crop(*arguments: str) -> int:
    return cli.main(["crop", *map(str, arguments)])


def test_boxes_by_numbers_end_up_where_a_run_can_take_them(image, tmp_path):
    file = tmp_path / "config" / "crops.yaml"
    assert crop("--image", f"front={image}", "--box", "front=8,16,64,80", "--file", file) == 0
    assert parameter_files.load(file) == {"image_cropper": {"crop.front": [8, 16, 64, 80]}}
    assert "/**/image_cropper" in yaml.safe_load(file.read_text())


def test_what_else_the_file_holds_stays(tmp_path, image):
    file = tmp_path / "own.yaml"
    file.write_text("/**/image_cropper: {ros__parameters: {reliable: true, crop.wrist: [1, 2, 3, 4]}}\n")
    assert crop("--image", f"front={image}", "--box", "front=0,0,96,96", "--file", file) == 0
    expected = {"reliable": True, "crop.wrist": [1, 2, 3, 4], "crop.front": [0, 0, 96, 96]}
    assert parameter_files.load(file) == {"image_cropper": expected}


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        ("front=0,0,97,10", "--box front: expected a crop within 96 rows x 128 columns"),
        ("side=0,0,9,9", "--box: expected a camera of ['front'], got 'side'"),
        ("front=1,2,3", "--box front: expected TOP,LEFT,HEIGHT,WIDTH, got '1,2,3'"),
        ("front=-1,0,5,5", "--box front: expected [top, left, height, width] in pixels >= 0"),
        ("front", "front: expected CAMERA=..."),
    ],
)
def test_a_box_that_does_not_fit_is_refused_and_nothing_is_saved(box, reason, image, tmp_path, capsys):
    file = tmp_path / "crops.yaml"
    assert crop("--image", f"front={image}", "--box", box, "--file", file) == 2
    assert reason in capsys.readouterr().err
    assert not file.exists()


class Browser:
    """Asks what the page's script asks."""

    def __init__(self, page: CropPage) -> None:
        self.url = page.url

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(self.url + path) as answer:
            return answer.read()

    def picture(self, path: str) -> np.ndarray:
        return cv2.imdecode(np.frombuffer(self.get(path), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]

    def post(self, path: str, crops: object) -> str:
        request = urllib.request.Request(self.url + path, json.dumps(crops).encode(), method="POST")
        with urllib.request.urlopen(request) as answer:
            return answer.read().decode()


@pytest.fixture
def recorded(tmp_path) -> RecordedCameras:
    return RecordedCameras({"front": FRAME}, 32, tmp_path / "crops.yaml")


@pytest.fixture
def browser(recorded) -> Iterator[Browser]:
    page = CropPage(recorded)
    threading.Thread(target=page.server.serve_forever).start()
    yield Browser(page)
    page.server.shutdown()
    page.server.server_close()


def test_the_page_shows_the_very_pixels_that_the_policy_gets(browser):
    assert b"Drag a box" in browser.get("")
    state = json.loads(browser.get("cameras"))
    assert state == {"cameras": {"front": [96, 128]}, "crops": {}, "size": [32, 32]}
    assert np.array_equal(browser.picture("frame/front"), FRAME)
    shown = browser.picture("crop/front?box=10,20,64,48")
    assert np.array_equal(shown, crop_and_resize(FRAME, Crop(10, 20, 64, 48), 32, 32))


def test_the_page_saves(browser, recorded, tmp_path):
    said = browser.post("save", {"front": [1, 2, 30, 40]})
    assert said == f"saved; use it with --params-file {tmp_path / 'crops.yaml'}"
    assert recorded.crops() == saved_crops(tmp_path / "crops.yaml") == {"front": [1, 2, 30, 40]}


@pytest.mark.parametrize(
    "crops",
    [{"front": [0, 0, 200, 10]}, {"front": [0, 0, 1.5, 2]}, {"top": [0, 0, 1, 1]}, [1], {"front": "all"}],
)
def test_the_page_refuses_what_does_not_fit(browser, crops, tmp_path):
    with pytest.raises(urllib.error.HTTPError, match="400"):
        browser.post("save", crops)
    assert not (tmp_path / "crops.yaml").exists()


def test_only_who_knows_the_address_gets_in(browser):
    elsewhere = browser.url.rsplit("/", 2)[0] + "/guess/"
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(elsewhere + "cameras")


def test_boxes_reach_a_running_cropper_all_together(tmp_path):
    probe = Probe("/so101")
    command = [sys.executable, "-c", "from hilrl_perception.image_cropper_node import main; main()"]
    command += ["--ros-args", "-r", "__ns:=/so101", "-p", "cameras:=[front, wrist]", "-p", "size:=[32, 32]"]
    node = subprocess.Popen(command)
    publishers = [
        probe.node.create_publisher(Image, f"/so101/camera/{name}/image_raw", qos.IMAGES)
        for name in ("front", "wrist")
    ]
    seen = {name: [] for name in ("front", "wrist")}
    for name, images_seen in seen.items():
        topic = f"/so101/camera/{name}/image_crop"
        probe.node.create_subscription(Image, topic, images_seen.append, qos.IMAGES)

    def film() -> None:
        stamp = probe.node.get_clock().now().to_msg()
        for publisher in publishers:
            publisher.publish(images.to_message(FRAME, stamp, "front_optical_frame"))

    probe.node.create_timer(0.05, film)
    done = threading.Event()
    spinner = threading.Thread(target=lambda: probe.spin_until(done.is_set, 120))
    spinner.start()
    cameras = LiveCameras("so101", tmp_path / "crops.yaml")
    try:
        cameras.wait()
        assert cameras.size == (32, 32)
        assert np.array_equal(cameras.frames()["wrist"], FRAME)
        # Only a camera that the cropper itself has seen has a size that a box can be too big for.
        deadline_s = time.monotonic() + 30
        while not all(seen.values()):
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
        refusal = cameras.apply({"front": [0, 0, 32, 32], "wrist": [0, 0, 999, 1]})
        assert refusal.startswith("image_cropper refused: ") and "crop.wrist" in refusal
        assert cameras.crops() == {"front": [0, 0, 0, 0], "wrist": [0, 0, 0, 0]}
        assert cameras.apply({"front": [8, 16, 32, 32]}) == ""
        expected = FRAME[8:40, 16:48]
        seen["front"].clear()
        deadline_s = time.monotonic() + 30
        while not (seen["front"] and np.array_equal(images.to_array(seen["front"][-1]), expected)):
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
    finally:
        cameras.close()
        done.set()
        spinner.join()
        probe.close()
        node.terminate()
        assert node.wait(10) == 0
