"""Topics as a user names them: `joint_states, action, /learner/ack`, or `all`."""

import re

ALL = "all"
"""Every topic but what cameras give, which is most of the bytes."""
_NAME = re.compile(r"/?[A-Za-z_]\w*(/[A-Za-z_]\w*)*", re.ASCII)


def chosen_topics(text: str, field: str) -> tuple[str, ...]:
    """The names in a list separated by commas or spaces; relative ones are the robot's.

    `field`: what the list was given as. Raises ValueError naming it where there is no name, or none that
    ROS allows.
    """
    names = tuple(re.findall(r"[^\s,]+", text))
    if not names:
        raise ValueError(f"{field}: expected names of topics, or {ALL}, got {text!r}")
    for name in names:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{field}: expected names of topics, or {ALL}, got {name!r}")
    return names


def is_of_all(topic: str) -> bool:
    """Whether `all` means this topic, by its full name; those of ROS's own machinery are hidden."""
    return not topic.endswith("/image_raw") and "/_" not in topic
