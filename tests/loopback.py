"""Imported before Ray: the tests' own Ray listens on loopback alone, as a sweep's does."""

from sweeps.cluster.address import prepare_environment

prepare_environment(None)
