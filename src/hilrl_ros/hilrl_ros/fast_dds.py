"""Fast DDS as hilrl needs it, in every process: found quickly, with room for steps, images and weights."""

import os
from pathlib import Path

VARIABLE = "FASTRTPS_DEFAULT_PROFILES_FILE"
"""Names the profiles that Fast DDS 2 reads when the first participant is made; other engines ignore it."""


def configure() -> None:
    """Call before rclpy is initialised. A file that the variable names already stays in charge."""
    os.environ.setdefault(VARIABLE, str(Path(__file__).with_name("fast_dds.xml")))
