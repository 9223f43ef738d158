"""What an actor cannot do without, and what it does: for its diagnostics."""

from collections.abc import Sequence

from hilrl_ros.diagnostics import Diagnostics, Level


def expect_inputs(diagnostics: Diagnostics, cameras: Sequence[str], trains: bool) -> None:
    """`trains`: there should be a learner."""
    for camera in cameras:
        diagnostics.expect(
            f"camera/{camera}/image_crop", "is image_cropper running, and does it get that camera's images?"
        )
    diagnostics.expect("joint_states", "is the arm's driver, or the simulator, running?")
    diagnostics.expect("ee_state", "is ee_controller running, and does it get joint_states?")
    diagnostics.expect("reward", "is the node that judges success running?")
    if trains:
        # Without a learner it goes on for `learner_timeout_s`.
        diagnostics.expect("/learner/ack", "is the learner running, and in the same ROS domain?", Level.WARN)
