//! The settings, resolved once: a flag wins over the environment, that over the file, that over the
//! defaults.
//!
//! `config.default.toml` describes each setting.

use anyhow::Context as _;
use confique::{Config as _, Layer};
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

const DEFAULTS: &str = include_str!("../config.default.toml");

/// Every setting with the value that is in force.
#[derive(confique::Config, Debug)]
pub(crate) struct Config {
    /// The address that the server listens on.
    #[config(env = "SALDO_LISTEN")]
    pub(crate) listen: SocketAddr,
    /// The address that metrics are read at; empty: none.
    #[config(env = "SALDO_METRICS_LISTEN")]
    metrics_listen: String,
    /// The data folder.
    #[config(env = "SALDO_DATA_DIR")]
    pub(crate) data_dir: PathBuf,
    /// The URL of the PostgreSQL database; empty: SQLite in the data folder.
    #[config(env = "SALDO_DATABASE_URL")]
    pub(crate) database_url: Secret,
    /// The address under which clients reach the server; empty: the one that it listens on.
    #[config(env = "SALDO_BASE_URL")]
    pub(crate) base_url: String,
    /// Proxies that are trusted to say whom they forward.
    #[config(env = "SALDO_TRUSTED_PROXIES", parse_env = confique::env::parse::list_by_comma)]
    trusted_proxies: Vec<String>,
    /// The header in which they say it.
    #[config(env = "SALDO_FORWARDED_HEADER")]
    pub(crate) forwarded_header: Forwarded,
    /// Origins whose pages may call the wallet API from a browser.
    #[config(env = "SALDO_WALLET_ORIGINS", parse_env = confique::env::parse::list_by_comma)]
    pub(crate) wallet_origins: Vec<String>,
    /// Webhooks may go to this machine.
    #[config(env = "SALDO_WEBHOOKS_TO_LOOPBACK")]
    pub(crate) webhooks_to_loopback: bool,
    /// Addresses and ranges that webhooks never go to.
    #[config(env = "SALDO_WEBHOOKS_NEVER_TO", parse_env = confique::env::parse::list_by_comma)]
    webhooks_never_to: Vec<String>,
    /// Connectors may call this machine.
    #[config(env = "SALDO_CONNECTORS_TO_LOOPBACK")]
    pub(crate) connectors_to_loopback: bool,
    /// The divisor of the waits between the attempts of a webhook, for tests.
    #[config(env = "SALDO_WEBHOOK_TIME_DIVISOR")]
    webhook_time_divisor: u32,
    /// `webhook_time_divisor` under its former name, which is read until 1.0.
    #[config(env = "SALDO_WEBHOOK_HASTE", layer_attr(serde(rename = "webhook_haste")))]
    former_time_divisor: Option<u32>,
    /// The divisor of the waits between enquiries at upstreams, for tests.
    #[config(env = "SALDO_UPSTREAM_TIME_DIVISOR")]
    pub(crate) upstream_time_divisor: u32,
    /// The mail server; empty: mails are written to files.
    #[config(env = "SALDO_SMTP_URL")]
    pub(crate) smtp_url: Secret,
    /// The sender of mails.
    #[config(env = "SALDO_MAIL_FROM")]
    pub(crate) mail_from: String,
    /// Who may sign up as a merchant.
    #[config(env = "SALDO_SIGN_UP")]
    pub(crate) sign_up: SignUpRule,
    /// The file of the Firebase service account; empty: no pushes.
    #[config(env = "SALDO_FCM_SERVICE_ACCOUNT")]
    pub(crate) fcm_service_account: PathBuf,
    /// The address of Firebase Cloud Messaging.
    #[config(env = "SALDO_FCM_API_BASE")]
    pub(crate) fcm_api_base: String,
    /// The file in which the simulator records what it did; empty: one in the data folder.
    #[config(env = "SALDO_SIMULATOR_FILE")]
    pub(crate) simulator_file: PathBuf,
    /// A level, or levels by module.
    #[config(env = "SALDO_LOG")]
    pub(crate) log: String,
    #[config(env = "SALDO_LOG_FORMAT")]
    pub(crate) log_format: LogFormat,
    /// How many seconds requests in progress may take when the server stops.
    #[config(env = "SALDO_DRAIN_S")]
    pub(crate) drain_s: u64,
    /// The most open connections.
    #[config(env = "SALDO_CONNECTIONS")]
    pub(crate) connections: usize,
    /// The most open connections from one address.
    #[config(env = "SALDO_CONNECTIONS_PER_ADDRESS")]
    pub(crate) connections_per_address: usize,
}

