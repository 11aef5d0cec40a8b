# SPDX-License-Identifier: Apache-2.0

"""Errors of the local cloud, each a sentence that a person can act on."""


class LocalCloudError(Exception):
    """Anything that keeps the cloud from doing what was asked."""


class InvalidState(LocalCloudError):
    """The state directory cannot be used as it is."""


class NeedsUML(LocalCloudError):
    """The cloud cannot run on this kernel, but in User-Mode Linux here."""


class ServiceFailed(LocalCloudError):
    """A service died or never answered; quotes the end of its log."""


class MissingPackage(LocalCloudError):
    """A Python package or a program that a service needs is missing."""
