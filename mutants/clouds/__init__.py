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
"""Faulty clouds: a Cinder with one defect, that only Tempest can see.

The cloud loads its backup driver by name; with ours, :mod:`driver`, the
defects come into the process of all its services. None of them does anything
until a file, which :mod:`switch` reads at each call, has its name.
"""
