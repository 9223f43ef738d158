"""A page in the browser to choose crops on: drag a box over an image, see what the policy would see."""

import json
import secrets
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

import cv2
import numpy as np
from numpy.typing import NDArray

from hilrl_perception.crop import Crop, crop_and_resize

PAGE = Path(__file__).with_name("crop.html")
LARGEST_REQUEST = 10_000
"""Bytes of a request's body."""

Crops = dict[str, list[int]]
"""[top, left, height, width] in pixels, by camera."""


class Cameras(Protocol):
    """Where frames come from and crops go to."""

    size: tuple[int, int]
    """Height and width of what the policy sees [px]."""

    def frames(self) -> Mapping[str, NDArray[np.uint8]]:
        """The newest frame of each camera, rgb, shape (height, width, 3)."""
        ...

    def crops(self) -> Crops:
        """The crops in force."""
        ...

    def apply(self, crops: Crops) -> str:
        """Put them into force; returns why not, or an empty string."""
        ...

    def save(self, crops: Crops) -> str:
        """Keep them; returns where."""
        ...


class CropPage:
    """Serves the page on this machine alone, under an address that nobody can guess."""

    def __init__(self, cameras: Cameras, port: int = 0) -> None:
        """`port`: 0 takes any free one. Raises OSError where the port is taken."""
        self.token = secrets.token_urlsafe(8)
        page = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                page._answer(self, cameras)

            def do_POST(self) -> None:
                page._answer(self, cameras)

            def log_message(self, *_: Any) -> None:
                """The terminal is for results."""

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/{self.token}/"

    def _answer(self, handler: BaseHTTPRequestHandler, cameras: Cameras) -> None:
        try:
            kind, body = self._reply(handler, cameras)
        except (ValueError, KeyError) as error:
            handler.send_error(400, str(error).strip("'\"").replace("\n", " "))
            return
        handler.send_response(200)
        handler.send_header("Content-Type", kind)
        handler.send_header("Cache-Control", "no-store")
        handler.end_headers()
        handler.wfile.write(body)

    def _reply(self, handler: BaseHTTPRequestHandler, cameras: Cameras) -> tuple[str, bytes]:
        address = urlsplit(handler.path)
        token, _, path = address.path.strip("/").partition("/")
        if not secrets.compare_digest(token, self.token):
            raise ValueError("address: expected the one that hilrl crop printed")
        if handler.command == "POST":
            crops = crops_from(_body(handler), cameras.frames())
            said = cameras.apply(crops) if path == "apply" else cameras.save(crops)
            return "text/plain; charset=utf-8", said.encode()
        if path == "":
            return "text/html; charset=utf-8", PAGE.read_bytes()
        if path == "cameras":
            sizes = {name: list(frame.shape[:2]) for name, frame in cameras.frames().items()}
            state = {"cameras": sizes, "crops": cameras.crops(), "size": list(cameras.size)}
            return "application/json", json.dumps(state).encode()
        what, _, name = path.partition("/")
        frame = cameras.frames()[name]
        if what == "crop":
            numbers = [int(text) for text in parse_qs(address.query)["box"][0].split(",")]
            frame = crop_and_resize(frame, Crop.from_list(numbers), *cameras.size)
        return "image/png", png(frame)


def crops_from(body: bytes, frames: Mapping[str, NDArray[np.uint8]]) -> Crops:
    """Crops by camera from JSON. Raises ValueError naming the camera that does not fit its frame."""
    crops: Crops = {}
    document = json.loads(body)
    if not isinstance(document, dict):
        raise ValueError(f"crops: expected a box per camera, got {document!r}")
    for name, numbers in document.items():
        if name not in frames:
            raise ValueError(f"camera: expected one of {sorted(frames)}, got {name!r}")
        if not isinstance(numbers, list) or len(numbers) != 4 or any(type(n) is not int for n in numbers):
            raise ValueError(f"{name}: expected [top, left, height, width] in pixels, got {numbers!r}")
        if reason := Crop.from_list(numbers).problem(*frames[name].shape[:2]):
            raise ValueError(f"{name}: {reason}")
        crops[name] = numbers
    return crops


def png(frame: NDArray[np.uint8]) -> bytes:
    """An rgb frame, shape (height, width, 3), as PNG."""
    return cv2.imencode(".png", frame[..., ::-1])[1].tobytes()


def _body(handler: BaseHTTPRequestHandler) -> bytes:
    length = int(handler.headers.get("Content-Length", 0))
    if length > LARGEST_REQUEST:
        raise ValueError(f"request: expected at most {LARGEST_REQUEST} bytes, got {length}")
    return handler.rfile.read(length)
