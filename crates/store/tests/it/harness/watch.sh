#!/bin/sh
# Runs a PostgreSQL server for tests, and ends it when no test uses it any more: soon after the test run
# that started it has ended, or after half a minute without a user. postgres.rs starts it in a session
# of its own, so that a killed test leaves nothing behind.
#   watch.sh FOLDER RUN_PID SERVER...
folder=$1 run=$2
shift 2

starts=0
start() {
    starts=$((starts + 1))
    "$@" >>"$folder/log" 2>&1 &
    server=$!
    echo "$server" >"$folder/pid"
}

start "$@"
unused=0
while :; do
    sleep 0.2
    # A test may kill its server. The server can start again only when all its processes have ended.
    if ! kill -0 "$server" 2>/dev/null && [ "$starts" -lt 100 ]; then
        wait "$server"
        start "$@"
    fi
    if flock --nonblock "$folder/users" true; then unused=$((unused + 1)); else unused=0; fi
    if kill -0 "$run" 2>/dev/null; then limit=150; else limit=2; fi
    [ "$unused" -lt "$limit" ] && continue
    # While this lock is held, no other test can start to use the server.
    exec 9>>"$folder.lock"
    flock 9
    if flock --nonblock "$folder/users" true; then break; fi
    flock -u 9
    unused=0
done
kill -INT "$server" 2>/dev/null
wait "$server"
rm -rf "$folder" "$folder.lock"
