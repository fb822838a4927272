# SPDX-License-Identifier: MIT
#
# debian.bash - for scripts that install the packages where nothing else is: a small Debian of its
# own, made once by mmdebstrap and kept beside the builds, and a machine of it with a real systemd,
# by systemd-nspawn. Without a network there is none the first time. Needs live.bash.

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

# debian_tar VARIANT PACKAGE,...: a Debian like this one with these packages, of which one is kept
# beside the builds. Prints the path of a tar file.
debian_tar() {
    local codename kept
    codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
    kept=$(dirname "$build")/debian-$(sha256sum <<<"$codename $*" | cut -c 1-16).tar
    if [[ ! -e $kept ]]; then
        # Under another name until it is complete.
        mmdebstrap --quiet --variant="$1" --include="$2" \
            --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' \
            --dpkgopt=force-unsafe-io --format=tar "$codename" "$kept.$$" "$(mirror "$codename")" \
            >&2 && mv "$kept.$$" "$kept"
    fi
    echo "$kept"
}

# debian_root DIRECTORY DEB...: a Debian with what the packages need, and without them.
debian_root() {
    local names
    names=$({ needed_by "${@:2}" && printf '%s\n' systemd systemd-sysv procps curl; } | sort -u)
    mkdir -p "$1"
    tar -C "$1" --numeric-owner -xf "$(debian_tar essential "$(paste -sd , <<<"$names")")"
}

# boot DIRECTORY: as a machine without a network but its own loopback, and with the system calls that
# containers are refused. Its systemd is left in $machine.
boot() {
    local calls=(io_uring_{setup,enter,register} landlock_{create_ruleset,add_rule,restrict_self})
    setpriv --pdeathsig TERM systemd-nspawn --quiet --directory="$1" --register=no --keep-unit \
        --boot --private-network --console=pipe --system-call-filter="${calls[*]}" \
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
