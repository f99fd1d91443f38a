#!/usr/bin/env bash
# One-node Slurm on loopback, for tests (Debian: apt-get install --no-install-recommends slurm-wlm
# munge). No systemd, cgroups or accounting. Own key, ports and folder; all is stopped and removed at
# the end.
#   one_node_slurm.sh COMMAND...    runs COMMAND in it, with SLURM_CONF set; without one, a proof.
set -euo pipefail
[ "$(id -u)" = 0 ] || { echo "run it as root: slurmd starts jobs for their users" >&2; exit 2; }
home=$(mktemp -d)
chmod 755 "$home"
mkdir "$home/state" "$home/spool"
pids=()
stop() {
    trap "" INT TERM HUP
    scancel --full --user=root >/dev/null 2>&1 || true
    for _ in $(seq 20); do [ -z "$(squeue --noheader 2>/dev/null)" ] && break; sleep 0.1; done
    # What still runs waits for munge and for the controller, so it is not asked to end.
    for stepd in $(pgrep slurmstepd || true); do
        grep -qs "$home/" "/proc/$stepd/environ" && kill -9 "$stepd" 2>/dev/null
    done
    for ((i = ${#pids[@]} - 1; i >= 0; i--)); do kill -9 "${pids[i]}" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$home"
}
trap stop EXIT
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
wait_for() { for _ in $(seq 100); do "$@" >/dev/null 2>&1 && return; sleep 0.1; done; tail -n 20 "$home"/*.log >&2; exit 1; }
node=$(hostname -s)
export SLURM_CONF=$home/slurm.conf
cat >"$SLURM_CONF" <<END
ClusterName=test
SlurmctldHost=$node(127.0.0.1)
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$home/munge.socket,cred_expire=5
CredType=cred/munge
SlurmctldPort=$(free_port)
SlurmdPort=$(free_port)
SlurmctldPidFile=$home/slurmctld.pid
SlurmdPidFile=$home/slurmd.pid
StateSaveLocation=$home/state
SlurmdSpoolDir=$home/spool
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
KillWait=1
MinJobAge=300
ReturnToService=2
SlurmdParameters=config_overrides
NodeName=$node NodeAddr=127.0.0.1 CPUs=2 RealMemory=1000 State=UNKNOWN
PartitionName=test Nodes=ALL Default=YES MaxTime=60 State=UP
END
(umask 077; head -c 128 /dev/urandom >"$home/munge.key")
munged --foreground --key-file="$home/munge.key" --socket="$home/munge.socket" --pid-file="$home/munged.pid" \
    --log-file="$home/munged.log" --seed-file="$home/munge.seed" 2>/dev/null & pids+=($!)
wait_for munge -n --socket="$home/munge.socket"
slurmctld -D >"$home/slurmctld.log" 2>&1 & pids+=($!)
slurmd -D -N "$node" >"$home/slurmd.log" 2>&1 & pids+=($!)
wait_for sh -c "sinfo -h -o %t | grep -q idle"
if [ $# -gt 0 ]; then "$@"; exit; fi
echo "srun: $(srun hostname)"
job=$(sbatch --parsable --output="$home/job.out" --wrap 'echo "from $SLURM_JOB_ID"')
wait_for grep -q from "$home/job.out"
echo "sbatch: job $job said '$(cat "$home/job.out")', $(scontrol show job "$job" | grep -o 'JobState=[A-Z]*')"
