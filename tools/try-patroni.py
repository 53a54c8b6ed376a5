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
DATABASES = ["db-a", "db-b"]
# How a primary is taken away, in turn.
KINDS = ["Patroni and PostgreSQL are killed", "the machine is switched off", "the network is cut",
         "Patroni alone is killed"]
BUYERS = 4
RECHARGE = "/api/billing/service-requests/recharge/normal"
# What a machine has for itself of the file system.
OWN = """etc/default etc/haproxy etc/patroni etc/postgresql etc/ssl/certs etc/ssl/private run/haproxy
    run/postgresql var/lib/etcd var/lib/haproxy var/lib/postgresql var/log""".split()
# What Debian's units do, and `sudo`; Patroni is started anew when it fails, as its unit says.
UNITS = r"""
set -eu
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 HOME=/root
sudo() { user=$2; shift 2; setpriv --reuid "$user" --regid "$user" --init-groups env HOME=/tmp "$@"; }
start() { name=$1; shift; setsid "$@" </dev/null >>"/var/log/$name.log" 2>&1 & }
systemctl() {
    case "$*" in
        "stop etcd") pkill -x etcd || true; while pgrep -x etcd >/dev/null; do sleep 0.1; done ;;
        "start --no-block etcd")
            start etcd sh -c 'set -a; . /etc/default/etcd
                ETCD_DATA_DIR=/var/lib/etcd/default exec setpriv --reuid etcd --regid etcd --clear-groups etcd' ;;
        "start patroni")
            touch /var/lib/postgresql/wanted
            start patroni sh -c 'while [ -e /var/lib/postgresql/wanted ] && ! setpriv \
                --reuid postgres --regid postgres --init-groups env HOME=/var/lib/postgresql \
                patroni /etc/patroni/config.yml; do sleep 0.1; done' ;;
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
        shutil.chown(self.folder / "var/lib/etcd", "etcd", "etcd")
        for theirs in ["var/lib/postgresql", "run/postgresql", "etc/postgresql", "etc/patroni"]:
            shutil.chown(self.folder / theirs, "postgres", "postgres")
        self.on()

    def on(self):
        binds = "; ".join(f"mount --bind {self.folder}/{own} /{own}" for own in OWN)
        # The first process also buries those that nobody waits for.
        begin = f"{binds}; hostname {self.name}; echo; while sleep 0.2; do :; done"
        spaces = ["--net", "--mount", "--pid", "--uts", "--fork", "--kill-child", "--mount-proc"]
        self.init = subprocess.Popen(["unshare", *spaces, "sh", "-ec", begin], stdout=subprocess.PIPE)
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
        file.write_text(f"""{UNITS}
            export ME={self.name} ADDRESS={ADDRESSES[self.name]} PATRONICTL_CONFIG_FILE=/etc/patroni/config.yml
            \n{script}""")
        done = subprocess.run(["nsenter", "-t", self.inside, "--all", "sh", file], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 0, f"{self.name}: {script}\n{done.stdout}"
        return done.stdout

    def does(self, begins, **words):
        """The page's commands that begin so, said of other machines."""
        commands = block(begins)
        for word, other in words.items():
            commands = commands.replace(word.replace("_", "-"), other)
        return self.run(commands)

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

    def __init__(self, keys):
        self.is_over = False
        self.headers = {"X-Open-Key": keys["open_key"], "X-Authorization": keys["secret_key"],
                        "Content-Type": "application/json"}
        self.told, self.acknowledged, self.wrong = {}, [], []
        self.answers, self.longest = collections.Counter(), 0.0
        self.threads = [threading.Thread(target=self.buy, args=(n,)) for n in range(BUYERS)]
        for thread in self.threads:
            thread.start()

    def send(self, body):
        connection = http.client.HTTPConnection(ADDRESSES["db-c"], 8080, timeout=60)
        connection.request("POST", RECHARGE, json.dumps(body), self.headers)
        reply = connection.getresponse()
        return reply, json.loads(reply.read())

    def buy(self, task):
        dice = random.Random(task)
        n = 0
        while not self.is_over:
            reference, n = f"B-{task}-{n}", n + 1
            # Delivered at once, refused, the answer lost, slow to come …
            end = dice.choice(["101", "101", "102", "103", "106", "107"])
            number = f"0171{dice.randrange(10_000):04}{end}"
            body = {"operator": "gp", "number": number, "amount": 10, "reference": reference}
            while not self.is_over:
                asked = time.monotonic()
                try:
                    reply, said = self.send(body)
                except OSError as error:
                    self.wrong.append(f"{reference}: {error!r}")
                    break
                at = time.monotonic()
                self.longest = max(self.longest, at - asked)
                self.answers[reply.status] += 1
                # 422: an earlier try, whose answer was "later", had been stored after all.
                if reply.status == 200 or (reply.status == 422 and said.get("billing")):
                    self.told[reference] = said["billing"]["status"]
                    self.acknowledged += [(asked, at)] if reply.status == 200 else []
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

    def pause_since(self, moment):
        """The longest time since then in which nothing was acknowledged."""
        ats = sorted([moment, time.monotonic(), *(at for _, at in list(self.acknowledged) if at > moment)])
        return max(later - at for at, later in zip(ats, ats[1:]))

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
        (self.folder / "patronictl.yml").write_text(f"scope: saldo\netcd:\n  hosts: {etcd}\n")

    def certify(self):
        def openssl(*words):
            sh("openssl", *words, cwd=self.folder, stderr=subprocess.DEVNULL)

        new = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
        openssl(*new, "-subj", "/CN=ca", "-keyout", "ca.key", "-out", "ca.pem")
        for name in DATABASES:
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
        """Until one is the primary and the other follows it; how long that took."""
        began = time.monotonic()
        self.wait("a primary", lambda states: "Leader" in [role for role, _ in states.values()])
        ask = "sudo -u postgres psql -Atc 'SELECT sync_state FROM pg_stat_replication' 2>&1 || true"
        while "quorum" not in self.machines[self.leader()].run(ask):
            assert time.monotonic() < began + 120, f"nobody follows: {self.states()}\n{self.logs()}"
            time.sleep(0.2)
        return time.monotonic() - began

    def leader(self):
        return next((name for name, (role, _) in self.states().items() if role == "Leader"), None)

    def logs(self):
        tails = []
        for name in DATABASES:
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
        for name in DATABASES:
            self.machines[name].run("pg_createcluster 15 main")
            self.machines[name].does("On db-a and db-b: Patroni")
        say(f"the pair is whole after {self.wait_for_both():.1f} s")
        print(self.machines["db-a"].does("Who is the primary"), end="")
        self.machines[self.leader()].does("Once both run, on the primary: Saldo's database")
        self.machines["db-c"].does("Where HAProxy is wanted")
        self.machines["db-c"].run("until pg_isready -q -h 127.0.0.1 -p 5000; do sleep 0.2; done")

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
        return Buyers(json.loads(credentials.read_text())["merchant"]["sandbox"])

    def log(self):
        return (self.folder / "db-c/var/log/saldo.log").read_text()

    def verb(self, *words):
        words = " ".join(str(word) for word in [self.saldo, *words, "--data-dir", self.folder / "saldo"])
        return self.machines["db-c"].run(f"SALDO_DATABASE_URL='{self.url}' {words} 2>/dev/null")

    def standby(self):
        return next(name for name in DATABASES if name != self.leader())

    def fail_over(self, buyers, kind):
        """Takes the primary away in this way, and gives it back once the other is the primary."""
        was, other = self.leader(), self.standby()
        machine = self.machines[was]
        gone = time.monotonic()
        match kind:
            case "Patroni and PostgreSQL are killed":
                machine.stop("patroni", "postgres")
            case "the machine is switched off":
                machine.off()
            case "the network is cut":
                sh("ip", "link", "set", was, "down")
            case "Patroni alone is killed":
                machine.stop("patroni")
        self.wait("promoted", lambda states: states.get(other, ("",))[0] == "Leader")
        promoted = time.monotonic()
        time.sleep(2)
        assert buyers.first_since(promoted) is None, "acknowledged on one disk"
        back = time.monotonic()
        match kind:
            case "the machine is switched off":
                machine.on()
                machine.run("systemctl start --no-block etcd; systemctl start patroni")
            case "the network is cut":
                sh("ip", "link", "set", was, "up")
            case _:
                machine.run("systemctl start patroni")
        first = buyers.first_after(back)
        self.wait_for_both()
        say(f"{kind} ({was}): {other} is promoted {promoted - gone:.1f} s after, it is sold again {first - back:.1f} s "
            f"after {was} is back; nothing was sold for {buyers.pause_since(gone):.1f} s")
        return promoted - gone, first - back

    def stumble(self, buyers, what, do):
        """Something that the pair should survive as it is, or nearly."""
        gone = time.monotonic()
        do()
        done = time.monotonic()
        time.sleep(15)
        buyers.first_after(time.monotonic())
        self.wait_for_both()
        say(f"{what}, which took {done - gone:.1f} s: nothing was sold for "
            f"{buyers.pause_since(gone):.1f} s; {self.leader()} leads")

    def alone(self, buyers):
        """Without the standby nothing is acknowledged, not even while a base backup runs."""
        leader, standby = self.machines[self.leader()], self.machines[self.standby()]
        standby.stop("patroni", "postgres")
        gone, put_off = time.monotonic(), buyers.answers[503]
        leader.run("""install -d -o postgres /var/log/copies
            start copy setpriv --reuid postgres --regid postgres --init-groups \\
                env HOME=/var/lib/postgresql PGPASSWORD=PASSWORD pg_basebackup -h $ADDRESS -U replica \\
                -D /var/log/copies/$$ -c fast -X stream --max-rate=300k""")
        time.sleep(60)
        copies = leader.run("""sudo -u postgres psql -Atc \\
            'SELECT application_name, state, sync_state FROM pg_stat_replication'""")
        assert "pg_basebackup|streaming|async" in copies, copies
        assert buyers.first_since(gone + 1) is None, "acknowledged on one disk"
        leader.kill("pg_basebackup")
        return standby, gone, put_off

    def alone_until_it_is_back(self, buyers):
        standby, gone, put_off = self.alone(buyers)
        back = time.monotonic()
        standby.run("systemctl start patroni")
        first = buyers.first_after(back)
        self.wait_for_both()
        say(f"{standby.name} is away for {back - gone:.1f} s: nothing is acknowledged, "
            f"{buyers.answers[503] - put_off} answers of 503; it is sold again {first - back:.1f} s after its start")

    def alone_and_sold_on_one_disk(self, buyers):
        standby, _, _ = self.alone(buyers)
        leader = self.machines[self.leader()]
        decided = time.monotonic()
        leader.does("To sell on one disk meanwhile")
        first = buyers.first_after(decided)
        standby.run("systemctl start patroni")
        time.sleep(10)
        leader.does("As soon as the other follows")
        self.wait_for_both()
        say(f"on one disk it is sold {first - decided:.1f} s after that was decided; both again")

    def replace(self, buyers):
        """The standby's machine is lost with its disks; another takes its place."""
        leader, standby = self.machines[self.leader()], self.machines[self.standby()]
        standby.off()
        gone = time.monotonic()
        for lost in ["var/lib/etcd", "var/lib/postgresql", "etc/postgresql", "etc/patroni"]:
            sh("find", standby.folder / lost, "-mindepth", "1", "-delete")
        standby.on()
        leader.does("A machine comes new", db_b=standby.name, **{"10.0.0.2": ADDRESSES[standby.name]})
        first_day = block("On all three: etcd") + block("On db-a and db-b: Patroni")
        standby.run(f"export STATE=existing; pg_createcluster 15 main\n{first_day}")
        took = self.wait_for_both()
        health = leader.run("etcdctl --endpoints=http://$ADDRESS:2379 endpoint health --cluster 2>&1")
        assert health.count("is healthy") == 3, health
        first = buyers.first_after(gone)
        say(f"{standby.name} comes new: it follows after {took:.1f} s, sold again {first - gone:.1f} s after "
            "it was lost")

    def compare(self, buyers):
        """The clients' memory, the books, the upstream's truth: one story."""
        def listed(*more):
            said = self.verb("purchase", "list", *more, "--limit", "9999999", "--json")
            return [json.loads(line) for line in said.splitlines()]

        began = time.monotonic()
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
        say(f"{len(buyers.told)} references acknowledged, {len(books)} purchases in the books, {len(attempts)} "
            f"orders at the upstreams, {sum(attempts.values())} delivered; answers {dict(buyers.answers)}, "
            f"the longest took {buyers.longest:.1f} s")
        print(self.verb("verify"), end="")
        assert not wrong, "\n".join(wrong[:20])