/// A setting that may hold a password.
#[derive(Clone, serde::Deserialize)]
#[serde(transparent)]
pub(crate) struct Secret(pub(crate) String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The header in which trusted proxies say whom they forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Forwarded {
    XForwardedFor,
    Forwarded,
}

/// Who may sign up as a merchant on the pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SignUpRule {
    /// Everybody; the sandbox works at once.
    Open,
    /// Nobody by themselves.
    Invitation,
    /// Everybody, but even the sandbox waits for staff.
    Approval,
}

/// `Text` for people, `Json` for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    Text,
    Json,
}

/// The flags that every verb takes.
#[derive(clap::Args, Debug, Clone, Default)]
pub(crate) struct Flags {
    /// Read settings from this TOML file (config.default.toml lists them all).
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) config: Option<PathBuf>,
    /// Keep everything in this folder [default: ./saldo-data].
    #[arg(long, value_name = "DIR", global = true)]
    pub(crate) data_dir: Option<PathBuf>,
    /// Keep the books in this PostgreSQL database instead of the data folder:
    /// postgres://user:password@host/database. Better in SALDO_DATABASE_URL than here, where every
    /// user of this machine can read it.
    #[arg(long, value_name = "URL", global = true)]
    pub(crate) database_url: Option<String>,
    /// Log this: a level, or levels by part [default: info].
    #[arg(long, value_name = "FILTER", global = true)]
    pub(crate) log: Option<String>,
}

impl Config {
    /// Reads all sources. An error names the source or the setting.
    pub(crate) fn load(flags: &Flags, listen: Option<SocketAddr>) -> anyhow::Result<Config> {
        type Partial = <Config as confique::Config>::Layer;
        let defaults: Partial =
            toml::from_str(DEFAULTS).context("the built-in defaults cannot be read")?;
        let mut given = Partial::empty();
        given.listen = listen;
        given.data_dir.clone_from(&flags.data_dir);
        given.database_url = flags.database_url.clone().map(Secret);
        given.log.clone_from(&flags.log);
        let mut builder = Config::builder().preloaded(given).env();
        if let Some(file) = &flags.config {
            let shown = file.display();
            let is_file = file.is_file();
            anyhow::ensure!(is_file, "{shown} is no file; give the settings' file with --config");
            let text =
                std::fs::read_to_string(file).with_context(|| format!("{shown} cannot be read"))?;
            // What is no TOML is named below, with its place.
            let given: toml::Table = toml::from_str(&text).unwrap_or_default();
            check_names(&shown.to_string(), given.keys().map(String::as_str), &names()?)?;
            builder = builder.file(file);
        }
        check_environment(std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()))?;
        let config = builder.preloaded(defaults).load().context("the settings cannot be read")?;
        check_base_url(&config.base_url)?;
        config.wallet_origins.iter().try_for_each(|origin| check_origin(origin))?;
        config.trusted_proxies()?;
        check_counts(&[
            ("connections", config.connections as u64),
            ("connections_per_address", config.connections_per_address as u64),
            ("webhook_time_divisor", u64::from(config.webhook_time_divisor)),
            ("webhook_haste", u64::from(config.former_time_divisor.unwrap_or(1))),
            ("upstream_time_divisor", u64::from(config.upstream_time_divisor)),
        ])?;
        config.webhooks_never_to()?;
        config.metrics_listen()?;
        Ok(config)
    }

    /// The trusted proxies as address ranges.
    pub(crate) fn trusted_proxies(&self) -> anyhow::Result<Vec<IpNet>> {
        ranges("trusted_proxies", &self.trusted_proxies)
    }

    /// The address that metrics are read at, if any.
    pub(crate) fn metrics_listen(&self) -> anyhow::Result<Option<SocketAddr>> {
        let text = self.metrics_listen.as_str();
        let read =
            || text.parse().with_context(|| format!("metrics_listen: {text:?} is no address"));
        (!text.is_empty()).then(read).transpose()
    }

    /// The divisor of the waits between the attempts of a webhook, at least 1.
    pub(crate) fn webhook_time_divisor(&self) -> u32 {
        self.former_time_divisor.unwrap_or(self.webhook_time_divisor).max(1)
    }

    /// The denied targets of webhooks as address ranges.
    pub(crate) fn webhooks_never_to(&self) -> anyhow::Result<Vec<IpNet>> {
        ranges("webhooks_never_to", &self.webhooks_never_to)
    }
}

/// The former name of a setting, which the defaults do not list.
const FORMER: &str = "webhook_haste";
/// What begins like a setting in the environment and is none: for tests, and what Kubernetes gives
/// every process beside a service called `saldo`.
const NO_SETTINGS: [&str; 5] =
    ["SALDO_TEST_", "SALDO_SEED", "SALDO_TRIAL_", "SALDO_SERVICE_", "SALDO_PORT"];

