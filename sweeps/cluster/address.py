"""Which Ray a sweep uses, one of its own on this machine or a cluster, and the environment that this takes.

Nothing here imports Ray: it reads that environment when it is imported.
"""

import os
from collections.abc import MutableMapping

from sweeps.cluster import tokens

LOCAL, AUTO = "local", "auto"
ADDRESS = "RAY_ADDRESS"
OF_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""`ray job submit` sets it for the command that it runs."""
CLUSTERS = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""With 0, Ray does what it does on Windows and macOS: every port of a node is on loopback."""


def in_job(environment: MutableMapping[str, str] | None = None) -> bool:
    """Whether this process is the command of a `ray job submit`."""
    return OF_JOB in (os.environ if environment is None else environment)


def cluster_address(asked: str | None, environment: MutableMapping[str, str] | None = None) -> str | None:
    """The address of the cluster to use; None for a Ray on this machine that the sweep starts for itself.

    Without `--address` the environment decides, as for all Ray programs: RAY_ADDRESS, or the job that this is in.
    A RAY_ADDRESS of a dashboard (http://...) is for `ray job submit` alone.
    """
    environment = os.environ if environment is None else environment
    found = asked
    if found is None:
        named = environment.get(ADDRESS, "")
        usable = named and not named.startswith(("http://", "https://"))
        found = named if usable else AUTO if in_job(environment) else LOCAL
    return None if found == LOCAL else found


def prepare_environment(address: str | None, environment: MutableMapping[str, str] | None = None) -> None:
    """Set what Ray reads when it is imported.

    A Ray of this machine alone listens on loopback alone, and asks for a token whatever the environment says. At a
    cluster a token that is there is shown.
    """
    environment = os.environ if environment is None else environment
    if address is None:
        environment[CLUSTERS] = "0"
        environment[tokens.MODE] = tokens.ON
        return
    environment.pop(CLUSTERS, None)  # with it this host would call itself 127.0.0.1
    if tokens.MODE not in environment and tokens.find_token(environment):
        environment[tokens.MODE] = tokens.ON
