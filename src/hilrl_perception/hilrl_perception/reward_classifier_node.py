"""The `reward_classifier` node: crops in, one `reward` per stamp out."""

import gc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from sensor_msgs.msg import Image

from hilrl_interfaces.msg import EeState, Episode
from hilrl_perception.debounce import Debounce
from hilrl_perception.reward_data import Layout, RewardData
from hilrl_perception.reward_guard import Guard
from hilrl_perception.reward_judge import RewardJudge
from hilrl_perception.reward_model import load_model
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
from hilrl_perception.reward_output import BOUND_PARAMETERS, RewardOutput
from hilrl_perception.reward_veto import ClaimMemory
from hilrl_ros import qos
from hilrl_ros.diagnostics import Report
from hilrl_ros.main import run_node
from hilrl_ros.node import Node
from hilrl_ros.parameters import Parameter, Parameters

PARAMETERS = (
    Parameter("model_file", "", "reward model, as `hilrl reward train` writes it", read_only=True),
    Parameter("lockstep", True, "one answer per stamp of all parts; false: per frame of the first camera",
              read_only=True),
    Parameter("max_age_s", 0.2, "real time: with an older camera or ee_state there is no success [s]",
              0.01, 10.0),
    Parameter("threshold", 0.0, "probability from which a frame counts; 0: the model's", 0.0, 1.0),
    Parameter("k", 0, "a success takes k of the last n frames; 0: the model's", 0, 1000),
    Parameter("n", 0, "see k; 0: the model's", 0, 1000),
    Parameter("veto_dir", "", "where frames of successes that were taken back are stored; empty: nowhere",
              read_only=True),
    *BOUND_PARAMETERS,
)  # fmt: skip


class RewardClassifier(Node):
    """Asks the model about every observation and the judge about every probability."""

    def __init__(self, **kwargs: Any) -> None:
        """Raises ValueError where a parameter or a file it names is refused."""
        super().__init__("reward_classifier", **kwargs)
        torch.set_num_threads(1)
        self._model = None
        params = self._params = Parameters(self, PARAMETERS, self._check, self._apply)
        spec = self._model.spec
        self._cameras = spec.cameras
        self._image_size = spec.image_size
        self._claims = ClaimMemory(spec.version)
        self._vetoes = (
            RewardData(Path(params["veto_dir"]).expanduser(), Layout(spec.cameras, spec.image_size))
            if params["veto_dir"]
            else None
        )
        self._lockstep: bool = params["lockstep"]
        self._stamps = StampJoin(part_names(self._cameras))
        self._newest = NewestJoin(self._cameras, params["max_age_s"])
        self._judge = RewardJudge(1, 1)
        self._apply(params.values)
        self._output = RewardOutput(self, self._judge, "classifier", self._on_episode)
        self.create_subscription(EeState, "ee_state", self._on_ee_state, qos.JOINT_STATES)
        for camera in self._cameras:
            self.create_subscription(
                Image,
                f"camera/{camera}/image_crop",
                lambda message, camera=camera: self._on_image(camera, message),
                qos.IMAGES,
            )
            self.diagnostics.expect(f"camera/{camera}/image_crop", "is image_cropper running?")
        self.diagnostics.expect("ee_state", "is ee_controller running?")
        self.diagnostics.ask(self._diagnose)
        self.get_logger().info(
            f"{params['model_file']} {spec.version}: cameras {list(spec.cameras)}, "
            f"{self._judge.debounce.k} of {self._judge.debounce.n} frames at {self._threshold:.3f}"
        )
        gc.collect()
        gc.freeze()  # torch and rclpy are for good

    def _diagnose(self, report: Report) -> None:
        report.values["model"] = self._model.spec.version
        report.values["successes that were not believed"] = self._judge.suppressed

    def _check(self, values: Mapping[str, Any]) -> str | None:
        if self._model is None:
            if not values["model_file"]:
                return "model_file: expected a reward model, got none; `hilrl reward train` makes one"
            self._model = load_model(Path(values["model_file"]).expanduser())
        try:
            Guard.from_values(values)
        except ValueError as error:
            return str(error)
        return Debounce.problem(*self._k_of_n(values))

    def _k_of_n(self, values: Mapping[str, Any]) -> tuple[int, int]:
        return values["k"] or self._model.spec.k, values["n"] or self._model.spec.n

    def _apply(self, values: Mapping[str, Any]) -> None:
        self._threshold = values["threshold"] or self._model.spec.threshold
        self._judge.debounce.tune(*self._k_of_n(values))
        self._judge.guard = Guard.from_values(values)
        self._newest.max_age_s = values["max_age_s"]

    def _on_ee_state(self, message: EeState) -> None:
        try:
            arm = arm_state(message)
        except ValueError as error:
            self._complain(error)
            return
        self._take(stamp_of(message), "arm", arm)

    def _on_image(self, camera: str, message: Image) -> None:
        stamp_ns, leads = stamp_of(message), camera == self._cameras[0]
        if leads and self._output.repeat(stamp_ns):
            return
        try:
            frame = frame_array(camera, message, self._image_size)
        except ValueError as error:
            self._complain(error)
            return
        self._take(stamp_ns, f"image.{camera}", frame, leads)

    def _take(self, stamp_ns: int, name: str, value: object, leads: bool = False) -> None:
        if self._lockstep:
            if parts := self._stamps.add(stamp_ns, name, value):
                self._answer(joined(self._cameras, stamp_ns, parts))
            return
        self._newest.add(stamp_ns, name, value)
        if not leads:
            return
        observation, reason = self._newest.take()
        if observation is not None:
            self._answer(observation)
        else:
            self.get_logger().warning(f"no success: {reason}", throttle_duration_sec=5.0)
            self._output.publish(self._judge.judge(stamp_ns, 0.0, False, None))

    def _answer(self, observation: RewardObservation) -> None:
        probability = self._model.probability(observation.frames)
        above = probability >= self._threshold
        self._claims.saw(observation, probability, above, self._judge.debounce.n)
        answer = self._judge.judge(observation.stamp_ns, probability, above, observation.arm)
        self._output.publish(answer)
        if answer.success:
            self._claims.claimed()

    def _on_episode(self, message: Episode) -> None:
        if not message.finished:
            self._claims.begin(message.episode)
            return
        vetoed = self._claims.finished(message.episode, message.success, message.truncated)
        if vetoed is None:
            return
        what = f"episode {message.episode}: its success was taken back; {len(vetoed.labels)} frames"
        if self._vetoes is None:
            self.get_logger().warning(f"{what} are not stored, veto_dir is empty")
            return
        try:
            self.get_logger().info(f"{what} stored as {self._vetoes.add(vetoed)}")
        except OSError as error:
            self.get_logger().error(f"{what} could not be stored: {error}")

    def _complain(self, error: ValueError) -> None:
        self.diagnostics.refused(str(error))
        self.get_logger().error(f"ignored: {error}", throttle_duration_sec=5.0)


def main() -> None:
    """Entry point."""
    run_node(RewardClassifier)
