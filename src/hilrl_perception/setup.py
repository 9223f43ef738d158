from setuptools import find_packages, setup

package_name = "hilrl_perception"

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
    description="Camera crops for policies and reward classifiers; rewards.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "camera = hilrl_perception.camera_node:main",
            "image_cropper = hilrl_perception.image_cropper_node:main",
            "reward_classifier = hilrl_perception.reward_classifier_node:main",
            "reward_collector = hilrl_perception.reward_collector_node:main",
            "reward_rule = hilrl_perception.reward_rule_node:main",
        ],
    },
)
