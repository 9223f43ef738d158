"""Make a clone ready to run: virtual environment, ROS 2 underlay, built workspace.

`make train` and `make test` call this first; by hand: `python3 bootstrap.py [--no-build]`. Standard library
only, as nothing else is there yet. What is already up to date costs some milliseconds.

The ROS 2 underlay is either a sourced ROS 2 Jazzy or, where no ROS is installed, the wheels of
requirements-ros.txt. These leave three gaps, closed in `bridge_wheels`: ament_package is not on the Python
index, exported CMake files name the paths of the machine that built them, and nothing sets the environment.
"""

import argparse
import contextlib
import ctypes
import hashlib
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOGS = ROOT / "log" / "setup"
REQUIREMENTS = ROOT / "requirements.txt"
REQUIREMENTS_ROS = ROOT / "requirements-ros.txt"
VENV_STAMP = VENV / "setup.json"
BUILD_STAMP = ROOT / "build" / "setup.json"

ROS_DISTRO = "jazzy"
AMENT_PACKAGE_URL = "https://github.com/ament/ament_package/archive/refs/tags/0.16.4.tar.gz"
RENDER_TEST = """
import mujoco
model = mujoco.MjModel.from_xml_string("<mujoco><worldbody><geom size='1'/></worldbody></mujoco>")
mujoco.Renderer(model, 32, 32).render()
"""
BUILD_DEFINITIONS = {"CMakeLists.txt", "package.xml", "setup.py", "setup.cfg"}
BUILD_SUFFIXES = {".msg", ".srv", ".action", ".cmake", ".in"}


class SetupError(Exception):
    """What is wrong and what to do, in one line."""


# -- what this machine has ----------------------------------------------------------------------------------


def egl_renders() -> bool:
    """Whether an EGL device can be initialised, the way MuJoCo does it. Runs in a process of its own."""
    ctypes.CDLL("libOpenGL.so.0")  # PyOpenGL looks for it, though no function of it is called
    egl = ctypes.CDLL("libEGL.so.1")
    egl.eglGetProcAddress.restype = ctypes.c_void_p
    prototype = ctypes.CFUNCTYPE
    pointer, integer = ctypes.c_void_p, ctypes.c_int
    query = egl.eglGetProcAddress(b"eglQueryDevicesEXT")
    display_of = egl.eglGetProcAddress(b"eglGetPlatformDisplayEXT")
    if not query or not display_of:
        return False
    devices, count = (pointer * 16)(), integer()
    prototype(integer, integer, pointer, pointer)(query)(16, devices, ctypes.addressof(count))
    egl.eglInitialize.argtypes = [pointer, pointer, pointer]
    for device in devices[: count.value]:
        platform_device = 0x313F  # EGL_PLATFORM_DEVICE_EXT
        display = prototype(pointer, integer, pointer, pointer)(display_of)(platform_device, device, None)
        if display and egl.eglInitialize(display, None, None):
            return True
    return False


def missing_system_packages(underlay: str | None) -> dict[str, list[str]]:
    """What is missing, in words, and the Debian packages that bring it."""
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    missing: dict[str, list[str]] = {}
    if not (shutil.which(os.environ.get("CXX", "c++")) and shutil.which(os.environ.get("CC", "cc"))):
        missing["a C++ compiler"] = ["g++"]
    if not shutil.which("cmake"):
        missing["CMake"] = ["cmake"]
    if not PYTHON.exists() and run_quietly([sys.executable, "-c", "import venv, ensurepip"]) != 0:
        missing["Python's venv module"] = [f"{python}-venv"]
    if not Path(sysconfig.get_paths()["include"], "Python.h").exists():
        missing["Python's C headers"] = [f"{python}-dev"]
    if underlay and not shutil.which("colcon"):
        missing["colcon"] = ["python3-colcon-common-extensions"]
    if run_quietly([sys.executable, str(ROOT / "bootstrap.py"), "--probe-egl"]) != 0:
        missing["an EGL renderer"] = ["libegl1", "libgl1-mesa-dri", "libopengl0"]
    return missing


