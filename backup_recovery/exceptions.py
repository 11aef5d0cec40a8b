# SPDX-License-Identifier: Apache-2.0

"""Errors that end in one line for an operator."""


class RecoveryError(Exception):
    """An error of this package; its text names the remedy."""


class BadFile(RecoveryError):
    """A file that cannot be read, written or understood."""


class CloudError(RecoveryError):
    """The cloud cannot be reached, or does not accept the credentials."""


class NotAuthorized(CloudError):
    """The cloud does not accept the credentials, or not for a project."""


class Refused(RecoveryError):
    """The cloud refuses one request; others may work.

    :ivar status: of HTTP
    """

    def __init__(self, status: int, reason: str):
        super().__init__(reason)
        self.status = status
