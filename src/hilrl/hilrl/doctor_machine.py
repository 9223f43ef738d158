"""What a machine needs to run a graph: Python, ROS, DDS, memory, disk, clock."""

import os
import platform
import shutil
import sys
import time
from importlib import metadata
from pathlib import Path

from hilrl.findings import Finding, note, well, wrong
from hilrl.run_config import VERSIONED

PYTHONS = ((3, 11), (3, 12))
SHARED_MEMORY = Path("/dev/shm")
SHARED_MEMORY_BYTES = 64 << 20
"""What a graph maps: some 10 MiB per process that takes images or steps."""
DISK_BYTES = 2 << 30
"""A replay of 100 000 steps has 10 GiB at most; below this, a short run may not fit."""
STALE_BYTES = 1 << 30
"""Left behind by killed processes; more is worth a note."""
DISCOVERY_S = 10.0
BUILT_AFTER = Path(__file__)
"""A clock that stands before this file was written is wrong."""


def look(folder: Path, uses_gpu: bool) -> list[Finding]:
    """All there is to say. `folder`: where runs go."""
    return [
        python(),
        ros(),
        shared_memory(),
        discovery(),
        *left_behind(SHARED_MEMORY),
        disk(folder),
        clock(),
        *(gpu() if uses_gpu else ()),
        versions(),
    ]


def python() -> Finding:
    """Its version."""
    said = f"Python {platform.python_version()}"
    if sys.version_info[:2] in PYTHONS:
        return well(said)
    expected = " or ".join(f"{major}.{minor}" for major, minor in PYTHONS)
    return wrong(f"{said}, expected {expected}", "install one, remove .venv, and `make build`")


def ros() -> Finding:
    """Where ROS comes from."""
    if not os.environ.get("AMENT_PREFIX_PATH"):
        return wrong("no ROS in this shell", "source .venv/ros.sh in it")
    try:
        import rclpy
    except ImportError as error:
        return wrong(f"rclpy cannot be imported: {error}", "`make build`, then source .venv/ros.sh")
    distribution = os.environ.get("ROS_DISTRO")
    return well(
        f"ROS {distribution} is installed" if distribution else f"ROS as wheels, in {rclpy.__path__[0]}"
    )


def discovery() -> Finding:
    """Whether two participants of this machine find and hear each other."""
    import rclpy
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.node import Node
    from std_msgs.msg import Empty

    contexts = [rclpy.Context(), rclpy.Context()]
    heard: list[Empty] = []
    start_s = time.monotonic()
    try:
        for context in contexts:
            rclpy.init(args=[], context=context)
        topic = f"/hilrl_doctor_{os.getpid()}"
        speaker, listener = (
            Node(f"hilrl_doctor_{name}", context=context, enable_rosout=False, start_parameter_services=False)
            for name, context in zip(("speaks", "listens"), contexts, strict=True)
        )
        words = speaker.create_publisher(Empty, topic, 1)
        listener.create_subscription(Empty, topic, heard.append, 1)
        executor = SingleThreadedExecutor(context=contexts[1])
        executor.add_node(listener)
        while not heard and time.monotonic() - start_s < DISCOVERY_S:
            words.publish(Empty())
            executor.spin_once(timeout_sec=0.05)
        executor.shutdown()
        for node in (speaker, listener):
            node.destroy_node()
    finally:
        for context in contexts:
            rclpy.try_shutdown(context=context)
    reach = os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET")
    if heard:
        return well(
            f"DDS finds a neighbour within {time.monotonic() - start_s:.1f} s (discovery range {reach})"
        )
    return wrong(
        f"DDS processes of this machine do not hear each other within {DISCOVERY_S:.0f} s",
        "is the loopback interface up (`ip link set lo up multicast on`), and does a firewall block it? "
        f"ROS_AUTOMATIC_DISCOVERY_RANGE is {reach}",
    )


def shared_memory(path: Path = SHARED_MEMORY) -> Finding:
    """What DDS moves images through. Where it is full, the kernel kills who loads ROS (SIGBUS)."""
    if not path.is_dir():
        return wrong(f"{path} is missing", "mount it: images between processes go through it")
    free = shutil.disk_usage(path).free
    said = f"{free >> 20} MiB of shared memory are free"
    if free >= SHARED_MEMORY_BYTES:
        return well(said)
    return wrong(
        f"{said}, expected {SHARED_MEMORY_BYTES >> 20} MiB in {path}",
        "in a container: --ipc=host or --shm-size=1g; else end what fills it, and with no ROS process left "
        f"`rm {path}/fastrtps_* {path}/sem.fastrtps_*`",
    )


def left_behind(path: Path) -> list[Finding]:
    """Segments of DDS whose process was killed: they stay until somebody deletes them."""
    held = _flocked_inodes()
    stale = 0
    for lock in path.glob("fastrtps_*_el"):
        segment = lock.with_name(lock.name.removesuffix("_el"))
        try:
            if lock.stat().st_ino not in held:
                stale += segment.stat().st_size
        except OSError:
            continue  # gone meanwhile
    if stale < STALE_BYTES:
        return []
    return [
        note(
            f"{stale >> 20} MiB of shared memory belong to ROS processes that were killed",
            f"when no ROS process runs: `rm {path}/fastrtps_* {path}/sem.fastrtps_*`",
        )
    ]


def _flocked_inodes() -> set[int]:
    try:
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return set()
    return {
        int(line.split()[-3].rpartition(":")[2]) for line in lines if "FLOCK" in line and "->" not in line
    }


def disk(folder: Path) -> Finding:
    """Where runs go."""
    if not os.access(folder, os.W_OK):
        return wrong(
            f"{folder} cannot be written to",
            "runs are kept under runs/ in the working directory: go elsewhere",
        )
    free = shutil.disk_usage(folder).free
    said = f"{free / 2**30:.1f} GiB are free in {folder}"
    if free >= DISK_BYTES:
        return well(said)
    return wrong(f"{said}, expected {DISK_BYTES >> 30} GiB", "make room; a full disk makes the arm hold")


def clock() -> Finding:
    """Stamps of several machines are compared, and runs sorted by time."""
    now = time.strftime("%Y-%m-%d %H:%M:%S %Z")
    if time.time() < BUILT_AFTER.stat().st_mtime - 86400:
        return wrong(
            f"the clock says {now}, which is before this program was written",
            "set it, or `timedatectl set-ntp true`",
        )
    return well(f"the clock says {now}")


def gpu() -> list[Finding]:
    """For runs with device cuda."""
    import torch

    if torch.cuda.is_available():
        return [well(f"GPU {torch.cuda.get_device_name(0)}, torch {torch.__version__}")]
    built = torch.version.cuda or "no CUDA"
    return [
        wrong(
            f"the run wants device cuda, torch {torch.__version__} was built for {built} and finds no GPU",
            "does nvidia-smi work? Else `--device cpu`",
        )
    ]


def versions() -> Finding:
    """Of what results depend on."""
    found = []
    for name in VERSIONED:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return well(", ".join(found))
