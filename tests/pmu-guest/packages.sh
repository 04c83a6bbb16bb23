#!/bin/sh
# Brings the arm64 packages that the guest and the cross build need into FOLDER and unpacks them there; what is there
# already is kept, so that only the first call needs the network. Nothing is installed, no foreign architecture is added
# to this system and no root is needed: apt works on a private state that knows arm64 alone, dpkg only unpacks.
#
# usage: packages.sh FOLDER
#   FOLDER/root     what the guest runs on: libc, busybox and the libraries that prony links
#   FOLDER/sysroot  what the cross build sees: the same libraries with their headers, but no libc, which comes with the
#                   cross compiler
#   FOLDER/vmlinuz  Debian's kernel
# exit status: 0; 77 when a package cannot be had (no network and not in FOLDER yet), with the reason
set -eu
[ $# -eq 1 ] || { sed -n '2,13s/^# \{0,1\}//p' "$0" >&2; exit 2; }
mkdir -p "$1"
folder=$(cd "$1" && pwd)

libraries="libpapi7.0 libpfm4 libsde1 libhwloc15 libnuma1 libjansson4 libudev1 libcap2 libgsl27 libgslcblas0"
guest="busybox-static libc6 libgcc-s1 libgcrypt20 libgpg-error0 $libraries"
headers="libpapi-dev libhwloc-dev libjansson-dev libgsl-dev libpfm4-dev libnuma-dev"
stamp=$(echo "$guest $headers" | cksum | cut -d' ' -f1)
[ ! -e "$folder/stamp-$stamp" ] || exit 0

cannot() {
    echo "packages.sh: $1: $(tail -n 1 "$folder/apt.log")" >&2
    exit 77
}

state=$folder/apt
rm -rf "$state" "$folder/debs" "$folder/base.cpio" "$folder/root" "$folder/sysroot" "$folder/kernel"
mkdir -p "$state/lists/partial" "$state/cache/archives/partial" "$state/none" "$folder/debs"
: >"$state/status"
sources=/etc/apt/sources.list.d/debian.sources
[ -e $sources ] || sources=/etc/apt/sources.list
arm64() {
    tool=$1
    shift
    "$tool" -o APT::Architecture=arm64 -o APT::Architectures::=arm64 -o Dir::State="$state" \
        -o Dir::State::lists="$state/lists" -o Dir::State::status="$state/status" -o Dir::Cache="$state/cache" \
        -o Dir::Etc::sourcelist=$sources -o Dir::Etc::sourceparts="$state/none" -o APT::Sandbox::User=root \
        -o Acquire::Retries=3 "$@" 2>>"$folder/apt.log"
}
unpack() { # PACKAGE INTO
    dpkg -x "$folder/debs/$1"_*.deb "$2"
}

: >"$folder/apt.log"
arm64 apt-get -qq update || cannot "the package lists of arm64 cannot be fetched"
kernel=$(arm64 apt-cache depends linux-image-arm64 | sed -n 's/.*Depends: \(linux-image[^:]*\).*/\1/p' | head -n 1)
# shellcheck disable=SC2086 # lists of words
(cd "$folder/debs" && arm64 apt-get -qq download $guest $headers "$kernel") || cannot "arm64 packages cannot be fetched"

for package in $guest; do
    unpack "$package" "$folder/root"
done
for package in $libraries $headers; do
    unpack "$package" "$folder/sysroot"
done
unpack "$kernel" "$folder/kernel"
cp "$folder"/kernel/boot/vmlinuz-* "$folder/vmlinuz"
rm -rf "$folder/kernel" "$folder/root/usr/share/doc" "$folder/root/usr/share/man" "$folder/root/usr/share/locale" "$state"
# The development links of the libraries point into the sysroot, or nowhere.
find "$folder/sysroot" -lname '/*' | while read -r link; do
    ln -sfn "$folder/sysroot$(readlink "$link")" "$link"
done
: >"$folder/stamp-$stamp"
