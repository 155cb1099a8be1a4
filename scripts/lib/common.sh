# SPDX-License-Identifier: Apache-2.0
# Shared by the scripts: sourced, never run. Expects `set -euo pipefail`.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

# say TEXT: progress, on standard error so that output stays usable in pipes.
say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }

# fail TEXT: says what is wrong and how to mend it, and ends.
fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

require_root() {
    [ "$(id -u)" = 0 ] || fail "this needs root: run it with sudo"
}

# Packages that building needs, and those that running and testing need.
build_packages=(
    build-essential libnftables-dev libseccomp-dev libsqlite3-dev libssl-dev libsystemd-dev libzstd-dev pkg-config
    python3 zlib1g-dev
)
run_packages=(busybox-static ca-certificates curl iproute2 nftables openssl)
test_packages=(apache2-utils avahi-daemon dbus-daemon docker-registry jq procps systemd util-linux)

# install_packages NAME...: installs what is missing, quietly and only then.
install_packages() {
    local missing=()
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return
    require_root
    say "installing ${missing[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

require_swift() {
    command -v swift >/dev/null || fail "no Swift toolchain on the PATH: install Swift 6.2 or later (https://swift.org/install)"
    local version
    version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9]*\.[0-9]*\).*/\1/p' | head -n 1)
    case "$version" in
        6.[2-9]* | 6.1[0-9]* | [7-9].*) ;;
        *) fail "Swift ${version:-of unknown version} is too old: 6.2 or later is needed" ;;
    esac
}

# install_kubectl: puts a stock kubectl on the PATH if there is none, from Debian's newest package.
install_kubectl() {
    command -v kubectl >/dev/null && return
    require_root
    install_packages ca-certificates curl xz-utils
    say "installing kubectl"
    local arch mirror=https://deb.debian.org/debian work path
    arch=$(dpkg --print-architecture)
    work=$(mktemp -d)
    curl --silent --show-error --fail "$mirror/dists/sid/main/binary-$arch/Packages.xz" | xz -d >"$work/packages"
    path=$(awk '/^Package: /{ found = $2 == "kubectl" } found && /^Filename: /{ print $2; exit }' "$work/packages")
    [ -n "$path" ] || fail "no package kubectl at $mirror: install kubectl by hand"
    curl --silent --show-error --fail --output "$work/kubectl.deb" "$mirror/$path"
    dpkg-deb --fsys-tarfile "$work/kubectl.deb" | tar -C "$work" -x --wildcards '*/bin/kubectl*'
    install -m 755 "$(find "$work" -type f -path '*/bin/kubectl*' | head -n 1)" /usr/local/bin/kubectl
    rm -rf "$work"
}
