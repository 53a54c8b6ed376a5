//! Rig R9: the courier in a network namespace of its own, where every address is this machine and
//! every packet is counted (RELIABILITY P9, O1, O2).
//!
//! A route makes all of IPv4 and IPv6 local to the loopback interface, so that whatever is connected
//! to is reached, and nothing can leave the machine. Two addresses are the receiver's and one the name
//! server's; a packet from or to any other is a hit. That rule is the rig's own: it asks nothing of
//! the code that it tests. Names are resolved by the C library, as in the real process.

mod hostile;
mod names;
mod trap;

use domain::account::Environment;
use domain::clock::{Clock, Timestamp};
use domain::webhook::{Delivery, DeliveryResult, WebhookPost, WebhookSender as _};
use names::NameServer;
use reqwest::redirect::Policy;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::Instant;
use trap::Trap;
use upstreams::courier::{Settings, WebhookSender};

/// Where the receiver is. Real ones, so that they are public; here they lead nowhere else.
const RECEIVER_V4: Ipv4Addr = Ipv4Addr::new(93, 184, 215, 14);
const RECEIVER_V6: Ipv6Addr = Ipv6Addr::new(0x2606, 0x2800, 0x21f, 0, 0, 0, 0, 0x14);
/// Where the name server is.
const NAME_SERVER: Ipv4Addr = Ipv4Addr::new(93, 184, 215, 53);

const CA: &[u8] = include_bytes!("ca.pem");
/// Set in the process that runs within the namespace.
const INSIDE: &str = "SALDO_TEST_INSIDE";
const REBOUND: usize = 1_000;

#[test]
fn no_packet_reaches_a_private_address() {
    if std::env::var_os(INSIDE).is_some() {
        return inside();
    }
    let ways: [&[&str]; 2] = [&["--net", "--mount"], &["--net", "--mount", "--user", "-r"]];
    let works = |way: &&&[&str]| {
        Command::new("unshare").args(**way).arg("true").output().is_ok_and(|o| o.status.success())
    };
    let Some(way) = ways.iter().find(works) else {
        panic!(
            "this machine makes no network namespace, so nothing was tested: run as root, or allow \
             user namespaces (and install util-linux)"
        );
    };
    let status = Command::new("unshare")
        .args(*way)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "namespace::no_packet_reaches_a_private_address", "--nocapture"])
        .env(INSIDE, "1")
        .status()
        .unwrap();
    assert!(status.success(), "see above");
}

fn inside() {
    set_up();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let names = NameServer::start().await;
        let trap = Trap::set().await;
        the_trap_catches(&trap).await;
        let hostile = hostile::urls();
        assert!(hostile.len() >= 200, "{}", hostile.len());
        they_are_hostile(&trap, &hostile).await;

        let courier = courier();
        trap.forget_when_quiet().await;
        names.forget();
        hostile_urls_lead_nowhere(&courier, &trap, &hostile).await;
        good_urls_arrive(&courier, &trap).await;
        a_name_that_changes_leads_nowhere(&courier, &trap, &names).await;
    });
}

/// Everything is this machine, and names are asked of ours.
fn set_up() {
    let folder = tempfile::tempdir().unwrap();
    let resolv_conf = folder.path().join("resolv.conf");
    std::fs::write(&resolv_conf, format!("nameserver {NAME_SERVER}\noptions timeout:2\n")).unwrap();
    // Where Debian keeps `ip`, which is not in everybody's path.
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let run = |line: &str| {
        let mut words = line.split(' ');
        let program = words.next().unwrap();
        let status = Command::new(program).args(words).env("PATH", &path).status();
        assert!(
            status.as_ref().is_ok_and(|s| s.success()),
            "{line}: {status:?} (iproute2 has ip, util-linux has mount)"
        );
    };
    run("ip link set lo up");
    run(&format!("ip addr add {RECEIVER_V4}/32 dev lo"));
    run(&format!("ip -6 addr add {RECEIVER_V6}/128 dev lo nodad"));
    run(&format!("ip route add local 0.0.0.0/0 dev lo src {RECEIVER_V4}"));
    run(&format!("ip -6 route add local ::/0 dev lo src {RECEIVER_V6}"));
    run(&format!("mount --bind {} /etc/resolv.conf", resolv_conf.display()));
}

struct RunClock(Instant);

