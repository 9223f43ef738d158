"""The settings of Zenoh's routers, read by Zenoh itself where its Python package is installed.

With `rmw_zenoh` they are not tried here: there are no wheels of it.
"""

import json
import socket
import time
from contextlib import closing
from pathlib import Path

import pytest

zenoh = pytest.importorskip("zenoh", reason="eclipse-zenoh is not installed; the settings cannot be read")

CONFIG = Path(__file__).resolve().parents[1] / "config" / "zenoh"


@pytest.mark.parametrize("name", ["robot_router", "learner_router"])
def test_zenoh_accepts_the_settings(name):
    config = zenoh.Config.from_file(str(CONFIG / f"{name}.json5"))
    assert json.loads(config.get_json("mode")) == "router"
    assert json.loads(config.get_json("transport/link/rx/max_message_size")) == 256 << 20


def free_endpoint() -> str:
    """On this machine alone, where nobody listens."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return f"tcp/127.0.0.1:{server.getsockname()[1]}"


def test_the_robots_router_brings_a_megabyte_to_the_learners():
    endpoints = json.dumps([free_endpoint()])
    learner = zenoh.Config.from_file(str(CONFIG / "learner_router.json5"))
    learner.insert_json5("listen/endpoints", endpoints)
    robot = zenoh.Config.from_file(str(CONFIG / "robot_router.json5"))
    robot.insert_json5("listen/endpoints", "[]")
    robot.insert_json5("connect/endpoints", endpoints)
    heard = []
    with zenoh.open(learner) as there, zenoh.open(robot) as here:
        there.declare_subscriber("learner/steps", lambda sample: heard.append(len(sample.payload.to_bytes())))
        deadline = time.monotonic() + 30.0
        while not heard and time.monotonic() < deadline:
            here.put("learner/steps", bytes(1_000_000))
            time.sleep(0.2)
    assert heard[:1] == [1_000_000]