def run_quietly(command: list[str]) -> int:
    """The exit status; output is dropped."""
    return subprocess.run(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
    ).returncode


def sourced_underlay() -> str | None:
    """The prefix of the sourced ROS 2 Jazzy; None where no ROS is sourced."""
    distro = os.environ.get("ROS_DISTRO")
    if not distro:
        return None
    if distro != ROS_DISTRO:
        raise SetupError(
            f"this shell has ROS 2 {distro} sourced, but hilrl runs on {ROS_DISTRO}: "
            f"source /opt/ros/{ROS_DISTRO}/setup.bash in a new shell, or use a shell without any ROS."
        )
    for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(":"):
        if prefix and Path(prefix, "share/rclpy/package.xml").exists() and Path(prefix, "setup.sh").exists():
            return prefix
    raise SetupError(
        f"ROS_DISTRO={distro} is set, but no folder in AMENT_PREFIX_PATH holds rclpy: source it again."
    )


# -- stages -------------------------------------------------------------------------------------------------


stage_numbers = itertools.count(1)


@contextlib.contextmanager
def stage(title: str) -> Iterator[None]:
    """Print what is being done and the seconds that it took."""
    print(f"[{next(stage_numbers)}] {title} ... ", end="", flush=True)
    start = time.monotonic()
    try:
        yield
    except BaseException:
        print("failed", flush=True)
        raise
    print(f"{time.monotonic() - start:.0f} s", flush=True)


def logged(
    name: str, command: list[str | Path], environment: dict[str, str] | None = None, cwd: Path = ROOT
) -> None:
    """Run a command with its output in log/setup/<name>.log; raise SetupError naming that file."""
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"{name}.log"
    with log.open("w") as file:
        file.write("$ " + " ".join(map(str, command)) + "\n")
        file.flush()
        result = subprocess.run(command, stdout=file, stderr=file, env=environment, cwd=cwd, check=False)
    if result.returncode:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-12:])
        raise SetupError(f"{name} failed; its last lines, all of them in {log}:\n{tail}")


def ensure_system_packages(underlay: str | None) -> None:
    """Install what is missing with apt, as root or by password-less sudo; else one line says what to do."""
    missing = missing_system_packages(underlay)
    if not missing:
        return
    what = ", ".join(missing)
    packages = [package for names in missing.values() for package in names]
    if not shutil.which("apt-get"):
        raise SetupError(
            f"missing: {what}. Install them with this system's package manager "
            f"(Debian's names: {' '.join(packages)}), then make again."
        )
    if os.geteuid() == 0:
        sudo: list[str | Path] = []
    elif shutil.which("sudo") and run_quietly(["sudo", "-n", "true"]) == 0:
        sudo = ["sudo", "-n"]
    else:
        command = f"sudo apt-get update && sudo apt-get install -y {' '.join(packages)}"
        raise SetupError(f"missing: {what}. Run `{command}`, then make again.")
    apt: list[str | Path] = [*sudo, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]
    with stage(f"System packages: {' '.join(packages)}"):
        with contextlib.suppress(SetupError):  # another repository's trouble; if it is ours, install says so
            logged("apt-update", [*apt, "update"])
        logged("apt-install", [*apt, "install", "-y", "--no-install-recommends", *packages])
    if still := missing_system_packages(underlay):
        raise SetupError(f"still missing after apt installed {' '.join(packages)}: {', '.join(still)}.")


def create_venv(underlay: str | None) -> None:
    """A fresh .venv. What was built with another one goes too: it names that one's paths."""
    for stale in (VENV, ROOT / "build", ROOT / "install"):
        shutil.rmtree(stale, ignore_errors=True)
    site = ["--system-site-packages"] if underlay else []
    logged("venv", [sys.executable, "-m", "venv", *site, VENV])


