"""The actor: acts at every tick, makes steps of what came of it, and gets them to the learner."""

import gc
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from sensor_msgs.msg import Image, JointState
from std_srvs.srv import SetBool

from hilrl_interfaces.msg import EeAction, EeState, Episode, RewardEstimate
from hilrl_interfaces.srv import LabelEpisode
from hilrl_learning.actor_diagnostics import expect_inputs
from hilrl_learning.actor_modes import make_mode
from hilrl_learning.actor_parameters import PARAMETERS
from hilrl_learning.data import DELTA_AXES, Action, ActionSpec, ObservationSpec
from hilrl_learning.episode import EpisodeSummary, Kind
from hilrl_learning.episode_loop import EpisodeLoop, Outcome
from hilrl_learning.episode_message import episode_to_message
from hilrl_learning.labels import Labels
from hilrl_learning.messages import action_from_message, action_to_message
from hilrl_learning.observation_sync import LockstepSync, RealTimeSync, Tick, state_names
from hilrl_learning.recorder_link import RecorderLink
from hilrl_learning.scene_reset import SceneReset
from hilrl_learning.tick_pace import TickPace
from hilrl_ros import qos
from hilrl_ros.diagnostics import Report
from hilrl_ros.main import run_node
from hilrl_ros.node import Node
from hilrl_ros.parameters import Parameters
from hilrl_ros.stamps import to_ns

POLL_S = 0.05
SHORTEST_TIMER_S = 0.001
PATIENCE_S, GIVE_UP_S = 0.1, 2.0
"""Wall time after which a tick in lockstep asks again for the executed action of the one before, and after
which it goes on without: a busy machine holds a process up for some tenths of a second."""
SAY_AGAIN_S = 1.0
"""A demonstration that nobody begins may not be known to whoever is to show it: the word is given again."""


