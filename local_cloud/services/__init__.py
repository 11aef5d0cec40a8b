# SPDX-License-Identifier: Apache-2.0

"""The services that a cloud has, and how each is configured and started."""
