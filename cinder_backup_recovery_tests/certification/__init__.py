# SPDX-License-Identifier: Apache-2.0

"""The run of the suite and its verdict."""
