"""How far the arm is from itself and from the table, with Pinocchio and Coal.

The shapes are the collision shapes of the URDF; the table is everything below a plane. What the jaws hold,
and what stands on the table, is not modelled. Left out are pairs that always touch: shapes of one link, of
links that a joint connects, and of links that touch with all joints at zero.
"""

import coal
import numpy as np
import pinocchio as pin
from numpy.typing import ArrayLike

from hilrl_control.kinematics import Array, Kinematics

TABLE = "table"
SHORTEST_STEP_M = 0.002
"""Between two poses that are looked at no pair comes nearer by more than this, or than is free."""
NOISE_M = 1e-4
"""A distance that shrinks by less has not shrunk."""


class CollisionModel:
    """Distances between what may touch. Holds work space of Pinocchio: one instance belongs to one thread."""

    def __init__(self, kinematics: Kinematics, table_z_m: float) -> None:
        """`table_z_m`: height of the table in the base frame [m].

        Raises ValueError where the URDF gives a moving link no collision shape.
        """
        self._model, self._joint_ids = kinematics.model, kinematics.joint_ids
        self._columns = [self._model.joints[i].idx_q for i in self._joint_ids]
        self._data = self._model.createData()
        self._q = pin.neutral(self._model)
        self._shapes = _shapes_of(kinematics)
        self._table = self._shapes.addGeometryObject(
            pin.GeometryObject(
                TABLE, 0, 0, pin.SE3.Identity(), coal.Halfspace(np.array([0.0, 0.0, 1.0]), 0.0)
            )
        )
        self.table_z_m = table_z_m
        self._joints = [shape.parentJoint for shape in self._shapes.geometryObjects]
        self._add_pairs()
        self._pair_reach = self._pair_reaches(self._reaches())
        self.evaluations = 0
        """How often distances were computed; a measure of work that does not depend on the machine."""

    @property
    def pairs(self) -> set[frozenset[str]]:
        """Names of the links whose distances are looked at, two by two; one of them may be the table."""
        return {frozenset((self._link(p.first), self._link(p.second))) for p in self._shapes.collisionPairs}

    @property
    def table_z_m(self) -> float:
        """Height of the table in the base frame [m]."""
        return self._table_z_m

    @table_z_m.setter
    def table_z_m(self, height: float) -> None:
        self._table_z_m = height
        placement = pin.SE3(np.eye(3), np.array([0.0, 0.0, height]))
        self._shapes.geometryObjects[self._table].placement = placement

    def distances(self, q: ArrayLike) -> Array:
        """Of every pair that may touch, shape (pairs,) [m], below zero in overlap; `q`: shape (6,) [rad]."""
        self.evaluations += 1
        self._q[self._columns] = q
        pin.computeDistances(self._model, self._data, self._shapes, self._results, self._q)
        return np.array([result.min_distance for result in self._results.distanceResults])

    def distance(self, q: ArrayLike) -> float:
        """Of the nearest pair [m]."""
        return float(self.distances(q).min())

    def in_collision(self, q: ArrayLike, clearance_m: float = 0.0) -> bool:
        """Whether any pair is nearer than `clearance_m`."""
        return self.distance(q) < clearance_m

    def nearest(self, q: ArrayLike) -> str:
        """The nearest pair in words: "gripper_link and table are 2.1 mm apart"."""
        distances = self.distances(q)
        pair = self._shapes.collisionPairs[int(distances.argmin())]
        first, second = (self._link(index) for index in sorted((pair.first, pair.second)))
        millimetres = 1000.0 * float(distances.min())
        if millimetres < 0.0:
            return f"{first} and {second} overlap by {-millimetres:.1f} mm"
        return f"{first} and {second} are {millimetres:.1f} mm apart"

    def allowed_from(self, q: ArrayLike, clearance_m: float) -> Array:
        """What each pair must keep on the way from `q`, shape (pairs,) [m]: the clearance.

        A pair that is nearer than that already must not come nearer still.
        """
        return np.minimum(self.distances(q), clearance_m)

    def first_collision(
        self, q_from: Array, q_to: Array, clearance_m: float, allowed: Array | None = None
    ) -> Array | None:
        """The first pose on the straight line in joint space that is too near to something, or None.

        `allowed`: shape (pairs,) [m], as from `allowed_from`, by default the clearance; it is raised in place
        as pairs come apart. Each step is as long as what is free at its start, so nothing slips through.
        """
        if allowed is None:
            allowed = np.full(len(self._shapes.collisionPairs), clearance_m)
        motion_m = np.maximum(self._pair_reach @ np.abs(q_to - q_from), 1e-9)
        share = 0.0
        while True:
            q = q_to if share >= 1.0 else q_from + (q_to - q_from) * share
            distances = self.distances(q)
            if (distances < allowed - NOISE_M).any():
                return q
            np.maximum(allowed, np.minimum(distances, clearance_m), out=allowed)
            if share >= 1.0:
                return None
            share += float((np.maximum(distances - clearance_m, SHORTEST_STEP_M) / motion_m).min())

    def _link(self, index: int) -> str:
        shape = self._shapes.geometryObjects[index]
        return TABLE if index == self._table else self._model.frames[shape.parentFrame].name

    def _add_pairs(self) -> None:
        """All but what always touches."""
        joints, parents = self._joints, self._model.parents
        for i in range(len(joints)):
            for j in range(i + 1, len(joints)):
                low, high = sorted((joints[i], joints[j]))
                # The table is of no link, and what stands on it does so by a base that does not move.
                connected = low == high or (parents[high] == low and self._table not in (i, j))
                if not connected:
                    self._shapes.addCollisionPair(pin.CollisionPair(i, j))
        self._results = pin.GeometryData(self._shapes)
        self.evaluations = 0
        at_zero = self.distances(np.zeros(len(self._columns)))
        # Copies: what is read from the list changes when one is removed from it.
        pairs = [pin.CollisionPair(p.first, p.second) for p in self._shapes.collisionPairs]
        touching = {
            (joints[pair.first], joints[pair.second])
            for pair, distance in zip(pairs, at_zero, strict=True)
            if distance <= 0.0 and self._table not in (pair.first, pair.second)
        }
        for pair in pairs:
            if (joints[pair.first], joints[pair.second]) in touching and pair.second != self._table:
                self._shapes.removeCollisionPair(pair)
        self._results = pin.GeometryData(self._shapes)

    def _pair_reaches(self, reach: Array) -> Array:
        """`reach`, but zero for joints that move both or neither of a pair; shape (pairs, 6) [m]."""
        moved_by = [set(self._model.supports[joint]) for joint in self._joints]
        return np.array(
            [
                [
                    distance if (joint in moved_by[pair.first]) != (joint in moved_by[pair.second]) else 0.0
                    for joint, distance in zip(self._joint_ids, reach, strict=True)
                ]
                for pair in self._shapes.collisionPairs
            ]
        )

    def _reaches(self) -> Array:
        """Per joint, no point that it moves is further from its axis than this, shape (6,) [m]."""
        reach = np.zeros(self._model.njoints)
        for shape, joint in zip(self._shapes.geometryObjects, self._joints, strict=True):
            if joint == 0:
                continue
            shape.geometry.computeLocalAABB()
            distance = float(np.linalg.norm(shape.placement.act(shape.geometry.aabb_center)))
            distance += float(shape.geometry.aabb_radius)
            while joint > 0:
                reach[joint] = max(reach[joint], distance)
                distance += float(np.linalg.norm(self._model.jointPlacements[joint].translation))
                joint = self._model.parents[joint]
        return reach[self._joint_ids]


def _shapes_of(kinematics: Kinematics) -> pin.GeometryModel:
    model = kinematics.model
    try:
        shapes = pin.buildGeomFromUrdfString(model, kinematics.urdf, pin.GeometryType.COLLISION)
    except Exception as error:  # each kind of unreadable mesh has its own
        raise ValueError(f"urdf: its collision shapes cannot be read: {error}") from error
    present = {shape.parentJoint for shape in shapes.geometryObjects}
    if missing := [model.names[i] for i in kinematics.joint_ids if i not in present]:
        raise ValueError(
            f"urdf: expected a collision shape behind every joint, there is none behind {missing}"
        )
    return shapes
