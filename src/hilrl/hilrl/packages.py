"""Which ROS packages there are: some come with an installed ROS alone."""

from collections.abc import Sequence

from ament_index_python.packages import PackageNotFoundError, get_package_prefix


def is_installed(package: str) -> bool:
    """Whether ROS finds it."""
    try:
        get_package_prefix(package)
    except PackageNotFoundError:
        return False
    return True


def expect_installed(option: str, packages: Sequence[str]) -> None:
    """Raises ValueError, naming the `option` that needs them, where packages are missing."""
    if missing := [package for package in dict.fromkeys(packages) if not is_installed(package)]:
        names = " ".join(f"ros-jazzy-{package.replace('_', '-')}" for package in missing)
        raise ValueError(
            f"{option}: expected installed packages, {', '.join(missing)} are missing; "
            f"sudo apt install {names}, or leave {option} false"
        )
