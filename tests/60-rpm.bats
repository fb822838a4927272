#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# 60-rpm.bats - the RPM packages, as far as Debian's rpm goes: with Fedora's macros as
# support/fedora.macros has them, and without a look at what they are built from.

bats_require_minimum_version 1.5.0

setup_file() {
    root=$(dirname "$BATS_TEST_DIRNAME")
    export root rpms=$BATS_FILE_TMPDIR/rpm
    export macros="$root/tests/support/fedora.macros"
    "$root/packaging/build-rpm" "$rpms" --nodeps --load="$macros" >"$BATS_FILE_TMPDIR/log" 2>&1 ||
        { tail -n 40 "$BATS_FILE_TMPDIR/log" && return 1; }
}

setup() {
    cd "$BATS_TEST_TMPDIR"
}

# The files of packages, one a line.
files_of() {
    rpm --query --package --list "$@" | grep -v /usr/lib/.build-id
}

@test "rpmlint has no errors on the specification, but for a macro of other distributions" {
    run rpmlint "$root/packaging/rpm/smx.spec"
    echo "$output"
    [[ $(grep -c ': E: ' <<<"$output") -eq $(grep -c 'E: lib-package-without-%mklibname' \
        <<<"$output") ]]
}

@test "four packages are built, of the version that the tree has" {
    local version
    version=$(sed -n 's/^project(smx VERSION \([0-9.]*\) .*/\1/p' "$root/CMakeLists.txt")
    [[ $(cd "$rpms" && ls ./*.rpm | sed 's|^./||; s/\.[a-z0-9_]*\.rpm$//' | paste -sd ' ') == \
        "libshm-$version-1 libshm-devel-$version-1 smx-agent-$version-1 smx-tools-$version-1" ]]
    [[ $(head -n 1 "$root/packaging/debian/changelog") == "smx ($version)"* ]]
}

@test "what is in them works, and programs look for libshm nowhere but where the system does" {
    for package in "$rpms"/*.rpm; do
        rpm2cpio "$package" | cpio --extract --make-directories --quiet
    done
    [[ $(usr/bin/smx-agent --version) == smx-agent* ]]
    LD_LIBRARY_PATH=usr/lib64 usr/bin/smx-dump --version
    run ! grep -E 'R(UN)?PATH' <(readelf --dynamic usr/bin/* usr/lib64/*.so)
    grep -xF 'ExecStart=/usr/bin/smx-agent' usr/lib/systemd/system/smx-agent.service
    usr/bin/smx-agent --check-config --config.file=etc/smx/agent.yaml
}

@test "the agent's package has a user, a service, and files that are the administrator's" {
    rpm --query --package --scripts "$rpms"/smx-agent-*.rpm >scripts
    grep 'useradd.* smx' scripts
    grep 'preset smx-agent.service' scripts
    rpm --query --package --configfiles "$rpms"/smx-agent-*.rpm >config
    diff config <(printf '%s\n' /etc/default/smx-agent /etc/smx/agent.yaml)
}

@test "they have what the Debian packages have" {
    # Of each line of an .install file what it begins with, in the directories of an RPM.
    cd "$root/packaging/debian"
    local pattern from to
    cat ./*.install | while read -r from to; do
        pattern=/${to:+$to/${from##*/}}
        [[ $to ]] || pattern=/$from
        pattern=${pattern/#\/lib\///usr/lib/}
        pattern=${pattern/\/lib\/\*\///lib64/}
        files_of "$rpms"/*.rpm >"$BATS_TEST_TMPDIR/files"
        grep -E "^${pattern//\*/[^ ]*}" "$BATS_TEST_TMPDIR/files" || { echo "$from" && exit 1; }
    done
}
