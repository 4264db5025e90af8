"""The command line: a table of commands, each loaded only when it is asked for."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import click

from i2itool import __version__
from i2itool.console import configure_logging, printable
from i2itool.errors import I2IError

INTERRUPTED = 130

# name -> ("module:attribute" of a click command, one line of help)
COMMANDS = {
    "train": ("i2itool.trainer.cli:command", "Fit a translator between two folders of pictures."),
    "distill": ("i2itool.trainer.distill_cli:command", "Teach a small network what a preset does."),
    "adapt": ("i2itool.trainer.adapt_cli:command", "Teach a classifier of one domain to work in another."),
    "classify": ("i2itool.commands.classify:command", "Name what pictures show."),
    "check": ("i2itool.trainer.check_cli:command", "Look at two folders before training on them."),
    "convert": ("i2itool.commands.convert:command", "Translate videos, pictures, and folders of them."),
    "verify": ("i2itool.commands.verify:command", "Check that a conversion kept all but the pixels."),
    "flicker": ("i2itool.commands.flicker:command", "Measure how much a translated video flickers."),
    "evaluate": ("i2itool.commands.evaluate:command", "Score a preset on pictures that it has not seen."),
    "presets": ("i2itool.commands.presets:command", "List and show the translators that there are."),
    "compile": ("i2itool.commands.compile:command", "Get the engine ready before the first conversion."),
    "doctor": ("i2itool.commands.doctor:command", "Show what this machine has, and why it lacks the rest."),
    "bench": ("i2itool.commands.bench:command", "Time a preset on every engine of this machine."),
    "export": ("i2itool.commands.export:command", "Write a preset for other programs."),
    "import": ("i2itool.commands.import_:command", "Make a preset of somebody else's checkpoint."),
}


class LazyGroup(click.Group):
    """A group that imports a command's module when the command runs, and turns errors into exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the command; None if the table does not have it."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name][0].split(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the help lines of the table, without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_line) for name, (_, help_line) in COMMANDS.items()])

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Read the options before the command; wrong ones become one line and exit code 2."""
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.UsageError as error:
            raise _told(error) from error

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; an `I2IError` becomes one line on stderr and its exit code."""
        try:
            with _terminated_like_interrupted():
                return super().invoke(ctx)
        except I2IError as error:
            click.echo(f"error: {printable(' '.join(str(error).splitlines()))}", err=True)
            ctx.exit(error.exit_code)
        except click.UsageError as error:
            raise _told(error) from error
        except KeyboardInterrupt:
            click.echo("\ninterrupted", err=True)
            ctx.exit(INTERRUPTED)


def _told(error: click.UsageError) -> click.UsageError | click.exceptions.Exit:
    """Say in one line what was wrong with a call; without any arguments, click shows the help."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return error
    command = error.ctx.command_path if error.ctx is not None else "i2itool"
    message = printable(" ".join(error.format_message().split())).rstrip(".")
    click.echo(f"error: {message} (`{command} --help` shows what there is)", err=True)
    return click.exceptions.Exit(error.exit_code)


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """Take SIGTERM, which batch systems and `kill` send, for Ctrl-C, unless it is ignored or handled."""
    is_ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    )
    if is_ours:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        if is_ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-v", "--verbose", is_flag=True, help="Log more.")
@click.option("-q", "--quiet", is_flag=True, help="Log errors only and show no progress.")
@click.version_option(__version__, message="%(prog)s %(version)s")
def main(verbose: bool, quiet: bool) -> None:
    """Fit an unpaired image translator on two folders, then run it over videos and pictures."""
    configure_logging(verbose=verbose, quiet=quiet)
