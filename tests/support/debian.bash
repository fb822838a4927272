# SPDX-License-Identifier: MIT
#
# debian.bash - for scripts that install the packages where nothing else is: a small Debian of its
# own, made once by mmdebstrap and kept beside the builds, and a machine of it with a real systemd,
# by systemd-nspawn. Needs live.bash, and a network for what comes from Debian.

# The packages that the given ones need, as apt knows them: of alternatives the first.
needed_by() {
    local file
    for file; do
        dpkg-deb --field "$file" Pre-Depends Depends
    done | sed -E 's/^[A-Za-z-]+: //' | tr ',' '\n' |
        sed -E 's/\|.*//; s/\(.*//; s/ //g' | grep -vE '^(libshm1|smx-.*)?$' | sort -u
}

# The mirror that apt here has its Debian from.
mirror() {
    apt-get indextargets --format '$(REPO_URI)' 'Identifier: Packages' 'Origin: Debian' \
        'Component: main' "Codename: $1" 2>/dev/null | head -n 1
}

# debian_base: a Debian like this one that has apt and no more than that needs, in a directory beside
# the builds. Whoever comes while it is made waits for it. Prints its path.
debian_base() {
    local codename kept made
    codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
    kept=$(realpath "$(dirname "$build")")/debian-$codename
    (
        flock 9
        [[ ! -e $kept ]] || exit 0
        rm -rf "$kept.new" # of who was killed
        # In memory it takes half the time.
        made=$(mktemp -d /dev/shm/smx-test-XXXXXX)
        trap 'rm -rf "$made"' EXIT
        mmdebstrap --quiet --variant=minbase --skip=cleanup/apt/lists \
            --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' \
            --aptopt='Acquire::Retries "3"' \
            --dpkgopt=force-unsafe-io --format=directory "$codename" "$made/root" \
            "$(mirror "$codename")" >&2 9>&- &&
            cp -a "$made/root" "$kept.new" && mv "$kept.new" "$kept"
    ) 9>"$kept.lock" && echo "$kept"
}

# with_debian DIRECTORY COMMAND...: in a mount namespace of its own, with $debian there, which stays
# as it is: what is written goes to DIRECTORY.over/.
with_debian() {
    mkdir -p "$1" "$1.over" "$1.work"
    exec unshare --mount bash -ec 'mount -t overlay none "$2" \
        -o "lowerdir=$1,upperdir=$2.over,workdir=$2.work" && exec "${@:3}"' - "$debian" "$@"
}

# debian_root DIRECTORY DEB...: with what the packages need, and without them. Nothing is done there
# each day: it has no network to be updated from, and what is copied at midnight would be left over.
debian_root() {
    local names
    names=$({ needed_by "${@:2}" && printf '%s\n' systemd systemd-sysv procps curl; } | sort -u)
    # Unquoted: a word a package.
    (with_debian "$1" bash -ec '
        cp /etc/resolv.conf "$1/etc"
        mount -t proc proc "$1/proc"
        mount --rbind /dev "$1/dev"
        DEBIAN_FRONTEND=noninteractive chroot "$1" apt-get -q -y install "${@:2}"
        rm -f "$1"/etc/systemd/system/timers.target.wants/*' - "$1" $names)
}

# boot DIRECTORY: as a machine without a network but its own loopback, and with the system calls that
# containers are refused. Its systemd is left in $machine.
boot() {
    local calls=(io_uring_{setup,enter,register} landlock_{create_ruleset,add_rule,restrict_self})
    (with_debian "$1" setpriv --pdeathsig TERM systemd-nspawn --quiet --directory="$1" --register=no \
        --keep-unit --boot --private-network --console=pipe --system-call-filter="${calls[*]}") \
        </dev/null >"$1.log" 2>&1 3>&- &
    export nspawn=$!
    eventually find_machine
    eventually machine_runs
}

find_machine() {
    export machine
    machine=$(pgrep --parent "$nspawn" --exact systemd)
}

machine_runs() {
    inside systemctl is-system-running 2>/dev/null | grep -qE 'running|degraded'
}

# inside COMMAND...: in the machine.
inside() {
    nsenter --target "$machine" --all -- "$@"
}

# Without a farewell: nothing of it is kept.
power_off() {
    kill -KILL "$machine" 2>/dev/null || true
    wait "$nspawn" 2>/dev/null || true
}
