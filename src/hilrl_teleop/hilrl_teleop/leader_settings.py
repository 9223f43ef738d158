"""What tunes the leader arm as a device: one value per tunable."""

from dataclasses import dataclass

MOVEMENT, DEADMAN = TAKEOVERS = ("movement", "deadman")
DISCRETE, CONTINUOUS = GRIPPERS = ("discrete", "continuous")


@dataclass(frozen=True)
class LeaderSettings:
    """Replaced as a whole, so that every input sees one consistent set."""

    takeover: str = MOVEMENT
    """One of TAKEOVERS: a push against the mirroring leader, or a button that is held."""
    gripper: str = DISCRETE
    """One of GRIPPERS: the leader's jaw asks for CLOSE and OPEN, or says how far."""
    scale: float = 1.0
    """Follower metres per leader metre; angles are not scaled."""
    step_m: float = 0.02
    """As of ee_controller, like the following five; a wrong one makes the follower come after badly."""
    step_rad: float = 0.1
    workspace_min: tuple[float, float, float] = (0.12, -0.15, 0.005)
    workspace_max: tuple[float, float, float] = (0.32, 0.15, 0.22)
    gripper_open_rad: float = 0.9
    gripper_closed_rad: float = -0.1
    lead_m: float = 0.06
    """How far the hand may be ahead of the follower's target [m]; pitch and roll as many steps."""
    engage_rad: float = 0.12
    """This far off where it was on its way to, a joint is being pushed [rad]. A loaded one droops by 0.05."""
    engage_s: float = 0.1
    """How long a joint must be pushed [s]."""
    mirror_lag_s: float = 0.3
    """How much later than commanded the leader may be where it is told to be [s]."""
    slowest_rad_s: float = 0.25
    """A leader that comes after more slowly is being held [rad/s]: soft torque lifts a shoulder at 0.4."""
    release_rad: float = 0.03
    """A leader that stays within this is not being moved [rad]."""
    release_s: float = 1.0
    """How long it must not be moved for the follower to be handed back [s]."""
    jaw_band_rad: float = 0.15
    """How far the leader's jaw must move before it asks for anything [rad]; to reverse, twice as far."""
    catch_up_rad_s: float = 0.4
    """Speed at which a mirroring leader sets out for the follower [rad/s]; grows by as much per second."""
    leader_timeout_s: float = 0.25
    """A leader silent for longer is not there [s]."""
    follower_timeout_s: float = 0.5
    """A follower silent for longer, `ee_state` or `joint_states`, is not there [s]."""

    @property
    def lead_rad(self) -> float:
        """How far pitch and roll may be ahead [rad]."""
        return self.lead_m / self.step_m * self.step_rad
