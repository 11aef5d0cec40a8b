# SPDX-License-Identifier: Apache-2.0

"""Answers to an import that are refusals, by Cinder or a web server.

In most clouds a web server stands between Cinder and its users. Of a large
request it may make its own answer: nginx has a limit for the body and answers
413 in HTML, without asking Cinder. Cinder itself refuses a large body unread,
and uWSGI closes the connection then: Apache, which was still sending, answers
503 in HTML, nginx 502, and uWSGI's HTTP router breaks the client's connection.

The rule: an answer of a web server is a refusal if the request's body was
larger than what a web server has to take. The caller must then prove that no
backup was made, and that the next request is answered. Everything else has to
be refused by Cinder. An answer of Cinder has the id that Cinder gives to each
request, and a body in JSON. Its 500 or 503 is never a refusal. A time-out,
the web server's (504) or the client's, is none either: the request was not
refused, it was not answered.
"""

from tempest.lib import exceptions as lib_exc
import urllib3

from cinder_backup_recovery_tests import exceptions

#: What the clients raise where a request was not accepted.
ERRORS = (lib_exc.RestClientException, urllib3.exceptions.ProtocolError)

_REQUEST_ID = 'x-openstack-request-id'
_OF_WEB_SERVERS = (400, 413, 502, 503)


def text(exc: Exception) -> str:
    """Quote an error in one line that is not too long."""
    return exceptions.one_line(exc)[:300]


def by_web_server(exc: Exception) -> bool:
    """Check whether a web server answered a request in place of Cinder.

    It refused the request, or the connection broke.
    """
    if isinstance(exc, urllib3.exceptions.ProtocolError):
        return True
    answer = getattr(exc, 'resp', None)
    return (answer is not None and answer.status in _OF_WEB_SERVERS and
            _REQUEST_ID not in answer and
            'json' not in answer.get('content-type', ''))


class BrokeCinder(AssertionError):
    """A request was not refused but answered with an error of Cinder's."""


def check(exc: Exception, what: str, over_quota: bool = False) -> None:
    """Check that Cinder has refused an import.

    :param over_quota: whether 413 is a refusal, too; where nothing is too
        large, it would hide what the import would have done
    :raises BrokeCinder: it was answered with 500
    :raises AssertionError: a web server has answered
    :raises Exception: the error itself, if it is anything else
    """
    kinds = ((lib_exc.BadRequest, lib_exc.OverLimit) if over_quota else
             (lib_exc.BadRequest,))
    if by_web_server(exc):
        raise AssertionError(
            f'the import of {what} was not answered by Cinder but by a web '
            f'server, or not at all: {text(exc)}') from exc
    if isinstance(exc, lib_exc.ServerFault):
        raise BrokeCinder(f'the import of {what} was not refused but broke '
                          f'Cinder: {text(exc)}') from exc
    if not isinstance(exc, kinds):
        raise exc