class Actor(Node):
    """Wires topics to the synchroniser, the episode loop and, by mode, the learner or an evaluation."""

    def __init__(self, **kwargs: Any) -> None:
        """Raises ValueError where a parameter or a file it names is refused."""
        super().__init__("actor", **kwargs)
        torch.set_num_threads(1)
        params = self._params = Parameters(self, PARAMETERS, on_change=self._retune)
        torch.manual_seed(params["seed"])
        self._lockstep: bool = params["lockstep"]
        self._base_frame: str = params["base_frame"]
        observation = ObservationSpec(state_names(), tuple(params["cameras"]), (params["image_size"],) * 2)
        action = ActionSpec(tuple(params["action_axes"]))
        self._sync = (
            LockstepSync(observation) if self._lockstep else RealTimeSync(observation, params["max_age_s"])
        )
        self._actions = self.create_publisher(EeAction, "policy_action", qos.ACTIONS)
        self._episodes = self.create_publisher(Episode, "episode", qos.EVENTS)
        self._mode = make_mode(self, params, observation, action)
        self._loop = EpisodeLoop(
            params["actor_id"],
            1.0 / params["control_hz"],
            params["max_episode_steps"],
            *self._mode.last_numbers,
        )
        self._loop.holds_success = params["veto_s"] > 0.0
        self._labels = Labels(self._loop)
        self._recorder = RecorderLink(self)
        self._reset = SceneReset(self, params["sim_reset"], self._on_scene_ready, params["reset_service"])
        self._reset.timeout_s = params["reset_timeout_s"]
        self._summary: EpisodeSummary | None = None
        """Of the episode that runs, or whose scene is being prepared."""
        self._first_stamp_ns: int | None = None
        """Of the prepared scene, until its episode has begun."""
        self._unanswered: tuple[Tick, float] | None = None
        self._answer: EeAction | None = None
        self._veto_until_s = self._said_s = 0.0
        self._arm_status = self._status = ""
        self._subscribe(observation)
        expect_inputs(self.diagnostics, observation.cameras, params["mode"] == "train")
        self.diagnostics.ask(self._diagnose)
        gc.collect()
        gc.freeze()  # torch and rclpy are for good; collecting among them would pause the loop

    def _subscribe(self, observation: ObservationSpec) -> None:
        for camera in observation.cameras:
            self.create_subscription(
                Image,
                f"camera/{camera}/image_crop",
                partial(self._on_image, camera),
                qos.IMAGES,
            )
        for kind, topic, method, profile in (
            (RewardEstimate, "reward", "add_reward", qos.EVENTS),
            (JointState, "joint_states", "add_joint_state", qos.JOINT_STATES),
        ):
            self.create_subscription(
                kind, topic, lambda message, method=method: self._take(method, message), profile
            )
        self.create_subscription(EeState, "ee_state", self._on_ee_state, qos.JOINT_STATES)
        self.create_subscription(EeAction, "action", self._on_executed, qos.ACTIONS)
        self.create_service(SetBool, "~/pause", self._on_pause)
        self.create_service(LabelEpisode, "~/label", self._on_label)
        # Silence is wall time, also where the arm's time is simulated.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(POLL_S, self._on_poll, clock=steady)
        if not self._lockstep:
            period_s = 1.0 / self._params["control_hz"]
            self._pace = TickPace(period_s)
            self._timer = self.create_timer(period_s, self._on_deadline, clock=steady)

    def _diagnose(self, report: Report) -> None:
        report.values["doing"] = self._status
        if self._mode.policy is not None:
            report.values["policy version"] = self._mode.policy.version
        self._mode.diagnose(report)

    def _retune(self, values: Mapping[str, Any]) -> None:
        self._loop.max_episode_steps = values["max_episode_steps"]
        self._loop.holds_success = values["veto_s"] > 0.0
        self._reset.timeout_s = values["reset_timeout_s"]
        if not self._lockstep:
            self._sync.max_age_s = values["max_age_s"]
        if values["mode"] == "train":
            self._mode.course.learner_timeout_s = values["learner_timeout_s"]

    def _take(self, method: str, *parts: Any) -> None:
        """A part of an observation came."""
        try:
            tick = getattr(self._sync, method)(*parts)
        except ValueError as error:
            self.diagnostics.refused(str(error))
            self.get_logger().error(f"ignored: {error}", throttle_duration_sec=5.0)
            return
        if tick is not None:
            self._on_tick(tick)

    def _on_image(self, camera: str, message: Image) -> None:
        self._take("add_image", camera, message)
        # Other parts that come later do not count: the tick is to follow the frames.
        if not self._lockstep and self._sync.has_new_frames and self._pace.on_frames(time.monotonic()):
            self._on_due()

    def _on_ee_state(self, message: EeState) -> None:
        self._arm_status = message.status
        self._take("add_ee_state", message)

    def _on_deadline(self) -> None:
        """Real time: no new frames came in time."""
        if self._pace.on_deadline(time.monotonic()):
            self._on_due()
        else:
            self._set_timer()  # it fired a hair early

    def _set_timer(self) -> None:
        left_s = self._pace.deadline_s - time.monotonic()
        self._timer.timer_period_ns = round(max(left_s, SHORTEST_TIMER_S) * 1e9)
        self._timer.reset()

    def _on_due(self) -> None:
        """Real time: the tick."""
        self._set_timer()
        if self._summary is None:
            return
        tick, reason = self._sync.take()
        if tick is None:
            self._loop.doubt()
            self.diagnostics.refused(f"no observation: {reason}")
            self.get_logger().warning(f"holding: {reason}", throttle_duration_sec=5.0)
        else:
            self._on_tick(tick)

    def _on_tick(self, tick: Tick) -> None:
        if not self._loop.running:
            if not self._is_of_prepared_scene(tick):
                return
            self._first_stamp_ns = None
            if not self._params["sim_reset"]:
                self._publish_episode(self._summary, finished=False)
            self._loop.begin(self._summary)
            self._labels.begun()
        self._follow(self._loop.tick(tick, patient=self._lockstep), tick)

    def _is_of_prepared_scene(self, tick: Tick) -> bool:
        if self._first_stamp_ns is None or tick.oldest_ns < self._first_stamp_ns:
            return False
        if self._params["sim_reset"]:
            return True
        return self._reset.is_home(tick.holding, self._arm_status, time.monotonic())

    def _follow(self, outcome: Outcome, tick: Tick) -> None:
        if not outcome.await_executed:
            self._unanswered = None
        elif self._unanswered is None:
            self._unanswered = (tick, time.monotonic())
        # The arm goes first: it moves while the step is written.
        if outcome.act:
            self._mode.swap_policy()
            stamp_ns = tick.observation.stamp_ns
            self._answer = action_to_message(self._choose(tick), stamp_ns, self._base_frame)
        if outcome.act or outcome.repeat:
            self._actions.publish(self._answer)
        if outcome.held:
            self._veto_until_s = time.monotonic() + self._params["veto_s"]
            self._say(f"success, unless it is labelled FAILURE within {self._params['veto_s']:g} s")
        self._keep(outcome)
        if outcome.end is not None:
            self._prepare_next()

    def _keep(self, outcome: Outcome) -> None:
        """Hand on the step, and the end of the episode."""
        if outcome.step is not None:
            self._mode.keep(outcome.step)
        if outcome.end is not None:
            self._labels.ended(outcome.end)
            self._mode.ended(outcome.end)
            self._publish_episode(outcome.end, finished=True)
            self._summary = None  # `_on_poll` has the next one prepared, if nobody does before

    def _choose(self, tick: Tick) -> Action:
        policy = self._mode.policy
        if policy is None or self._summary.kind is Kind.DEMONSTRATION:
            return Action(np.zeros(len(DELTA_AXES), np.float32))
        return policy.act(tick.observation, self._mode.explores)

    def _on_executed(self, message: EeAction) -> None:
        try:
            self._loop.executed(to_ns(message.header.stamp), action_from_message(message))
        except ValueError as error:
            self.diagnostics.refused(str(error))
            self.get_logger().error(f"ignored: {error}", throttle_duration_sec=5.0)
            return
        if self._unanswered is not None:
            self._on_tick(self._unanswered[0])

    def _on_poll(self) -> None:
        now_s = time.monotonic()
        self._mode.poll()
        self._reset.poll(now_s)
        reason = self._mode.must_stop()
        if self._loop.holding:
            if reason or now_s > self._veto_until_s:
                self._keep(self._loop.release())
        elif self._loop.running:
            if reason:
                self._say(reason)
                self._loop.cut()
            elif self._loop.waiting and now_s - self._said_s > SAY_AGAIN_S:
                self._publish_episode(self._summary, finished=False)
        elif reason or self._summary is None:
            self._prepare_next()
        if self._unanswered is not None:
            tick, since_s = self._unanswered
            if now_s - since_s > GIVE_UP_S:
                self._follow(self._loop.tick(tick), tick)
            elif now_s - since_s > PATIENCE_S:
                self._actions.publish(self._answer)  # the mux repeats what it let through

    def _prepare_next(self) -> None:
        """Have the scene set up for the next episode, if there is to be one now."""
        if self._mode.finished:
            # Whoever counts episodes wants the last one too.
            self._episodes.wait_for_all_acked(Duration(seconds=0.5))
            raise SystemExit(0)
        self._summary = self._first_stamp_ns = None
        self._mode.swap_policy()
        self._loop.continue_from(*self._mode.last_numbers)
        plan, reason = self._mode.next(self._loop.next_episode)
        if plan is None:
            self._abandon()
            self._say(reason)
            return
        plan = self._labels.planned(plan)
        self._say(f"{plan.kind.name.lower()} episodes")
        self._summary = self._loop.prepare(plan.kind, plan.seed)
        self._sync.forget()
        if self._params["sim_reset"]:
            # Before the first tick of the scene, at which a scripted operator acts already.
            self._publish_episode(self._summary, finished=False)
        self._reset.ask(plan.seed, time.monotonic())

    def _abandon(self) -> None:
        """No scene is wanted now."""
        self._summary = self._first_stamp_ns = None
        self._reset.cancel()

    def _on_scene_ready(self, first_stamp_ns: int) -> None:
        self._first_stamp_ns = first_stamp_ns
        if self._lockstep and (tick := self._sync.newest()) is not None:
            self._on_tick(tick)  # the scene was faster than its service's answer

    def _publish_episode(self, summary: EpisodeSummary, finished: bool) -> None:
        self._said_s = time.monotonic()
        self._episodes.publish(episode_to_message(summary, self._params["actor_id"], finished))

    def _on_pause(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._mode.course.paused = request.data
        if request.data:  # at once, or a quick "go on" would undo it
            if self._loop.holding:
                self._keep(self._loop.release())
            self._loop.cut()
            if not self._loop.running:
                self._abandon()
        response.success, response.message = True, "paused" if request.data else "goes on"
        return response

    def _on_label(
        self, request: LabelEpisode.Request, response: LabelEpisode.Response
    ) -> LabelEpisode.Response:
        preparing = self._summary is not None and not self._loop.running
        answer = self._labels.take(request.label, preparing, self._mode.course.paused)
        response.success, response.message = answer.accepted, answer.message
        if answer.outcome is not None:
            self._keep(answer.outcome)
        if answer.drop is not None:
            self._mode.take_back(answer.drop.episode)
            response.message += self._recorder.drop(answer.drop.episode)
        if answer.prepare:
            self._prepare_next()
        return response

    def _say(self, status: str) -> None:
        """Once per change."""
        if status != self._status:
            self._status = status
            self.get_logger().info(status)

    def close(self) -> None:
        """Called by `run_node` at the end."""
        self._mode.close()


def main() -> None:
    """Entry point."""
    run_node(Actor)
