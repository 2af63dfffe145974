#!/bin/bash
#SBATCH --job-name=deepdlt
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --time=12:00:00
#SBATCH --signal=B:TERM@120
# A sweep on the nodes of a SLURM job. From a checkout, on a folder that all nodes see, after `make setup`:
#   sbatch sweeps/cluster/slurm.sh --space exp_grid --cv
#   sbatch --nodes=4 --gpus-per-task=1 sweeps/cluster/slurm.sh --space exp_grid --cv
# The same command resumes. The nodes are given back when the sweep ends.
set -euo pipefail
cd "${SLURM_SUBMIT_DIR:?run this with sbatch}"
BIN="${DEEPDLT_BIN:-$PWD/.venv/bin}"
HEAD=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
PORT=$((20000 + SLURM_JOB_ID % 10000)) # two jobs may share a node

# Only this job's processes know the token.
RAY_AUTH_TOKEN=$("$BIN/python" -c 'import secrets; print(secrets.token_hex(32))')
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN
export RAY_SYMMETRIC_RUN_CLUSTER_WAIT_TIMEOUT=120 RAY_USAGE_STATS_ENABLED=0

# `ray symmetric-run` ends with 0 where Ray does not start: the sweep's own code comes from the file.
RESULT=$(mktemp "$PWD/.deepdlt-$SLURM_JOB_ID-XXXXXX")
trap 'rm -f "$RESULT"' EXIT
echo 1 >"$RESULT"
export RESULT BIN
srun --nodes="$SLURM_JOB_NUM_NODES" --ntasks="$SLURM_JOB_NUM_NODES" --ntasks-per-node=1 \
  "$BIN/ray" symmetric-run --address "$HEAD:$PORT" --min-nodes "$SLURM_JOB_NUM_NODES" \
  --num-cpus="${SLURM_CPUS_PER_TASK:-1}" --temp-dir="/tmp/deepdlt-$SLURM_JOB_ID" -- \
  bash -c '"$BIN/deepdlt" sweep "$@"; echo $? >"$RESULT"' sweep --address "$HEAD:$PORT" "$@"
exit "$(cat "$RESULT")"
