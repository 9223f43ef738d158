"""What no source file of ours may do: read a format that runs code."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCES = Path(__file__).resolve().parents[1] / "src"
RUN_CODE = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
"""Modules whose files can run anything when they are read."""


def dangers(tree: ast.AST) -> Iterator[str]:
    """Each as its line and what is wrong."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.name for alias in node.names} | {getattr(node, "module", None) or ""}
            if found := {name.split(".")[0] for name in names} & RUN_CODE:
                yield f"{node.lineno}: imports {found.pop()}"
        elif isinstance(node, ast.Call):
            call = ast.unparse(node.func)
            given = {word.arg: ast.unparse(word.value) for word in node.keywords}
            if call in ("eval", "exec") or call in ("yaml.load", "yaml.unsafe_load", "yaml.full_load"):
                yield f"{node.lineno}: calls {call}"
            if call == "torch.load" and given.get("weights_only") != "True":
                yield f"{node.lineno}: calls torch.load without weights_only=True"
            if given.get("allow_pickle", "False") != "False":
                yield f"{node.lineno}: allows pickle"


def test_nothing_that_is_read_can_run_code():
    files = [path for path in SOURCES.rglob("*.py") if "test" not in path.relative_to(SOURCES).parts]
    assert len(files) > 100
    found = [f"{path}:{danger}" for path in files for danger in dangers(ast.parse(path.read_text()))]
    assert not found


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "yaml.load(text)",
        "np.load(path, allow_pickle=True)",
        "eval(text)",
    ],
)
def test_it_would_be_found(source):
    assert list(dangers(ast.parse(source)))
