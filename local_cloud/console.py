# SPDX-License-Identifier: Apache-2.0

"""The progress that the programs of this package print."""

from collections.abc import Iterator
import contextlib
import sys
import time


class Console:
    """Print each step with the time that it took, on standard error."""

    def __init__(self, stream=None, quiet: bool = False):
        self.stream = stream or sys.stderr
        self.quiet = quiet

    def say(self, text: str) -> None:
        """Print one line at once."""
        if not self.quiet:
            print(text, file=self.stream, flush=True)

    def ready(self, name: str, address: str, seconds: float) -> None:
        """Print that a service answers, with the seconds since its start."""
        self.say(f'{name} on {address} ... {seconds:.1f} s')

    @contextlib.contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Print what was done when it is done, with its seconds.

        A step that fails is printed too, so that the last line before an
        error names what was being done.
        """
        start = time.monotonic()
        try:
            yield
        except BaseException:
            self.say(f'{text} ... failed after '
                     f'{time.monotonic() - start:.1f} s')
            raise
        self.say(f'{text} ... {time.monotonic() - start:.1f} s')