/// Every setting's name in a file.
fn names() -> anyhow::Result<Vec<String>> {
    let defaults: toml::Table = toml::from_str(DEFAULTS)?;
    Ok(defaults.keys().cloned().chain([FORMER.to_owned()]).collect())
}

/// Refuses a variable that begins like a setting and is none.
fn check_environment(given: impl Iterator<Item = String>) -> anyhow::Result<()> {
    let known: Vec<String> =
        names()?.iter().map(|name| format!("SALDO_{}", name.to_uppercase())).collect();
    let is_ours = |name: &String| {
        name.starts_with("SALDO_") && !NO_SETTINGS.iter().any(|other| name.starts_with(other))
    };
    let ours: Vec<String> = given.filter(is_ours).collect();
    check_names("the environment", ours.iter().map(String::as_str), &known)
}

/// Refuses a name that is no setting: nobody would read its value. Says which one was meant.
fn check_names<'a>(
    source: &str,
    mut given: impl Iterator<Item = &'a str>,
    known: &[String],
) -> anyhow::Result<()> {
    let Some(unknown) = given.find(|name| !known.iter().any(|known| known == name)) else {
        return Ok(());
    };
    let likeness = |name: &String| strsim::jaro_winkler(name, unknown);
    let nearest = known.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    let nearest = nearest.map(String::as_str).unwrap_or_default();
    anyhow::bail!("{source}: there is no setting {unknown}; did you mean {nearest}?")
}

/// Refuses a setting that is 0 and must be at least 1: nothing would work.
fn check_counts(counts: &[(&str, u64)]) -> anyhow::Result<()> {
    match counts.iter().find(|(_, count)| *count == 0) {
        Some((setting, _)) => anyhow::bail!("{setting}: 0 is too few; it is at least 1"),
        None => Ok(()),
    }
}

/// Refuses an address that is not absolute: links in answers would lead nowhere.
fn check_base_url(url: &str) -> anyhow::Result<()> {
    let read = url.parse::<http::Uri>().ok();
    let is_absolute = |uri: &http::Uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|host| !host.is_empty())
            && uri.query().is_none()
    };
    anyhow::ensure!(
        url.is_empty() || read.as_ref().is_some_and(is_absolute),
        "base_url: {url:?} is no address with its scheme; write it as https://saldo.example"
    );
    Ok(())
}

/// Refuses what no browser sends as an origin: it would never match.
fn check_origin(origin: &str) -> anyhow::Result<()> {
    let uri = origin.parse::<http::Uri>().ok();
    let plain = uri.as_ref().and_then(|uri| {
        let scheme = uri.scheme_str().filter(|scheme| matches!(*scheme, "http" | "https"))?;
        Some(format!("{scheme}://{}", uri.authority()?.as_str().to_ascii_lowercase()))
    });
    anyhow::ensure!(
        plain.as_deref() == Some(origin),
        "wallet_origins: {origin:?} is no origin; write scheme, host and, where it is not the \
         usual one, port: https://shop.example, in small letters, without a path or a slash at \
         the end"
    );
    Ok(())
}

