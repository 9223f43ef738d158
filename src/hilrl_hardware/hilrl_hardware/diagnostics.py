"""What the arm's driver says on /diagnostics: one status for the arm and its bus, one per servo."""

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from std_msgs.msg import Header

from hilrl_hardware.arm import Arm, Mode
from hilrl_hardware.bus import ServoBus
from hilrl_hardware.control_loop import LoopStatistics
from hilrl_hardware.health_limits import Level
from hilrl_hardware.registers import fault_names
from hilrl_ros.joints import JOINT_NAMES

LEVELS = {
    Level.OK: DiagnosticStatus.OK,
    Level.WARN: DiagnosticStatus.WARN,
    Level.HOLD: DiagnosticStatus.ERROR,
    Level.EASE_OFF: DiagnosticStatus.ERROR,
}
LATE_SHARE = 0.05
"""Of all cycles; above, the machine is too busy for the rate."""


def arm_diagnostics(
    stamp: Time, node: str, bus: ServoBus, arm: Arm, loop: LoopStatistics, before: LoopStatistics
) -> DiagnosticArray:
    """All of it, in one message. `before`: the loop's statistics at the message before."""
    servos = [_servo(node, bus.port, arm, joint) for joint in range(len(JOINT_NAMES))]
    return DiagnosticArray(header=Header(stamp=stamp), status=[_arm(node, bus, arm, loop, before), *servos])


def _arm(
    node: str, bus: ServoBus, arm: Arm, loop: LoopStatistics, before: LoopStatistics
) -> DiagnosticStatus:
    late = loop.late + loop.skipped - before.late - before.skipped
    level, message = DiagnosticStatus.OK, arm.mode.value
    if arm.mode is Mode.DISCONNECTED:
        level, message = DiagnosticStatus.ERROR, f"{arm.mode}: the board does not answer"
    elif arm.stopped:
        level, message = DiagnosticStatus.ERROR, f"{arm.mode}: {arm.stopped}"
    elif arm.mode is Mode.ACTIVE and arm.goals.holding:
        message = f"holding: {arm.goals.reason}"
    if level == DiagnosticStatus.OK and late > LATE_SHARE * (loop.cycles - before.cycles):
        level, message = DiagnosticStatus.WARN, f"{message}; cycles come late"
    replies = bus.statistics
    return _status(
        level,
        f"{node}: arm",
        message,
        bus.port,
        {
            "mode": arm.mode.value,
            "rate [Hz]": f"{loop.rate_hz:.1f}",
            "cycles": loop.cycles,
            "late cycles": loop.late,
            "overruns": loop.overruns,
            "skipped cycles": loop.skipped,
            "mean cycle [ms]": f"{1e3 * loop.busy_s / max(1, loop.cycles):.2f}",
            "longest cycle [ms]": f"{1e3 * loop.longest_s:.2f}",
            "requests": replies.requests,
            "replies": replies.replies,
            "missing replies": replies.missing,
            "refused poses": arm.reader.refused,
        },
    )


def _servo(node: str, port: str, arm: Arm, joint: int) -> DiagnosticStatus:
    name, servo_id = JOINT_NAMES[joint], arm.reader.ids[joint]
    verdict, feedback = arm.verdict, arm.reader.feedback[joint]
    said = [finding.text for finding in verdict.findings if finding.joint == name]
    values: dict[str, object] = {}
    if feedback is not None:
        values = {
            "position [tick]": feedback.position,
            "temperature [C]": feedback.temperature_c,
            "voltage [V]": f"{feedback.voltage_v:.1f}",
            "current [A]": f"{feedback.current_a:.3f}",
            "load": f"{feedback.load:.3f}",
            "faults": ", ".join(fault_names(feedback.status)) or "none",
        }
    return _status(
        LEVELS[verdict.joint_levels[joint]],
        f"{node}: {name}",
        said[0] if said else "well",
        f"{port} servo {servo_id}",
        values,
    )


def _status(
    level: bytes, name: str, message: str, hardware: str, values: dict[str, object]
) -> DiagnosticStatus:
    pairs = [KeyValue(key=key, value=str(value)) for key, value in values.items()]
    return DiagnosticStatus(level=level, name=name, message=message, hardware_id=hardware, values=pairs)
