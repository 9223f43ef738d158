"""Every Fast DDS profile that we ship is accepted, and large messages pass with it.

Fast DDS goes on without a profile that it does not understand, with a word on standard error alone.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from boxes import two_boxes_or_skip

from hilrl_ros import fast_dds
from hilrl_ros.testing import own_domain

PROFILES = Path(__file__).resolve().parents[3] / "config" / "dds"
OWN = Path(fast_dds.__file__).with_name("fast_dds.xml")
PEER = Path(__file__).with_name("dds_peer.py")
MESSAGE_BYTES = 1_000_000
HEARD_S = 60.0

pytestmark = [
    pytest.mark.timeout(200),
    pytest.mark.skipif(
        os.environ.get("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp") != "rmw_fastrtps_cpp",
        reason="profiles of Fast DDS, and another engine is in use",
    ),
]


class Exchange:
    """A talker and a listener; what they said once the listener has heard enough."""

    def __init__(
        self,
        profile: Path | None,
        before: tuple[Sequence[str], Sequence[str]] = ((), ()),
        **variables: str,
    ) -> None:
        with own_domain() as domain:
            environment = {
                **os.environ,
                "ROS_DOMAIN_ID": str(domain),
                "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
                **variables,
            }
            environment.pop(fast_dds.VARIABLE, None)
            if profile is not None:
                environment[fast_dds.VARIABLE] = str(profile)
            talker, listener = (
                subprocess.Popen(
                    [*prefix, sys.executable, str(PEER), role, str(MESSAGE_BYTES)],
                    env=environment,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
                for prefix, role in zip(before, ("talk", "listen"), strict=True)
            )
            try:
                self.listener = listener.communicate(timeout=HEARD_S)[0]
            finally:
                for process in (talker, listener):
                    process.kill()
                self.talker = talker.communicate()[0]

    @property
    def complaints(self) -> str:
        """Of Fast DDS about its profile."""
        return "\n".join(line for line in self.talker.splitlines() if "XML" in line)

    @property
    def shared_memory_bytes(self) -> int:
        return int(self.talker.splitlines()[-1])

    @property
    def heard_bytes(self) -> int:
        return int(self.listener.splitlines()[-1])


@contextmanager
def serving(before: Sequence[str] = ()) -> Iterator[None]:
    """A discovery server, number 0, on its usual port."""
    program = shutil.which("fast-discovery-server")
    if program is None:
        pytest.skip("no fast-discovery-server here")
    server = subprocess.Popen([*before, program, "-i", "0"], stdout=subprocess.PIPE, text=True)
    try:
        assert "Server" in server.stdout.readline()
        yield
    finally:
        server.kill()
        server.communicate()


@pytest.mark.parametrize("profile", [OWN, *sorted(PROFILES.glob("*.xml"))], ids=lambda path: path.stem)
def test_a_profile_is_accepted_and_a_megabyte_passes(profile, discovery_server):
    exchange = Exchange(profile)
    assert exchange.complaints == ""
    assert exchange.heard_bytes == MESSAGE_BYTES


def test_a_wrong_profile_would_be_noticed(tmp_path):
    wrong = tmp_path / "wrong.xml"
    wrong.write_text(OWN.read_text().replace("segment_size", "segmentsize"))
    assert "segmentsize" in Exchange(wrong).complaints


def test_a_profile_is_what_counts(tmp_path):
    """A wrong one leaves half a megabyte of shared memory."""
    assert Exchange(None).shared_memory_bytes < 1 << 20
    assert Exchange(OWN).shared_memory_bytes >= 8 << 20
    assert Exchange(PROFILES / "large_messages.xml").shared_memory_bytes >= 64 << 20


@pytest.fixture
def discovery_server(request):
    """Where the profile names one, as `fast-discovery-server` on this machine."""
    if "ServersList" not in request.getfixturevalue("profile").read_text():
        yield
        return
    with serving():
        yield


def test_a_discovery_server_brings_two_machines_together_without_multicast():
    """As on a network that does not carry it, which Wi-Fi often is."""
    with two_boxes_or_skip("--no-multicast") as (robot, learner, _), serving(learner.enter):
        exchange = Exchange(
            PROFILES / "lossy_link.xml",
            (learner.enter, robot.enter),
            ROS_AUTOMATIC_DISCOVERY_RANGE="SUBNET",
            ROS_DISCOVERY_SERVER="10.77.0.2:11811",
        )
        assert exchange.heard_bytes == MESSAGE_BYTES
