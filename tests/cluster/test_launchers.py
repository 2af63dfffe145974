"""The files that start a cluster: checked by Ray's own schema, by KubeRay's published fields, by the shell."""

import json
import re
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest
import ray
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

FOLDER = Path(str(files("sweeps.cluster")))
RAY_UP, KUBERAY = ("on-premise.yaml", "aws-spot.yaml"), ("kuberay-raycluster.yaml", "kuberay-rayjob.yaml")
# Fields of KubeRay's types (ray-operator/apis/ray/v1, 1.6), and of the pod templates that are used here.
CLUSTER = {
    *("rayVersion", "authOptions", "enableInTreeAutoscaling", "autoscalerOptions", "gcsFaultToleranceOptions"),
    *("headGroupSpec", "workerGroupSpecs", "suspend", "headServiceAnnotations", "managedBy"),
}
GROUP = {"rayStartParams", "template", "serviceType", "headService", "enableIngress", "resources", "labels"}
WORKERS = GROUP | {"groupName", "replicas", "minReplicas", "maxReplicas", "numOfHosts", "scaleStrategy"}
AUTOSCALER = {
    *("version", "idleTimeoutSeconds", "upscalingMode", "resources", "image", "imagePullPolicy", "env", "envFrom"),
    *("volumeMounts", "securityContext"),
}
JOB = {
    *(
        "entrypoint",
        "runtimeEnvYAML",
        "rayClusterSpec",
        "clusterSelector",
        "submissionMode",
        "backoffLimit",
        "metadata",
    ),
    *("activeDeadlineSeconds", "shutdownAfterJobFinishes", "ttlSecondsAfterFinished", "deletionStrategy", "suspend"),
    *("submitterPodTemplate", "submitterConfig", "entrypointNumCpus", "entrypointNumGpus", "jobId", "managedBy"),
}
POD = {"containers", "volumes", "terminationGracePeriodSeconds", "tolerations", "nodeSelector", "securityContext"}
CONTAINER = {"name", "image", "resources", "volumeMounts", "env", "envFrom", "ports", "securityContext"}


def read(name):
    return yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", RAY_UP)
def test_rays_own_schema_takes_what_ray_up_is_given(name):
    validate_config(prepare_config(read(name)))
    with pytest.raises(Exception, match="typo"):
        validate_config(prepare_config(read(name) | {"typo": 1}))


@pytest.mark.parametrize("name", RAY_UP)
def test_every_node_of_ray_up_asks_for_the_token(name):
    config = read(name)
    assert "~/.ray/auth_token" in config["file_mounts"]
    assert "chmod 600 ~/.ray/auth_token" in config["setup_commands"]
    for side in ("head", "worker"):
        (start,) = [line for line in config[f"{side}_start_ray_commands"] if "ray start" in line]
        assert start.startswith("RAY_AUTH_MODE=token ")
        assert "0.0.0.0" not in start


def test_the_cloud_cluster_costs_a_head_when_nobody_works():
    config = read("aws-spot.yaml")
    head, workers = config["available_node_types"]["head"], config["available_node_types"]["gpu-spot"]
    assert (head["resources"]["CPU"], workers["min_workers"]) == (0, 0)
    assert workers["node_config"]["InstanceMarketOptions"]["MarketType"] == "spot"


