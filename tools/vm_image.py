# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images for tools/vm: Debian with its own kernel and BCC, ready to be booted.

This file is part of an image's key, so a change here builds all of them anew.
"""

import concurrent.futures
import hashlib
import os
import shutil
import tempfile
import time
import uuid
from pathlib import Path

from common import KEYGEN, SSHD_CONFIG, WORLD, locked, put, sh

CACHE = Path(
    os.environ.get("PINGKILLER_VM_CACHE")
    or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pingkiller/vm"
)
RELEASES = {"debian11": "bullseye", "debian12": "bookworm", "debian13": "trixie"}

PACKAGES = (
    "dbus,iproute2,iputils-ping,kmod,linux-image-cloud-amd64,openssh-server,procps,systemd-sysv,udev",
    "python3,python3-bpfcc",
    "python3-hypothesis,python3-pytest,python3-scapy",  # for the kernel's tests, which run on the machine itself
)
# Nobody reads manuals there, and every file takes its time.
LEFT_OUT = ("/usr/share/doc/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/man/*")
MASKED = (
    # What a machine without a network would try in vain, in the middle of a test.
    "apt-daily-upgrade.timer",
    "apt-daily.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "systemd-networkd-wait-online.service",
    # What nobody uses there, and what took two fifths of each boot.
    "dev-hugepages.mount",
    "dev-mqueue.mount",
    "getty@tty1.service",
    "serial-getty@ttyS0.service",
    "sys-fs-fuse-connections.mount",
    "sys-kernel-debug.mount",
    "systemd-binfmt.service",
    "systemd-logind.service",
    "systemd-sysusers.service",
    "systemd-update-utmp-runlevel.service",
    "systemd-update-utmp.service",
)
# What compiles at boot takes many times as long where every instruction is emulated, and longer still when all boot at once.
PATIENCE_UNIT = """\
[Service]
TimeoutStartSec=600
"""
PATIENT = ("pingkiller.service", "pingkiller@.service")
ENABLED = ("systemd-networkd.service", "ssh.service", "world.service")

NETWORK_UNIT = """\
[Match]
Name={interface}

[Network]
{settings}
IPv6AcceptRA=no
IPv6DuplicateAddressDetection=0
LLDP=no
"""

WORLD_UNIT = """\
[Unit]
Description=The world beyond the neighbour's cable
Wants=sys-subsystem-net-devices-eth2.device
After=sys-subsystem-net-devices-eth2.device

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/sbin/world

[Install]
WantedBy=multi-user.target
"""

WORLD_SCRIPT = """\
#!/bin/sh
# Which neighbour's gateway this is, whoever starts the machine says.
set -e
number=$(sed -n 's/.*\\bworld=\\([0-9]*\\).*/\\1/p' /proc/cmdline)
ip netns add world
until [ -e /sys/class/net/eth2 ]; do sleep 1; done  # systemd waits for it, too, but only for a minute and a half
ip link set eth2 netns world
set_knob() {{ ip netns exec world sh -c "echo $2 >/proc/sys/net/$1"; }}
set_knob ipv6/ip_nonlocal_bind 1
set_knob ipv4/conf/all/arp_announce 2
set_knob ipv6/conf/eth2/accept_dad 0
set_knob ipv4/icmp_ratelimit 0
ip -n world link set lo up
ip -n world link set eth2 up
ip -n world address add 198.18.$number.1/24 dev eth2
ip -n world address add fd70:6b:$number::1/64 dev eth2
for prefix in {world}; do ip -n world route add local $prefix dev lo; done
"""


def number_of(name):
    """Of a release, and of the networks on its machine's cable."""
    return int(name.removeprefix("debian"))


def addresses(name, end):
    """The addresses of both families that an end of a machine's cable has."""
    return f"198.18.{number_of(name)}.{end}", f"fd70:6b:{number_of(name)}::{end}"


def image_of(name, mirror):
    """The directory of a release's image. Its name tells all that went into it: packages, recipe and keys."""
    with tempfile.TemporaryDirectory() as directory:
        index = Path(directory) / "InRelease"
        url = f"{mirror}/dists/{RELEASES[name]}/InRelease"
        sh("/usr/lib/apt/apt-helper", *apt_options(), "download-file", url, index)
        # Signed, with hashes of the lists of packages: as long as it is the same, so are all versions.
        ingredients = [index.read_bytes(), Path(__file__).read_bytes(), user_key().with_suffix(".pub").read_bytes()]
    digest = hashlib.sha256(b"".join(hashlib.sha256(each).digest() for each in ingredients)).hexdigest()
    return CACHE / f"{name}-{digest[:16]}"


def user_key():
    """The key that opens all images of this cache."""
    key = CACHE / "id_ed25519"
    if not key.with_suffix(".pub").exists():
        key.unlink(missing_ok=True)
        sh(*KEYGEN, "-C", "pingkiller-vm", "-f", key)
    return key


