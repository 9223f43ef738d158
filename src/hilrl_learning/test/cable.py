"""A cable between two network namespaces, as a process: slow, lossy, and it can be cut.

    cable.py PID PID [--delay-s 0.02] [--loss 0.01] [--no-multicast] [--seed 0]

Gives each namespace (that of the process PID) an interface `eth0` with the address 10.77.0.1 or 10.77.0.2 and
carries Ethernet frames between the two. Reads `cut` and `heal`, one a line, from its standard input; at its
end it prints how many bytes went each way. It needs root and /dev/net/tun, and no kernel module beyond that.
"""

import argparse
import fcntl
import os
import random
import select
import struct
import subprocess
import sys
import time
from collections import deque

TUNSETIFF = 0x400454CA  # <linux/if_tun.h>
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000
MULTICAST = b"\x01\x00\x5e"
"""Begins the frames of IP multicast."""
FRAME_BYTES = 2048
"""More than any frame of an interface with the usual MTU of 1500."""
IDLE_S = 0.2


def plug(pid: int, number: int) -> int:
    """Give the namespace of `pid` an interface; the descriptor of its other end."""
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    name = f"hil{os.getpid()}x{number}"
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH14x", name.encode(), IFF_TAP | IFF_NO_PI))
    subprocess.run(["ip", "link", "set", name, "netns", str(pid)], check=True)
    for command in (
        f"link set {name} name eth0",
        "link set eth0 txqueuelen 5000",
        f"addr add 10.77.0.{number}/24 dev eth0",
        "link set eth0 up",
        "route add 224.0.0.0/4 dev eth0",
    ):
        subprocess.run(["nsenter", f"--net=/proc/{pid}/ns/net", "ip", *command.split()], check=True)
    return tap


def carry(ends: tuple[int, int], options: argparse.Namespace) -> list[int]:
    """Until standard input ends. Returns the bytes that arrived at either end."""
    chance = random.Random(options.seed)
    under_way: deque[tuple[float, int, bytes]] = deque()
    arrived, is_cut = [0, 0], False
    while True:
        wait_s = max(0.0, under_way[0][0] - time.monotonic()) if under_way else IDLE_S
        readable, _, _ = select.select([sys.stdin, *ends], [], [], wait_s)
        now_s = time.monotonic()
        for source, target in ((0, 1), (1, 0)):
            if ends[source] in readable:
                frame = os.read(ends[source], FRAME_BYTES)
                is_lost = is_cut or chance.random() < options.loss
                if options.no_multicast and frame.startswith(MULTICAST):
                    is_lost = True
                if not is_lost:
                    under_way.append((now_s + options.delay_s, target, frame))
        while under_way and under_way[0][0] <= now_s:
            _, target, frame = under_way.popleft()
            if not is_cut:
                os.write(ends[target], frame)
                arrived[target] += len(frame)
        if sys.stdin in readable:
            words = os.read(sys.stdin.fileno(), 4096).split()
            if not words:
                return arrived
            is_cut = words[-1] == b"cut"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pids", type=int, nargs=2)
    parser.add_argument("--delay-s", type=float, default=0.02, help="each way")
    parser.add_argument("--loss", type=float, default=0.01, help="share of frames, each way")
    parser.add_argument("--no-multicast", action="store_true", help="carry none, as many a Wi-Fi")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    first, second = (plug(pid, number) for number, pid in enumerate(options.pids, 1))
    print("ready", flush=True)
    print(*carry((first, second), options), flush=True)


if __name__ == "__main__":
    main()
