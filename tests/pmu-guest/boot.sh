#!/bin/sh
# Runs a script in an emulated arm64 machine whose CPU has a PMU (QEMU, TCG, Arm PMUv3), and brings back what it leaves.
# The guest's PMU counts retired instructions only with a fixed `-icount` shift; without it cycles move and instructions
# read 0, as on some virtual machines.
#
# usage: boot.sh [-i SHIFT|off] [-s CPUS] [-t SECONDS] PACKAGES JOB OUT
#   PACKAGES  the folder that packages.sh filled
#   JOB       a folder that becomes /job, where JOB/run.sh is started; it may leave files in /out
#   OUT       a new folder here for what was in /out
# exit status: that of run.sh; 77 when there is no qemu or cpio here; 124 when the guest did not end in time; 125 when it
# ended without a word
set -eu
usage() {
    sed -n '2,12s/^# \{0,1\}//p' "$0" >&2
    exit 2
}
shift_bits=2 cpus=2 limit=120
while getopts i:s:t: option; do
    case $option in
    i) shift_bits=$OPTARG ;;
    s) cpus=$OPTARG ;;
    t) limit=$OPTARG ;;
    *) usage ;;
    esac
done
shift $((OPTIND - 1))
[ $# -eq 3 ] || usage
for tool in qemu-system-aarch64 cpio; do
    command -v $tool >/dev/null || { echo "boot.sh: no $tool: apt-get install qemu-system-arm cpio" >&2; exit 77; }
done
packages=$1 job=$2 out=$3
mkdir "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# The base of the initial file system is packed once; a run's own part is a second archive behind it.
base=$packages/base.cpio
if [ ! -e "$base" ]; then
    (
        cd "$packages/root"
        mkdir -p proc sys dev tmp out job etc
        echo 'root:x:0:0:root:/:/bin/sh' >etc/passwd
        for applet in sh mount cat ls echo mkdir tar gzip base64 chmod poweroff stty kill sleep; do
            [ -e bin/$applet ] || ln -s busybox bin/$applet
        done
        find . -print0 | cpio -0 -o -H newc --quiet
    ) >"$base.new"
    mv "$base.new" "$base"
fi
mkdir -p "$work/tree/job"
cp -a "$job/." "$work/tree/job/"
cat >"$work/tree/init" <<'INIT'
#!/bin/busybox sh
export PATH=/bin:/usr/bin HOME=/ LC_ALL=C
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
mount -t tmpfs tmp /tmp
mount -t cgroup2 cgroup /sys/fs/cgroup 2>/dev/null
echo 1 >/proc/sys/kernel/perf_event_paranoid
stty -onlcr 2>/dev/null
cd /job
echo "@@BEGIN"
sh ./run.sh </dev/null 2>&1
status=$?
echo
echo "@@END $status"
echo "@@OUT"
tar -C /out -cf - . | gzip | base64
echo "@@DONE"
poweroff -f
INIT
chmod +x "$work/tree/init"
(cd "$work/tree" && find . -print0 | cpio -0 -o -H newc --quiet) | cat "$base" - >"$work/initrd"

icount=
[ "$shift_bits" = off ] || icount="-icount shift=$shift_bits,sleep=off"
status=0
# shellcheck disable=SC2086 # icount is two words or none
timeout "$limit" qemu-system-aarch64 -machine virt -cpu cortex-a57 -smp "$cpus" -m 1024 $icount \
    -display none -monitor none -serial stdio -no-reboot -nic none -kernel "$packages/vmlinuz" -initrd "$work/initrd" \
    -append "console=ttyAMA0 rdinit=/init quiet loglevel=3 mitigations=off audit=0 panic=-1" \
    </dev/null >"$work/console" 2>"$work/errors" || status=$?
tr -d '\r' <"$work/console" >"$work/text"
sed -n '/^@@BEGIN/,/^@@END/{/^@@/!p}' "$work/text"
if [ "$status" -eq 124 ]; then
    echo "boot.sh: the guest did not end within $limit s; its last words:" >&2
    tail -n 20 "$work/text" >&2
    exit 124
fi
if ! grep -q '^@@DONE' "$work/text"; then
    cat "$work/errors" >&2
    tail -n 20 "$work/text" >&2
    exit 125
fi
sed -n '/^@@OUT/,/^@@DONE/{/^@@/!p}' "$work/text" | base64 -d | tar -C "$out" -m -xzf -
exit "$(sed -n 's/^@@END //p' "$work/text")"
