"""Planning beside the control loop: it may take a second, the next tick may not wait."""

from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from types import coroutine

from hilrl_control.home_path import HomePath, HomeQuestion, Planner


class PlanningThread:
    """One planner in a thread of its own. Questions are answered one after the other."""

    def __init__(self, new_planner: Callable[[], Planner]) -> None:
        """Raises what `new_planner` raises."""
        self._planner = new_planner()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="planning")

    async def plan(self, question: HomeQuestion) -> HomePath | str:
        """See `Planner.plan`. To be awaited in a callback with a group of its own: others go on meanwhile."""
        answer = self._thread.submit(self._planner.plan, question)
        await _until_done(answer)
        return answer.result()

    def close(self) -> None:
        """End the planner."""
        self._planner.close()
        self._thread.shutdown(wait=False, cancel_futures=True)


@coroutine
def _until_done(future: Future[HomePath | str]) -> Generator[None, None, None]:
    """Looks again whenever the executor comes by, which every tick makes it do."""
    while not future.done():
        yield
