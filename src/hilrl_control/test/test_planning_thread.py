"""A node whose planner takes its time goes on with everything else."""

import threading
from contextlib import closing

import numpy as np
import pytest
import rclpy
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.executors import SingleThreadedExecutor
from std_srvs.srv import Trigger

from hilrl_control.home_path import HomeQuestion
from hilrl_control.planning_thread import PlanningThread
from hilrl_control.settings import Settings
from hilrl_ros.testing import new_namespace

QUESTION = HomeQuestion(np.zeros(6), np.zeros(6), Settings.default())


class SlowPlanner:
    """Plans until it is let go."""

    def __init__(self):
        self.let_go, self.closed = threading.Event(), False

    def plan(self, question):
        self.let_go.wait()
        return "no way"

    def close(self):
        self.closed = True
        self.let_go.set()


@pytest.fixture
def node():
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("slow", namespace=new_namespace(), context=context)
    yield node
    node.destroy_node()
    rclpy.try_shutdown(context=context)


def test_ticks_go_on_while_a_way_is_planned(node):
    planner, ticks = SlowPlanner(), []
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    with closing(PlanningThread(lambda: planner)) as planning:

        async def answer(_, response):
            response.message = await planning.plan(QUESTION)
            return response

        node.create_service(Trigger, "plan", answer, callback_group=MutuallyExclusiveCallbackGroup())
        node.create_timer(0.01, lambda: ticks.append(1))
        client = node.create_client(Trigger, "plan", callback_group=MutuallyExclusiveCallbackGroup())
        assert client.wait_for_service(60.0)
        future = client.call_async(Trigger.Request())
        while len(ticks) < 50:
            executor.spin_once(timeout_sec=1.0)
        assert not future.done()
        planner.let_go.set()
        while not future.done():
            executor.spin_once(timeout_sec=1.0)
        assert future.result().message == "no way"
    assert planner.closed
    executor.shutdown()
