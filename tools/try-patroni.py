#!/usr/bin/env python3
"""Tries "A managed pair" of docs/operate.md on one machine, with the very commands of that page.

    sudo tools/try-patroni.py target/debug/saldo [--kills N] [--through-haproxy]

Wants Debian 12's patroni, etcd-server, etcd-client, haproxy, postgresql and iproute2. Three machines are
three sets of namespaces (network, processes, folders) on a bridge of their own; systemd's part is played by
a shell function. The oracle is what the clients were told, the books, and the simulator's truth. Invariant:
everything lives in a process namespace that ends with this program, and outside a temporary folder
nothing is written.
"""

import argparse
import collections
import http.client
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs/operate.md").read_text()
ADDRESSES = {"db-a": "10.0.0.1", "db-b": "10.0.0.2", "db-c": "10.0.0.3"}
BUYERS = 4
# What a machine has for itself of the file system.
OWN = """etc/default etc/haproxy etc/patroni etc/postgresql etc/ssl/certs etc/ssl/private run/haproxy
    run/postgresql var/lib/etcd var/lib/haproxy var/lib/postgresql var/log""".split()
# What Debian's units do, and `sudo`; Patroni is started anew when it fails, as its unit says.
UNITS = r"""
set -eu
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 HOME=/root
sudo() { shift; user=$1; shift; setpriv --reuid "$user" --regid "$user" --init-groups env HOME=/tmp "$@"; }
start() { name=$1; shift; setsid "$@" </dev/null >>"/var/log/$name.log" 2>&1 & }
systemctl() {
    case "$*" in
        "stop etcd") pkill -x etcd || true; while pgrep -x etcd >/dev/null; do sleep 0.1; done ;;
        "start --no-block etcd")
            start etcd sh -c 'set -a; . /etc/default/etcd
                ETCD_DATA_DIR=/var/lib/etcd/default exec setpriv --reuid etcd --regid etcd --clear-groups etcd' ;;
        "start patroni")
            touch /var/lib/postgresql/wanted
            start patroni sh -c 'while [ -e /var/lib/postgresql/wanted ] && ! setpriv --reuid postgres --regid postgres --init-groups \
                env HOME=/var/lib/postgresql patroni /etc/patroni/config.yml; do sleep 0.1; done' ;;
        "restart haproxy") start haproxy haproxy -Ws -f /etc/haproxy/haproxy.cfg ;;
        "disable --now postgresql") ;;
        *) echo "no such unit: $*" >&2; exit 1 ;;
    esac
}
"""


def say(text):
    print(f"{time.monotonic() - BEGAN:7.1f} s  {text}", flush=True)


def sh(*words, **more):
    return subprocess.run(words, check=True, **more)


def block(begins):
    """A block of the page, by the comment that it begins with."""
    at = PAGE.index(f"```sh\n# {begins}") + len("```sh\n")
    return PAGE[at : PAGE.index("```", at)]


