from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from cli.lazy import LazyCommand, load_command
from cli.main import COMMANDS, root
from tests.support.cli import Cli, fails

if TYPE_CHECKING:
    from collections.abc import Iterator

OWN = [name for name, lazy in COMMANDS.items() if lazy.target.startswith("cli.")]


def leaves(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    """Yield every command below a command, with what is typed to reach it."""
    if not isinstance(command, click.Group):
        yield path, command
        return
    for name, child in command.commands.items():
        yield from leaves(f"{path} {name}", child)


def own_leaves() -> list[tuple[str, click.Command]]:
    found = [leaf for name in OWN for leaf in leaves(name, load_command(COMMANDS[name]))]
    # The verbs of a node are the chain kit's; the app's process is for its supervisor.
    return [(path, command) for path, command in found if not path.startswith("node ")]


def test_the_help_lists_every_noun_and_every_exit_code(cli: Cli) -> None:
    text = cli.run("--help").stdout
    assert all(f"\n  {name} " in text for name in COMMANDS)
    codes = [line.split()[0] for line in text.partition("Exit codes:")[2].splitlines() if line.strip()]
    assert codes == ["0", "1", "2", "3", "4", "5", "70", "130", "141"]


def test_the_help_imports_nothing_heavy() -> None:
    script = (
        "import sys\n"
        "from cli.main import root\n"
        "root.main(['--help'], standalone_mode=False)\n"
        "heavy = {'grpc', 'numpy', 'torch', 'rich', 'google', 'nacl', 'asyncio', 'aiohttp'}\n"
        "print('loaded:', sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "loaded: []"


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("gradchain rel", ["relayer"]),
        ("gradchain relayer p", ["packet", "pay", "pending"]),
        ("gradchain demo --tamper h", ["header"]),
        ("gradchain relayer start --con", ["--config"]),
    ],
)
def test_a_shell_completes_verbs_options_and_choices(typed: str, expected: list[str]) -> None:
    words = {"COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1)}
    done = subprocess.run(
        [Path(sys.executable).with_name("gradchain")],
        env={**os.environ, "_GRADCHAIN_COMPLETE": "bash_complete", **words},
        capture_output=True,
        text=True,
        check=True,
    )
    assert [line.partition(",")[2] for line in done.stdout.splitlines()] == expected


def test_commands_about_keys_load_neither_grpc_nor_torch() -> None:
    script = (
        "import sys\n"
        "from cli.main import root\n"
        "root.main(['key', '--help'], standalone_mode=False)\n"
        "print('loaded:', sorted({'grpc', 'torch', 'google'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "loaded: []"


@pytest.mark.parametrize("noun", OWN)
def test_no_noun_loads_torch_before_a_command_needs_it(noun: str) -> None:
    script = (
        "import sys\n"
        "from cli.main import root\n"
        f"root.main(['{noun}', '--help'], standalone_mode=False)\n"
        "print('loaded:', 'torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "loaded: False"


@pytest.mark.parametrize(("path", "command"), own_leaves(), ids=[path for path, _ in own_leaves()])
def test_every_command_takes_json_and_explains_every_option(path: str, command: click.Command) -> None:
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    assert any("--json" in option.opts for option in options), path
    assert all(option.help for option in options), path
    assert all(flag.startswith("--") for option in options for flag in option.opts), path
    assert command.help, path


@pytest.mark.parametrize("noun", OWN)
def test_the_summary_in_the_list_is_that_of_the_command(noun: str) -> None:
    if noun != "node":
        assert load_command(COMMANDS[noun]).get_short_help_str(200) == COMMANDS[noun].summary


def test_the_app_of_a_node_is_not_shown(cli: Cli) -> None:
    assert "app" not in [
        line.split()[0] for line in cli.run("node", "--help").stdout.splitlines() if line.strip()
    ]
    assert "--home" in cli.run("node", "app", "--help").stdout


def test_the_app_of_a_node_needs_a_home_that_is_one(cli: Cli) -> None:
    fails(cli.run("node", "app", "--home", str(cli.home / "none")), 5, "[node/42]")


def test_the_version_is_printed(cli: Cli) -> None:
    assert cli.run("--version").stdout == "gradchain 0.1.0\n"


def test_nothing_to_do_prints_the_help_on_standard_error(cli: Cli) -> None:
    result = cli.run()
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Commands:" in result.stderr


def test_a_misspelt_noun_is_a_usage_error_with_a_suggestion(cli: Cli) -> None:
    fails(cli.run("tsk"), 2, "Did you mean 'task'?")


def test_a_misspelt_verb_is_a_usage_error(cli: Cli) -> None:
    fails(cli.run("task", "lst"), 2, "lst")


def test_an_unknown_option_is_a_usage_error_that_names_the_help(cli: Cli) -> None:
    result = cli.run("key", "list", "--wide")
    fails(result, 2, "--wide")
    assert "`gradchain key list --help`" in result.stderr


def test_a_target_that_is_no_command_is_a_bug(cli: Cli) -> None:
    with pytest.raises(TypeError, match="expected a command"):
        load_command(LazyCommand("cli.errors:Exit", "nothing"))


def test_the_module_runs_as_a_program() -> None:
    command = [sys.executable, "-m", "cli.main", "key", "nonsense"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")


def test_a_reader_that_stops_reading_is_no_error() -> None:
    """`gradchain --help | true`, with the pipe closed before anything is written."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "cli.main", "--help"]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def test_the_root_can_be_called_without_ending_the_process(capsys: pytest.CaptureFixture[str]) -> None:
    assert root.main(["--version"], standalone_mode=False) == 0
    assert root.main(["nonsense"], standalone_mode=False) == 2
    assert "error:" in capsys.readouterr().err
