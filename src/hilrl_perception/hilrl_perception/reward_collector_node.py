"""The `reward_collector` node: keeps what a running graph shows as labelled frames.

In simulation it can run the episodes itself.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rclpy.clock import Clock, ClockType
from sensor_msgs.msg import Image

from hilrl_interfaces.msg import EeState, Episode, GroundTruth
from hilrl_perception.reward_collection import EpisodeFrames
from hilrl_perception.reward_data import Layout, RewardData
from hilrl_perception.reward_driver import Driver
from hilrl_perception.reward_labels import Truth
from hilrl_perception.reward_observation import (
    NewestJoin,
    RewardObservation,
    StampJoin,
    arm_state,
    frame_array,
    joined,
    part_names,
    stamp_of,
)
from hilrl_ros import qos
from hilrl_ros.main import run_node
from hilrl_ros.node import Node
from hilrl_ros.parameters import Parameter, Parameters
from hilrl_ros.stamps import to_ns

POLL_S = 0.05

PARAMETERS = (
    Parameter("data_dir", "", "where the frames go; one folder per set of cameras and size", read_only=True),
    Parameter("cameras", ["front", "wrist"], "cameras to keep", read_only=True),
    Parameter("image_size", 128, "height and width of a crop [px]", 8, 4096, read_only=True),
    Parameter("lockstep", True, "frames of equal stamps; false: one per frame of the first camera",
              read_only=True),
    Parameter("max_age_s", 0.2, "real time: an older camera or ee_state is not kept [s]", 0.01, 10.0),
    Parameter("labels", "ending", "ending: the last frames of a success are positive; truth: a simulator "
              "says so of every frame", choices=("ending", "truth"), read_only=True),
    Parameter("positive_s", 0.0, "ending: how long before the last frame frames are positive too [s]",
              0.0, 60.0),
    Parameter("drive", False, "lockstep simulation: run the episodes, a scripted operator's, spoilt in part",
              read_only=True),
    Parameter("seed", 0, "drive: of scenes and mishaps", 0, read_only=True),
    Parameter("max_episode_steps", 50, "drive: longest episode", 1, 1_000_000, read_only=True),
)  # fmt: skip


class RewardCollector(Node):
    """Adapter of `EpisodeFrames`, and of `Driver` where it runs the episodes."""

    def __init__(self, **kwargs: Any) -> None:
        """Raises ValueError where a parameter is refused."""
        super().__init__("reward_collector", **kwargs)
        params = self._params = Parameters(self, PARAMETERS)
        if not params["data_dir"]:
            raise ValueError("data_dir: expected a folder, got none")
        self._uses_truth = params["labels"] == "truth" or params["drive"]
        self._lockstep: bool = params["lockstep"]
        if self._uses_truth and not self._lockstep:
            raise ValueError("labels: truth needs lockstep, in which frames and truth carry one stamp")
        self._cameras = tuple(params["cameras"])
        self._size = (params["image_size"],) * 2
        self._data = RewardData(Path(params["data_dir"]).expanduser(), Layout(self._cameras, self._size))
        self._episode = EpisodeFrames(by_truth=self._uses_truth)
        names = part_names(self._cameras)
        self._stamps = StampJoin([*names, "truth"] if self._uses_truth else names)
        self._newest = NewestJoin(self._cameras, params["max_age_s"])
        self._early: tuple[RewardObservation, Truth] | None = None
        """Of a scene that was faster than its service's answer."""
        self._driver: Driver | None = None
        if params["drive"]:
            self._driver = Driver(
                self, params["seed"], params["max_episode_steps"], self._begin, self._on_scene, self._end
            )
        else:
            self.create_subscription(Episode, "episode", self._on_episode, qos.EVENTS)
        self._subscribe()
        self.diagnostics.expect("ee_state", "is ee_controller running?")
        for camera in self._cameras:
            self.diagnostics.expect(f"camera/{camera}/image_crop", "is image_cropper running?")
        self.create_timer(POLL_S, self._on_poll, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _subscribe(self) -> None:
        self.create_subscription(
            EeState, "ee_state", self._checked(lambda m: self._take(stamp_of(m), "arm", arm_state(m))),
            qos.JOINT_STATES,
        )  # fmt: skip
        if self._uses_truth:
            self.create_subscription(
                GroundTruth, "sim/ground_truth",
                self._checked(lambda m: self._take(stamp_of(m), "truth", truth_from(m))), qos.EVENTS,
            )  # fmt: skip
        for camera in self._cameras:
            take = self._checked(lambda message, camera=camera: self._on_image(camera, message))
            self.create_subscription(Image, f"camera/{camera}/image_crop", take, qos.IMAGES)

    def _checked(self, take: Callable[[Any], None]) -> Callable[[Any], None]:
        def callback(message: Any) -> None:
            try:
                take(message)
            except ValueError as error:
                self.diagnostics.refused(str(error))
                self.get_logger().error(f"ignored: {error}", throttle_duration_sec=5.0)

        return callback

    def _on_image(self, camera: str, message: Image) -> None:
        stamp_ns, leads = stamp_of(message), camera == self._cameras[0]
        if leads and self._driver is not None:
            self._driver.repeat(stamp_ns)
        self._take(stamp_ns, f"image.{camera}", frame_array(camera, message, self._size), leads)

    def _take(self, stamp_ns: int, name: str, value: object, leads: bool = False) -> None:
        if self._lockstep:
            if parts := self._stamps.add(stamp_ns, name, value):
                truth = parts.get("truth")
                self._keep(joined(self._cameras, stamp_ns, parts), truth)
            return
        self._newest.add(stamp_ns, name, value)
        if leads:
            observation, reason = self._newest.take()
            if observation is not None:
                self._keep(observation, None)
            else:
                self.get_logger().warning(f"not kept: {reason}", throttle_duration_sec=5.0)

    def _keep(self, observation: RewardObservation, truth: Truth | None) -> None:
        if self._driver is not None and not self._driver.is_of_scene(observation.stamp_ns):
            self._early = (observation, truth)
            return
        self._episode.add(observation, truth)
        if self._driver is not None:
            self._driver.tick(observation.stamp_ns, truth, self._episode.done, self._episode.rise_m)
        elif self._episode.ends_at(observation.stamp_ns):
            self._end()

    def _begin(self, number: int, seed: int) -> None:
        self._end()
        self._episode.begin(episode=number, seed=seed, source="driven" if self._driver else "attached")

    def _on_scene(self) -> None:
        if self._early is not None and self._driver.is_of_scene(self._early[0].stamp_ns):
            self._keep(*self._early)
        self._early = None

    def _end(self, **provenance: Any) -> None:
        """Store what was kept of the running episode."""
        episode = self._episode.finish(self._params["positive_s"], **provenance)
        if episode is None:
            return
        path = self._data.add(episode)
        self.get_logger().info(
            f"{path.name}: {len(episode.labels)} frames, {int(episode.labels.sum())} positive"
        )

    def _on_episode(self, message: Episode) -> None:
        if not message.finished:
            self._begin(message.episode, message.seed)
            return
        # In lockstep the frame that it ended with may still be on its way.
        last_ns = to_ns(message.header.stamp) if self._lockstep else None
        if self._episode.end(message.episode, message.success, last_ns):
            self._end()

    def _on_poll(self) -> None:
        if self._driver is not None:
            self._driver.poll()


def truth_from(message: GroundTruth) -> Truth:
    """Raises ValueError where there is no object."""
    if not message.poses:
        raise ValueError("ground_truth.poses: expected an object, got none")
    height_m = message.poses[0].position.z
    if not np.isfinite(height_m):
        raise ValueError(f"ground_truth.poses[0].position.z: expected a finite number, got {height_m}")
    return Truth(message.task, message.success, message.grasped, height_m)


def main() -> None:
    """Entry point."""
    run_node(RewardCollector)
