"""All that is used of Ray's private names to ask a cluster before this process joins it, under public ones.

tests/cluster/test_ray_core.py has a test for each; those of Tune are in sweeps/tuning/ray_internals.py.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import grpc
import ray
from ray._private import ray_constants, services
from ray._private.utils import compute_version_info
from ray._raylet import GcsClient  # type: ignore[attr-defined]

ALIVE = 0
CHECK_ALIVE = "/ray.rpc.NodeInfoGcsService/CheckAlive"
METADATA = (b"CLUSTER_METADATA", b"cluster")
ASKS_FOR_TOKEN, OPEN, NO_HEAD = "asks for another token", "lets this one in", "no head of a Ray cluster"


@dataclass(frozen=True)
class NodeInfo:
    """A node as the head lists it."""

    node_id: str
    address: str
    host: str
    resources: Mapping[str, float]


def find_address() -> str:
    """Address of the cluster that has a node on this host.

    Raises:
        ConnectionError: there is none.
    """
    return str(services.get_ray_address_from_environment("auto", None))


def kind_of(address: str, timeout_s: float, token: str = "") -> str:
    """What answers there somebody who has this token, "" for none: ASKS_FOR_TOKEN, OPEN or NO_HEAD.

    Ray's own client tries for 40 s where something else answers, and warns of a wrong token on stderr.
    """
    shown = [("authorization", f"Bearer {token}")] if token else []
    with grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        try:
            channel.unary_unary(CHECK_ALIVE)(b"", timeout=timeout_s, metadata=shown)
        except grpc.RpcError as error:
            return ASKS_FOR_TOKEN if error.code() == grpc.StatusCode.UNAUTHENTICATED else NO_HEAD
    return OPEN


def ask(address: str, timeout_s: float) -> tuple[list[NodeInfo], tuple[str, str]]:
    """The nodes that are alive, and the versions of Ray and Python that the cluster runs."""
    client = GcsClient(address=address)
    found = client.get_all_node_info(timeout=timeout_s)
    known = json.loads(client.internal_kv_get(*METADATA, timeout_s) or b"{}")
    return [_node(each) for each in found.values() if each.state == ALIVE], (
        known.get("ray_version", ""),
        known.get("python_version", ""),
    )


def own_versions() -> tuple[str, str]:
    """Of Ray and Python, as a cluster compares them."""
    found = compute_version_info()
    return found[0], found[1]


def keep_loopback() -> None:
    """Join at 127.0.0.1 where that is asked for; Ray else puts this host's outer address in its place."""
    ray_constants.ENABLE_RAY_CLUSTER = False


def this_node() -> str:
    """The id of the node that this process runs on."""
    return str(ray.get_runtime_context().get_node_id())


def _node(info: Any) -> NodeInfo:
    host = info.node_manager_hostname or info.node_name
    return NodeInfo(info.node_id.hex(), info.node_manager_address, host, dict(info.resources_total))
