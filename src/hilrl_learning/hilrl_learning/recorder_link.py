"""Asks whoever records the episodes to drop the last one."""

from rclpy.node import Node
from rclpy.task import Future
from std_srvs.srv import Trigger

SERVICE = "recorder/drop_last"


class RecorderLink:
    """Beside the actor's work: nothing waits for the answer, which is logged."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._client = node.create_client(Trigger, SERVICE)

    def drop(self, episode: int) -> str:
        """Have the recorder drop its last episode, which is this one; the end of a sentence about it."""
        if not self._client.service_is_ready():
            return "; nobody records"

        def on_answer(future: Future) -> None:
            answer = future.result()
            log = self._node.get_logger()
            if answer.success:
                log.info(f"the recorder dropped episode {episode}: {answer.message}")
            else:
                log.error(f"the recorder did not drop episode {episode}: {answer.message}")

        self._client.call_async(Trigger.Request()).add_done_callback(on_answer)
        return "; the recorder is asked to drop it"
