# SPDX-License-Identifier: Apache-2.0

"""A cloud: its services started together, and taken down again."""

from collections.abc import Iterable
from collections.abc import Iterator
import contextlib
import pathlib
import shutil
import socket
import time
from typing import Any

from local_cloud import backups
from local_cloud import clients
from local_cloud import console
from local_cloud import exceptions
from local_cloud import identity
from local_cloud import key_managers
from local_cloud import options
from local_cloud import releases
from local_cloud import requirements
from local_cloud import settings
from local_cloud import sites
from local_cloud import tempest_conf
from local_cloud import template
from local_cloud.machine import cloud_state
from local_cloud.machine import daemons
from local_cloud.machine import loopback
from local_cloud.machine import signals
from local_cloud.servers import database_servers
from local_cloud.services import base
from local_cloud.services import cinder
from local_cloud.services import database
from local_cloud.services import registry
from local_cloud.services import swift


class Cloud:
    """One cloud in one state directory.

    :param timeout: seconds that each service has to become ready
    """

    def __init__(self, state: cloud_state.State,
                 say: console.Console | None = None, timeout: float = 60):
        self.state = state
        self.say = say or console.Console(quiet=True)
        self.timeout = timeout

    def up(self, backup: str = 'default', **others: Any) -> None:
        """Start it with options by their names, see :meth:`start`."""
        self.start(options.Options(backup, **others))

    def start(self, asked: options.Options) -> None:
        """Start the cloud, or what is not running of it.

        :raises LocalCloudError: if a service cannot be started; what was
            started is stopped again and its logs are kept
        """
        asked.check()
        requirements.check(asked)
        release = releases.find(asked.cinder, self.say)
        if server := database_servers.SERVERS.get(asked.database):
            releases.check_client(release, server.DISTRIBUTIONS)
        if why := backups.BACKENDS[asked.backup].cannot_run():
            raise exceptions.NeedsUML(
                f'--backup {asked.backup}: {why}; it runs in User-Mode Linux, '
                f'for as long as one command does: cinder-backup-local-cloud '
                f'run --backup {asked.backup} -- COMMAND')
        start = time.monotonic()
        self.state.check()
        with self.state.locked():
            new = self._prepare(asked, release)
            started: dict[str, float] = {}
            try:
                self._bring_up(new, started)
            except BaseException as error:
                if not new:
                    # What ran before goes on.
                    for name in started:
                        self.stop(name)
                else:
                    self._end_all()
                    if not isinstance(error, Exception):
                        # It was interrupted: the logs are of no use.
                        self.state.remove()
                raise
        self.say.say(f'ready after {time.monotonic() - start:.1f} s, '
                     f'{self.memory() / 1024 ** 2:.0f} MiB of memory (PSS)')

    def _prepare(self, asked: options.Options,
                 release: dict[str, Any] | None) -> bool:
        """Make or load the record; returns whether the cloud is new."""
        if self.state.exists:
            self.state.load()
            if self.state.record.get('made'):
                for option in asked.differing(self.state.record, release):
                    raise exceptions.InvalidState(
                        f'the cloud in {self.state.root} was made with '
                        f'another {option}; take it down first')
                releases.check(self.state)
                self.say.say(f'using the cloud in {self.state.root}')
                return False
            # One that never became ready the first time holds nothing of
            # use, and may lack anything.
            self._end_all()
            self.state.clear()
        self.state.create()
        self.state.record.update(asked.record(release))
        return True

    def _bring_up(self, new: bool, started: dict[str, float]) -> None:
        sockets: dict[str, socket.socket] = {}
        try:
            self._listen(sockets)
            if new:
                template.instantiate(self.state, self.say)
                for name in registry.in_catalogue(self.state):
                    self.state.record['passwords'][name] = (
                        settings.new_password())
                for service in registry.of(self.state):
                    if service.has_password:
                        self.state.record['passwords'][service.name] = (
                            settings.new_password())
                self.state.record['passwords'] |= key_managers.passwords(
                    self.state)
                # Some are read by what starts first.
                self.state.save()
                for service in registry.of(self.state):
                    service.configure()
            self._start_services(new, sockets, started)
            self._write_client_files(new)
        finally:
            for listener in sockets.values():
                listener.close()

    def _listen(self, sockets: dict[str, socket.socket]) -> None:
        """Bind the ports before anything is told of them.

        A port that was only looked up could be another program's by the time
        a service wants it; a bound socket is inherited and cannot be taken.
        """
        dead = [service for service in registry.of(self.state)
                if not daemons.alive(self.state, service.name)]
        for service in dead:
            service.end_remains()
        for name in (name for service in dead for name in service.ports):
            port = self.state.record['ports'].get(name, 0)
            try:
                sockets[name] = loopback.listen(port)
            except OSError as error:
                raise exceptions.ServiceFailed(
                    f'{name} cannot bind its port {port} again: '
                    f'{error.strerror}; stop the program that listens there, '
                    f'or take the cloud down and start a new one') from error
            self.state.record['ports'][name] = sockets[name].getsockname()[1]
        self.state.save()

    def _start_services(self, new: bool, sockets: dict[str, socket.socket],
                        started: dict[str, float]) -> None:
        cinders = registry.cinders(self.state)
        others = [service for service in registry.of(self.state)
                  if not isinstance(service, cinder.Cinder)]
        for service in others:
            self._spawn(service, sockets, started)
        for service in registry.before_cinder(self.state):
            self._wait_for(service)
        if new and database.wanted(self.state):
            template.fill(self.state, self.say)
        for service in cinders:
            self._spawn(service, sockets, started)
        self._wait_for_all(others, started)
        if new:
            # Cinder is the last to be ready, and has no part in it.
            with self.say.step('test image'):
                self.state.record['image'] = tempest_conf.create_image(
                    self.state)
        self._wait_for_all(cinders, started)

    def _wait_for_all(self, services: Iterable[base.Service],
                      started: dict[str, float]) -> None:
        # Also those that ran before: a process is not yet an answer.
        for service in services:
            self._wait_for(service)
            if service.name not in started:
                self.say.say(f'{service.name} ran already')
                continue
            self.say.ready(service.name, service.address(),
                           time.monotonic() - started[service.name])

    def _spawn(self, service: base.Service,
               sockets: dict[str, socket.socket],
               started: dict[str, float]) -> None:
        if daemons.alive(self.state, service.name):
            return
        listeners = [sockets[name] for name in service.ports]
        descriptors = [listener.fileno() for listener in listeners]
        started[service.name] = time.monotonic()
        daemons.spawn(self.state, service.name, service.command(*descriptors),
                      service.environment(), descriptors)
        # Only the service may hold them: once that has died, a request must
        # be refused and not wait indefinitely.
        for listener in listeners:
            listener.close()

    def _wait_for(self, service: base.Service) -> None:
        daemons.wait_until(self.state, service.name, service.ready,
                           self.timeout)

    def _write_client_files(self, new: bool) -> None:
        clients.write(self.state)
        if new:
            for name in registry.in_catalogue(self.state):
                with self.say.step(f'user and endpoints of {name}'):
                    identity.add(self.state, name)
            if sites.SECOND in sites.of(self.state):
                with self.say.step('endpoints of the second region'):
                    identity.add_region(self.state, sites.SECOND)
                    if (backups.has_second_store(self.state) and
                            swift.Swift in backups.services(self.state)):
                        identity.add_accounts(self.state, sites.SECOND)
                    if key_managers.has_barbican(self.state):
                        identity.add_key_manager(
                            self.state, sites.SECOND, key_managers.barbican_of(
                                self.state, sites.SECOND).location())
        key_managers.add_volume_types(self.state)
        tempest_conf.write(self.state, self.state.record['image'])
        self.state.record['made'] = True
        self.state.save()

    def stop(self, service: str) -> None:
        """Kill one service, for a test of what happens then.

        Another :meth:`up` starts it again, on its port and with its data.
        """
        process = daemons.alive(self.state, service)
        if process is not None:
            daemons.stop([process, *process.children(recursive=True)],
                         grace=0)

    def kill(self, service: str) -> None:
        """Kill one service by its name, as a crash would."""
        self.state.load()
        registry.find(self.state, service)
        self.stop(service)

    def lose_database(self) -> None:
        """Replace Cinder's database by a new, empty one, for good.

        Volumes, backups, quotas and services are forgotten, as where the
        database is lost with its host; what is on the storages stays there.
        Cinder is killed before and started after it.
        """
        self.state.load()
        if not self.state.record.get('made'):
            raise exceptions.InvalidState(
                f'the cloud in {self.state.root} never became ready; take it '
                f'down and start it again')
        with self.state.locked():
            for process in cinder.of(self.state, sites.FIRST):
                self.stop(process.name)
            template.renew(self.state)
            self._bring_up(False, {})

    def down(self, keep: bool = False) -> None:
        """Stop every process of the cloud and remove its directory."""
        if not self.state.remains:
            if not daemons.all_of(self.state):
                raise exceptions.InvalidState(
                    f'no local cloud in {self.state.root}')
            # The directory of a cloud that runs was removed.
            self._stop_all()
            return
        # Without a record that can be read, the directory's name still
        # leads to the processes.
        with contextlib.suppress(exceptions.InvalidState):
            self.state.load()
        self.state.check_removable()
        self._end_own_starts()
        with self.state.locked():
            self._stop_all()
            if keep:
                self.say.say(f'kept {self.state.root}')
                return
            self.state.remove()
            self.say.say(f'removed {self.state.root}')

    @contextlib.contextmanager
    def running(self, asked: options.Options,
                temporary: cloud_state.Temporary | None = None,
                logs: pathlib.Path | None = None) -> Iterator[None]:
        """Start the cloud, and take it down at the end, also half-way.

        A signal does not interrupt the end.

        :param temporary: the directory of the cloud's, removed with it
        :param logs: a directory that its logs are copied to
        """
        try:
            self.start(asked)
            yield
        finally:
            with signals.ignored():
                try:
                    if logs:
                        self._copy_logs(logs)
                finally:
                    # A start that was interrupted leaves nothing.
                    if self.state.remains:
                        self.down()
                    if temporary:
                        temporary.remove()

    def _copy_logs(self, target: pathlib.Path) -> None:
        if not self.state.logs.is_dir():
            return
        try:
            target.mkdir(parents=True, exist_ok=True)
            for log in self.state.logs.iterdir():
                shutil.copyfile(log, target / log.name)
        except OSError as error:
            raise exceptions.LocalCloudError(
                f'the logs cannot be kept in {target}: '
                f'{error.strerror}') from error

    def _end_own_starts(self) -> None:
        """End an "up" that something in this cloud has begun.

        A test has killed Cinder and starts it again: this goes on where the
        test is killed, and it holds the lock.
        """
        daemons.stop([process for process in daemons.all_of(self.state)
                      if daemons.has_open(process, self.state.lock)])

    def _stop_all(self) -> None:
        with self.say.step('stopping'):
            stopped = self._end_all()
        self.say.say(f'{stopped} processes stopped')

    def _end_all(self) -> int:
        stopped = daemons.stop_all(self.state)
        for service in registry.of(self.state):
            service.end_remains()
        return stopped

    def status(self) -> dict[str, Any]:
        """Report the running services: place, release, memory.

        :returns: ``state_directory``; ``id``, the value of the mark that
            the cloud's processes carry; ``versions``, the release of each
            service; ``services``, for each its ``url``, ``pid`` (None when
            it does not run), ``memory`` in bytes and ``state``: ready, not
            ready and why, or stopped
        """
        self.state.load()
        sizes = daemons.proportional_memory(self.state)
        running = {}
        for service in registry.of(self.state):
            process = daemons.alive(self.state, service.name)
            answer = process is not None and service.ready()
            running[service.name] = {
                'url': service.address(),
                'pid': process.pid if process else None,
                'memory': sizes.get(process.pid, 0) if process else 0,
                'state': ('stopped' if process is None else
                          'ready' if answer is True else
                          f'not ready: {answer}'),
            }
        return {
            'state_directory': str(self.state.root),
            'id': self.state.cloud_id,
            'versions': {service.name: service.version()
                         for service in registry.of(self.state)},
            'services': running,
        }

    def memory(self) -> int:
        """Bytes that it uses, shared pages divided among their users."""
        return sum(daemons.proportional_memory(self.state).values())