@pytest.mark.parametrize("name", KUBERAY)
def test_kuberay_knows_every_field(name):
    whole = read(name)
    assert (whole["apiVersion"], set(whole)) == ("ray.io/v1", {"apiVersion", "kind", "metadata", "spec"})
    spec = whole["spec"]
    if whole["kind"] == "RayJob":
        assert set(spec) <= JOB
        assert spec["submissionMode"] in ("K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode")
        assert "--max-concurrent" in spec["entrypoint"]  # without it nothing would ever scale up
        spec = spec["rayClusterSpec"]
    assert set(spec) <= CLUSTER
    assert spec["authOptions"] == {"mode": "token", "secretName": "deepdlt-token"}
    assert spec["rayVersion"] == ray.__version__
    assert set(spec["autoscalerOptions"]) <= AUTOSCALER
    assert spec["autoscalerOptions"].get("upscalingMode", "Default") in ("Default", "Aggressive", "Conservative")
    assert set(spec["headGroupSpec"]) <= GROUP
    assert spec["headGroupSpec"]["rayStartParams"] == {"num-cpus": "0"}
    for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"]):
        assert set(group) <= WORKERS
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        pod = group["template"]["spec"]
        assert set(pod) <= POD
        named = {volume["name"] for volume in pod["volumes"]}
        for container in pod["containers"]:
            assert set(container) <= CONTAINER
            assert {mount["name"] for mount in container["volumeMounts"]} == named
            assert "/dev/shm" in {mount["mountPath"] for mount in container["volumeMounts"]}
    for group in spec["workerGroupSpecs"]:
        assert 0 <= group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]


def test_no_image_or_file_of_ours_listens_everywhere_or_has_a_secret():
    for file in FOLDER.iterdir():
        if file.suffix in (".yaml", ".sh") or file.name == "Dockerfile":
            text = file.read_text(encoding="utf-8")
            assert "0.0.0.0" not in text
            assert not re.search(r"auth_token: *[0-9a-f]{16}|AUTH_TOKEN=[0-9a-f]{8}", text)


def test_the_image_installs_what_is_pinned_and_does_not_run_as_root():
    lines = (FOLDER / "Dockerfile").read_text(encoding="utf-8").splitlines()
    steps = [line.split()[0] for line in lines if re.match(r"[A-Z]+ ", line)]
    assert steps[0] == "FROM"
    assert steps[-1] == "CMD"
    assert ":latest" not in lines[0]
    assert any("--constraint constraints.txt" in line for line in lines)
    assert [line for line in lines if line.startswith("USER")] == ["USER ray"]
    copied = [word for line in lines if line.startswith("COPY") for word in line.split()[1:-1]]
    root = FOLDER.parent.parent
    assert all((root / word).exists() for word in copied)
    assert {"deepdlt", "search_spaces", "sweeps"} <= set(copied)


INSTRUCTIONS = {"FROM", "RUN", "WORKDIR", "COPY", "USER", "ENV", "CMD"}


def test_every_line_of_the_dockerfile_is_an_instruction_that_a_linter_would_pass():
    """The rules of hadolint that can be checked without it; no image can be built here."""
    text = re.sub(r"^#.*\n", "", (FOLDER / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    steps = [line.split(maxsplit=1) for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    assert all(len(step) == 2 and step[0] in INSTRUCTIONS for step in steps)  # no ADD (DL3020), no MAINTAINER (DL4000)
    of = {name: [rest for step, rest in steps if step == name] for name in INSTRUCTIONS}
    assert re.fullmatch(r"[\w./-]+:[\w.-]+", of["FROM"][0])  # a version (DL3006)
    assert all(folder.startswith("/") for folder in of["WORKDIR"])  # DL3000
    assert [len(json.loads(command)) > 0 for command in of["CMD"]] == [True]  # one, as a list (DL3025, DL4003)
    for run in of["RUN"]:
        if "apt-get install" in run:
            assert {"--yes", "--no-install-recommends"} <= set(run.split())  # DL3014, DL3015
            assert "rm -rf /var/lib/apt/lists/*" in run  # DL3009
        assert "pip install" not in run or "--no-cache-dir" in run  # DL3042
        assert "sudo" not in run  # DL3004
        subprocess.run(["sh", "-n", "-c", run], check=True)


def test_the_slurm_script_is_a_shell_script_and_asks_for_its_environment(tmp_path):
    script = FOLDER / "slurm.sh"
    subprocess.run(["bash", "-n", script], check=True)
    done = subprocess.run(["bash", script], capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"}, check=False)
    assert done.returncode != 0
    assert "run this with sbatch" in done.stderr
