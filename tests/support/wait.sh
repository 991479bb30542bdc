# Waiting for a state, never for a time.

# wait_for WHAT COMMAND...: until the command succeeds. Ten minutes at the least
# are its bound: on a busy machine everything takes longer.
wait_for() {
	_what=$1 _looks=0
	shift
	until "$@"; do
		_looks=$((_looks + 1))
		[ $_looks -lt 6000 ] || fail "waited in vain: $_what"
		sleep 0.1
	done
}

# run_folder: a folder with a name short enough for sockets, for XDG_RUNTIME_DIR;
# whoever makes one removes it.
run_folder() { mktemp -d /tmp/facet-XXXXXX; }

# run_pids FOLDER: the processes of runs that have their sockets under it.
run_pids() {
	grep -lzs "^FACET_DIR=$1" /proc/[0-9]*/environ | cut -d/ -f3
}
none_run() { [ -z "$(run_pids "$1")" ]; }