def try_it(options, folder):
    trial = Trial(options, folder)
    trial.begin()
    buyers = trial.serve()
    try:
        buyers.first_after(time.monotonic())
        took = [trial.fail_over(buyers, KINDS[n % len(KINDS)]) for n in range(options.kills)]
        for what, each in zip(["promoted after", "sold again after the return of the other"], zip(*took)):
            each = sorted(each)
            say(f"{what}: {each[0]:.1f} s least, {each[len(each) // 2]:.1f} s median, {each[-1]:.1f} s most")
        trial.alone_until_it_is_back(buyers)
        trial.alone_and_sold_on_one_disk(buyers)
        trial.replace(buyers)
        leader, standby = trial.machines[trial.leader()], trial.machines[trial.standby()]
        trial.stumble(buyers, "PostgreSQL alone is killed", lambda: leader.kill("postgres"))
        change = lambda: leader.does("A planned change of places", db_b=standby.name)
        trial.stumble(buyers, "places are changed", change)
        for name in ["db-c", standby.name]:
            trial.machines[name].kill("etcd")
        trial.stumble(buyers, "two of the three etcds are away", lambda: time.sleep(30))
        for name in ["db-c", standby.name]:
            trial.machines[name].run("systemctl start --no-block etcd")
        trial.wait("both listed", lambda states: len(states) == 2)
        print(trial.machines[trial.leader()].does("Who is the primary"), end="")
        through = "host=127.0.0.1 port=5000 user=saldo password=PASSWORD sslmode=require"
        said = trial.machines["db-c"].run(f"psql '{through}' -Atc 'SELECT pg_is_in_recovery() FROM purchases LIMIT 1'")
        assert said == "f\n", said
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
