"""The command's frame: which commands there are, and how every one of them ends.

A command is one module of this package with one function (or, with subcommands, one `Typer`),
registered below. It takes the options of `options.py`, writes through `output.py`, raises
`CelosiaError` for what the user got wrong, and returns; or raises `typer.Exit(1)` where the answer
is "no". What is heavy to import, it imports in the function, so that `celosia --help` stays quick.

Exit status: 0 all is well; 1 the answer is no (outputs differ, something needed is missing); 2 the
user's mistake, or the disk is full; 3 a defect of Celosia; 130 interrupted; 141 the reader of the
output went away; 143 terminated.
"""

import errno
import logging
import os
import re
import signal
import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import version
from types import FrameType
from typing import Annotated, NoReturn

import typer
from rich.markup import escape
from typer.exceptions import TyperException
from typer.main import get_command

from celosia.golden.errors import CelosiaError
from celosia.runtime.cli import (
    bench,
    boards,
    build,
    crossbar,
    demo,
    doctor,
    energy,
    flash,
    inspect,
    models,
    prune,
    quantize,
    serve,
    stimulus,
    verilog,
)
from celosia.runtime.cli import compile as compiling
from celosia.runtime.cli import run as running
from celosia.runtime.cli.output import errors

app = typer.Typer(
    name="celosia",
    add_completion=False,
    rich_markup_mode=None,  # plain help, which copies well
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(running.run)
app.command()(demo.demo)
app.command("compile")(compiling.compile_)
app.command()(inspect.inspect)
app.command()(quantize.quantize)
app.command()(prune.prune)
app.command()(verilog.verilog)
app.command()(stimulus.stimulus)
app.command()(bench.bench)
app.add_typer(crossbar.app)
app.command()(flash.flash)
app.command()(serve.serve)
app.command()(boards.boards)
app.command()(build.build)
app.command()(energy.energy)
app.add_typer(models.app)
app.command()(doctor.doctor)


@app.callback(invoke_without_command=True)
def celosia(
    context: typer.Context,
    show_version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Run int8 neural networks on open hardware, bit for bit.

    Celosia compiles a .tflite or .onnx network for a systolic NPU, runs it on the golden machine or
    on the RTL in Verilator, and compares every byte with the golden model's.
    """
    if show_version:
        print(f"celosia {version('celosia')}")
    elif context.invoked_subcommand is None:
        print(context.get_help())


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command on `arguments` (the process's own by default) and exit with its status."""
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _terminate)
    status = _run(list(sys.argv[1:] if arguments is None else arguments))
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        status = _reader_gone()
    except OSError as error:
        _drop_output()
        status = _no_room(error)
    sys.exit(status)


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    # An exception, so that programs that were started end and temporary files go.
    sys.exit(128 + number)


def _run(arguments: list[str]) -> int:
    # Not `app()`: that would turn a closed pipe into status 1, which means "no" here.
    command = get_command(app)
    try:
        with command.make_context("celosia", arguments) as context:
            command.invoke(context)
    except typer.Exit as exit_:
        return exit_.exit_code
    except CelosiaError as error:
        return _fail(str(error), 2)
    except TyperException as error:
        return _fail(_usage(error), 2)
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted", 130)
    except BrokenPipeError:
        return _reader_gone()
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return _no_room(error)
        # -v asks for logging in detail, and so for this detail too.
        if logging.getLogger("celosia").isEnabledFor(logging.DEBUG):
            traceback.print_exc()
            return 3
        what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return _fail(f"unexpected failure ({what}); run the command with -v to see where", 3)
    return 0


def _fail(sentence: str, status: int) -> int:
    errors.print(f"[bold red]error:[/] {escape(sentence)}", soft_wrap=True)
    return status


def _usage(error: TyperException) -> str:
    """One sentence for a command line that can't be read, and where to read about it."""
    message = " ".join(error.format_message().split()).rstrip(".")
    message = re.sub(r"\. (Did you mean .*\?)", lambda match: f" ({match[1].lower()})", message)
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "celosia"
    return f"{message[:1].lower()}{message[1:]}; see '{path} --help'"


def _no_room(error: OSError) -> int:
    return _fail(f"there must be room on the disk: {error.strerror}", 2)


def _reader_gone() -> int:
    _drop_output()
    return 141


def _drop_output() -> None:
    """Whatever is left in the buffers must not raise again when the interpreter flushes them."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
