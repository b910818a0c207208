#!/bin/sh
# Runs execsnoop for ten seconds on this machine's real events, while starting a few processes of its own.
set -eu
bowline=$1
plugin=$(dirname "$0")/execsnoop/execsnoop.wasm
out=$(mktemp)
trap 'rm -f "$out"' EXIT

"$bowline" run --allow tracing --allow helper:bpf_probe_read_user --timeout 10s "$plugin" >"$out" &
pid=$!

# Show what comes, and wait for the first line: the plugin is attached then.
tail -f "$out" --pid="$pid" &
shown=$!
until [ -s "$out" ] || ! kill -0 "$pid" 2>/dev/null; do read -r _ <"$out" || true; done
while kill -0 "$pid" 2>/dev/null; do
	uname -a >/dev/null
	sh -c 'exit 3' || true
	ls /proc/self/fd >/dev/null
	sleep 0.9
done

code=0
wait "$pid" || code=$?
wait "$shown" || true
# 124 is how a run ends when its time is up.
[ "$code" = 124 ] || { echo "demo: bowline ended with $code" >&2; exit 1; }
grep -q uname "$out" || { echo "demo: the process that this script started was not seen" >&2; exit 1; }
echo "ten seconds are over; run it yourself: sudo $bowline run --allow tracing --allow helper:bpf_probe_read_user ${plugin#./}" >&2
