"""What a node says of itself on /diagnostics, heard from another process."""

import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.publisher import Publisher
from std_msgs.msg import String

from hilrl_ros import qos
from hilrl_ros.testing import Probe, StartNode

LISTENING_NODE = Path(__file__).with_name("listening_node.py")
OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR
Condition = Callable[[DiagnosticStatus], bool]


class Listener:
    """The other process: words to it, its diagnostics back."""

    def __init__(self, probe: Probe, namespace: str) -> None:
        self._probe, self._name = probe, f"{namespace}/listener: node"
        self.arrays: list[DiagnosticArray] = []
        self.words: Publisher = probe.node.create_publisher(String, "words", qos.EVENTS)
        probe.node.create_subscription(DiagnosticArray, "/diagnostics", self._on_array, qos.EVENTS)

    def _on_array(self, array: DiagnosticArray) -> None:
        if array.status[0].name == self._name:
            self.arrays.append(array)

    def says(self, condition: Condition, word: str | None = None) -> DiagnosticStatus:
        """The first status for which `condition` holds, while `word` is said to it again and again."""

        def holds() -> bool:
            if word is not None:
                self.words.publish(String(data=word))
            return any(condition(array.status[0]) for array in self.arrays)

        self.arrays.clear()
        self._probe.spin_until(holds, 40.0)
        return next(array.status[0] for array in self.arrays if condition(array.status[0]))


def values(status: DiagnosticStatus) -> dict[str, str]:
    return {pair.key: pair.value for pair in status.values}


@pytest.fixture
def listener(start_node: StartNode, probe: Probe, namespace: str) -> Listener:
    start_node(LISTENING_NODE)
    return Listener(probe, namespace)


def test_a_silent_input_is_an_error_that_says_where_to_look(listener: Listener, namespace: str) -> None:
    status = listener.says(lambda s: s.level == ERROR)
    assert status.message.startswith("no words for ") and status.message.endswith("s: is anybody there?")
    assert values(status)["age of words [s]"] == "never came"
    assert status.hardware_id == namespace.strip("/")


def test_a_node_that_hears_what_it_needs_is_well_and_tells_its_rates(listener: Listener) -> None:
    status = listener.says(lambda s: s.level == OK and values(s)["heard"] == "hello", "hello")
    assert status.message == "well"
    told = values(status)
    assert float(told["takes words [Hz]"]) > 0
    assert float(told["gives echo [Hz]"]) > 0
    assert float(told["age of words [s]"]) <= 1.0
    assert float(told["longest callback [ms]"]) >= 0


def test_what_a_node_refuses_is_counted_and_warned_of(listener: Listener) -> None:
    status = listener.says(lambda s: s.level == WARN, "")
    assert status.message == "refuses what comes in: words data: expected a word, got none"
    assert int(values(status)["refused inputs"]) > 0


def test_a_node_adds_what_it_alone_knows(listener: Listener) -> None:
    status = listener.says(lambda s: s.level == ERROR and values(s)["heard"] == "help", "help")
    assert "somebody calls for help" in status.message


def test_a_report_comes_once_a_second_stamped_with_wall_time(listener: Listener) -> None:
    listener.says(lambda _: len(listener.arrays) >= 4)
    stamps = [array.header.stamp.sec + 1e-9 * array.header.stamp.nanosec for array in listener.arrays]
    assert min(later - earlier for earlier, later in pairwise(stamps)) > 0.5
    assert abs(time.time() - stamps[-1]) < 60.0


def test_a_node_on_simulated_time_misses_its_clock(
    start_node: StartNode, probe: Probe, namespace: str
) -> None:
    start_node(LISTENING_NODE, "use_sim_time:=true")
    listener = Listener(probe, namespace)
    status = listener.says(lambda s: "/clock" in s.message, "hello")
    assert "no /clock for " in status.message and "is the simulator running?" in status.message
