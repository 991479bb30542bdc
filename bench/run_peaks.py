"""Runs a command (facet run ...) and prints, for it and each process that it
starts, the peak of its memory (VmHWM: resident, shared pages included; the most
of RssAnon that was seen) and its CPU time up to the last look, every 20 ms;
then the wall time. Exits with the command's status.

usage: run_peaks.py COMMAND...
"""
import os
import subprocess
import sys
import time

TICK = os.sysconf('SC_CLK_TCK')


def look(pid, seen):
    try:
        with open(f'/proc/{pid}/status') as f:
            s = dict(line.split(':', 1) for line in f if ':' in line)
        with open(f'/proc/{pid}/stat') as f:
            t = f.read().rsplit(')', 1)[1].split()
        hwm = int(s['VmHWM'].split()[0])
        anon = int(s['RssAnon'].split()[0])
        with open(f'/proc/{pid}/cmdline') as f:
            words = f.read().split('\0')
        name = os.path.basename(words[0])
        if '--describe' in words:
            return
    except (OSError, KeyError, IndexError, ValueError):
        return
    old = seen.get(pid, (name, 0, 0, 0.0))
    seen[pid] = (name, max(hwm, old[1]), max(anon, old[2]),
                 (int(t[11]) + int(t[12])) / TICK)


def main():
    start = time.monotonic()
    p = subprocess.Popen(sys.argv[1:])
    seen = {}
    while p.poll() is None:
        try:
            with open(f'/proc/{p.pid}/task/{p.pid}/children') as f:
                pids = [int(v) for v in f.read().split()]
        except OSError:
            pids = []
        for pid in [p.pid, *pids]:
            look(pid, seen)
        time.sleep(0.02)
    wall = time.monotonic() - start
    for name, hwm, anon, cpu in seen.values():
        print(f'{name:16} peak {hwm / 1024:8.1f} MiB  anonymous '
              f'{anon / 1024:8.1f} MiB  cpu {cpu:7.2f} s')
    print(f'wall {wall:.2f} s', flush=True)
    return p.returncode


sys.exit(main())
