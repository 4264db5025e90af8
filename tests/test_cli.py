"""The command line and what `import i2itool` costs: laziness, exit codes, progress, several inputs."""

from __future__ import annotations

import errno
import io
import logging
import resource
import subprocess
import sys
from collections.abc import Callable

import click
import pytest
from click.testing import CliRunner

import i2itool
from i2itool import cli, console
from i2itool.errors import I2IError

HEAVY = "torch cv2 av numpy rich pydantic openvino safetensors"


def run_python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60
    )


@pytest.fixture
def runner() -> CliRunner:
    return CliRunner()


AddCommand = Callable[[BaseException], None]


@pytest.fixture
def add_command(monkeypatch: pytest.MonkeyPatch) -> AddCommand:
    """Puts a command `try` into the table, which raises."""

    def add(error: BaseException) -> None:
        @click.command()
        def command() -> None:
            raise error

        monkeypatch.setattr(cli.main, "get_command", lambda ctx, name: command if name == "try" else None)

    return add


# Laziness


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = f"import sys, i2itool; print([name for name in '{HEAVY}'.split() if name in sys.modules])"
    assert run_python(code).stdout == "[]\n"


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["convert", "--help"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom i2itool.cli import main\n"
        "try:\n    main()\nfinally:\n"
        f"    print([name for name in '{HEAVY}'.split() if name in sys.modules], file=sys.stderr)"
    )
    result = run_python(code, *arguments)
    assert result.returncode == 0
    assert result.stderr == "[]\n"


def test_help_takes_under_300_ms_of_cpu_time() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "i2itool", "--help"], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.3


def test_every_public_name_can_be_had() -> None:
    for name in i2itool.__all__:
        assert getattr(i2itool, name) is not None
    assert set(i2itool.__all__) == set(dir(i2itool))


@pytest.mark.parametrize(
    "imports",
    [
        "import i2itool",
        "import i2itool.conversion, i2itool.translator, i2itool.commands.convert, i2itool.engine",
        "import i2itool, i2itool.errors; from i2itool import networks; import i2itool.cli",
    ],
)
def test_convert_is_a_function_whatever_was_imported_before(imports: str) -> None:
    code = f"{imports}; import i2itool; print(callable(i2itool.convert), callable(i2itool.load_preset))"
    assert run_python(code).stdout == "True True\n"


def test_an_unknown_public_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="convvert"):
        getattr(i2itool, "convvert")  # noqa: B009


def test_every_command_of_the_table_can_be_loaded_and_has_its_help_line() -> None:
    context = click.Context(cli.main)
    for name, (_, help_line) in cli.COMMANDS.items():
        command = cli.main.get_command(context, name)
        assert command is not None
        assert command.help
        assert len(help_line) <= 60


# Exit codes


@pytest.mark.parametrize("kind", [I2IError, *I2IError.__subclasses__()])
def test_an_error_of_ours_is_one_line_and_its_own_exit_code(
    kind: type[I2IError], runner: CliRunner, add_command: AddCommand
) -> None:
    add_command(kind("clip.mp4 is\nno video", hint="try another"))
    result = runner.invoke(cli.main, ["try"])
    assert result.exit_code == kind.exit_code
    assert result.stderr == "error: clip.mp4 is no video (try another)\n"
    assert result.stdout == ""


def test_the_exit_codes_differ() -> None:
    codes = [kind.exit_code for kind in I2IError.__subclasses__()]
    assert sorted(codes) == [2, 3, 4, 5, 6, 7]


def test_an_interruption_is_130(runner: CliRunner, add_command: AddCommand) -> None:
    add_command(KeyboardInterrupt())
    result = runner.invoke(cli.main, ["try"])
    assert result.exit_code == 130
    assert result.stderr.strip() == "interrupted"


def test_any_other_exception_keeps_its_traceback(runner: CliRunner, add_command: AddCommand) -> None:
    add_command(ZeroDivisionError("ours"))
    result = runner.invoke(cli.main, ["try"])
    assert isinstance(result.exception, ZeroDivisionError)


@pytest.mark.parametrize(
    "arguments", [["no-such-command"], ["convert"], ["convert", "x.mp4"], ["--no-such-option"]]
)
def test_a_wrong_call_is_2(arguments: list[str], runner: CliRunner) -> None:
    assert runner.invoke(cli.main, arguments).exit_code == 2


def test_a_closed_pipe_is_no_traceback() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "i2itool", "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.wait()
    process.stderr.close()


# Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_work_done_earlier_is_no_speed() -> None:
    pace = console.Pace(total=100, done=90, unit="steps", started_seconds=5.0, done_before=80)
    assert pace.rate(15.0) == 1.0
    assert pace.eta_seconds(15.0) == 10.0
    assert pace.describe(15.0) == "90/100 steps, 1.00 steps/s, elapsed 0:10, ETA 0:10"


