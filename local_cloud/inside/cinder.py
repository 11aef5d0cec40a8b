# SPDX-License-Identifier: Apache-2.0

"""A process of Cinder: API, scheduler, volume and backup, as threads.

Cinder has no program for all of its services at once. One process costs the
imports and the memory of one, and needs no message broker: the services talk
over oslo.messaging's ``fake`` transport, through the same RPC servers. Where
there is a broker, each of them has a process, which is this, too.
"""

import argparse
from collections.abc import Callable
import contextlib
import fcntl
import importlib
import os
import shlex
import sys
import time
import traceback
from typing import Any

# Cinder's own switch for native threads; it must be set, and its patch
# called, before anything else of Cinder is imported. Releases before 2026.2
# have none, and need eventlet's patch before even that.
os.environ['OS_CINDER_DISABLE_EVENTLET_PATCHING'] = '1'

from local_cloud.inside import green

ON_EVENTLET = green.patch_for_old_cinder()

from local_cloud.inside import holding  # noqa: E402
from local_cloud.inside import rbd  # noqa: E402
from local_cloud.inside import sqlite  # noqa: E402
from local_cloud.machine import cloud_state  # noqa: E402

# Seconds for a driver to check its storage.
_DRIVER_PATIENCE = 30


def bootstrap(configuration: str) -> None:
    """Make the schema."""
    from cinder.cmd import manage
    sys.argv = ['cinder-manage', '--config-file', configuration, 'db',
                'sync']
    manage.main()


def _configure(configuration: str):
    """Configure as the main functions of Cinder's programs do."""
    if not ON_EVENTLET:
        from cinder import monkey_patch
        monkey_patch.patch()
    import os_brick
    from oslo_config import cfg
    from oslo_log import log as logging
    from oslo_privsep import priv_context

    # Each registers the options that its service reads.
    importlib.import_module('cinder.cmd.volume')
    importlib.import_module('cinder.cmd.backup')
    from cinder import coordination
    from cinder import objects
    from cinder import privsep
    from cinder import rpc
    from cinder import utils
    from cinder import version
    from cinder.common import config

    # It imports oslo.messaging, and Cinder has to choose threads before.
    from local_cloud.inside import bus

    objects.register_all()
    cfg.CONF(['--config-file', configuration], project='cinder',
             version=version.version_string())
    logging.setup(cfg.CONF, 'cinder')
    config.set_middleware_defaults()
    priv_context.init(root_helper=shlex.split(utils.get_root_helper()))
    os_brick.setup(cfg.CONF)
    if os.geteuid() == 0:
        # It mounts. Root needs no helper for that, and no sudo for a helper.
        from os_brick import privileged
        privileged.default.set_client_mode(False)
    # Cinder looks into an image as root, by a helper. Those here are its own.
    privsep.sys_admin_pctxt.set_client_mode(False)
    coordination.COORDINATOR.start()
    bus.install()
    rpc.init(cfg.CONF)
    return cfg.CONF


def _use_only_local_connector() -> None:
    """Restrict os-brick to the connector of our volumes.

    It gets the properties of all connectors, whatever is attached. Some of
    them want root, and NVMe's writes ``/etc/nvme/hostnqn`` on this machine.
    """
    from os_brick.initiator import connector
    connector.unix_connector_list[:] = [
        'os_brick.initiator.connectors.base.BaseLinuxConnector',
        'os_brick.initiator.connectors.local.LocalConnector']


def _read_secrets_once() -> None:
    """Request a secret of Barbican once, and not for each of its properties.

    barbicanclient knows by its name that it has a secret. Cinder's keys have
    none, so that it requests one of them 15 times over to read it once.
    """
    from barbicanclient.v1 import secrets
    read = secrets.Secret._fill_lazy_properties

    def read_once(secret) -> None:
        if not vars(secret).get('was_read'):
            read(secret)
            secret.was_read = secret._secret_ref is not None

    secrets.Secret._fill_lazy_properties = read_once


