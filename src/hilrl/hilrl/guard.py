"""Becomes a node's process: `python -I -S guard.py PARENT_PID SIGNAL NICENESS LOG_FILE COMMAND...`.

The kernel sends the node SIGNAL when its parent goes, however that happens, so no process of a run is ever
left behind. The output goes to the log file without a detour through the parent. Runs before anything is
imported and is replaced by the command.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>

parent_pid, on_orphaned, niceness, log_file, *command = sys.argv[1:]
ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(on_orphaned))
if os.getppid() != int(parent_pid):
    sys.exit(0)  # the parent went before the line above: no signal would come any more
os.nice(int(niceness))
log = os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
os.dup2(log, sys.stdout.fileno())
os.dup2(log, sys.stderr.fileno())
os.execv(command[0], command)
