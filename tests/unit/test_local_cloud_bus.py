# SPDX-License-Identifier: Apache-2.0

"""The message bus of the local cloud's Cinder."""

import base64
import configparser
import hashlib
import json
import socket
import threading
from unittest import mock

from local_cloud import exceptions
from local_cloud import options
from local_cloud import requirements
from local_cloud import sites
from local_cloud import tempest_conf
from local_cloud.machine import cloud_state
from local_cloud.services import cinder
from local_cloud.services import rabbitmq
from local_cloud.services import registry
from tests import cloud_cases

_EACH = ('cinder-scheduler', 'cinder-volume', 'cinder-backup')


class BusTest(cloud_cases.StateCase):

    def setUp(self):
        super().setUp()
        self.state.record.update(
            ports={'keystone': 1, 'glance': 2, 'cinder': 3, 'cinder-two': 4,
                   'rabbitmq': 5, 'rabbitmq-epmd': 6, 'rabbitmq-nodes': 7},
            passwords={'cinder': 'x', 'rabbitmq': 'secret'}, bus='rabbitmq',
            debug=False, backup='default', cinder_services=list(_EACH))

    def _names(self):
        return [one.name for one in registry.cinders(self.state)]

    def _transport(self, site):
        cinder.Cinder(self.state, site).configure()
        parser = configparser.RawConfigParser()
        parser.read(self.state.config(site.name))
        return parser['DEFAULT']['transport_url']

    def _command(self, name):
        process, = (one for one in registry.cinders(self.state)
                    if name == one.name)
        return process.command()

    @staticmethod
    def _services(words):
        return [words[i + 1] for i, word in enumerate(words)
                if word == '--service']

    def test_one_process_without_a_broker(self):
        """The default, also of a cloud that was made before the option."""
        del self.state.record['bus']
        self.assertEqual(['cinder'], self._names())
        self.assertNotIn('rabbitmq', [one.name for one in
                                      registry.of(self.state)])
        self.assertEqual('fake://', self._transport(sites.FIRST))
        self.assertEqual('cinder', cinder.of_backup(self.state))
        self.assertEqual([*_EACH], self._services(
            cinder.Cinder(self.state).command(9)))

    def test_a_process_for_each(self):
        """The API last: it tells of the others."""
        self.assertEqual([*_EACH, 'cinder'], self._names())
        self.state.record.update(second_region=True, second_backup=True)
        self.assertEqual(
            [*_EACH, 'cinder-backup-other', 'cinder',
             *(f'{name}-two' for name in _EACH), 'cinder-two'],
            self._names())
        self.assertIsInstance(registry.of(self.state)[0], rabbitmq.RabbitMQ)
        for name in _EACH:
            words = self._command(name)
            self.assertEqual([name], self._services(words))
            self.assertNotIn('--second-backup', words)
            self.assertNotIn('--api', words)
        words = self._command('cinder-backup-other')
        self.assertEqual([], self._services(words))
        self.assertIn('--second-backup', words)
        words = cinder.Cinder(self.state).command(9)
        self.assertEqual([], self._services(words))
        self.assertIn('--api', words)
        self.assertNotIn('--second-backup', words)

    def test_scheduler_waits_for_each_backup_service(self):
        """Of its own site."""
        def hosts(name):
            words = self._command(name)
            return [words[i + 1] for i, word in enumerate(words)
                    if word == '--backup-host']

        self.state.record.update(second_region=True, second_backup=True)
        self.assertEqual(['local', 'local-other'], hosts('cinder-scheduler'))
        self.assertEqual(['second'], hosts('cinder-scheduler-two'))
        self.state.record['cinder_services'].remove('cinder-backup')
        self.assertEqual([], hosts('cinder-scheduler'))
        self.assertNotIn('cinder-backup', self._names())

    def test_sites_do_not_hear_each_other(self):
        self.assertEqual(
            ['rabbit://cinder:secret@127.0.0.1:5/cinder',
             'rabbit://cinder:secret@127.0.0.1:5/cinder-two'],
            [self._transport(site) for site in (sites.FIRST, sites.SECOND)])
        rabbitmq.RabbitMQ(self.state).configure()
        text = (self.state.data / 'rabbitmq' /
                'definitions.json').read_text()
        self.assertNotIn('secret', text)
        found = json.loads(text)
        self.assertEqual(['cinder', 'cinder-two'],
                         [one['name'] for one in found['vhosts']])
        self.assertEqual(['cinder', 'cinder-two'],
                         [one['vhost'] for one in found['permissions']])
        user, = found['users']
        self.assertEqual('cinder', user['name'])
        digest = base64.b64decode(user['password_hash'])
        self.assertEqual(hashlib.sha256(digest[:4] + b'secret').digest(),
                         digest[4:])

    def test_a_node_of_its_own(self):
        """All of it is below the directory, and for its owner only."""
        rabbitmq.RabbitMQ(self.state).configure()
        for name, value in rabbitmq.RabbitMQ(
                self.state).environment().items():
            if '/' in value:
                self.assertTrue(value.startswith(f'{self.state.data}/'), name)
        directory = self.state.data / 'rabbitmq'
        self.assertLess({'.erlang.cookie', 'rabbitmq.conf'},
                        {path.name for path in directory.iterdir()})
        for path in (directory, *directory.iterdir()):
            self.assertEqual(0, path.stat().st_mode & 0o077, path)
        # Once more, as of a cloud whose first start was interrupted.
        rabbitmq.RabbitMQ(self.state).configure()

    def test_package_is_named(self):
        with mock.patch('shutil.which', return_value=None):
            error = self.assertRaises(
                exceptions.MissingPackage, requirements.check,
                options.Options(bus='rabbitmq'))
            requirements.check(options.Options())
        self.assertTrue(str(error).endswith(
            '(rabbitmq-server, erl not found); on Debian: apt-get install '
            '--no-install-recommends rabbitmq-server'))

    def test_answer_of_something_else(self):
        """A port that is open is not yet a broker."""
        with socket.create_server(('127.0.0.1', 0)) as listener:
            self.state.record['ports']['rabbitmq'] = (
                listener.getsockname()[1])

            def serve():
                for answer in (b'HTTP/1.1 400 Bad Request',
                               b'AMQP\0\0\x09\x01',
                               b'\1\0\0\0\0\1\xd4\0\x0a\0\x0a'):
                    client, _ = listener.accept()
                    with client:
                        client.recv(8, socket.MSG_WAITALL)
                        client.sendall(answer)

            thread = threading.Thread(target=serve)
            thread.start()
            self.addCleanup(thread.join)
            for expected in ('HTTP', 'AMQP'):
                self.assertIn(expected, rabbitmq.RabbitMQ(self.state).ready())
            self.assertIs(True, rabbitmq.RabbitMQ(self.state).ready())

    def test_ready_as_long_as_it_holds_the_lock(self):
        process, *_ = registry.cinders(self.state)
        self.assertIn('has not begun to work', process.ready())
        with mock.patch.object(cloud_state, 'is_locked',
                               return_value=True) as ask:
            self.assertIs(True, process.ready())
        words = process.command()
        self.assertEqual(str(ask.call_args.args[0]),
                         words[words.index('--ready-file') + 1])

    def test_tests_kill_that_process(self):
        self.state.record['passwords']['admin'] = 'x'
        for bus, name in (('rabbitmq', 'cinder-backup'),
                          ('memory', 'cinder')):
            self.state.record['bus'] = bus
            tempest_conf.write(self.state, 'an image')
            parser = configparser.RawConfigParser()
            parser.read(tempest_conf.path(self.state))
            self.assertTrue(parser['cinder_backup_recovery'][
                'service_kill_command'].endswith(f' kill {name}'))