class _NoPool:
    """Stands in for ``eventlet.tpool`` where Cinder forgot native threads.

    ``cinder.image.image_utils`` hands every file through eventlet's pool of
    threads, also in a process that has native ones; there the call works
    once, or never, and the caller hangs (seen with Cinder 29.0.0 on
    creating a volume from an image and on uploading one).
    """

    @staticmethod
    def Proxy(target, *args, **kwargs):
        return target

    @staticmethod
    def execute(function, *args, **kwargs):
        return function(*args, **kwargs)


def _open_like_a_device(path, mode='r', *args, **kwargs):
    """Open a volume's file for writing as a block device would be.

    cinder-backup opens the device that it restores to with mode ``wb``. A
    block device keeps its length and its old content then; a file would be
    cut to nothing, and a restore that forgets to write something would go
    unnoticed on a volume that was not empty. What Cinder does to volumes that
    are files is shown with ``--plain-files``.
    """
    if mode == 'wb' and os.path.basename(str(path)).startswith('volume-'):
        mode = 'r+b'
    return open(path, mode, *args, **kwargs)


def _service_class():
    from cinder import context
    from cinder import objects
    from cinder import service
    from oslo_log import log as logging

    class Service(service.Service):
        """A service that shares its process with others.

        Cinder keeps the id for the heartbeat in the class, where the last
        service to start overwrites it, so that all but one would look dead.
        """

        def report_state(self) -> None:
            if not self.manager.is_working():
                return
            try:
                row = objects.Service.get_by_id(context.get_admin_context(),
                                                self.origin_service_id)
                row.report_count += 1
                row.save(retry=False)
            except Exception:
                # It would be the last heartbeat. The database may be back
                # for the next one.
                logging.getLogger(__name__).exception('No heartbeat')

    return Service


def _create_backup_service(Service, conf):
    from cinder import utils
    return Service.create(
        binary='cinder-backup', coordination=True, service_name='backup',
        process_number=1, semaphore=utils.semaphore_factory(
            conf.backup_max_operations, conf.backup_workers))


def _create_second_backup_service(Service, conf, driver: str, zone: str):
    """Make a cinder-backup on another host, with another driver.

    Host, driver and zone are read once, when the service is made. The options
    of the drivers themselves are read later, and have different names.
    """
    values = {'host': f'{conf.host}-{zone}', 'backup_driver': driver,
              'storage_availability_zone': zone}
    for name, value in values.items():
        conf.set_override(name, value)
    try:
        return _create_backup_service(Service, conf)
    finally:
        for name in values:
            conf.clear_override(name)


def _until(condition: Callable[[], bool]) -> None:
    """Wait for what a driver has to do first.

    If it never comes true, the state of the driver's service shows it.
    """
    deadline = time.monotonic() + _DRIVER_PATIENCE
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)


def _start_services(conf, arguments: argparse.Namespace) -> None:
    from cinder import context
    from cinder import service
    from cinder.backup import manager as backup_manager
    from cinder.image import image_utils

    names = arguments.services
    if not ON_EVENTLET:
        image_utils.tpool = _NoPool
    _use_only_local_connector()
    if conf.key_manager.backend == 'barbican':
        _read_secrets_once()
    Service = _service_class()
    volumes: list[Any] = []
    made: list[Any] = []
    # The scheduler last: it waits for the first report of capabilities of a
    # volume service, and there must be one. And it polls the backup services:
    # one whose driver still checks or mounts its storage reports that it does
    # not work, and is polled again after a minute.
    if 'cinder-volume' in names:
        for backend in conf.enabled_backends:
            volume = Service.create(
                host=f'{conf.host}@{backend}', service_name=backend,
                binary='cinder-volume', coordination=True)
            volume.start()
            volume.report_state()
            volumes.append(volume)
    if not arguments.plain_files:
        backup_manager.open = _open_like_a_device
    if 'cinder-backup' in names:
        made.append(_create_backup_service(Service, conf))
    if arguments.second_backup:
        made.append(_create_second_backup_service(
            Service, conf, *arguments.second_backup))
    for backup in made:
        backup.start()
        backup.report_state()
    _until(lambda: all(one.manager.is_initialized for one in made))
    if arguments.ready_file:
        # A scheduler in another process may have heard of them before they
        # had checked, and would hear of them again in a minute.
        for backup in made:
            backup.manager.publish_service_capabilities(
                context.get_admin_context())
    if 'cinder-scheduler' in names:
        scheduler = Service.create(binary='cinder-scheduler')
        # It polls them, and reads their answers only once a second. Those of
        # this process answer before.
        for volume in volumes:
            if volume.manager.last_capabilities:
                scheduler.manager.update_service_capabilities(
                    context.get_admin_context(), 'volume',
                    volume.manager.host, volume.manager.last_capabilities)
        scheduler.start()
        scheduler.report_state()
        # It would find no service for a backup before they have answered.
        known = scheduler.manager.driver.host_manager.backup_service_states
        hosts = {one.host for one in made if one.manager.is_initialized}
        hosts.update(arguments.backup_host)
        _until(lambda: hosts <= {host for host, state in list(known.items())
                                 if state['backend_state']})
    if volumes:
        # Whose work is to be taken up again after a crash: only volume
        # services write this id into the table of workers.
        service.Service.service_id = volumes[-1].origin_service_id


