# SPDX-License-Identifier: Apache-2.0

"""Cases, run in processes of their own."""

import contextlib
import logging
import multiprocessing
from multiprocessing import connection
import signal
import tempfile

from tests.cross_drivers import cases
from tests.cross_drivers import recovering


def attempt(case):
    """Run a case.

    :returns: the defects of Cinder that were met, and what is wrong or None
    """
    try:
        return recovering.recover(case), None
    except Exception as err:
        # Also a refusal: what one driver makes the other must accept.
        return [], f'{type(err).__name__}: {err}'


def _work(seed, numbers, directory, channel):
    tempfile.tempdir = directory
    logging.disable(logging.CRITICAL)
    for number in numbers:
        channel.send((number, *attempt(cases.make(seed, number))))


@contextlib.contextmanager
def workers(seed, numbers, count, directory):
    """Run cases in other processes; their results can be received."""
    context = multiprocessing.get_context('spawn')
    started = []
    try:
        receivers = []
        for share in range(min(count, len(numbers))):
            receiver, sender = context.Pipe(duplex=False)
            process = context.Process(
                target=_work,
                args=(seed, numbers[share::count], directory, sender))
            # Ctrl-C is for this process, which ends them and removes the
            # directory.
            usual = signal.signal(signal.SIGINT, signal.SIG_IGN)
            process.start()
            signal.signal(signal.SIGINT, usual)
            started.append(process)
            # Its end is seen only when no other process can send.
            sender.close()
            receivers.append(receiver)
        yield receivers
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.join()


def results(receivers, interval):
    """Yield each result; at an interval, None."""
    waited = list(receivers)
    while waited:
        ready = connection.wait(waited, interval)
        for receiver in ready:
            try:
                yield receiver.recv()
            except EOFError:
                waited.remove(receiver)
        if not ready:
            yield None
