from setuptools import find_packages, setup

package_name = "hilrl_learning"

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
    description="Reinforcement learning: algorithms, replay, actor and learner.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "actor = hilrl_learning.actor_node:main",
            "learner = hilrl_learning.learner_node:main",
            "recorder = hilrl_learning.recorder_node:main",
            "replay_episode = hilrl_learning.episode_player_node:main",
        ],
    },
)
