"""What is wrong with a graph, judged from what was seen of it."""

from collections import Counter
from collections.abc import Iterator

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.qos import QoSCompatibility, qos_check_compatible

from hilrl import graph, viewers
from hilrl.doctor_graph import GraphView
from hilrl.findings import Finding, note, well, wrong

MUST_AGREE = {
    "control_hz": "sim ee_controller intervention_mux scripted_operator actor recorder replay_episode",
    "lockstep": "sim ee_controller actor reward_classifier replay_episode",
    "cameras": "actor learner recorder",
    "image_size": "image_cropper actor learner recorder",
    "action_axes": "actor learner recorder",
    "step_m": "ee_controller leader_teleop scripted_operator recorder",
    "step_rad": "ee_controller leader_teleop recorder",
    "workspace_min": "ee_controller leader_teleop",
    "workspace_max": "ee_controller leader_teleop",
    "gripper_open_rad": "ee_controller leader_teleop",
    "gripper_closed_rad": "ee_controller leader_teleop",
    "task": "sim scripted_operator",
}
"""Nodes that must have the same value of a parameter, as far as they run for one robot."""
ONE_SPEAKER = (
    "action",
    "ee_state",
    "joint_commands",
    "joint_states",
    "leader/joint_commands",
    "policy_action",
    "reward",
)
"""Topics of a robot on which a second publisher contradicts the first."""
ONE_SPEAKER_OF_ALL = ("/learner/policy", "/learner/ack", "/clock")
ENOUGH = 0.7
"""Share of the control rate at which real-time inputs may come."""
VIEWERS = {node.name for node in viewers.NODES}
"""Come and go as somebody looks."""
OURS = (graph.NODE_NAMES - VIEWERS) | {"reward_collector", "workspace_display"}
"""Nodes that speak on /diagnostics."""
UNANSWERED_ADVICE = (
    "it has ended, hangs or was stopped: log/{0}.log in the run's folder tells why, `pgrep -fa __node:={0}` "
    "whether it is there still; end the run with Ctrl+C and go on with it"
)
SILENT_ADVICE = "it hangs, or has just ended: see its log; end the run with Ctrl+C and go on with it"


def judge(view: GraphView) -> list[Finding]:
    """Everything there is to say, what is wrong first."""
    rules = (_missing, _silent, _diagnosed, _contradictions, _several_speakers, _mismatches, _slow, _no_clock)
    bad = [finding for rule in rules for finding in rule(view)]
    fine = [name for name in sorted(view.nodes) if view.speaks(name) and not _complaints(view, name)]
    return [*bad, *([well(f"{len(fine)} nodes are well: {', '.join(fine)}")] if fine else [])]


def _missing(view: GraphView) -> Iterator[Finding]:
    for node in sorted(view.expected - view.nodes):
        if _base(node) in VIEWERS:
            continue
        yield wrong(f"{node} does not answer", UNANSWERED_ADVICE.format(_base(node)))


def _silent(view: GraphView) -> Iterator[Finding]:
    for node in sorted(view.nodes):
        if _is_ours(node) and not view.speaks(node):
            yield wrong(f"{node} is there and says nothing of itself on /diagnostics", SILENT_ADVICE)


def _diagnosed(view: GraphView) -> Iterator[Finding]:
    for name in sorted(view.nodes):
        for status in _complaints(view, name):
            level = "warns" if status.level == DiagnosticStatus.WARN else "is in trouble"
            yield wrong(f"{status.name} {level}: {status.message}", "see what it says, and its log")


def _contradictions(view: GraphView) -> Iterator[Finding]:
    for robot in _robots(view):
        for name, bases in MUST_AGREE.items():
            said = {
                node: _comparable(view.parameters[node], name)
                for base in bases.split()
                for node in (f"{robot}/{base}", f"/{base}")
                if node in view.parameters
            }
            said = {node: value for node, value in said.items() if value is not None}
            if len({repr(value) for value in said.values()}) > 1:
                values = ", ".join(f"{node} {value}" for node, value in said.items())
                yield wrong(
                    f"{name} differs between nodes that must agree: {values}",
                    "set it alike (`hilrl param set`); one that is fixed, by starting the graph with it",
                )


