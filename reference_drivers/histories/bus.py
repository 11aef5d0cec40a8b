# SPDX-License-Identifier: Apache-2.0

"""The message bus of a cloud in one process.

The services talk through oslo.messaging as on any cloud, with its own
serializers and dispatcher. Only the transport is another one: a message is
kept until the engine delivers it, so that the order is the engine's.
"""

import collections
from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
from typing import Any

from cinder import rpc
from cinder.objects import base as objects_base
from oslo_config import cfg
from oslo_log import log as logging
from oslo_messaging import transport
from oslo_messaging.rpc import dispatcher
from oslo_serialization import jsonutils

LOG = logging.getLogger(__name__)


class Killed(BaseException):
    """A service dies where this is raised."""


@dataclasses.dataclass
class Message:
    """A request from one service to another.

    :ivar server: the host of the receiver
    :ivar message: the method and its arguments, serialized
    :ivar ctxt: the context of the request, serialized
    """

    topic: str
    server: str | None
    message: dict[str, Any]
    ctxt: dict[str, Any]
    #: What oslo.messaging asks of each: no heartbeat is wanted.
    client_timeout: None = None

    def __str__(self) -> str:
        return f'{self.topic}: {self.message["method"]}'


class Bus:
    """A driver of oslo.messaging that keeps messages for later.

    :param conf: the configuration of the services
    """

    def __init__(self, conf: cfg.ConfigOpts):
        self.conf = conf
        self._servers: dict[str, dispatcher.RPCDispatcher] = {}
        self._waiting: collections.deque[Message] = collections.deque()
        #: Called before each message is sent and before it is delivered.
        self.on_message: Callable[[Message], None] = lambda message: None
        #: The topic of the service that has a message now, '' for none.
        self.receiver = ''
        #: Of messages that ended in an exception, as a service logs them.
        self.errors: list[str] = []

    def serve(self, topic: str, endpoints: Sequence[Any]) -> None:
        """Deliver the messages of a topic to a service."""
        self._servers[topic] = dispatcher.RPCDispatcher(
            list(endpoints),
            rpc.RequestContextSerializer(
                objects_base.CinderObjectSerializer()))

    def transport(self) -> transport.RPCTransport:
        """The transport, for :data:`cinder.rpc.TRANSPORT`."""
        return transport.RPCTransport(self)

    # What oslo.messaging asks of a driver

    def send(self, target: Any, ctxt: dict[str, Any], message: dict[str, Any],
             wait_for_reply: bool | None = None, **options: Any) -> Any:
        """Keep a message, or deliver it at once if an answer is wanted."""
        made = Message(target.topic, target.server, *_copied(message, ctxt))
        self.on_message(made)
        if wait_for_reply:
            return self._dispatch(made)
        self._waiting.append(made)

    def cleanup(self) -> None:
        """Forget all that waits."""
        self._waiting.clear()

    # What the engine does

    @property
    def waiting(self) -> int:
        """The number of messages that wait."""
        return len(self._waiting)

    def deliver(self) -> bool:
        """Deliver the message that has waited the longest.

        :returns: False if there was none
        :raises Killed: the receiver died
        """
        try:
            message = self._waiting.popleft()
        except IndexError:
            return False
        self.on_message(message)
        try:
            self._dispatch(message)
        except Exception as error:
            # A service logs it, and takes the next message.
            self.errors.append(f'{message}: {error}')
        return True

    def _dispatch(self, message: Message) -> Any:
        before, self.receiver = self.receiver, message.topic
        try:
            return self._servers[message.topic].dispatch(message)
        finally:
            self.receiver = before


def _copied(*parts: Any) -> list[Any]:
    """As they come out at the other end of a wire."""
    return [jsonutils.loads(jsonutils.dumps(part)) for part in parts]
