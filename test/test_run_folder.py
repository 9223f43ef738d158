"""A run on disk: configuration, lock, policies."""

import pytest
import yaml

from hilrl.run_config import new_config, resumed_config
from hilrl.run_folder import RunFolder


@pytest.fixture
def folder(tmp_path):
    run = RunFolder(tmp_path / "run")
    run.store(new_config({"seed": 3, "task": "place"}, [("learner", "batch", 64)]))
    return run


def test_a_configuration_reads_back_as_it_was_written(folder):
    config = new_config({"seed": 3, "task": "place"}, [("learner", "batch", 64)])
    loaded = folder.load()
    assert (loaded.options, loaded.parameters) == (config.options, config.parameters)
    assert loaded.versions["python"]


def test_nothing_but_the_configuration_is_left_of_writing_it(folder):
    assert [path.name for path in folder.path.iterdir()] == ["config.yaml"]


def damaged(folder, change):
    document = yaml.safe_load(folder.config.read_text())
    change(document)
    folder.config.write_text(yaml.safe_dump(document))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.pop("options"), r"config.yaml: expected the keys .*'options'"),
        (lambda d: d.update(options=[]), r"config.yaml: options: expected a mapping, got \[\]"),
        (lambda d: d["options"].update(seed="x"), "options: seed: expected an integer, got 'x'"),
        (lambda d: d["options"].update(sed=1), "options: option 'sed': unknown"),
        (lambda d: d["options"].pop("task"), r"options: \['task'\] are missing"),
        (lambda d: d["parameters"].update(sim=3), "parameters.sim: expected a mapping .* got 3"),
        (lambda d: d["parameters"].update(leg={}), "parameters.leg: expected a mapping for one of"),
    ],
)
def test_a_damaged_configuration_is_one_clear_error(folder, change, message):
    damaged(folder, change)
    with pytest.raises(ValueError, match=message):
        folder.load()


@pytest.mark.parametrize("content", [b"options: [", b"\xff\xfe\x00", b"", b"\x00" * 40])
def test_a_corrupt_configuration_names_its_file(folder, content):
    folder.config.write_bytes(content)
    with pytest.raises(ValueError, match=r"config.yaml: expected"):
        folder.load()


@pytest.mark.parametrize("content", [b"options: [", b"\x00" * 40])
def test_a_corrupt_configuration_ends_the_command_with_one_line(folder, hilrl, content):
    folder.config.write_bytes(content)
    command = hilrl("up", "train", "--run", str(folder.path))
    assert command.wait(60) == 2
    assert len(command.output.splitlines()) == 1
    assert command.output.startswith(f"error: {folder.config}: expected")


def test_a_run_goes_on_with_its_own_choices(folder):
    stored = folder.load()
    assert resumed_config(stored, {}, []) == stored
    assert resumed_config(stored, {"seed": 3}, [("learner", "batch", 64)]) == stored


def test_a_run_may_be_given_more_time(folder):
    longer = resumed_config(folder.load(), {"duration_s": 900.0}, [])
    assert longer.options["duration_s"] == 900.0
    assert longer.parameters["learner"]["duration_s"] == 900.0


def test_contradicting_a_run_is_refused(folder):
    stored = folder.load()
    with pytest.raises(ValueError, match="task: the run was begun with 'place', got 'lift'"):
        resumed_config(stored, {"task": "lift"}, [])
    with pytest.raises(ValueError, match=r"learner.batch: the run was begun with 64, got 32"):
        resumed_config(stored, {}, [("learner", "batch", 32)])


def test_a_run_belongs_to_one_process_at_a_time(folder):
    with folder.lock(), pytest.raises(ValueError, match="another process is using"):
        folder.lock()
    folder.lock().close()


def test_policies_are_found_by_name_and_version(folder):
    with pytest.raises(ValueError, match="no checkpoint yet"):
        folder.policy("last")
    for version in ("bc", "v12"):
        (folder.checkpoints / version).mkdir(parents=True)
        (folder.checkpoints / version / "policy.safetensors").touch()
    (folder.checkpoints / "latest").write_text("v12\n")
    assert folder.policy("last") == ("v12", folder.checkpoints / "v12" / "policy.safetensors")
    assert folder.policy("bc")[0] == "bc"
    with pytest.raises(ValueError, match=r"no checkpoint 'v9'; there are \['bc', 'v12'\]"):
        folder.policy("v9")
