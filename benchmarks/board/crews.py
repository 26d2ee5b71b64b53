"""Workers: processes in their own environments that answer requests, alone or as a crew."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from board.contenders import ROOT, Contender, NotHere, interpreter

WORKER = Path(__file__).with_name("worker.py")


class Worker:
    """One process of a contender; it ends with the block it is used in."""

    def __init__(self, contender: Contender, python: str) -> None:
        self.contender = contender
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115 - as long as the process
        self._process = subprocess.Popen(
            [python, str(WORKER), contender.tool, json.dumps(contender.options)],
            env={**os.environ, **contender.variables, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said, text=True,
        )  # fmt: skip

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to a request.

        Raises
        ------
        NotHere
            If the tool failed, or its process ended.
        """
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        answer = json.loads(line) if line else {"error": self._last_words()}
        if "error" in answer:
            raise NotHere(f"{self.contender.name}: {_briefly(answer['error'])}")
        return answer

    def _last_words(self) -> str:
        self._process.wait()
        self._said.seek(0)
        lines = [line.strip() for line in self._said if line.strip()]
        return lines[-1] if lines else f"ended with {self._process.returncode}"

    def close(self) -> None:
        """End the process, which does so when there are no more requests."""
        with suppress(BrokenPipeError):  # it has ended already
            self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()
        self._said.close()


@dataclass
class Crew:
    """The workers of one contender, who share the photos of a request.

    Parameters
    ----------
    contender : Contender
    workers : list of Worker
    """

    contender: Contender
    workers: list[Worker] = field(default_factory=list)

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return what its first worker answers; see `Worker.ask`."""
        if not self.workers:
            raise NotHere(f"{self.contender.name}: has left")
        return self.workers[0].ask(request)

    def answers(self, photos: Sequence[Path]) -> tuple[list[dict[str, Any]], list[str], float]:
        """Return each photo's answer, the classes they speak of, and the seconds it took.

        groupemo's one process is given all photos, and shares them among its threads; of a
        crew each takes the next photo as soon as it is free.
        """
        start = time.perf_counter()
        if len(self.workers) < 2:
            told = [self.ask({"photos": [str(path) for path in photos]})]
        else:
            told = self._shared(photos)
        seconds = time.perf_counter() - start
        return [one for part in told for one in part["answers"]], told[0]["classes"], seconds

    def _shared(self, photos: Sequence[Path]) -> list[dict[str, Any]]:
        idle: queue.SimpleQueue[Worker] = queue.SimpleQueue()
        for worker in self.workers:
            idle.put(worker)

        def ask(path: Path) -> dict[str, Any]:
            worker = idle.get()
            try:
                return worker.ask({"photos": [str(path)]})
            finally:
                idle.put(worker)

        with ThreadPoolExecutor(len(self.workers)) as pool:
            return list(pool.map(ask, photos))

    def peak(self) -> tuple[float, dict[str, str]]:
        """Return the most megabytes its processes have held, added up, and their versions."""
        told = [worker.ask({"peak": True}) for worker in self.workers]
        return sum(one["megabytes"] for one in told), told[0]["versions"]

    def keep(self, number: int) -> None:
        """Let all but so many workers go."""
        for worker in self.workers[number:]:
            worker.close()
        del self.workers[number:]


@contextmanager
def crew(contender: Contender, given: Mapping[str, str], number: int = 1) -> Iterator[Crew]:
    """Give a crew of so many workers; `given` names interpreters, as `interpreter` takes them.

    Raises
    ------
    NotHere
        If its environment cannot be had.
    """
    with ExitStack() as stack:
        one = Crew(contender)
        stack.callback(one.keep, 0)
        python = interpreter(contender, given)
        for _ in range(number):
            one.workers.append(Worker(contender, python))
        yield one


@dataclass
class Field:
    """Crews that take turns; who fails leaves, with the reason. They end with the block.

    Parameters
    ----------
    given : Mapping
        Environment -> interpreter.
    """

    given: Mapping[str, str]
    crews: list[Crew] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Field:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    @contextmanager
    def noting(self, name: str) -> Iterator[None]:
        """Let a contender leave where it fails in the block."""
        try:
            yield
        except NotHere as error:
            self.absent.setdefault(name, str(error))
            for one in self.crews:
                if one.contender.name == name:
                    one.keep(0)
            self.crews = [one for one in self.crews if one.workers]

    def enter(self, contender: Contender, number: int = 1) -> Crew:
        """Start so many workers of a contender."""
        one = self._stack.enter_context(crew(contender, self.given, number))
        self.crews.append(one)
        return one

    def turn(self, number: int) -> list[Crew]:
        """Return all crews; each turn begins with another one."""
        at = number % max(len(self.crews), 1)
        return [*self.crews[at:], *self.crews[:at]]


def _briefly(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 200 else f"{line[:197]}..."
