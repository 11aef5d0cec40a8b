# SPDX-License-Identifier: Apache-2.0

"""How an import and a restore must end while a store does not answer."""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import threading
from typing import Any

from backup_stores import base as stores_base
from reference_drivers import options
from reference_drivers.contract import base
from reference_drivers.contract import environment
from reference_drivers.contract import records


class SilenceContract(records.Records, base.Contract):
    """A missing answer is an error, within the time limit."""

    #: Seconds that a request may take while the store does not answer; the
    #: driver is configured for one second. The store answers again then, so
    #: that a driver which waits for it ends, too.
    patience = 60.0

    def test_a_store_that_is_stopped(self: Any) -> None:
        """Connections are refused, or the directory does not exist."""
        self._no_answer('store_stop', 'a store that is stopped', 'stopped')

    def test_a_store_that_hangs(self: Any) -> None:
        """Requests are accepted, and none is answered."""
        self._no_answer('store_pause', 'a store that hangs', 'paused')

    def _no_answer(self: Any, capability: str, name: str, method: str
                   ) -> None:
        self.needs(capability)

        def make() -> Any:
            return getattr(self.objects, method)(environment.CONF)

        if make() is None:
            self.lacks(capability, f'its store has no method {method}; see '
                                   f'backup_stores.objects.ObjectStore')
        content = base.text(2 * self.chunk)
        *_, backup = self.chain(content, self.changed(content, 3))
        record = self.cinder.export(backup)
        self.cinder.lose_row(backup.id)
        self.cinder.configure(**{f'{options.GROUP}__timeout': 1})
        for level in self.levels[1:]:
            self.level(level)
            with self._away(make, f'the import at level {level}'):
                self.refused(record, backup, name=name)
        self.level('record')
        self.imports(record)
        with self._away(make, 'the restore'):
            self.not_restored(name, backup.id)
        self.cinder.configure(**{f'{options.GROUP}__timeout': 60})
        self.assert_restores(backup, self.changed(content, 3))

    @contextlib.contextmanager
    def _away(self: Any, make: Callable[[], stores_base.Away], what: str
              ) -> Iterator[None]:
        """Keep the store from answering for a limited time."""
        back, lock, late = contextlib.ExitStack(), threading.Lock(), []

        def end() -> None:
            # By the test or by the clock, whichever is first.
            with lock:
                back.close()

        def give_up() -> None:
            late.append(what)
            end()

        back.enter_context(make())
        clock = threading.Timer(self.patience, give_up)
        clock.daemon = True
        clock.start()
        try:
            yield
        except AssertionError:
            # An answer when the store was back proves nothing.
            if not late:
                raise
        finally:
            clock.cancel()
            end()
        if late:
            self.fail(f'the store did not answer for {self.patience:g} s, '
                      f'and {what} waited for it all the time; it had to '
                      f'end in an error after 1 s')
