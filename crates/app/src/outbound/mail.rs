//! Sends mails by SMTP or, without a mail server in the settings, writes them to files in the data
//! folder.
//!
//! Invariants, because mails contain secrets: only the owner can read a file; no mail leaves this
//! machine unencrypted; no error contains the text or the recipient of a mail.

use crate::config::Config;
use crate::files::{cannot, write_private};
use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::{BoxFuture, Clock, Mail, Mailer};
use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Once};
use std::time::{Duration, UNIX_EPOCH};

/// The folder of mails in the data folder.
pub(crate) const FOLDER: &str = "mail";
/// How many files are kept, the newest ones: a client without a login can cause mails too.
const FILES_MAX: usize = 1_000;

/// The mailer that the settings ask for.
pub(crate) fn mailer(config: &Config, clock: Arc<dyn Clock>) -> anyhow::Result<Arc<dyn Mailer>> {
    let from: Mailbox = config.mail_from.parse().with_context(|| {
        format!("mail_from: {:?} is no sender, such as Saldo <saldo@example.org>", config.mail_from)
    })?;
    let format = MailFormat { from, clock };
    if config.smtp_url.0.is_empty() {
        return Ok(Arc::new(FileMailer::new(format, &config.data_dir)));
    }
    check_url(&config.smtp_url.0)?;
    let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(&config.smtp_url.0).ok().context(
        "smtp_url cannot be read; give one such as smtps://name:password@mail.example.org",
    )?;
    Ok(Arc::new(SmtpMailer { format, transport: builder.build() }))
}

/// Refuses a URL by which mails would travel unencrypted to another machine. The error does not
/// repeat the URL, which may contain a password.
fn check_url(url: &str) -> anyhow::Result<()> {
    let read = url.parse::<http::Uri>().ok();
    let read = read.context("smtp_url is no URL; give one such as smtps://mail.example.org")?;
    let host = read.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_local = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    let is_encrypted = read.scheme_str() == Some("smtps")
        || read.query().is_some_and(|query| query.split('&').any(|q| q == "tls=required"));
    ensure!(
        is_local || is_encrypted,
        "smtp_url: mails carry codes and must not travel in clear; \
         give smtps://…, or smtp://…?tls=required"
    );
    Ok(())
}

/// Converts mails to messages of RFC 5322.
struct MailFormat {
    from: Mailbox,
    clock: Arc<dyn Clock>,
}

impl MailFormat {
    fn message(&self, mail: &Mail) -> Result<Message, String> {
        let to: Mailbox = mail.to.parse().map_err(|_| "its address cannot be read".to_owned())?;
        let since_1970 = Duration::from_micros(u64::try_from(self.clock.now().0).unwrap_or(0));
        let message = Message::builder()
            .from(self.from.clone())
            .to(to)
            .date(UNIX_EPOCH + since_1970)
            .message_id(None)
            .subject(&mail.subject)
            .header(ContentType::TEXT_PLAIN)
            .body(mail.text.clone());
        message.map_err(|_| "it cannot be written as a mail".to_owned())
    }
}

struct SmtpMailer {
    format: MailFormat,
    transport: AsyncSmtpTransport<Tokio1Executor>,
}

impl Mailer for SmtpMailer {
    fn send<'a>(&'a self, mail: &'a Mail) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            let message = self.format.message(mail)?;
            self.transport.send(message).await.map(|_| ()).map_err(|error| describe(&error))
        })
    }
}

/// The text of an SMTP reply may repeat the recipient's address, so only its status is reported.
fn describe(error: &smtp::Error) -> String {
    match error.status() {
        Some(code) => format!("the mail server answered {code}"),
        None if error.is_timeout() => "the mail server did not answer in time".to_owned(),
        None if error.is_tls() => "no secure connection to the mail server".to_owned(),
        None => "the mail server cannot be reached, or was not understood".to_owned(),
    }
}

/// Writes mails to files, for development and tests.
struct FileMailer {
    format: MailFormat,
    folder: PathBuf,
    count: AtomicU64,
    warning: Once,
}

impl FileMailer {
    fn new(format: MailFormat, data_dir: &Path) -> FileMailer {
        let (folder, count) = (data_dir.join(FOLDER), AtomicU64::new(0));
        FileMailer { format, folder, count, warning: Once::new() }
    }
}

