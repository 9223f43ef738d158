"""The `hilrl` command."""

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from hilrl import options
from hilrl.options import Option, Value
from hilrl.parameter_files import parse_assignment

DESCRIPTION = """\
hilrl teaches an SO-101 arm a task by reinforcement learning with a person in the loop.

  hilrl up train      begin a run, or go on with one; Ctrl+C ends it
  hilrl eval [RUN]    try the learned policy on starts it never saw; prints figures, records video
  hilrl plot [RUN]    draw the plots of a run

  hilrl keyboard      take over from the policy, in a terminal beside the run
  hilrl up teleop     just drive the arm
  hilrl up record     record demonstrations as a LeRobotDataset
  hilrl up replay     play an episode of one on the arm
  hilrl import        make recordings the demonstrations of a run
  hilrl reward        collect, train and try a reward classifier
  hilrl crop          choose what the policy sees of each camera
  hilrl param         look at and change what the running nodes go by
  hilrl doctor        say what is wrong with this machine and the running graph, and what to do

  hilrl setup-servos  give new servos their numbers, one at a time
  hilrl calibrate     tell an arm's range of motion to the driver
  hilrl up arm        bring up the real arms; Ctrl+C lets them down and ends

`hilrl COMMAND --help` tells more. Runs are kept under runs/ in the working directory.
"""


VIDEOS = 3
"""Episodes of an evaluation that are recorded."""

MODULES = {
    "import": ("hilrl.import_dataset", "make recorded demonstrations those of a run"),
    "reward": ("hilrl.reward", "collect, train and try a reward classifier"),
    "keyboard": ("hilrl.keyboard", "take over from the policy in this terminal"),
    "crop": ("hilrl.crop", "choose what the policy sees of each camera"),
    "param": ("hilrl.param", "look at and change what the running nodes go by"),
    "doctor": ("hilrl.doctor", "say what is wrong with this machine and the running graph, and what to do"),
    "setup-servos": ("hilrl_hardware.setup_servos", "give new servos their numbers, one at a time"),
    "calibrate": ("hilrl_hardware.calibrate", "calibrate an arm, step by step, or import a calibration"),
    "security": ("hilrl.security", "keys and permissions for SROS2"),
}
"""Commands with a module of their own, which has `add_arguments` and `run`: module and help."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status: 0 done, 1 a node failed, 2 bad input, 130 interrupted."""
    arguments = sys.argv[1:] if arguments is None else arguments
    chosen = _parser(arguments[0] if arguments else "").parse_args(arguments)
    if "command" not in chosen:
        print(DESCRIPTION, end="")
        return 0
    try:
        return int(chosen.command(chosen))
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except RuntimeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


# The commands import what they need when they run: `hilrl --help` answers at once.


def _train(chosen: argparse.Namespace) -> int:
    from hilrl import up

    choices = choices_of(options.OPTIONS, chosen)
    run, status = up.train(chosen.run, choices, [parse_assignment(text) for text in chosen.set])
    if status or not chosen.evaluate:
        return status
    from hilrl import evaluation

    return evaluation.evaluate(run, "last", chosen.evaluate, VIDEOS)


def _learn(chosen: argparse.Namespace) -> int:
    from hilrl import up

    choices = choices_of(options.LEARNER_OPTIONS, chosen)
    return up.learn(chosen.run, choices, [parse_assignment(text) for text in chosen.set])[1]


def _teleop(chosen: argparse.Namespace) -> int:
    from hilrl import teleop

    choices = choices_of(options.TELEOP_OPTIONS, chosen)
    return teleop.teleop(choices, [parse_assignment(text) for text in chosen.set])


def _record(chosen: argparse.Namespace) -> int:
    from hilrl import record

    choices = choices_of(options.OPTIONS, chosen)
    assignments = [parse_assignment(text) for text in chosen.set]
    return record.record(chosen.dataset, chosen.episodes, chosen.task_text, choices, assignments)


def _replay(chosen: argparse.Namespace) -> int:
    from hilrl import replay_episode

    choices = choices_of(options.OPTIONS, chosen)
    assignments = [parse_assignment(text) for text in chosen.set]
    return replay_episode.replay(chosen.dataset, chosen.episode, choices, assignments)


def _arm(chosen: argparse.Namespace) -> int:
    from hilrl import arm_up

    return arm_up.run(
        choices_of(options.ARM_OPTIONS, chosen), [parse_assignment(text) for text in chosen.set]
    )


def choices_of(table: Sequence[Option], chosen: argparse.Namespace) -> dict[str, Value]:
    """What was given of a table of options."""
    return {
        option.name: option.parse(text)
        for option in table
        if (text := getattr(chosen, option.name)) is not None
    }


def _evaluate(chosen: argparse.Namespace) -> int:
    from hilrl import evaluation

    return evaluation.evaluate(chosen.run, chosen.checkpoint, chosen.episodes, chosen.videos, chosen.mcap)


def _plot(chosen: argparse.Namespace) -> int:
    from hilrl import plots
    from hilrl.run_folder import RunFolder

    folder = RunFolder.named(chosen.run) if chosen.run else RunFolder.newest()
    for path in plots.draw(folder, folder.load().options["operator"]):
        print(path)
    return 0


