#!/bin/bash
# A run on several machines of a SLURM cluster, as one Ray cluster; otherwise like slurm.sh:
#
#   sbatch --nodes=4 deploy/slurm-ray.sh photos/ --model resnet50 --threads 8 --workers 16 --out runs/photos
#
# Give one worker for each GPU. The run folder and the cache must be on a file system that all machines share.
#SBATCH --job-name=biotune
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gres=gpu:4
#SBATCH --cpus-per-task=32
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:TERM@120
set -u

export RAY_USAGE_STATS_ENABLED=0
port=$((20000 + SLURM_JOB_ID % 20000)) # another one for each job that shares a machine
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)

ray start --head --port="$port" --num-cpus="$SLURM_CPUS_PER_TASK" --include-dashboard=false
if [ "$SLURM_JOB_NUM_NODES" -gt 1 ]; then
    srun --nodes="$((SLURM_JOB_NUM_NODES - 1))" --exclude="$head" \
        ray start --address="$head:$port" --num-cpus="$SLURM_CPUS_PER_TASK" --block &
fi

biotune tune "$@" --executor ray --address "$head:$port" &
run=$!
told=no
trap 'told=yes; kill -TERM "$run"' TERM
wait "$run"
code=$?
if [ "$told" = yes ]; then # the signal ended the waiting, not the run
    wait "$run"
    code=$?
fi
ray stop
if [ "$code" -eq 3 ]; then # interrupted; everything finished is stored
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
