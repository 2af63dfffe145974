"""How the code of a sweep gets to the nodes of a cluster: with the job, as it is here, edits included."""

import json
import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sweeps.cluster.address import OF_JOB, in_job
from sweeps.cluster.connect import Cluster
from sweeps.errors import SweepRefused

PACKAGES = ("deepdlt", "sweeps", "search_spaces")
LEFT_OUT = ["__pycache__", "*.pyc"]  # with them the same code would be another package in every run
UNPACKED = "runtime_resources"
"""A folder in the path of whatever Ray has unpacked for a job; it is removed with the job."""


def package_folders() -> list[Path]:
    """Where the packages are that this process runs.

    Raises:
        SweepRefused: one is not in a folder that could be sent.
    """
    found = []
    for name in PACKAGES:
        spec = find_spec(name)
        places = list(spec.submodule_search_locations or []) if spec else []
        if len(places) != 1 or not Path(places[0]).is_dir():
            raise SweepRefused(f"the source files of {name} are not in one folder; install it from its sources")
        found.append(Path(places[0]).resolve())
    return found


def runtime_env(env_vars: Mapping[str, str]) -> dict[str, Any]:
    """Ray's runtime environment of a sweep on a cluster: the three packages and the variables of the workers.

    In a `ray job submit` what the job has set stays as it is: Ray refuses other values, and a second folder of code.
    """
    job = _of_job()
    set_there = job.get("env_vars") or {}
    found: dict[str, Any] = {"env_vars": {name: v for name, v in env_vars.items() if name not in set_there}}
    folders = package_folders()
    if "py_modules" not in job and not any(UNPACKED in folder.parts for folder in folders):
        found |= {"py_modules": [str(folder) for folder in folders], "excludes": LEFT_OUT}
    return found


def join_options(cluster: Cluster, env_vars: Mapping[str, str]) -> dict[str, Any]:
    """Options of ray.init."""
    own = {"_node_ip_address": cluster.own_address} if cluster.own_address else {}
    return {"address": cluster.address, "runtime_env": runtime_env(env_vars), **own}


def check_place(storage: Path | str) -> None:
    """Refuse to keep a sweep in the folder of a job, which Ray removes.

    Args:
        storage: a folder, or the address of an object store.

    Raises:
        SweepRefused: as said.
    """
    if in_job() and isinstance(storage, Path) and UNPACKED in storage.parts:
        raise SweepRefused(
            f"--storage: {storage} is in the folder that Ray unpacked for this job and will remove; name a folder that"
            " all nodes see, such as --storage /shared/ray_results"
        )


def _of_job() -> dict[str, Any]:
    """The runtime environment that `ray job submit` has set; empty where there is none."""
    try:
        found = json.loads(os.environ.get(OF_JOB, "{}")).get("runtime_env") or {}
    except (ValueError, AttributeError):
        return {}
    return found if isinstance(found, dict) else {}