class Machine:
    """One of the three. Off, it has no processes; what it has on its disk stays."""

    def __init__(self, name, folder):
        self.name, self.folder = name, folder / name
        for own in OWN:
            (self.folder / own).mkdir(parents=True)
        for copied in ["etc/haproxy", "etc/ssl/certs"]:
            shutil.copytree(f"/{copied}", self.folder / copied, symlinks=True, dirs_exist_ok=True)
        for owner in ["etcd", "postgres"]:
            owned = "var/lib/etcd" if owner == "etcd" else "var/lib/postgresql"
            shutil.chown(self.folder / owned, owner, owner)
        for theirs in ["run/postgresql", "etc/postgresql", "etc/patroni"]:
            shutil.chown(self.folder / theirs, "postgres", "postgres")
        self.init = None
        self.on()

    def on(self):
        binds = "; ".join(f"mount --bind {self.folder}/{own} /{own}" for own in OWN)
        # The first process also buries those that nobody waits for.
        begin = f"{binds}; hostname {self.name}; echo; while sleep 0.2; do :; done"
        spaces = ["--net", "--mount", "--pid", "--uts", "--fork", "--kill-child", "--mount-proc"]
        self.init = subprocess.Popen(
            ["unshare", *spaces, "sh", "-ec", begin], stdout=subprocess.PIPE
        )
        assert self.init.stdout.readline() == b"\n"
        children = pathlib.Path(f"/proc/{self.init.pid}/task/{self.init.pid}/children")
        self.inside = children.read_text().split()[0]
        sh("ip", "link", "add", self.name, "type", "veth", "peer", "eth0", "netns", self.inside)
        sh("ip", "link", "set", self.name, "master", "machines", "up")
        self.run(f"""ip link set lo up; ip link set eth0 up
            ip addr add {ADDRESSES[self.name]}/24 dev eth0""")

    def off(self):
        """As if its plug was pulled, but for what its kernel has not written yet."""
        self.init.kill()
        self.init.wait()
        subprocess.run(["ip", "link", "del", self.name], stderr=subprocess.DEVNULL)

    def run(self, script):
        # A file, so that no command line is taken for what the commands speak of.
        file = self.folder / "script"
        file.write_text(f"{UNITS}\nexport ME={self.name} ADDRESS={ADDRESSES[self.name]}\n{script}")
        done = subprocess.run(
            ["nsenter", "-t", self.inside, "--all", "sh", file],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        assert done.returncode == 0, f"{self.name}: {script}\n{done.stdout}"
        return done.stdout

    def does(self, begins):
        return self.run(block(begins))

    def kill(self, *names):
        """SIGKILL for every process of these names; what systemd would start again, it does."""
        for _ in range(3):
            self.run("".join(f"pkill -KILL -x {name} || true\n" for name in names))

    def stop(self, *names):
        """The same, and nobody starts them again."""
        self.run("rm -f /var/lib/postgresql/wanted")
        self.kill(*names)


class Buyers:
    """Clients that send each reference until it is answered, and remember what they were told."""

    def __init__(self, keys, port):
        self.port, self.is_over = port, False
        self.headers = {"X-Open-Key": keys["open_key"], "X-Authorization": keys["secret_key"],
                        "Content-Type": "application/json"}
        self.told, self.acknowledged, self.wrong = {}, [], []
        self.answers, self.longest = collections.Counter(), 0
        self.threads = [threading.Thread(target=self.buy, args=(n,)) for n in range(BUYERS)]
        for thread in self.threads:
            thread.start()

    def send(self, method, path, body=None):
        connection = http.client.HTTPConnection(ADDRESSES["db-c"], self.port, timeout=60)
        connection.request(method, path, body and json.dumps(body), self.headers)
        reply = connection.getresponse()
        return reply, json.loads(reply.read())

    def buy(self, task):
        dice = random.Random(task)
        n = 0
        while not self.is_over:
            reference, n = f"B-{task}-{n}", n + 1
            # Delivered at once, refused, the answer lost, slow to come …
            number = f"0171{dice.randrange(10_000):04}{dice.choice(['101', '101', '102', '103', '106', '107'])}"
            body = {"operator": "gp", "number": number, "amount": 10, "reference": reference}
            while not self.is_over:
                asked = time.monotonic()
                try:
                    reply, said = self.send("POST", "/api/billing/service-requests/recharge/normal", body)
                except OSError as error:
                    self.wrong.append(f"{reference}: {error!r}")
                    break
                at = time.monotonic()
                self.longest = max(self.longest, at - asked)
                self.answers[reply.status] += 1
                if reply.status == 200 or (reply.status == 422 and said.get("billing")):
                    self.told[reference] = said["billing"]["status"]
                    self.acknowledged.append((asked, at))
                    break
                if reply.status != 503 or not reply.headers["Retry-After"]:
                    self.wrong.append(f"{reference}: {reply.status} {said}")
                    break
                time.sleep(0.1)
            time.sleep(0.02)

    def first_since(self, moment):
        return min((at for asked, at in list(self.acknowledged) if asked > moment), default=None)

    def first_after(self, moment, within=120):
        while (first := self.first_since(moment)) is None:
            assert time.monotonic() < moment + within, f"nothing is sold any more: {self.wrong}"
            time.sleep(0.02)
        return first

    def stop(self):
        self.is_over = True
        for thread in self.threads:
            thread.join()


class Trial:
    def __init__(self, options, folder):
        self.folder, self.saldo = folder, options.saldo
        self.prepare()
        self.machines = {name: Machine(name, folder) for name in ADDRESSES}
        self.certify()
        host = "db:5000" if options.through_haproxy else "db-a,db-b"
        self.url = (f"postgres://saldo:PASSWORD@{host}/saldo"
                    f"?sslmode=verify-full&sslrootcert={folder}/ca.pem")

    def prepare(self):
        sh("ip", "link", "set", "lo", "up")
        sh("ip", "link", "add", "machines", "type", "bridge")
        sh("ip", "link", "set", "machines", "up")
        sh("ip", "addr", "add", "10.0.0.4/24", "dev", "machines")
        hosts = self.folder / "hosts"
        names = "".join(f"{address} {name}\n" for name, address in ADDRESSES.items())
        hosts.write_text(f"127.0.0.1 localhost db\n{names}")
        sh("mount", "--bind", hosts, "/etc/hosts")
        etcd = ",".join(f"{address}:2379" for address in ADDRESSES.values())
        (self.folder / "patronictl.yml").write_text(f"scope: saldo\netcd3:\n  hosts: {etcd}\n")

    def certify(self):
        def openssl(*words):
            sh("openssl", *words, cwd=self.folder, stderr=subprocess.DEVNULL)

        new = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
        openssl(*new, "-subj", "/CN=ca", "-keyout", "ca.key", "-out", "ca.pem")
        for name in ["db-a", "db-b"]:
            own = self.folder / name / "etc/ssl"
            openssl(*new, "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name},DNS:db",
                    "-addext", "basicConstraints=critical,CA:FALSE", "-CA", "ca.pem", "-CAkey", "ca.key",
                    "-keyout", own / "private/saldo-db.key", "-out", own / "certs/saldo-db.pem")
            shutil.chown(own / "private/saldo-db.key", "root", "ssl-cert")
            (own / "private/saldo-db.key").chmod(0o640)

    def states(self):
        """Each database's role, as Patroni lists it; empty while it cannot be asked."""
        said = subprocess.run(["patronictl", "-c", self.folder / "patronictl.yml", "list", "-f", "json"],
                              capture_output=True, text=True)
        listed = json.loads(said.stdout) if said.returncode == 0 else []
        return {one["Member"]: (one["Role"], one["State"]) for one in listed}

    def wait(self, what, is_so, within=120):
        began = time.monotonic()
        while not is_so(self.states()):
            assert time.monotonic() < began + within, f"not {what}: {self.states()}\n{self.logs()}"
            time.sleep(0.2)
        return time.monotonic() - began

    def wait_for_both(self):
        return self.wait("both", lambda states: {"Leader", "Sync Standby"} == {
            role for role, state in states.values() if state == "running" or role != "Leader"})

    def leader(self):
        return next((name for name, (role, _) in self.states().items() if role == "Leader"), None)

    def logs(self):
        tails = []
        for name in ["db-a", "db-b"]:
            log = self.folder / name / "var/log/patroni.log"
            if log.exists():
                tails.append(f"{name}:\n" + "\n".join(log.read_text().splitlines()[-25:]))
        return "\n".join(tails)

    def begin(self):
        """The page's first start, on all machines."""
        for machine in self.machines.values():
            # As the packages leave it: an etcd that was alone, and an empty database.
            machine.run("""start etcd setpriv --reuid etcd --regid etcd --clear-groups \
                env ETCD_NAME=$ME ETCD_DATA_DIR=/var/lib/etcd/default etcd; sleep 2""")
            machine.does("On all three: etcd")
        for name in ["db-a", "db-b"]:
            self.machines[name].run("pg_createcluster 15 main")
            self.machines[name].does("On db-a and db-b: Patroni")
        say(f"the pair is whole after {self.wait_for_both():.1f} s")
        print(self.machines["db-a"].does("Who is what"), end="")
        self.machines[self.leader()].does("Once, on the primary: Saldo's database")
        self.machines["db-c"].does("Where HAProxy is wanted")

    def serve(self):
        home = self.folder / "saldo"
        home.mkdir(mode=0o700)
        shutil.chown(home, "postgres", "postgres")
        credentials = home / "credentials.json"
        words = [self.saldo, "demo", "--listen", "10.0.0.3:8080", "--data-dir", home,
                 "--credentials-file", credentials, "--requests-per-minute", "100000000", "--balance", "999999999"]
        line = " ".join(str(word) for word in words)
        self.machines["db-c"].run(f"""export SALDO_DATABASE_URL='{self.url}'
            start saldo setpriv --reuid postgres --regid postgres --init-groups {line}""")
        began = time.monotonic()
        while not credentials.exists():
            assert time.monotonic() < began + 60, self.log()
            time.sleep(0.1)
        return Buyers(json.loads(credentials.read_text())["merchant"]["sandbox"], 8080)

    def log(self):
        return (self.folder / "db-c/var/log/saldo.log").read_text()

    def verb(self, *words):
        words = " ".join(str(word) for word in [self.saldo, *words, "--data-dir", self.folder / "saldo"])
        return self.machines["db-c"].run(f"SALDO_DATABASE_URL='{self.url}' {words} 2>/dev/null")

    def fail_over(self, buyers, kind):
        """Takes the primary away in this way, and gives it back once the other is the primary."""
        was = self.leader()
        machine, other = self.machines[was], next(n for n in ["db-a", "db-b"] if n != was)
        gone = time.monotonic()
        match kind:
            case "Patroni and PostgreSQL are killed":
                machine.stop("patroni", "postgres")
            case "the machine is switched off":
                machine.off()
            case "its network is cut":
                sh("ip", "link", "set", was, "down")
            case "only Patroni is killed, and stays away":
                machine.stop("patroni")
        cut = time.monotonic()
        self.wait("promoted", lambda states: states.get(other, ("",))[0] == "Leader")
        promoted = time.monotonic()
        match kind:
            case "the machine is switched off":
                machine.on()
                machine.run("systemctl start --no-block etcd; systemctl start patroni")
            case "its network is cut":
                sh("ip", "link", "set", was, "up")
            case _:
                machine.run("systemctl start patroni")
        first = buyers.first_after(cut)
        whole = self.wait_for_both()
        say(f"{kind}: {other} is promoted {promoted - gone:.1f} s after, first acknowledgement {first - gone:.1f} s "
            f"after, {first - promoted:.1f} s after {was} was given back; the list is whole after {time.monotonic() - promoted:.1f} s")
        return promoted - gone, first - promoted

    def stumble(self, buyers, name):
        """Something of the primary's is killed, and is started again on the same machine."""
        was = self.leader()
        gone = time.monotonic()
        self.machines[was].kill(name)
        first = buyers.first_after(time.monotonic())
        self.wait_for_both()
        say(f"{name} alone is killed on {was}: first acknowledgement {first - gone:.1f} s after; {self.leader()} leads")

    def alone(self, buyers, seconds=20, meanwhile=None):
        """The standby is stopped: nothing is acknowledged until it is back."""
        standby = next(n for n in ["db-a", "db-b"] if n != self.leader())
        self.machines[standby].stop("patroni", "postgres")
        time.sleep(0.5)
        gone, put_off = time.monotonic(), buyers.answers[503]
        if meanwhile:
            meanwhile(standby)
        time.sleep(max(0, gone + seconds - time.monotonic()))
        first = buyers.first_since(gone)
        back = time.monotonic()
        self.machines[standby].run("systemctl start patroni")
        after = buyers.first_after(back)
        say(f"{standby} is away for {back - gone:.1f} s: first acknowledgement {first and first - gone} s; "
            f"503 {buyers.answers[503] - put_off} times; {after - back:.1f} s after its start it is sold again")
        self.wait_for_both()
        return first

    def compare(self, buyers):
        """The clients' memory, the books, the upstream's truth: one story."""
        began = time.monotonic()
        listed = lambda *more: [json.loads(line) for line in self.verb("purchase", "list", *more, "--limit", "9999999", "--json").splitlines()]
        while any(listed("--state", state) for state in ["held", "sent", "in_doubt", "with_staff"]):
            assert time.monotonic() < began + 90, "doubts are left"
            time.sleep(1)
        say(f"no doubt is left after {time.monotonic() - began:.1f} s")
        times, attempts, again = collections.Counter(), {}, 0
        for line in (self.folder / "saldo/simulator-truth.jsonl").read_text().splitlines():
            line = json.loads(line)
            again += line["event"] == "again"
            attempts[line["attempt"]] = line["credited"]
        for attempt, is_credited in attempts.items():
            times[int(attempt[1:].split("-")[0])] += is_credited
        wrong, books = list(buyers.wrong), {}
        for purchase in listed():
            reference, state = purchase["reference"], purchase["state"]
            wrong += [f"bought twice: {purchase}"] if reference in books else []
            books[reference] = state
            due = {"delivered": 1, "failed": 0}.get(state)
            credited = times.pop(purchase["id"], 0)
            wrong += [f"credited {credited} times: {purchase}"] if credited != due else []
        wrong += [f"credited, and not in the books: {id}" for id, credited in times.items() if credited]
        wrong += [f"an attempt was sent {again} times again"] if again else []
        for reference, told in buyers.told.items():
            is_so = {"success": ["delivered"], "failed": ["failed"]}.get(told, ["delivered", "failed"])
            if books.get(reference) not in is_so:
                wrong.append(f"{reference} was {told} and is {books.get(reference)}")
        say(f"{len(buyers.told)} references acknowledged, {len(books)} purchases in the books, {len(attempts)} orders "
            f"at the upstreams, {sum(attempts.values())} delivered; answers {dict(buyers.answers)}, the longest took {buyers.longest:.1f} s")
        print(self.verb("verify"), end="")
        assert not wrong, "\n".join(wrong[:20])


KINDS = ["Patroni and PostgreSQL are killed", "the machine is switched off", "its network is cut",
         "only Patroni is killed, and stays away"]


def try_it(options, folder):
    trial = Trial(options, folder)
    trial.begin()
    buyers = trial.serve()
    try:
        buyers.first_after(time.monotonic())
        took = [trial.fail_over(buyers, KINDS[n % len(KINDS)]) for n in range(options.kills)]
        for what, each in zip(["promoted after", "sold again after its return"], zip(*took)):
            each = sorted(each)
            say(f"{what}: {each[0]:.1f} least, {each[len(each) // 2]:.1f} median, {each[-1]:.1f} most")
        for name in ["postgres", "patroni"]:
            trial.stumble(buyers, name)
        assert trial.alone(buyers) is None, "acknowledged on one disk"
        was, there = trial.leader(), time.monotonic()
        other = next(n for n in ["db-a", "db-b"] if n != was)
        trial.machines["db-c"].run("true")
        trial.machines[was].run(block("A planned change of places").replace("db-b", other))
        changed = time.monotonic()
        first = buyers.first_after(changed)
        say(f"places changed after {changed - there:.1f} s, first acknowledgement {first - there:.1f} s after; {trial.leader()} leads")
        trial.wait_for_both()
    except BaseException:
        print(trial.logs(), trial.log()[-3000:], sep="\n")
        raise
    finally:
        buyers.stop()
    trial.compare(buyers)


def main():
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("saldo", type=pathlib.Path)
    asked.add_argument("--kills", type=int, default=12)
    asked.add_argument("--through-haproxy", action="store_true")
    asked.add_argument("--keep", action="store_true", help="the temporary folder, with all logs")
    options = asked.parse_args()
    if os.environ.get("SALDO_TRIAL_INSIDE") != "1":
        os.environ["SALDO_TRIAL_INSIDE"] = "1"
        spaces = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        os.execvp("unshare", ["unshare", *spaces, sys.executable, *sys.argv])
    folder = pathlib.Path(tempfile.mkdtemp(prefix="saldo-managed-"))
    folder.chmod(0o755)
    options.saldo = shutil.copy(options.saldo, folder / "bin-saldo")
    try:
        try_it(options, folder)
    finally:
        print(folder) if options.keep else shutil.rmtree(folder, ignore_errors=True)


BEGAN = time.monotonic()
main()
