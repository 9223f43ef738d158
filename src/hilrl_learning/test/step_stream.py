"""A small stream of random steps, for the tests of the learning core."""

from collections.abc import Callable, Iterator

import numpy as np

from hilrl_learning.data import Action, Gripper, Observation, ObservationSpec, Source, Step

SPEC = ObservationSpec(
    state_names=("ee_position.x", "ee_position.y", "ee_position.z", "gripper_target"),
    cameras=("front", "wrist"),
    image_size=(64, 64),
)


class StepStream:
    """Numbers the steps of one actor as a real one does; contents are random."""

    def __init__(self, seed: int = 0, actor_id: str = "arm") -> None:
        self.rng = np.random.default_rng(seed)
        self.actor_id = actor_id
        self.sequence = 0
        self.episode = 0

    def observation(self) -> Observation:
        images = self.rng.integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
        return Observation(
            stamp_ns=int(self.rng.integers(1 << 40)),
            state=self.rng.normal(size=4).astype(np.float32),
            images=images,
        )

    def steps(
        self,
        length: int,
        source: Source | Callable[[int], Source] = Source.POLICY,
        terminated: bool = True,
        reward: float = 1.0,
    ) -> Iterator[Step]:
        """One episode; its last step terminates, or else is truncated."""
        self.episode += 1
        for index in range(length):
            self.sequence += 1
            last = index == length - 1
            yield Step(
                actor_id=self.actor_id,
                sequence=self.sequence,
                episode=self.episode,
                index=index,
                observation=self.observation(),
                action=Action(
                    delta=self.rng.uniform(-1, 1, 5).astype(np.float32),
                    gripper=Gripper(int(self.rng.integers(3))),
                    source=source(index) if callable(source) else source,
                    policy_version=int(self.rng.integers(10)),
                ),
                reward=reward if last and terminated else 0.0,
                terminated=last and terminated,
                truncated=last and not terminated,
                final_observation=self.observation() if last else None,
            )
