from setuptools import find_packages, setup

package_name = "hilrl_ros"

setup(
    name=package_name,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    package_data={package_name: ["*.xml"]},
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/" + package_name]),
        ("share/" + package_name, ["package.xml"]),
    ],
    install_requires=["setuptools"],
    extras_require={"test": ["pytest"]},
    zip_safe=True,
    maintainer="hilrl maintainers",
    maintainer_email="hilrl@example.com",
    description="What all hilrl nodes share: parameters, image conversion, stamps, QoS, main.",
    license="Apache-2.0",
    entry_points={"console_scripts": ["mcap_recorder = hilrl_ros.mcap_recorder_node:main"]},
)