fn ranges(setting: &str, texts: &[String]) -> anyhow::Result<Vec<IpNet>> {
    let read = |text: &String| {
        let net = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        let net = net.with_context(|| format!("{setting}: {text:?} is no address or range"))?;
        // As a proxy, everybody could say that they are anybody.
        anyhow::ensure!(
            net.prefix_len() > 0,
            "{setting}: {text:?} is every address there is; name the addresses or ranges"
        );
        Ok(net)
    };
    texts.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_has_a_default_and_a_flag_wins() {
        let flags = Flags { data_dir: Some("/x".into()), ..Flags::default() };
        let config = Config::load(&flags, None).unwrap();
        assert_eq!(config.data_dir, PathBuf::from("/x"));
        assert_eq!((config.connections, config.log_format), (1000, LogFormat::Text));
    }

    fn refusal(result: anyhow::Result<()>) -> String {
        result.map_or_else(|error| format!("{error:#}"), |()| "none".to_owned())
    }

    #[test]
    fn an_unknown_setting_is_refused_with_the_nearest_known_one() {
        let given = |names: &[&str]| {
            refusal(check_environment(names.iter().map(|name| (*name).to_owned())))
        };
        assert_eq!(
            given(&["PATH", "SALDO_LISTEN_ADDRESS"]),
            "the environment: there is no setting SALDO_LISTEN_ADDRESS; did you mean SALDO_LISTEN?"
        );
        assert_eq!(given(&["SALDO_WEBHOOK_HASTE", "SALDO_TEST_DATABASE", "SALDO_PORT"]), "none");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("saldo.toml");
        let flags = Flags { config: Some(file.clone()), ..Flags::default() };
        std::fs::write(&file, "drain = 5\n").unwrap();
        let refused = refusal(Config::load(&flags, None).map(|_| ()));
        assert!(refused.ends_with("there is no setting drain; did you mean drain_s?"), "{refused}");
    }

    /// Each setting is in the defaults, and its variable is its name in capitals.
    #[test]
    fn every_setting_is_known_by_its_name() {
        let names = names().unwrap();
        let meta = <Config as confique::Config>::META;
        for field in meta.fields {
            let confique::meta::FieldKind::Leaf { env, .. } = field.kind else { panic!() };
            let name = env.unwrap().trim_start_matches("SALDO_").to_lowercase();
            assert!(names.contains(&name), "{name}");
        }
        assert_eq!(meta.fields.len(), names.len());
    }

    /// Settings with which nobody would be served, or everybody trusted.
    #[test]
    fn a_setting_that_stops_the_service_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("saldo.toml");
        let flags = Flags { config: Some(file.clone()), ..Flags::default() };
        let given = |text: &str| {
            std::fs::write(&file, text).unwrap();
            refusal(Config::load(&flags, None).map(|_| ()))
        };
        for name in [
            "connections",
            "connections_per_address",
            "webhook_time_divisor",
            "webhook_haste",
            "upstream_time_divisor",
        ] {
            assert_eq!(
                given(&format!("{name} = 0\n")),
                format!("{name}: 0 is too few; it is at least 1")
            );
            assert_ne!(given(&format!("{name} = -1\n")), "none");
            assert_eq!(given(&format!("{name} = 1\n")), "none");
        }
        for name in ["trusted_proxies", "webhooks_never_to"] {
            for all in ["0.0.0.0/0", "::/0", "10.0.0.0/0"] {
                let refused = given(&format!("{name} = [\"10.0.0.1\", \"{all}\"]\n"));
                let everyone = format!("{name}: \"{all}\" is every address there is");
                assert!(refused.starts_with(&everyone), "{refused}");
            }
            assert_eq!(given(&format!("{name} = [\"10.0.0.0/8\", \"::1\"]\n")), "none");
        }
    }

    #[test]
    fn a_base_url_has_a_scheme() {
        for good in ["", "http://localhost:8080", "https://saldo.example/", "https://[::1]:8443/x"]
        {
            assert_eq!(refusal(check_base_url(good)), "none", "{good}");
        }
        for bad in
            ["saldo.example", "//saldo.example", "localhost:8080", "ftp://x", "https://x?a=b"]
        {
            assert!(refusal(check_base_url(bad)).contains("https://saldo.example"), "{bad}");
        }
    }

    #[test]
    fn an_origin_is_written_as_browsers_send_it() {
        for good in ["https://shop.example", "http://localhost:3000", "https://[::1]:8443"] {
            assert_eq!(refusal(check_origin(good)), "none", "{good}");
        }
        for bad in ["*", "null", "shop.example", "https://shop.example/", "https://Shop.example"] {
            assert!(refusal(check_origin(bad)).contains("is no origin"), "{bad}");
        }
    }

    #[test]
    fn the_former_name_of_a_setting_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("saldo.toml");
        let flags = Flags { config: Some(file.clone()), ..Flags::default() };
        for name in ["webhook_haste", "webhook_time_divisor"] {
            std::fs::write(&file, format!("{name} = 7\n")).unwrap();
            assert_eq!(Config::load(&flags, None).unwrap().webhook_time_divisor(), 7, "{name}");
        }
        assert_eq!(Config::load(&Flags::default(), None).unwrap().webhook_time_divisor(), 1);
    }

    #[test]
    fn a_file_is_read_and_a_wrong_one_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("saldo.toml");
        std::fs::write(&file, "drain_s = 5\ntrusted_proxies = [\"10.0.0.0/8\", \"::1\"]\n")
            .unwrap();
        let flags = Flags { config: Some(file.clone()), ..Flags::default() };
        let config = Config::load(&flags, None).unwrap();
        assert_eq!((config.drain_s, config.trusted_proxies().unwrap().len()), (5, 2));
        std::fs::write(&file, "trusted_proxies = [\"ten\"]\n").unwrap();
        assert!(
            format!("{:#}", Config::load(&flags, None).unwrap_err())
                .contains("\"ten\" is no address")
        );
        std::fs::write(&file, "drain_s = \"soon\"\n").unwrap();
        assert!(format!("{:#}", Config::load(&flags, None).unwrap_err()).contains("saldo.toml"));
    }
}