def _parser(command: str) -> argparse.ArgumentParser:
    """For `command`: what a module adds to its command is only asked for when that is given."""
    parser = argparse.ArgumentParser(
        prog="hilrl", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    graphs = commands.add_parser("up", help="start a graph of nodes").add_subparsers(
        title="graphs", metavar="GRAPH", required=True
    )
    train = graphs.add_parser(
        "train",
        help="arm, operator, actor and learner",
        description="Begin a run, or go on with one, and follow it to its end.",
    )
    train.set_defaults(command=_train)
    train.add_argument(
        "--run", metavar="NAME", help="name or path of the run; one that exists goes on where it was"
    )
    train.add_argument(
        "--evaluate",
        metavar="EPISODES",
        type=_positive,
        help="when training is over, do `hilrl eval` with so many episodes",
    )
    add_options(train, options.OPTIONS, "learner.batch=256")

    learner = graphs.add_parser(
        "learner",
        help="the learner alone, for arms on other machines",
        description="Learn from arms elsewhere, which run `hilrl up train --learner remote`.",
    )
    learner.set_defaults(command=_learn)
    learner.add_argument(
        "--run", metavar="NAME", help="name or path of the run; one that exists goes on where it was"
    )
    add_options(learner, options.LEARNER_OPTIONS, "learner.batch=256")

    teleop = graphs.add_parser(
        "teleop",
        help="the arm in your hands: nothing judges, nothing learns",
        description="Drive the arm, simulated or real. Ctrl+C ends it.",
    )
    teleop.set_defaults(command=_teleop)
    add_options(teleop, options.TELEOP_OPTIONS, "ee_controller.step_m=0.01")

    record = graphs.add_parser(
        "record",
        help="arm, operator and recorder",
        description="Record demonstrations as a LeRobotDataset, a new one or one that goes on.",
    )
    record.set_defaults(command=_record)
    record.add_argument("dataset", type=Path, help="folder of the dataset")
    record.add_argument(
        "--episodes", type=_positive, default=50, help="how many more to record; default: %(default)s"
    )
    record.add_argument("--task-text", default="", help="what they show, in a sentence")
    add_options(record, options.OPTIONS, "ee_controller.step_m=0.01")

    replay = graphs.add_parser(
        "replay",
        help="arm and an episode of a dataset",
        description="Play an episode of a LeRobotDataset of ours through the controller, and say how far "
        "from the recording the arm ends.",
    )
    replay.set_defaults(command=_replay)
    replay.add_argument("dataset", type=Path, help="folder of the dataset")
    replay.add_argument("--episode", type=int, default=0, help="which, from 0; default: %(default)s")
    add_options(replay, options.OPTIONS, "replay_episode.sim_reset=false")

    arm = graphs.add_parser(
        "arm",
        help="the real arms: follower and, where there is one, leader",
        description="Bring up the arms and follow their health. Ctrl+C lets them down and ends.",
    )
    arm.set_defaults(command=_arm)
    add_options(arm, options.ARM_OPTIONS, "arm.max_joint_speed=1.0")

    evaluate = commands.add_parser(
        "eval",
        help="try a policy on starts it never saw",
        description="Success with its 95 %% interval and cycle time over seeded starts that training "
        "never sees, beside behaviour cloning on the same demonstrations and the demonstrator.",
    )
    evaluate.set_defaults(command=_evaluate)
    evaluate.add_argument("run", nargs="?", help="name or path of the run; default: the newest")
    evaluate.add_argument("--episodes", type=_positive, default=20, help="default: %(default)s")
    evaluate.add_argument("--checkpoint", default="last", help="last, bc or a version; default: %(default)s")
    evaluate.add_argument(
        "--videos", type=int, default=VIDEOS, help="episodes to record; default: %(default)s"
    )
    evaluate.add_argument("--mcap", default="", metavar="STR", help=options.MCAP.description)

    plot = commands.add_parser("plot", help="draw the plots of a run")
    plot.set_defaults(command=_plot)
    plot.add_argument("run", nargs="?", help="name or path of the run; default: the newest")

    for name, (module, text) in MODULES.items():
        parser_of_its_own = commands.add_parser(name, help=text)
        if name == command:
            implementation = importlib.import_module(module)
            implementation.add_arguments(parser_of_its_own)
            parser_of_its_own.set_defaults(command=implementation.run)
    return parser


def add_options(parser: argparse.ArgumentParser, table: Sequence[Option], example: str) -> None:
    """A flag per option, and `--set`."""
    parser.add_argument(
        "--set",
        metavar="NODE.PARAMETER=VALUE",
        action="append",
        default=[],
        help=f"give a node a parameter, for example {example}; may be repeated",
    )
    for option in table:
        parser.add_argument(
            f"--{option.name.replace('_', '-')}",
            dest=option.name,
            metavar="|".join(option.choices) or option.kind.__name__.upper(),
            # A bare --emulated says true.
            **({"nargs": "?", "const": "true"} if option.kind is bool else {}),
            help=f"{option.description} Default: {option.default_text or 'none'}".replace("%", "%%"),
        )


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1, got {value}")
    return value