def mirror():
    """Where this machine has Debian's packages from."""
    listed = ("$(ORIGIN) $(LABEL) $(REPO_URI)", "Created-By: Packages")
    found = sh("apt-get", "indextargets", "--format", *listed, check=False)
    uris = [line.split()[2] for line in found.splitlines() if line.startswith("Debian Debian ")]
    return uris[0].rstrip("/") if uris else "http://deb.debian.org/debian"


def apt_options():
    """apt checks signatures as a user of its own, who cannot do so where /dev/null is not for everybody."""
    return [] if Path("/dev/null").stat().st_mode & 0o777 == 0o666 else ["-o", "APT::Sandbox::User=root"]


def build(names, prune=False):
    """Make sure that there is an image of each release; their directories by name. Older ones may be pruned."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with locked(CACHE / "lock"):  # two runs at once would take each other's half-made things for leftovers
        for left in CACHE.glob("building-*"):
            shutil.rmtree(left)
        source = mirror()
        images = {name: image_of(name, source) for name in names}
        missing = [(name, image, source) for name, image in images.items() if not image.exists()]
        with concurrent.futures.ThreadPoolExecutor() as pool:  # much of it is waiting for packages and for the disk
            list(pool.map(lambda each: build_image(*each), missing))
        for name in names if prune else ():
            for other in set(CACHE.glob(f"{name}-*")) - {images[name]}:
                shutil.rmtree(other)
    return images


def build_image(name, image, source):
    """Build in a directory of another name, so that what was interrupted is never taken for an image."""
    began = time.monotonic()
    print(f"{name}: building an image of {RELEASES[name]} from {source} into {image}", flush=True)
    work = Path(tempfile.mkdtemp(prefix="building-", dir=CACHE))
    try:
        root = work / "root"
        install_packages(name, root, source)
        versions = sh(
            "dpkg-query", f"--admindir={root}/var/lib/dpkg", "--show", "--showformat", "${Package} ${Version}\n"
        )
        put(work / "packages", versions + "\n")
        sh(*KEYGEN, "-C", name, "-f", work / "ssh_host_ed25519_key")
        write_identity(name, root, work)
        write_network(name, root)
        shutil.copy(*root.glob("boot/vmlinuz-*"), work / "vmlinuz")
        # Thin, and without the journal and tables that a disk of this size would get: most of it stays empty.
        sh("mke2fs", "-q", "-t", "ext4", "-L", "root", "-J", "size=16", "-d", root, work / "disk.raw", "3G")
        shutil.rmtree(root)
        work.rename(image)
    except BaseException:
        shutil.rmtree(work)
        raise
    print(f"{name}: built in {time.monotonic() - began:.0f} s", flush=True)


def install_packages(name, root, source):
    command = ["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", f"--include={','.join(PACKAGES)}"]
    command += [f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT]
    command += [f"--aptopt={option}" for option in apt_options()[1:]]
    command += [RELEASES[name], root, f"deb {source} {RELEASES[name]} main"]
    # The kernel has drivers for its disk and file system built in, so none is needed to find them.
    sh("env", "INITRD=No", "DEBIAN_FRONTEND=noninteractive", *command)


def write_identity(name, root, work):
    etc, system = root / "etc", root / "etc/systemd/system"
    put(etc / "hostname", f"{name}\n")
    put(etc / "hosts", f"127.0.0.1 localhost {name}\n::1 localhost\n")
    put(etc / "machine-id", f"{uuid.uuid4().hex}\n", 0o444)
    put(etc / "fstab", "/dev/nvme0n1 / ext4 rw,noatime 0 0\n")
    put(etc / "resolv.conf", "")
    put(etc / "ssh/sshd_config", SSHD_CONFIG)
    for left in (etc / "ssh").glob("ssh_host_*"):
        left.unlink()
    shutil.move(work / "ssh_host_ed25519_key", etc / "ssh")
    put(root / "root/.ssh/authorized_keys", user_key().with_suffix(".pub").read_text(), 0o600)
    put(system / "world.service", WORLD_UNIT)
    for unit in PATIENT:
        put(system / f"{unit}.d/patience.conf", PATIENCE_UNIT)
    put(root / "usr/local/sbin/world", WORLD_SCRIPT.format(world=" ".join(WORLD)), 0o755)
    sh("systemctl", f"--root={root}", "enable", *ENABLED)
    sh("systemctl", f"--root={root}", "mask", *MASKED)


def write_network(name, root):
    """eth0 leads to this machine, eth1 to the world. The third cable, the neighbour's, is not for networkd."""
    (ipv4, ipv6), (gateway4, gateway6) = addresses(name, 11), addresses(name, 1)
    settings = {
        "eth0": ["Address=10.0.2.15/24", "LinkLocalAddressing=no"],
        "eth1": [f"Address={ipv4}/24", f"Address={ipv6}/64", f"Gateway={gateway4}", f"Gateway={gateway6}"],
    }
    for interface, lines in settings.items():
        unit = NETWORK_UNIT.format(interface=interface, settings="\n".join(lines))
        put(root / f"etc/systemd/network/10-{interface}.network", unit)