def test_an_unknown_total_or_rate_has_no_estimate() -> None:
    assert (
        console.Pace(None, 7, "frames", 0.0, done_before=0).describe(70.0)
        == "7 frames, 0.10 frames/s, elapsed 1:10"
    )
    assert console.Pace(10, 0, "frames", 0.0, done_before=0).eta_seconds(3.0) is None
    assert console.Pace(10, 0, "frames", 0.0, done_before=0).eta_seconds(0.0) is None


def test_an_estimated_total_that_was_too_small_gives_no_negative_time() -> None:
    assert console.Pace(10, 12, "frames", 0.0, done_before=0).eta_seconds(3.0) == 0.0


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (754, "12:34"), (3723, "1:02:03")]
)
def test_clock_time(seconds: float, text: str) -> None:
    assert console.clock_time(seconds) == text


def test_plain_progress_is_a_line_every_ten_seconds_and_one_at_the_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    now = 0.0
    reporter = console.PlainReporter(clock_seconds=lambda: now)
    reporter.start("clip.mp4", 25, unit="frames")
    for _ in range(25):
        now += 1.0
        reporter.advance(note="loss 0.5")
    reporter.finish()
    reporter.finish()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "clip.mp4: 10/25 frames, 1.00 frames/s, elapsed 0:10, ETA 0:15, loss 0.5",
        "clip.mp4: 20/25 frames, 1.00 frames/s, elapsed 0:20, ETA 0:05, loss 0.5",
        "clip.mp4: 25/25 frames, 1.00 frames/s, elapsed 0:25, ETA 0:00, loss 0.5",
    ]


def test_a_terminal_gets_a_bar_with_percentage_counts_rate_and_note(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "70")
    monkeypatch.setenv("TERM", "xterm")
    reporter = console.open_reporter(quiet=False)
    assert isinstance(reporter, console.RichReporter)
    reporter.start("train [demo]", 200, done=100, unit="steps")
    reporter.advance(50, note="G [1.25]")
    reporter.finish()
    reporter.finish()
    last = terminal.getvalue()
    for text in ("train [demo]", "75%", "150/200 steps", "steps/s", "elapsed 0:00", "ETA 0:00", "G [1.25]"):
        assert text in last


def test_the_reporter_suits_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert isinstance(console.open_reporter(quiet=False), console.PlainReporter)
    assert isinstance(console.open_reporter(quiet=True), console.SilentReporter)


def test_a_quiet_group_silences_the_progress_of_every_command(runner: CliRunner) -> None:
    console.configure_logging(verbose=False, quiet=True)
    assert isinstance(console.open_reporter(quiet=False), console.SilentReporter)


def test_logs_go_to_stderr_at_the_level_asked_for(
    runner: CliRunner, capsys: pytest.CaptureFixture[str]
) -> None:
    logger = logging.getLogger("i2itool.engine")
    for flags in (
        {"verbose": False, "quiet": False},
        {"verbose": True, "quiet": False},
        {"verbose": False, "quiet": True},
    ):
        console.configure_logging(**flags)
        logger.debug("why")
        logger.info("what")
        logger.error("no")
    captured = capsys.readouterr()
    assert captured.out == ""
    usual, verbose, quiet = "INFO: what\nERROR: no\n", "DEBUG: why\nINFO: what\nERROR: no\n", "ERROR: no\n"
    assert captured.err == usual + verbose + quiet


def test_a_log_that_cannot_be_written_ends_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    class FullDisk(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sys, "stderr", FullDisk())
    console.configure_logging(verbose=False, quiet=False)
    logging.getLogger("i2itool").warning("lost")
    reporter = console.PlainReporter()
    reporter.start("x", 1)
    reporter.advance()
    reporter.finish()


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["--bogus"], "i2itool"),
        (["bogus"], "i2itool"),
        (["convert"], "i2itool convert"),
        (["convert", "a.mp4", "--preset", "day2night", "--crf", "99"], "i2itool convert"),
        (["presets", "bogus"], "i2itool presets"),
    ],
)
def test_a_wrong_call_is_told_in_one_line_with_the_remedy(
    words: list[str], command: str, runner: CliRunner
) -> None:
    result = runner.invoke(cli.main, words, prog_name="i2itool")
    assert (result.exit_code, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert f"`{command} --help`" in line


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["a.mp4", "--shard", "1/2"], "--shard is for folders"),
        (["a.mp4", "b.mp4", "--preview", "3"], "--preview is for a single video"),
        (["a.mp4", "b.mp4", "--profile"], "--profile is for a single video"),
        (["a.mp4", "b.mp4", "--shard", "0/2"], "'0/2' is no part of a batch"),
        (["-", "--plan"], "--plan is for files"),
    ],
)
def test_options_that_do_not_fit_the_inputs_end_with_code_2_in_one_line(
    words: list[str], said: str, runner: CliRunner
) -> None:
    result = runner.invoke(cli.main, ["convert", *words, "--preset", "day2night"])
    (line,) = result.stderr.splitlines()
    assert result.exit_code == 2
    assert line.startswith(f"error: {said}")
