# SPDX-License-Identifier: Apache-2.0

"""The programs of the services' processes, which import the services."""