impl Mailer for FileMailer {
    fn send<'a>(&'a self, mail: &'a Mail) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            let folder = self.folder.clone();
            self.warning.call_once(|| {
                let folder = folder.display();
                tracing::warn!(%folder, "no smtp_url is set: mails are written to files");
            });
            let message = self.format.message(mail)?.formatted();
            let number = self.count.fetch_add(1, Ordering::Relaxed);
            let name = format!("{}-{number}.eml", self.format.clock.now().0);
            let write = move || {
                make_private(&folder)?;
                write_private(&folder.join(name), &message)?;
                keep_newest(&folder)
            };
            let written = tokio::task::spawn_blocking(write).await;
            written.map_err(|_| "it was not written".to_owned())?.map_err(|e| format!("{e:#}"))
        })
    }
}

/// How many mails a demo shows.
const SHOWN_MAX: usize = 20;

/// The latest mails in the data folder, newest first. What cannot be read is left out.
pub(crate) fn latest(data_dir: &Path) -> Vec<web::ShownMail> {
    let Ok(files) = std::fs::read_dir(data_dir.join(FOLDER)) else { return Vec::new() };
    let mut mails: Vec<_> = files.flatten().filter_map(|file| written_at(&file.path())).collect();
    mails.sort_unstable_by(|one, other| other.cmp(one));
    let latest = mails.into_iter().take(SHOWN_MAX);
    latest.filter_map(|(_, path)| shown(&std::fs::read_to_string(path).ok()?)).collect()
}

/// A mail that [`FileMailer`] wrote, as people read it.
fn shown(message: &str) -> Option<web::ShownMail> {
    let (head, body) = message.split_once("\r\n\r\n")?;
    let head = head.replace("\r\n ", " ");
    let field = |name: &str| {
        let line = head.lines().find_map(|line| line.strip_prefix(name))?;
        Some(decoded_words(line.trim()))
    };
    let encoding = field("Content-Transfer-Encoding:").unwrap_or_default();
    let text = match encoding.as_str() {
        "base64" => {
            let packed: String = body.chars().filter(|c| !c.is_whitespace()).collect();
            String::from_utf8(STANDARD.decode(packed).ok()?).ok()?
        }
        "quoted-printable" => unquoted(body)?,
        _ => body.to_owned(),
    };
    Some(web::ShownMail { to: field("To:")?, subject: field("Subject:")?, text })
}

/// A field's text, whose words may be encoded (RFC 2047, in base 64: as lettre writes them).
fn decoded_words(text: &str) -> String {
    let word = |word: &str| {
        let packed = word.strip_prefix("=?utf-8?b?")?.strip_suffix("?=")?;
        String::from_utf8(STANDARD.decode(packed).ok()?).ok()
    };
    let is_encoded = text.starts_with("=?utf-8?b?");
    let words = text.split(' ').map(|part| word(part).unwrap_or_else(|| part.to_owned()));
    words.collect::<Vec<_>>().join(if is_encoded { "" } else { " " })
}

/// Quoted-printable (RFC 2045, 6.7).
fn unquoted(body: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let joined = body.replace("=\r\n", "");
    let mut rest = joined.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match digits.filter(|_| *first == b'=').and_then(|d| u8::from_str_radix(d, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..)?;
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

fn make_private(folder: &Path) -> anyhow::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).with_context(cannot(folder, "be made"))
}