def _serve_api(paste: str, descriptor: int) -> None:
    from paste import deploy
    application = deploy.loadapp(f'config:{paste}', name='osapi_volume')
    if ON_EVENTLET:
        green.start(descriptor, application)
    else:
        from local_cloud.inside import http  # wants what only we install
        http.start(descriptor, application, threads=12)


def serve_all(arguments: argparse.Namespace) -> None:
    """Run the services and the API until the process is told to end."""
    if arguments.ceph:
        state = cloud_state.State(arguments.ceph)
        rbd.add_bindings(state)
    conf = _configure(arguments.configuration)
    if arguments.ceph:
        rbd.adapt(state)
        rbd.wait_until_ready(state)
    holding.install(arguments.holds)
    _start_services(conf, arguments)
    if arguments.api:
        paste, descriptor = arguments.api
        _serve_api(paste, int(descriptor))
    with contextlib.ExitStack() as stack:
        if arguments.ready_file:
            # Until this process ends, however it does.
            ready = stack.enter_context(open(arguments.ready_file, 'w'))
            fcntl.flock(ready, fcntl.LOCK_EX)
        if ON_EVENTLET:
            green.until_terminated()
        from local_cloud.inside import http  # wants what only we install
        http.until_terminated()


def main() -> None:
    parser = argparse.ArgumentParser()
    verbs = parser.add_subparsers(dest='verb', required=True)
    serve = verbs.add_parser('serve')
    serve.add_argument('configuration')
    serve.add_argument('--api', nargs=2, metavar=('PASTE', 'DESCRIPTOR'),
                       help='serve the API on a socket')
    serve.add_argument('--ready-file', metavar='FILE',
                       help='a file to lock as soon as the services work')
    serve.add_argument('--backup-host', action='append', default=[],
                       metavar='HOST',
                       help='of a cinder-backup that runs elsewhere, for the '
                            'scheduler to wait for')
    serve.add_argument('--holds', metavar='DIRECTORY', required=True,
                       help='where a test arms points that hold requests')
    serve.add_argument('--ceph', metavar='DIRECTORY',
                       help='state directory of a cloud with a Ceph that a '
                            'driver uses')
    serve.add_argument('--plain-files', action='store_true',
                       help='open the files of volumes as Cinder does, which '
                            'cuts them, and not as devices')
    serve.add_argument('--second-backup', nargs=2,
                       metavar=('DRIVER', 'ZONE'),
                       help='have another cinder-backup')
    serve.add_argument('--service', action='append', default=[],
                       dest='services')
    verbs.add_parser('bootstrap').add_argument('configuration')
    arguments = parser.parse_args()
    sqlite.serialize_writers()
    if arguments.verb == 'bootstrap':
        bootstrap(arguments.configuration)
        return
    try:
        serve_all(arguments)
    except BaseException:
        traceback.print_exc()
        # The services' threads would keep half a Cinder alive.
        os._exit(1)


if __name__ == '__main__':
    main()
