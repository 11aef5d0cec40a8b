# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

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
