//! Rig R9: the webhook sender in a network namespace where all packets are counted (RELIABILITY P9,
//! O1, O2). All addresses of IPv4 and IPv6 are local, so every connection succeeds and no packet
//! leaves the machine. Two addresses are the receiver's and one is the name server's; a packet from
//! or to any other address is a hit. This rule shares no code with the sender. Names are resolved
//! by the C library, as in production.

mod hostile_urls;
mod name_server;
mod packet_monitor;

use connectors::webhook_sender::{HttpsWebhookSender, WebhookSenderSettings};
use domain::{
    Clock, Delivery, DeliveryResult, Environment, Timestamp, WebhookPost, WebhookSender as _,
};
use name_server::NameServer;
use packet_monitor::PacketMonitor;
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

/// The receiver's addresses. They must be public, so they are real ones; no packet leaves here.
const RECEIVER_V4: Ipv4Addr = Ipv4Addr::new(93, 184, 215, 14);
const RECEIVER_V6: Ipv6Addr = Ipv6Addr::new(0x2606, 0x2800, 0x21f, 0, 0, 0, 0, 0x14);
const NAME_SERVER: Ipv4Addr = Ipv4Addr::new(93, 184, 215, 53);

const CA: &[u8] = include_bytes!("ca.pem");
/// The environment variable that is set in the process inside the namespace.
const INSIDE: &str = "SALDO_TEST_INSIDE";
const REBINDING_DELIVERIES: usize = 1_000;

#[test]
fn no_packet_reaches_a_private_address() {
    if std::env::var_os(INSIDE).is_some() {
        return run_inside();
    }
    let variants: [&[&str]; 2] = [&["--net", "--mount"], &["--net", "--mount", "--user", "-r"]];
    let works = |options: &&&[&str]| {
        Command::new("unshare")
            .args(**options)
            .arg("true")
            .output()
            .is_ok_and(|o| o.status.success())
    };
    let Some(options) = variants.iter().find(works) else {
        panic!(
            "this machine cannot create a network namespace, so nothing was tested: run as root, \
             or allow user namespaces (and install util-linux)"
        );
    };
    let status = Command::new("unshare")
        .args(*options)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "namespace::no_packet_reaches_a_private_address", "--nocapture"])
        .env(INSIDE, "1")
        .status()
        .unwrap();
    assert!(status.success(), "the output of the test inside the namespace is above");
}

fn run_inside() {
    set_up();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let name_server = NameServer::start().await;
        let monitor = PacketMonitor::start().await;
        the_monitor_sees_private_connections(&monitor).await;
        let hostile = hostile_urls::urls();
        assert!(hostile.len() >= 200, "{}", hostile.len());
        an_unguarded_client_reaches_private_addresses(&monitor, &hostile).await;

        let sender = sender();
        monitor.reset_when_quiet().await;
        name_server.reset();
        hostile_urls_reach_no_private_address(&sender, &monitor, &hostile).await;
        good_urls_arrive(&sender, &monitor).await;
        a_rebinding_name_reaches_no_private_address(&sender, &monitor, &name_server).await;
    });
}

/// Makes all addresses local, and our name server the one of the C library.
fn set_up() {
    let folder = tempfile::tempdir().unwrap();
    let resolv_conf = folder.path().join("resolv.conf");
    std::fs::write(&resolv_conf, format!("nameserver {NAME_SERVER}\noptions timeout:2\n")).unwrap();
    // Debian keeps `ip` here, which is not in every user's path.
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

fn sender() -> HttpsWebhookSender {
    let mut settings = WebhookSenderSettings::new(Arc::new(RunClock(Instant::now())));
    settings.extra_ca_pem = Some(CA.to_vec());
    HttpsWebhookSender::open(settings).unwrap()
}

async fn deliver(sender: &HttpsWebhookSender, url: &str, environment: Environment) -> Delivery {
    let headers = vec![("webhook-id", "evt_1".to_owned())];
    let post = WebhookPost { url: url.to_owned(), environment, headers, body: b"{}".to_vec() };
    sender.deliver(&post).await
}

/// A connection to a private address is seen by the listener and as packets.
async fn the_monitor_sees_private_connections(monitor: &PacketMonitor) {
    for address in ["10.0.0.1", "169.254.169.254", "100.64.0.1", "192.168.1.1", "127.0.0.1"]
        .into_iter()
        .chain(["fd00::1", "::1", "64:ff9b::a00:1", "2002:a00:1::1"])
    {
        monitor.reset();
        let address: IpAddr = address.parse().unwrap();
        TcpStream::connect((address, 443)).await.unwrap();
        let (packets, connections) = monitor.hits().await;
        assert!(packets > 0 && connections == 1, "{address}: {packets}, {connections}");
    }
}

/// A client without checks reaches private addresses by most of these URLs: they are a real test.
async fn an_unguarded_client_reaches_private_addresses(
    monitor: &PacketMonitor,
    hostile: &[String],
) {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(CA).unwrap()).unwrap();
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .unwrap()
    .with_root_certificates(roots)
    .with_no_client_auth();
    let unguarded = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(Policy::limited(3))
        .no_proxy()
        .timeout(Duration::from_secs(2))
        .pool_max_idle_per_host(0)
        .build()
        .unwrap();
    let mut reached = 0;
    for url in hostile {
        monitor.reset();
        // A rebinding name has a public address in its first answer.
        for _ in 0..2 {
            let _ = unguarded.post(url).body("{}").send().await;
        }
        reached += usize::from(monitor.has_hits().await);
    }
    println!(
        "an unguarded client reaches a private address by {reached} of {} hostile URLs",
        hostile.len()
    );
    assert!(reached >= 200, "{reached}");
}

