"""A run on disk: its folder, its resolved configuration, and the lock that keeps it to one process."""

import fcntl
import os
from dataclasses import asdict, fields
from pathlib import Path
from typing import IO

import yaml

from hilrl import graph, options
from hilrl.parameter_files import one_line
from hilrl.run_config import RunConfig

RUNS = Path("runs")


class RunFolder:
    """Paths of one run, and reading and writing what this package keeps there."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.config = self.path / "config.yaml"
        self.episodes = self.path / "episodes.jsonl"
        self.metrics = self.path / "metrics.jsonl"
        self.evaluation = self.path / "evaluation.json"
        self.log = self.path / "log"
        self.parameters = self.path / "parameters.yaml"
        """What all nodes of the newest start were given."""
        self.domain = self.path / "ros_domain_id"
        """While a graph of the run is up: the ROS domain that it is in."""
        self.plots = self.path / "plots"
        self.videos = self.path / "videos"
        self.checkpoints = self.path / "checkpoints"

    @classmethod
    def named(cls, name: str) -> "RunFolder":
        """`runs/<name>` below the working directory, or the folder itself where `name` is a path."""
        return cls(Path(name) if "/" in name else RUNS / name)

    @classmethod
    def newest(cls) -> "RunFolder":
        """The run begun last. Raises ValueError if there is none."""
        configs = sorted(RUNS.glob("*/config.yaml"), key=lambda path: path.stat().st_ctime)
        if not configs:
            raise ValueError(f"no run in {RUNS.resolve()}; start one with `hilrl up train`")
        return cls(configs[-1].parent)

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.path.name

    @property
    def reference(self) -> str:
        """What finds this run again on the command line."""
        return self.name if self.path.parent == RUNS.resolve() else str(self.path)

    def lock(self) -> IO[str]:
        """Keep the run to this process for as long as the returned file is open.

        Raises ValueError if another process has it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        handle = open(self.path / ".lock", "w")  # noqa: SIM115 - the caller closes it
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.close()
            raise ValueError(f"run {self.name}: another process is using {self.path}") from None
        return handle

    @property
    def is_in_use(self) -> bool:
        """Whether a process has it."""
        try:
            with open(self.path / ".lock") as handle:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except FileNotFoundError:
            pass
        return False

    def started(self) -> set[str]:
        """Fully qualified names of the nodes of the newest start; none where there is no telling."""
        if not self.parameters.exists():
            return set()
        return set(yaml.safe_load(self.parameters.read_text()) or {})

    def load(self) -> RunConfig:
        """The stored configuration. Raises ValueError naming the file and the key at fault."""
        try:
            document = yaml.safe_load(self.config.read_text())
        except FileNotFoundError:
            raise ValueError(f"{self.config}: no such file; is {self.name} a run?") from None
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise ValueError(f"{self.config}: expected readable YAML: {one_line(error)}") from error
        expected = {entry.name for entry in fields(RunConfig)}
        if not isinstance(document, dict) or set(document) != expected:
            found = sorted(document) if isinstance(document, dict) else repr(document)
            raise ValueError(f"{self.config}: expected the keys {sorted(expected)}, got {found}")
        config = RunConfig(**document)
        for name in ("options", "parameters"):
            if not isinstance(document[name], dict):
                raise ValueError(f"{self.config}: {name}: expected a mapping, got {document[name]!r}")
        for node, values in config.parameters.items():
            if node not in graph.NODE_NAMES or not isinstance(values, dict):
                raise ValueError(
                    f"{self.config}: parameters.{node}: expected a mapping for one of "
                    f"{sorted(graph.NODE_NAMES)}, got {values!r}"
                )
        try:
            resolved = options.checked(config.options)
        except ValueError as error:
            raise ValueError(f"{self.config}: options: {error}") from None
        if missing := sorted(set(resolved) - set(config.options)):
            raise ValueError(f"{self.config}: options: {missing} are missing")
        return config

    def store(self, config: RunConfig) -> None:
        """Write the configuration, whole or not at all."""
        write_atomically(self.config, yaml.safe_dump(asdict(config), sort_keys=False))

    def policy(self, which: str) -> tuple[str, Path]:
        """(version, file) of a stored policy: "last", "bc" or a version.

        Raises ValueError saying which ones there are.
        """
        version = which
        if which == "last":
            latest = self.checkpoints / "latest"
            if not latest.exists():
                raise ValueError(f"run {self.name}: no checkpoint yet ({latest} does not exist)")
            version = latest.read_text().strip()
        path = self.checkpoints / version / "policy.safetensors"
        if not path.exists():
            stored = sorted(p.parent.name for p in self.checkpoints.glob("*/policy.safetensors"))
            raise ValueError(f"run {self.name}: no checkpoint {version!r}; there are {stored}")
        return version, path


def write_atomically(path: Path, text: str) -> None:
    """Write a file aside and rename it, so that a reader or a crash never sees half of it."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(aside, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