impl Clock for RunClock {
    fn now(&self) -> Timestamp {
        Timestamp(1_776_985_740_000_000).after(self.0.elapsed())
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

fn courier() -> WebhookSender {
    let settings = Settings::new(Arc::new(RunClock(Instant::now())));
    WebhookSender::open(Settings { extra_ca_pem: Some(CA.to_vec()), ..settings }).unwrap()
}

async fn deliver(courier: &WebhookSender, url: &str, environment: Environment) -> Delivery {
    let headers = vec![("webhook-id", "evt_1".to_owned())];
    let post = WebhookPost { url: url.to_owned(), environment, headers, body: b"{}".to_vec() };
    courier.deliver(&post).await
}

/// Whoever connects to a private address is seen, by the listener and on the wire.
async fn the_trap_catches(trap: &Trap) {
    for address in ["10.0.0.1", "169.254.169.254", "100.64.0.1", "192.168.1.1", "127.0.0.1"]
        .into_iter()
        .chain(["fd00::1", "::1", "64:ff9b::a00:1", "2002:a00:1::1"])
    {
        trap.forget();
        let address: IpAddr = address.parse().unwrap();
        TcpStream::connect((address, 443)).await.unwrap();
        let (packets, connections) = trap.hits_after_a_while().await;
        assert!(packets > 0 && connections == 1, "{address}: {packets}, {connections}");
    }
}

/// A client that guards nothing gets to private places by most of these URLs: they are worth trying.
async fn they_are_hostile(trap: &Trap, hostile: &[String]) {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(CA).unwrap()).unwrap();
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .unwrap()
    .with_root_certificates(roots)
    .with_no_client_auth();
    let careless = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(Policy::limited(3))
        .no_proxy()
        .timeout(Duration::from_secs(2))
        .pool_max_idle_per_host(0)
        .build()
        .unwrap();
    let mut reached = 0;
    for url in hostile {
        trap.forget();
        // A rebinding name is good at its first answer.
        for _ in 0..2 {
            let _ = careless.post(url).body("{}").send().await;
        }
        reached += usize::from(trap.has_hits().await);
    }
    println!("a careless client is led astray by {reached} of {} hostile URLs", hostile.len());
    assert!(reached >= 200, "{reached}");
}

async fn hostile_urls_lead_nowhere(courier: &WebhookSender, trap: &Trap, hostile: &[String]) {
    let mut deliveries = 0;
    for url in hostile {
        let live = url.replacen("http://", "https://", 1);
        for (url, environment) in [(url, Environment::Sandbox), (&live, Environment::Live)] {
            // And again, as a retry does.
            for _ in 0..2 {
                let delivery = deliver(courier, url, environment).await;
                let is_redirect = url.contains("//to.");
                let is_answered = is_redirect || url.contains("//flip-");
                assert!(
                    is_answered || delivery.verdict == DeliveryResult::Blocked,
                    "{url}: {delivery:?}"
                );
                let is_30x = delivery.status.is_some_and(|s| (300..400).contains(&s));
                assert_eq!(is_redirect, is_30x, "{url}: {delivery:?}");
                deliveries += 1;
            }
        }
    }
    let (packets, connections) = trap.hits_after_a_while().await;
    println!(
        "{deliveries} deliveries to {} hostile URLs: {packets} packets and {connections} \
         connections to private addresses, {} packets to and from public ones",
        hostile.len(),
        trap.packets_elsewhere()
    );
    assert_eq!((packets, connections), (0, 0), "{:?}", trap.first_hits());
    assert!(trap.packets_elsewhere() > 0, "the wire was not watched");
}

/// A guard that lets nothing pass would be easy.
async fn good_urls_arrive(courier: &WebhookSender, trap: &Trap) {
    let mut urls = Vec::new();
    for n in 0..8 {
        urls.push(("http", format!("receiver-{n}.rig.example")));
        urls.push(("https", format!("receiver-{n}.hooks.rig.example")));
        urls.push(("https", format!("receiver-{n}.shop.example:8443")));
        urls.push(("https", format!("c{n}-receiver.rig.example")));
        urls.push(("https", format!("SHOP-{n}.Shop.Example")));
    }
    for host in ["shop.example", "shop.example.", "rig.example:443", "xn--bcher-kva.example"] {
        urls.push(("https", host.to_owned()));
        urls.push(("https", host.to_ascii_uppercase()));
    }
    urls.push(("https", "under_score.rig.example".to_owned()));
    urls.push(("http", "plain.example:80".to_owned()));
    assert_eq!(urls.len(), 50);
    for (n, (scheme, host)) in urls.into_iter().enumerate() {
        let environment = match scheme {
            "https" if n % 2 == 0 => Environment::Live,
            _ => Environment::Sandbox,
        };
        let delivery = deliver(courier, &format!("{scheme}://{host}/good/{n}"), environment).await;
        assert_eq!(delivery.verdict, DeliveryResult::Accepted, "{scheme}://{host}: {delivery:?}");
        let arrived = trap.requests().pop().unwrap();
        let expected = format!("POST /good/{n} ");
        assert!(arrived.starts_with(&expected), "{host}: {arrived}");
        let named = host.to_lowercase().replace(".:", ":");
        let named = named.trim_end_matches(":443").trim_end_matches(":80").trim_end_matches('.');
        let line = format!("\r\nhost: {named}\r\n");
        assert!(arrived.contains(&line), "{host}: {arrived}");
    }
    assert_eq!(trap.hits_after_a_while().await, (0, 0), "{:?}", trap.first_hits());
}

/// Each answer of the name server is another one than the last.
async fn a_name_that_changes_leads_nowhere(
    courier: &WebhookSender,
    trap: &Trap,
    names: &NameServer,
) {
    let host = "turn-0a000001.rig.example";
    let (mut taken, mut blocked) = (0, 0);
    for n in 0..REBOUND {
        let (scheme, environment) = match n % 4 {
            0 | 1 => ("https", Environment::Live),
            _ => ("http", Environment::Sandbox),
        };
        let url = format!("{scheme}://{host}/close");
        match deliver(courier, &url, environment).await.verdict {
            DeliveryResult::Accepted => taken += 1,
            DeliveryResult::Blocked => blocked += 1,
            other @ (DeliveryResult::Failed
            | DeliveryResult::Gone
            | DeliveryResult::Busy { .. }) => {
                panic!("{url}: {other:?}")
            }
        }
    }
    let asked = names.asked_about(host);
    println!("{REBOUND} deliveries to a name that turns: {taken} arrived, {blocked} were blocked");
    assert_eq!((taken, blocked, asked), (REBOUND / 2, REBOUND / 2, REBOUND), "one look-up each");
    assert_eq!(trap.hits_after_a_while().await, (0, 0), "{:?}", trap.first_hits());
}
