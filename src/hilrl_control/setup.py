from setuptools import find_packages, setup

package_name = "hilrl_control"

setup(
    name=package_name,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/" + package_name]),
        ("share/" + package_name, ["package.xml"]),
    ],
    install_requires=["setuptools"],
    extras_require={"test": ["pytest"]},
    zip_safe=True,
    maintainer="hilrl maintainers",
    maintainer_email="hilrl@example.com",
    description="End-effector control of the SO-101: kinematics, workspace bounds, ee_controller.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "command_forwarder = hilrl_control.command_forwarder_node:main",
            "ee_controller = hilrl_control.ee_controller_node:main",
            "workspace_display = hilrl_control.workspace_display_node:main",
        ],
    },
)
