# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the images for tools/vm: Debian with its own kernel and BCC, ready to be booted.

The key of an image includes a hash of this file, so a change here rebuilds all images.
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
# Nobody reads manuals on the machines, and every file takes time.
LEFT_OUT = ("/usr/share/doc/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/man/*")
MASKED = (
    # These would fail on a machine without a network, in the middle of a test.
    "apt-daily-upgrade.timer",
    "apt-daily.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "systemd-networkd-wait-online.service",
    # Nobody uses these on the machines, and they took two fifths of each boot.
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
# Units that compile at boot take many times as long on an emulated machine, and longer still if all machines boot at
# once.
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
    """Return the number of a release. It is also in the addresses of the networks on its machine's cable."""
    return int(name.removeprefix("debian"))


def addresses(name, end):
    """Return the IPv4 and the IPv6 address of one end of a machine's cable."""
    return f"198.18.{number_of(name)}.{end}", f"fd70:6b:{number_of(name)}::{end}"


def image_of(name, mirror):
    """Return the directory of a release's image. Its name has a hash of all that the image is made from."""
    with tempfile.TemporaryDirectory() as directory:
        index = Path(directory) / "InRelease"
        url = f"{mirror}/dists/{RELEASES[name]}/InRelease"
        sh("/usr/lib/apt/apt-helper", *apt_options(), "download-file", url, index)
        # This index is signed and has the hashes of the package lists, so the same index means the same versions.
        ingredients = [index.read_bytes(), Path(__file__).read_bytes(), user_key().with_suffix(".pub").read_bytes()]
    digest = hashlib.sha256(b"".join(hashlib.sha256(each).digest() for each in ingredients)).hexdigest()
    return CACHE / f"{name}-{digest[:16]}"


def user_key():
    """Return the key that opens all images of this cache. Makes it if it is missing."""
    key = CACHE / "id_ed25519"
    if not key.with_suffix(".pub").exists():
        key.unlink(missing_ok=True)
        sh(*KEYGEN, "-C", "pingkiller-vm", "-f", key)
    return key


def mirror():
    """Return the mirror from which this machine gets Debian's packages."""
    listed = ("$(ORIGIN) $(LABEL) $(REPO_URI)", "Created-By: Packages")
    found = sh("apt-get", "indextargets", "--format", *listed, check=False)
    uris = [line.split()[2] for line in found.splitlines() if line.startswith("Debian Debian ")]
    return uris[0].rstrip("/") if uris else "http://deb.debian.org/debian"


def apt_options():
    """Return options for apt. It checks signatures as another user, who may have no access to /dev/null here."""
    return [] if Path("/dev/null").stat().st_mode & 0o777 == 0o666 else ["-o", "APT::Sandbox::User=root"]


def build(names, prune=False):
    """Build the missing images of the given releases. Returns all their directories by name. May remove older images."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with locked(CACHE / "lock"):  # a second run would remove the unfinished images of the first as leftovers
        for left in CACHE.glob("building-*"):
            shutil.rmtree(left)
        source = mirror()
        images = {name: image_of(name, source) for name in names}
        missing = [(name, image, source) for name, image in images.items() if not image.exists()]
        with concurrent.futures.ThreadPoolExecutor() as pool:  # builds mostly wait for packages and for the disk
            list(pool.map(lambda each: build_image(*each), missing))
        for name in names if prune else ():
            for other in set(CACHE.glob(f"{name}-*")) - {images[name]}:
                shutil.rmtree(other)
    return images


def build_image(name, image, source):
    """Build an image. Until it is complete, its directory has another name, so an interrupted build is never used."""
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
        # A sparse file with a small journal. Most of the disk stays empty.
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
    # The kernel has the drivers for its disk and file system built in, so it needs no initramfs.
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
    """Configure eth0, which leads to this machine, and eth1, which leads to the world.

    networkd does not configure eth2, the neighbour's cable.
    """
    (ipv4, ipv6), (gateway4, gateway6) = addresses(name, 11), addresses(name, 1)
    settings = {
        "eth0": ["Address=10.0.2.15/24", "LinkLocalAddressing=no"],
        "eth1": [f"Address={ipv4}/24", f"Address={ipv6}/64", f"Gateway={gateway4}", f"Gateway={gateway6}"],
    }
    for interface, lines in settings.items():
        unit = NETWORK_UNIT.format(interface=interface, settings="\n".join(lines))
        put(root / f"etc/systemd/network/10-{interface}.network", unit)
