"""`hilrl security`: keys and permissions for SROS2, one enclave per node, from config/security/policy.xml.

The private keys are made by `ros2 security`, which has to be installed. See docs/security.md.
"""

import argparse
import copy
import re
import shutil
import subprocess
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from pathlib import Path

from ament_index_python.packages import get_package_share_directory

WRITTEN_FOR = "so101"
"""The robot that the policy names."""
NAME = re.compile(r"[a-zA-Z_]\w*", re.ASCII)
INCLUDE = "{http://www.w3.org/2001/XInclude}include"
KINDS = ("publish", "subscribe", "reply", "request")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `hilrl security`."""
    parser.description = (
        "Make a keystore for SROS2: keys, and permissions that let each node say and hear what it has to and "
        "nothing else. Start the graph with ROS_SECURITY_ENABLE=true ROS_SECURITY_STRATEGY=Enforce "
        "ROS_SECURITY_KEYSTORE=KEYSTORE."
    )
    parser.add_argument("keystore", type=Path, help="folder to make; holds private keys")
    parser.add_argument(
        "--robot", action="append", metavar="NAME", help="may be repeated; default: so101", default=[]
    )


def run(chosen: argparse.Namespace) -> int:
    """Returns the exit status."""
    enclaves = make_keystore(chosen.keystore, chosen.robot or [WRITTEN_FOR])
    print(f"{chosen.keystore}: {len(enclaves)} enclaves: {' '.join(enclaves)}")
    return 0


def policy_for(robots: Sequence[str]) -> ElementTree.Element:
    """The policy of these robots and of the learner, whole. Raises ValueError for what is no ROS name."""
    folder = Path(get_package_share_directory("hilrl")) / "config" / "security"
    policy = _included(ElementTree.parse(folder / "policy.xml").getroot(), folder)
    enclaves = policy.find("enclaves")
    assert enclaves is not None
    of_a_robot = [enclave for enclave in enclaves if enclave.get("path", "").startswith(f"/{WRITTEN_FOR}/")]
    for enclave in of_a_robot:
        enclaves.remove(enclave)
    for robot in robots:
        if not NAME.fullmatch(robot):
            raise ValueError(f"robot: expected a ROS name, got {robot!r}")
        for enclave in copy.deepcopy(of_a_robot):
            enclave.set("path", enclave.get("path", "").replace(WRITTEN_FOR, robot, 1))
            for profile in enclave.iter("profile"):
                profile.set("ns", f"/{robot}")
            enclaves.append(enclave)
    return policy


def rights(policy: ElementTree.Element) -> Mapping[tuple[str, str], frozenset[str]]:
    """Full names of topics and services by node and kind, one of `KINDS`."""
    found: dict[tuple[str, str], frozenset[str]] = {}
    for profile in policy.iter("profile"):
        namespace = profile.get("ns", "/").rstrip("/")
        node = f"{namespace}/{profile.get('node')}"
        for block in profile:
            for kind in KINDS:
                if block.get(kind) == "ALLOW":
                    names = {_full_name((entry.text or "").strip(), namespace, node) for entry in block}
                    found[node, kind] = found.get((node, kind), frozenset()) | names
    return found


def make_keystore(keystore: Path, robots: Sequence[str]) -> list[str]:
    """Make it with `ros2 security`; the enclaves in it.

    Raises ValueError where that is not installed, the robot has no ROS name, or the folder exists.
    """
    policy = policy_for(robots)
    if shutil.which("ros2") is None:
        raise ValueError(
            "security: expected `ros2 security` to make the keys; sudo apt install ros-jazzy-sros2"
        )
    if keystore.exists():
        raise ValueError(
            f"keystore {keystore}: expected a folder that does not exist yet; move it away first"
        )
    enclaves = [enclave.get("path", "") for enclave in policy.iter("enclave")]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "policy.xml"
        ElementTree.ElementTree(policy).write(file, encoding="unicode")
        _security("create_keystore", str(keystore))
        for enclave in enclaves:
            _security("create_enclave", str(keystore), enclave)
            _security("create_permission", str(keystore), enclave, str(file))
    return enclaves


def _security(*arguments: str) -> None:
    done = subprocess.run(["ros2", "security", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(
            f"ros2 security {' '.join(arguments)}: {done.stderr.strip() or done.stdout.strip()}"
        )


def _included(element: ElementTree.Element, folder: Path) -> ElementTree.Element:
    """With the contents of a file in the place of each inclusion."""
    for parent in list(element.iter()):
        for include in parent.findall(INCLUDE):
            position = list(parent).index(include)
            parent.remove(include)
            parts = ElementTree.parse(folder / include.get("href", "")).getroot()
            for offset, part in enumerate(parts):
                parent.insert(position + offset, part)
    return element


def _full_name(name: str, namespace: str, node: str) -> str:
    if name.startswith("/"):
        return name
    return f"{node}/{name[2:]}" if name.startswith("~/") else f"{namespace}/{name}"
