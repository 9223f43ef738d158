from setuptools import find_packages, setup

package_name = "hilrl_teleop"

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
    description="Operators: the intervention mux, leader arm, joystick, keyboard and the scripted operator.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "gamepad = hilrl_teleop.gamepad_node:main",
            "intervention_mux = hilrl_teleop.intervention_mux_node:main",
            "joy_teleop = hilrl_teleop.joy_teleop_node:main",
            "keyboard_teleop = hilrl_teleop.keyboard_teleop_node:main",
            "leader_teleop = hilrl_teleop.leader_teleop_node:main",
            "scripted_operator = hilrl_teleop.scripted_operator_node:main",
        ],
    },
)