def _several_speakers(view: GraphView) -> Iterator[Finding]:
    topics = [f"{robot}/{topic}" for robot in _robots(view) for topic in ONE_SPEAKER]
    for topic in (*topics, *ONE_SPEAKER_OF_ALL):
        speakers = Counter(end.node for end in view.publishers.get(topic, ()))
        if speakers.total() > 1:
            named = ", ".join(
                f"{node} ({n} times)" if n > 1 else node for node, n in sorted(speakers.items())
            )
            yield wrong(
                f"{topic} has {speakers.total()} publishers, expected one: {named}",
                "stop all but one, or give a second robot a name of its own; of one that was killed, DDS "
                "lets go after 20 s",
            )


def _mismatches(view: GraphView) -> Iterator[Finding]:
    for topic, publishers in view.publishers.items():
        for publisher in publishers:
            for subscription in view.subscriptions.get(topic, ()):
                pair = f"{topic} from {publisher.node} does not reach {subscription.node}"
                if publisher.kind != subscription.kind:
                    yield wrong(
                        f"{pair}: {publisher.kind} is published, {subscription.kind} expected",
                        "one of the two is of another version, or takes the wrong topic",
                    )
                    continue
                fits, reason = qos_check_compatible(publisher.profile, subscription.profile)
                if fits == QoSCompatibility.ERROR:
                    yield wrong(
                        f"{pair}: {reason.strip()}", "make their QoS profiles fit, see hilrl_ros/qos.py"
                    )


def _slow(view: GraphView) -> Iterator[Finding]:
    """In real time, what comes slower than the control rate makes ticks without news."""
    for node, parameters in view.parameters.items():
        if _base(node) != "actor" or parameters.get("lockstep"):
            continue
        wanted_hz = float(parameters["control_hz"])
        for key, value in view.values(node).items():
            crop_or_state = "image_crop" in key or key.startswith("takes joint_states")
            if key.startswith("takes ") and crop_or_state and 0.0 < float(value) < ENOUGH * wanted_hz:
                topic = key.removeprefix("takes ").removesuffix(" [Hz]")
                yield wrong(
                    f"{node} takes {topic} {value} times a second, and acts {wanted_hz:g} times",
                    "make the camera or the arm's driver faster, lower control_hz, or unload the machine",
                )


def _no_clock(view: GraphView) -> Iterator[Finding]:
    waiting = sorted(
        end.node for end in view.subscriptions.get("/clock", ()) if not view.publishers.get("/clock")
    )
    if waiting:
        yield wrong(
            f"{', '.join(waiting)} wait for /clock, which nobody publishes",
            "start the simulator, or these nodes with use_sim_time false",
        )
    unknown = sorted(node for node in view.nodes if not _is_ours(node))
    if unknown:
        yield note(f"nodes that are not of hilrl: {', '.join(unknown)}")


def _complaints(view: GraphView, node: str) -> list[DiagnosticStatus]:
    return [
        status
        for name, status in sorted(view.statuses.items())
        if name.startswith(f"{node}: ") and status.level != DiagnosticStatus.OK
    ]


def _comparable(parameters: dict, name: str) -> object:
    """None where the node does not have it. The cropper calls image_size size, and has it twice."""
    if name == "image_size" and "size" in parameters:
        size = parameters["size"]
        return size[0] if size[0] == size[1] else size
    return parameters.get(name)


def _robots(view: GraphView) -> list[str]:
    """Namespaces with nodes of a robot."""
    return sorted({node.rpartition("/")[0] for node in view.nodes if _is_ours(node)} - {""})


def _is_ours(node: str) -> bool:
    return _base(node) in OURS


def _base(node: str) -> str:
    return node.rpartition("/")[2]