/// Removes the oldest mails beyond [`FILES_MAX`], by their names. Other files stay.
fn keep_newest(folder: &Path) -> anyhow::Result<()> {
    let files = std::fs::read_dir(folder).context("the folder of mails cannot be read")?;
    let mut mails: Vec<_> = files.flatten().filter_map(|file| written_at(&file.path())).collect();
    mails.sort_unstable_by(|one, other| other.cmp(one));
    for (_, path) in mails.iter().skip(FILES_MAX) {
        match std::fs::remove_file(path) {
            // Another task may have removed it already.
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).context("an old mail cannot be removed");
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

/// The time and the number in a file's name, `1776945600000000-7.eml`: a process numbers its mails.
fn written_at(path: &Path) -> Option<((i64, u64), PathBuf)> {
    let (at, number) = path.file_name()?.to_str()?.strip_suffix(".eml")?.split_once('-')?;
    Some(((at.parse().ok()?, number.parse().ok()?), path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::MachineClock;
    use crate::config::{Flags, Secret};
    use std::io::{BufRead as _, BufReader, Write as _};

    fn mailer_with(data_dir: &Path, smtp_url: &str) -> anyhow::Result<Arc<dyn Mailer>> {
        let flags = Flags { data_dir: Some(data_dir.to_owned()), ..Flags::default() };
        let mut config = Config::load(&flags, None).unwrap();
        config.smtp_url = Secret(smtp_url.to_owned());
        mailer(&config, Arc::new(MachineClock::new()))
    }

    fn mail() -> Mail {
        let text = "Your code: 7K2M4-9XQ0B\n".to_owned();
        Mail { to: "anna@example.org".to_owned(), subject: "A code".to_owned(), text }
    }

    #[tokio::test]
    async fn without_a_server_a_mail_is_a_private_file() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let mailer = mailer_with(folder.path(), "").unwrap();
        for _ in 0..2 {
            mailer.send(&mail()).await.unwrap();
        }
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder.path().join(FOLDER)), 0o700);
        let files: Vec<_> = std::fs::read_dir(folder.path().join(FOLDER)).unwrap().collect();
        assert_eq!(files.len(), 2);
        for file in files {
            let path = file.unwrap().path();
            assert_eq!((mode(&path), path.extension().unwrap().to_str()), (0o600, Some("eml")));
            let text = std::fs::read_to_string(&path).unwrap();
            for line in ["To: anna@example.org", "Subject: A code", "Your code: 7K2M4-9XQ0B"] {
                assert!(text.contains(line), "{text}");
            }
        }
        // A line break in an address would let the client add headers.
        let forged = Mail { to: "a@b.co\r\nBcc: x@y.zz".to_owned(), ..mail() };
        assert_eq!(mailer.send(&forged).await, Err("its address cannot be read".to_owned()));
    }

    #[tokio::test]
    async fn the_newest_thousand_files_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let mails = folder.path().join(FOLDER);
        std::fs::create_dir(&mails).unwrap();
        for n in 0..1_005 {
            std::fs::write(mails.join(format!("{}-{n}.eml", 90 + n)), "").unwrap();
        }
        std::fs::write(mails.join("notes.txt"), "").unwrap();
        let mailer = mailer_with(folder.path(), "").unwrap();
        mailer.send(&mail()).await.unwrap();
        assert_eq!(std::fs::read_dir(&mails).unwrap().count(), 1_000 + 1);
        let is_there = |name: &str| mails.join(name).exists();
        // Six were removed, the oldest by number and not by the alphabet: 90 is older than 100.
        assert!(is_there("notes.txt") && !is_there("95-5.eml") && is_there("96-6.eml"));
    }

    #[test]
    fn mails_are_not_sent_unencrypted() {
        let folder = tempfile::tempdir().unwrap();
        for url in [
            "smtp://mail.example.org",
            "smtp://u:secret@mail.example.org:25?tls=opportunistic",
            "mail",
            "x://",
        ] {
            let error = mailer_with(folder.path(), url).err().unwrap();
            assert!(!format!("{error:#}").contains("secret"), "{error:#}");
        }
        for url in [
            "smtps://u:secret@mail.example.org",
            "smtp://mail.example.org:587?tls=required",
            "smtp://127.0.0.1:25",
        ] {
            assert!(mailer_with(folder.path(), url).is_ok(), "{url}");
        }
        assert_eq!(format!("{:?}", Secret("secret".to_owned())), "Secret(…)");
    }

    /// With a minimal SMTP server on this machine.
    #[tokio::test]
    async fn a_mail_is_sent_to_the_mail_server() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("smtp://{}", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let (mut received, mut is_text) = (String::new(), false);
            stream.write_all(b"220 here\r\n").unwrap();
            while let Some(Ok(line)) = lines.next() {
                let reply: &[u8] = match line.as_str() {
                    "." if is_text => b"250 accepted\r\n",
                    "DATA" => b"354 go on\r\n",
                    "QUIT" => b"221 bye\r\n",
                    _ if is_text => b"",
                    _ => b"250 fine\r\n",
                };
                is_text = (is_text || line == "DATA") && line != ".";
                received.push_str(&format!("{line}\n"));
                stream.write_all(reply).unwrap();
            }
            received
        });
        let folder = tempfile::tempdir().unwrap();
        let mailer = mailer_with(folder.path(), &url).unwrap();
        mailer.send(&mail()).await.unwrap();
        drop(mailer);
        let received = server.join().unwrap();
        assert!(received.contains("RCPT TO:<anna@example.org>"), "{received}");
        assert!(received.contains("Your code: 7K2M4-9XQ0B"), "{received}");
        assert!(!folder.path().join(FOLDER).exists());
    }
}
