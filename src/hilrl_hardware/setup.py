from setuptools import find_packages, setup

package_name = "hilrl_hardware"

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
    description="The SO-101 on its Feetech bus: follower and leader, calibration, an emulated bus.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "so101_arm = hilrl_hardware.arm_node:main",
            "bus_emulator = hilrl_hardware.emulator.main:main",
        ],
    },
)