def install_python_packages(underlay: str | None) -> None:
    """The pinned packages; with PyTorch's CPU build where there is no NVIDIA GPU."""
    pip: list[str | Path] = [PYTHON, "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    torch = re.search(r"^torch==\S+$", REQUIREMENTS.read_text(), re.MULTILINE)[0]
    if index := os.environ.get("TORCH_INDEX_URL"):  # say, that of PyTorch's builds without CUDA
        logged("pip-torch", [*pip, "--no-deps", "--index-url", index, torch])
    if underlay is None:
        logged("pip", [*pip, "-r", REQUIREMENTS, "-r", REQUIREMENTS_ROS])
        return
    # ROS from apt is built against numpy 1. Everything pinned here runs with that too, but cmeel-boost's
    # metadata asks for numpy 2, so the complete list is installed as it stands, without pip's resolver.
    logged("pip-torch-dependencies", [*pip, torch])
    logged("pip", [*pip, "--no-deps", "-r", REQUIREMENTS, "numpy<2"])


def site_packages() -> Path:
    """Where this environment's packages lie."""
    code = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    environment = {**os.environ, "_ROS_WHEELS_BOOTSTRAP_COMPLETE": "1"}
    return Path(subprocess.check_output([PYTHON, "-c", code], text=True, env=environment).strip())


def bridge_wheels() -> None:
    """Close the gaps that the ROS wheels leave in the virtual environment."""
    packages = site_packages()
    if not (packages / "ament_package").exists():
        with tempfile.TemporaryDirectory() as scratch:
            shutil.copytree(find_ament_package(Path(scratch)), packages / "ament_package")
    include = sysconfig.get_paths()["include"]
    for file in (VENV / "share").rglob("*.cmake"):
        text = file.read_text()
        fixed = re.sub(r"/opt/python/cp3\d+-cp3\d+/include/python3\.\d+", include, text)
        fixed = re.sub(r"/opt/python/cp3\d+-cp3\d+/lib/python3\.\d+/site-packages", str(packages), fixed)
        if fixed != text:
            file.write_text(fixed)


def find_ament_package(scratch: Path) -> Path:
    """The folder of the Python package ament_package: this machine's, or out of Debian's package."""
    installed = Path("/usr/lib/python3/dist-packages/ament_package")
    if installed.is_dir():
        return installed
    if not shutil.which("apt-get"):
        raise SetupError(
            f"the build needs the Python package ament_package, which is not on PyPI: run "
            f"`{PYTHON} -m pip install {AMENT_PACKAGE_URL}`, then make again."
        )
    # apt with folders of its own: works without root and leaves the machine's package lists alone.
    for name in ("lists/partial", "cache/archives/partial"):
        (scratch / name).mkdir(parents=True)
    apt: list[str | Path] = ["apt-get", "-o", f"Dir::State::lists={scratch / 'lists'}"]
    apt += ["-o", f"Dir::Cache={scratch / 'cache'}", "-o", "APT::Sandbox::User="]
    with contextlib.suppress(SetupError):
        logged("apt-lists", [*apt, "update"])
    logged("apt-ament", [*apt, "download", "python3-ament-package"], cwd=scratch)
    package = next(scratch.glob("python3-ament-package_*.deb"))
    logged("dpkg", ["dpkg", "-x", package, scratch / "files"])
    return scratch / "files" / "usr/lib/python3/dist-packages/ament_package"


def write_environment(underlay: str | None) -> None:
    """`.venv/ros.sh` for people and make; for the wheels also the `local_setup.*` that a prefix has."""
    lines = [f"export VIRTUAL_ENV='{VENV}'", *prepend("PATH", [VENV / "bin"])]
    if underlay is None:
        libraries = [VENV / "lib", *sorted(site_packages().glob("ros_*.libs"))]
        lines += [
            *prepend("AMENT_PREFIX_PATH", [VENV]),
            *prepend("CMAKE_PREFIX_PATH", [VENV]),
            *prepend("LD_LIBRARY_PATH", libraries),
            "# Library paths are set: spare every Python start the re-execution that would set them.",
            "export _ROS_WHEELS_BOOTSTRAP_COMPLETE=1",
            "export RMW_IMPLEMENTATION=${RMW_IMPLEMENTATION:-rmw_fastrtps_cpp}",
        ]
    lines += [
        "# Keep DDS on this machine unless told otherwise.",
        "export ROS_AUTOMATIC_DISCOVERY_RANGE=${ROS_AUTOMATIC_DISCOVERY_RANGE:-LOCALHOST}",
        "export MUJOCO_GL=${MUJOCO_GL:-egl}",
    ]
    text = "\n".join(lines) + "\n"
    head = "# Written by bootstrap.py. "
    for shell in ("sh", "bash", "zsh") if underlay is None else ():
        (VENV / f"local_setup.{shell}").write_text(f"{head}ROS 2 from wheels, as a prefix.\n{text}")
    source = f". '{underlay}/setup.sh'\n" if underlay else ""
    install = ROOT / "install"
    (VENV / "ros.sh").write_text(
        f"{head}Source me (sh, bash, zsh): ROS 2, Python packages, built workspace.\n{source}{text}"
        f"if [ -f '{install}/local_setup.sh' ]; then\n"
        f"  COLCON_CURRENT_PREFIX='{install}'\n"
        f"  . '{install}/local_setup.sh'\n"
        "  unset COLCON_CURRENT_PREFIX\n"
        "fi\n"
    )


def prepend(variable: str, folders: list[Path]) -> list[str]:
    """Shell lines that put folders first in a path variable, once."""
    value = ":".join(map(str, folders))
    return [
        f'case ":${variable}:" in *":{folders[0]}:"*) ;;',
        f'  *) export {variable}="{value}${{{variable}:+:${variable}}}" ;;',
        "esac",
    ]


def build_workspace() -> None:
    """`colcon build` with this environment's Python, whoever's colcon it is."""
    script = (
        f". '{VENV}/ros.sh' && exec python \"$(command -v colcon)\" --log-base log build --symlink-install "
        "--base-paths src --event-handlers desktop_notification- status-"
    )
    inputs = workspace_inputs()
    logged("build", ["sh", "-c", script])
    BUILD_STAMP.write_text(json.dumps(inputs))


# -- what is up to date -------------------------------------------------------------------------------------


def setup_inputs(underlay: str | None) -> dict[str, str]:
    """What the virtual environment was made from."""
    files = (REQUIREMENTS, REQUIREMENTS_ROS, Path(__file__))
    return {
        "files": hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest(),
        "underlay": underlay or "wheels",
        "path": str(VENV),
    }


def workspace_inputs() -> dict[str, str]:
    """Hash of what `colcon build --symlink-install` looks at.

    Build definitions and messages by content; all else by name: each installed file is a link to its source.
    """
    digest = hashlib.sha256(VENV_STAMP.read_bytes())
    for top in ("src", "launch", "config", "urdf", "test"):
        for folder, folders, files in os.walk(ROOT / top):
            folders[:] = sorted(name for name in folders if not name.startswith((".", "__pycache__")))
            folders[:] = [name for name in folders if not name.endswith(".egg-info")]
            for name in sorted(files):
                path = Path(folder, name)
                digest.update(str(path.relative_to(ROOT)).encode() + b"\0")
                if name in BUILD_DEFINITIONS or path.suffix in BUILD_SUFFIXES:
                    digest.update(path.read_bytes())
    return {"files": digest.hexdigest()}


def read_stamp(path: Path) -> dict[str, str]:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return {}


def venv_is_usable(underlay: str | None) -> bool:
    """Whether .venv was made at this path, for this underlay, by a Python that is still there."""
    made_by = venv_config()
    same_path = made_by.get("command", "").endswith(f" {VENV}")
    same_underlay = read_stamp(VENV_STAMP).get("underlay", "wheels") == (underlay or "wheels")
    return same_path and same_underlay and run_quietly([str(PYTHON), "-S", "-c", ""]) == 0


def venv_config() -> dict[str, str]:
    """What pyvenv.cfg says; empty where there is none."""
    try:
        lines = (VENV / "pyvenv.cfg").read_text().splitlines()
    except OSError:
        return {}
    return dict(line.split(" = ", 1) for line in lines if " = " in line)


# -- the whole ----------------------------------------------------------------------------------------------


def set_up(build: bool) -> None:
    """Bring the virtual environment and the workspace up to date; silent where they are."""
    if re.search(r"[^\w./+@=~-]", str(ROOT)):
        raise SetupError(
            f"CMake and colcon fail below a path with blanks or quotes: move the clone from {ROOT}"
        )
    underlay = sourced_underlay()
    remembered = read_stamp(VENV_STAMP).get("underlay", "wheels")
    if underlay is None and remembered != "wheels" and Path(remembered, "setup.sh").exists():
        underlay = remembered
    if underlay and not Path(underlay, f"lib/python3.{sys.version_info.minor}/site-packages/rclpy").exists():
        raise SetupError(
            f"ROS in {underlay} is not built for {sys.executable}: name ROS's, make PYTHON=/usr/bin/python3"
        )
    venv_is_fresh = venv_is_usable(underlay) and read_stamp(VENV_STAMP) == setup_inputs(underlay)
    if venv_is_fresh and (not build or read_stamp(BUILD_STAMP) == workspace_inputs()):
        return
    print(f"Setting up hilrl in {ROOT}; every step writes a log in {LOGS.relative_to(ROOT)}/", flush=True)
    ensure_system_packages(underlay)
    if not venv_is_fresh:
        set_up_venv(underlay)
    if build:
        with stage("Workspace: message packages and nodes, by colcon (half a minute from scratch)"):
            build_workspace()


def set_up_venv(underlay: str | None) -> None:
    """Stages that end in a .venv with its stamp."""
    if not venv_is_usable(underlay):
        with stage(f"Virtual environment .venv with Python {sys.version.split()[0]}"):
            create_venv(underlay)
    VENV_STAMP.unlink(missing_ok=True)
    ros = f"ROS 2 from {underlay}" if underlay else "ROS 2 Jazzy"
    with stage(f"Python packages: {ros}, PyTorch, MuJoCo, Pinocchio (600 MB, one to two minutes)"):
        install_python_packages(underlay)
    with stage("Environment: .venv/ros.sh, CMake files of the ROS wheels, a rendered test image"):
        if underlay is None:
            bridge_wheels()
        write_environment(underlay)
        logged("render", [PYTHON, "-c", RENDER_TEST], {**os.environ, "MUJOCO_GL": "egl"})
    VENV_STAMP.write_text(json.dumps(setup_inputs(underlay)))


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description="Make this clone ready to run.")
    parser.add_argument("--no-build", action="store_true", help="only the virtual environment")
    parser.add_argument("--probe-egl", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.probe_egl:
        return 0 if egl_renders() else 1
    try:
        set_up(build=not arguments.no_build)
    except SetupError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    if not (3, 11) <= sys.version_info[:2] <= (3, 12):
        sys.exit(f"error: hilrl needs Python 3.11 or 3.12, this is {sys.version.split()[0]}")
    # The Python that made .venv stays its Python when a newer one appears on the machine.
    made_with = Path(venv_config().get("executable", sys.executable))
    if made_with.exists() and not made_with.samefile(sys.executable):
        os.execv(made_with, [made_with, *sys.argv])
    os.environ.pop("MAKEFLAGS", None)  # colcon calls a make of its own
    sys.exit(main())
