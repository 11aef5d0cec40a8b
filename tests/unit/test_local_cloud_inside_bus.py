# SPDX-License-Identifier: Apache-2.0

"""The bus between services of a local cloud that share a process."""

import queue

import fixtures
from oslo_config import cfg
import oslo_messaging
from oslo_messaging import conffixture
from oslo_messaging._drivers import impl_fake
import testtools

from local_cloud.inside import bus


class BusTest(testtools.TestCase):
    """A message wakes its server: nothing polls here."""

    def setUp(self):
        super().setUp()
        self.useFixture(fixtures.Timeout(60, gentle=True))
        for name in 'FakeExchange', 'FakeListener':
            # And as it was, afterwards.
            self.useFixture(fixtures.MonkeyPatch(
                f'oslo_messaging._drivers.impl_fake.{name}',
                getattr(impl_fake, name)))
        self.useFixture(fixtures.MonkeyPatch(
            'local_cloud.inside.bus._PATIENCE', 1000.0))
        bus.install()
        self.addCleanup(impl_fake.FakeExchangeManager.cleanup)
        conf = self.useFixture(conffixture.ConfFixture(
            cfg.ConfigOpts(), 'fake:/')).conf
        self.transport = oslo_messaging.get_rpc_transport(conf)
        self.target = oslo_messaging.Target(topic='kites', server='here')

    def serve(self, server='here'):
        """Answer and keep what comes."""
        came = queue.Queue()

        class Endpoint:
            def fly(self, context, number):
                came.put(number)
                return number + 1

        made = oslo_messaging.get_rpc_server(
            self.transport, self.target(server=server), [Endpoint()],
            executor='threading')
        made.start()
        self.addCleanup(made.wait)
        self.addCleanup(made.stop)
        return came

    def client(self, **kwargs):
        return oslo_messaging.get_rpc_client(
            self.transport, oslo_messaging.Target(topic='kites', **kwargs))

    def test_call(self):
        self.serve()
        for number in range(100):
            self.assertEqual(number + 1, self.client().call(
                {}, 'fly', number=number))

    def test_cast_to_all(self):
        both = [self.serve(), self.serve('there')]
        self.client(fanout=True).cast({}, 'fly', number=7)
        self.assertEqual([7, 7], [one.get(timeout=30) for one in both])

    def listener(self):
        driver = self.transport._driver
        return driver.listen(self.target, 1, None)._poll_style_listener

    def test_sent_after_the_last_look(self):
        """And before it waits: it looks again."""
        listener = self.listener()
        looks = impl_fake.FakeExchange.poll
        looked = []

        def look(*arguments):
            found = looks(*arguments)
            looked.append(found)
            # It looks into two queues.
            if len(looked) == 2:
                self.client().cast({}, 'fly', number=7)
            return found

        self.useFixture(fixtures.MonkeyPatch(
            'oslo_messaging._drivers.impl_fake.FakeExchange.poll', look))
        message, = listener.poll()
        self.assertEqual({'number': 7}, message.message['args'])

    def test_given_back(self):
        listener = self.listener()
        self.client().cast({}, 'fly', number=7)
        message, = listener.poll()
        message.requeue()
        self.assertEqual(message.message, listener.poll()[0].message)

    def test_nothing_comes(self):
        self.assertEqual([], self.listener().poll(timeout=0.01))
        self.assertEqual([], self.listener().poll(batch_timeout=0.01))

    def test_no_look_while_nothing_comes(self):
        self.useFixture(fixtures.MonkeyPatch(
            'local_cloud.inside.bus._PATIENCE', 0.2))
        looked = self.useFixture(fixtures.MockPatchObject(
            impl_fake.FakeExchange, 'poll',
            return_value=(None, None, None, None))).mock
        self.listener().poll(timeout=0.5)
        # Three times for each of the two queues, by the clock.
        self.assertLess(looked.call_count, 9)