async fn hostile_urls_reach_no_private_address(
    sender: &HttpsWebhookSender,
    monitor: &PacketMonitor,
    hostile: &[String],
) {
    let mut deliveries = 0;
    for url in hostile {
        let live = url.replacen("http://", "https://", 1);
        for (url, environment) in [(url, Environment::Sandbox), (&live, Environment::Live)] {
            // Twice, as with a retry.
            for _ in 0..2 {
                let delivery = deliver(sender, url, environment).await;
                let is_redirect = url.contains("//to.");
                let has_response = is_redirect || url.contains("//flip-");
                assert!(
                    has_response || delivery.result == DeliveryResult::Blocked,
                    "{url}: {delivery:?}"
                );
                let is_3xx = delivery.status.is_some_and(|s| (300..400).contains(&s));
                assert_eq!(is_redirect, is_3xx, "{url}: {delivery:?}");
                deliveries += 1;
            }
        }
    }
    let (packets, connections) = monitor.hits().await;
    println!(
        "{deliveries} deliveries to {} hostile URLs: {packets} packets and {connections} \
         connections to private addresses, {} packets to and from public ones",
        hostile.len(),
        monitor.expected_packets()
    );
    assert_eq!((packets, connections), (0, 0), "{:?}", monitor.first_hits());
    assert!(monitor.expected_packets() > 0, "the monitor saw no packet at all");
}

/// The sender must not reach its goal by blocking everything.
async fn good_urls_arrive(sender: &HttpsWebhookSender, monitor: &PacketMonitor) {
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
        let delivery = deliver(sender, &format!("{scheme}://{host}/good/{n}"), environment).await;
        assert_eq!(delivery.result, DeliveryResult::Accepted, "{scheme}://{host}: {delivery:?}");
        let arrived = monitor.requests().pop().unwrap();
        let expected = format!("POST /good/{n} ");
        assert!(arrived.starts_with(&expected), "{host}: {arrived}");
        let name = host.to_lowercase().replace(".:", ":");
        let name = name.trim_end_matches(":443").trim_end_matches(":80").trim_end_matches('.');
        let line = format!("\r\nhost: {name}\r\n");
        assert!(arrived.contains(&line), "{host}: {arrived}");
    }
    assert_eq!(monitor.hits().await, (0, 0), "{:?}", monitor.first_hits());
}

/// The answers of the name server alternate between the receiver and a private address.
async fn a_rebinding_name_reaches_no_private_address(
    sender: &HttpsWebhookSender,
    monitor: &PacketMonitor,
    name_server: &NameServer,
) {
    let host = "alternate-0a000001.rig.example";
    let (mut accepted, mut blocked) = (0, 0);
    for n in 0..REBINDING_DELIVERIES {
        let (scheme, environment) = match n % 4 {
            0 | 1 => ("https", Environment::Live),
            _ => ("http", Environment::Sandbox),
        };
        let url = format!("{scheme}://{host}/close");
        match deliver(sender, &url, environment).await.result {
            DeliveryResult::Accepted => accepted += 1,
            DeliveryResult::Blocked => blocked += 1,
            other @ (DeliveryResult::Failed
            | DeliveryResult::Gone
            | DeliveryResult::Busy { .. }) => {
                panic!("{url}: {other:?}")
            }
        }
    }
    println!(
        "{REBINDING_DELIVERIES} deliveries to a rebinding name: {accepted} arrived, {blocked} were \
         blocked"
    );
    let half = REBINDING_DELIVERIES / 2;
    assert_eq!((accepted, blocked), (half, half));
    assert_eq!(name_server.lookups_of(host), REBINDING_DELIVERIES, "one look-up each");
    assert_eq!(monitor.hits().await, (0, 0), "{:?}", monitor.first_hits());
}
