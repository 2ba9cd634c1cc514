"""What the tests of the command line share."""

import pytest

from celosia.runtime.cli import main


@pytest.fixture
def run(capsys):
    """Runs a command: (exit status, standard output, standard error)."""

    def call(*arguments):
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        streams = capsys.readouterr()
        return ended.value.code, streams.out, streams.err

    return call
