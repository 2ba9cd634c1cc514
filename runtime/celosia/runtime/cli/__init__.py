"""The `celosia` command."""

from celosia.runtime.cli.app import main

__all__ = ["main"]
