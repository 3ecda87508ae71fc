#!/bin/bash
# A run on one machine of a SLURM cluster, which survives the end of its time and pre-emption:
#
#   sbatch deploy/slurm.sh photos/ --model resnet50 --out runs/photos
#
# Two minutes before the time is over, or when another job takes the machine, SLURM sends SIGTERM. The run then stores
# what is finished, and the job is queued again with the same command, which continues it.
#SBATCH --job-name=biotune
#SBATCH --nodes=1
#SBATCH --gres=gpu:4
#SBATCH --cpus-per-task=32
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:TERM@120
set -u

biotune tune "$@" --device auto --workers auto &
run=$!
told=no
trap 'told=yes; kill -TERM "$run"' TERM
wait "$run"
code=$?
if [ "$told" = yes ]; then # the signal ended the waiting, not the run
    wait "$run"
    code=$?
fi
if [ "$code" -eq 3 ]; then # interrupted; everything finished is stored
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
