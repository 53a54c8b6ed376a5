//! Framing: where each request begins and ends, decided from the bytes, more strictly than hyper.
//!
//! Not here: sockets, timeouts, answers. Invariant: a head passes only if every parser of RFC 9112
//! finds the same end of its body; after a refusal nothing more passes.

use std::mem::MaybeUninit;

use http::Uri;

use super::limits::{CHUNK_DIGITS_MAX, CHUNK_EXTRA_BYTES_MAX, HEAD_LINES_MAX, Limits};
use super::refuse::Refused;

/// The parser of one connection's requests.
#[derive(Debug, Default)]
pub(super) struct Framing {
    at: Position,
    heads: usize,
}

/// How many of the bytes pass, and why the others do not.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Passed {
    pub(super) bytes: usize,
    pub(super) refused: Option<Refused>,
}

#[derive(Debug)]
enum Position {
    Head(HeadLines),
    Length(u64),
    Chunked(ChunkedBody),
}

impl Default for Position {
    fn default() -> Self {
        Self::Head(HeadLines::default())
    }
}

impl Framing {
    /// Decides how many of `bytes` pass; they begin after those that passed before. Heads pass when
    /// they are complete, bodies as they arrive; an `Upgrade` field is renamed in place.
    pub(super) fn pass(&mut self, bytes: &mut [u8], limits: &Limits) -> Passed {
        let mut done = 0;
        while done < bytes.len() {
            let rest = &mut bytes[done..];
            let step = match &mut self.at {
                Position::Head(lines) => match lines.find_end(rest, limits) {
                    Ok(None) => break,
                    Ok(Some(end)) => self.enter_body(&mut rest[..end], limits),
                    Err(refused) => Err(refused),
                },
                Position::Length(left) => {
                    let step = rest.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= step as u64;
                    if *left == 0 {
                        self.at = Position::default();
                    }
                    Ok(step)
                }
                Position::Chunked(chunks) => match chunks.pass(rest) {
                    Ok(step) => {
                        if chunks.at == ChunkPart::End {
                            self.at = Position::default();
                        }
                        Ok(step)
                    }
                    Err(reason) => Err(Refused::BadFraming(reason)),
                },
            };
            match step {
                Ok(step) => done += step,
                Err(refused) => return Passed { bytes: done, refused: Some(refused) },
            }
        }
        Passed { bytes: done, refused: None }
    }

    /// Whether the next byte belongs to a head, not to a body.
    pub(super) fn is_in_head(&self) -> bool {
        match self.at {
            Position::Head(_) => true,
            Position::Length(_) | Position::Chunked(_) => false,
        }
    }

    /// The number of heads that have passed.
    pub(super) fn heads(&self) -> usize {
        self.heads
    }

    /// Checks a complete head; the next bytes belong to its body.
    fn enter_body(&mut self, head: &mut [u8], limits: &Limits) -> Result<usize, Refused> {
        let checked = check(head, limits)?;
        if let Some(at) = checked.upgrade_at
            && let Some(first) = head.get_mut(at)
        {
            // hyper gives up a connection with a pending upgrade without a flush. We offer no
            // upgrade, so hyper must not see the field (Java's client sends it for h2c each time).
            *first = b'x';
        }
        self.at = match checked.body {
            Body::Empty => Position::default(),
            Body::Length(length) => Position::Length(length),
            Body::Chunked => Position::Chunked(ChunkedBody::default()),
        };
        self.heads += 1;
        Ok(head.len())
    }
}

/// The lines of a head that is still arriving; no byte is scanned twice.
#[derive(Debug, Default)]
struct HeadLines {
    scanned: usize,
    line_at: usize,
    count: usize,
}

impl HeadLines {
    fn find_end(&mut self, head: &[u8], limits: &Limits) -> Result<Option<usize>, Refused> {
        while let Some(offset) = head[self.scanned..].iter().position(|byte| *byte == b'\n') {
            let line = &head[self.line_at..self.scanned + offset];
            self.scanned += offset + 1;
            self.line_at = self.scanned;
            self.fits(self.scanned, line.len(), limits)?;
            let Some((b'\r', line)) = line.split_last() else {
                return Err(Refused::BadFraming("A line of the head ends in LF without CR"));
            };
            match (line.first(), self.count) {
                // Empty lines before the request line must be ignored (RFC 9112, 2.2).
                (None, 0) => {}
                (None, _) => return Ok(Some(self.scanned)),
                (Some(b' ' | b'\t'), 1..) => {
                    return Err(Refused::BadFraming("A header is folded over two lines"));
                }
                (Some(_), _) => self.count += 1,
            }
            if self.count > limits.head_lines {
                return Err(Refused::head_too_large(limits));
            }
        }
        self.scanned = head.len();
        self.fits(head.len(), head.len() - self.line_at, limits)?;
        Ok(None)
    }

    /// Refuses a head or request line that is too long.
    fn fits(&self, head_bytes: usize, line_bytes: usize, limits: &Limits) -> Result<(), Refused> {
        // Beside its target, a request line has about 20 bytes; 64 leave room for long methods.
        if self.count == 0 && line_bytes > limits.uri_bytes.saturating_add(64) {
            return Err(Refused::uri_too_long(limits));
        }
        if head_bytes > limits.head_bytes {
            return Err(Refused::head_too_large(limits));
        }
        Ok(())
    }
}

struct CheckedHead {
    body: Body,
    upgrade_at: Option<usize>,
}

enum Body {
    Empty,
    Length(u64),
    Chunked,
}

fn check(head: &[u8], limits: &Limits) -> Result<CheckedHead, Refused> {
    let mut fields = [const { MaybeUninit::uninit() }; HEAD_LINES_MAX];
    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(head, &mut fields) {
        Ok(httparse::Status::Complete(end)) if end == head.len() => {}
        Ok(_) => return Err(Refused::BadFraming("The head does not end where its lines do")),
        Err(error) => return Err(unparsed(error, limits)),
    }
    let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version)
    else {
        return Err(Refused::BadFraming("The request line is not complete"));
    };
    if target.len() > limits.uri_bytes {
        return Err(Refused::uri_too_long(limits));
    }
    if matches!(method, "TRACE" | "CONNECT") {
        return Err(Refused::MethodNotAllowed);
    }
    if !is_target(method, target) {
        return Err(Refused::BadFraming("The request target is not a path"));
    }
    let mut checked = CheckedFields::default();
    for field in request.headers.iter() {
        checked.add(field.name, field.value)?;
    }
    let upgrade_at = checked.upgrade.map(|name| name.as_ptr().addr() - head.as_ptr().addr());
    Ok(CheckedHead { body: checked.body(minor)?, upgrade_at })
}

fn unparsed(error: httparse::Error, limits: &Limits) -> Refused {
    Refused::BadFraming(match error {
        httparse::Error::TooManyHeaders => return Refused::head_too_large(limits),
        httparse::Error::HeaderName => "The name of a header is malformed",
        httparse::Error::HeaderValue => "The value of a header is malformed",
        httparse::Error::Version => "The version is not HTTP/1.1 or HTTP/1.0",
        httparse::Error::NewLine | httparse::Error::Status | httparse::Error::Token => {
            "The request line is malformed"
        }
    })
}

/// Whether hyper accepts the target too: to a target that it refuses, its answer has no body.
fn is_target(method: &str, target: &str) -> bool {
    if target.starts_with('/') {
        return target.bytes().all(is_target_byte);
    }
    if target == "*" {
        return method == "OPTIONS";
    }
    !target.contains('#') && Uri::try_from(target).is_ok_and(|uri| uri.scheme().is_some())
}

/// The bytes of RFC 3986, and those that clients send without the required encoding: the `http`
/// crate accepts them in path and query. Not `#`: parsers differ about what follows it.
fn is_target_byte(byte: u8) -> bool {
    matches!(
        byte,
        b'a'..=b'z' | b'A'..=b'Z' | b'$'..=b';' | b'!' | b'=' | b'?'..=b'@' | b'['..=b'_'
            | b'|' | b'~' | b'{' | b'}' | 0x80..
    )
}

/// The fields that decide about framing, or that two parsers must not read differently.
#[derive(Default)]
struct CheckedFields<'a> {
    host: Option<&'a [u8]>,
    content_length: Option<&'a [u8]>,
    transfer_encoding: Option<&'a [u8]>,
    upgrade: Option<&'a str>,
    content_type: Option<&'a [u8]>,
    authorization: Option<&'a [u8]>,
    x_authorization: Option<&'a [u8]>,
    x_open_key: Option<&'a [u8]>,
    idempotency_key: Option<&'a [u8]>,
}

impl<'a> CheckedFields<'a> {
    fn add(&mut self, name: &'a str, value: &'a [u8]) -> Result<(), Refused> {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        match name.len() {
            4 if is("host") => once(&mut self.host, value, "Host came twice")?,
            7 if is("upgrade") => once(&mut self.upgrade, name, "Upgrade came twice")?,
            10 if is("x-open-key") => same(&mut self.x_open_key, value)?,
            12 if is("content-type") => same(&mut self.content_type, value)?,
            13 if is("authorization") => same(&mut self.authorization, value)?,
            14 if is("content-length") => same(&mut self.content_length, value)?,
            15 if is("x-authorization") => same(&mut self.x_authorization, value)?,
            15 if is("idempotency-key") => same(&mut self.idempotency_key, value)?,
            17 if is("transfer-encoding") => {
                once(&mut self.transfer_encoding, value, "Transfer-Encoding came twice")?;
            }
            _ => {}
        }
        if name.contains('_') && is_twin(name) {
            return Err(Refused::BadFraming("A header name has _ in place of -"));
        }
        Ok(())
    }

    fn body(&self, minor: u8) -> Result<Body, Refused> {
        match self.host {
            None if minor == 1 => return Err(Refused::BadFraming("Host is missing")),
            Some(host) if !host.iter().all(|byte| is_host_byte(*byte)) => {
                return Err(Refused::BadFraming("Host is not a name and a port"));
            }
            None | Some(_) => {}
        }
        match (self.transfer_encoding, self.content_length) {
            (None, None) => Ok(Body::Empty),
            (None, Some(digits)) => length(digits),
            (Some(_), Some(_)) => {
                Err(Refused::BadFraming("Transfer-Encoding and Content-Length came together"))
            }
            (Some(_), None) if minor == 0 => {
                Err(Refused::BadFraming("Transfer-Encoding came with HTTP/1.0"))
            }
            (Some(b"chunked"), None) => Ok(Body::Chunked),
            (Some(_), None) => {
                Err(Refused::BadFraming("Transfer-Encoding is not exactly `chunked`"))
            }
        }
    }
}

fn once<T>(slot: &mut Option<T>, value: T, reason: &'static str) -> Result<(), Refused> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Refused::BadFraming(reason)),
    }
}

fn same<'a>(slot: &mut Option<&'a [u8]>, value: &'a [u8]) -> Result<(), Refused> {
    match slot.replace(value) {
        Some(before) if before != value => {
            Err(Refused::BadFraming("A header that can have one value came with two"))
        }
        None | Some(_) => Ok(()),
    }
}

/// Names that a server behind us may trust. A name such as `X_Forwarded_For` must not pass:
/// frameworks that follow CGI (RFC 3875, 4.1.18) read both as `HTTP_X_FORWARDED_FOR`.
const TRUSTED: [&str; 12] = [
    "content-length",
    "content-type",
    "transfer-encoding",
    "content-encoding",
    "idempotency-key",
    "x-open-key",
    "x-authorization",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
    "x-request-id",
];

fn is_twin(name: &str) -> bool {
    let plain = |byte: u8| if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    TRUSTED.iter().any(|trusted| trusted.bytes().eq(name.bytes().map(plain)))
}

fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%:[]!$&'()*+;=".contains(&byte)
}

fn length(digits: &[u8]) -> Result<Body, Refused> {
    let wrong = Refused::BadFraming("Content-Length is not a number");
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(wrong);
    }
    let length = str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
    match length {
        Some(0) => Ok(Body::Empty),
        // hyper uses the two largest numbers internally.
        Some(length) if length < u64::MAX - 1 => Ok(Body::Length(length)),
        Some(_) | None => Err(wrong),
    }
}

/// The parser of one chunked body (RFC 9112, 7.1).
#[derive(Debug, Default)]
struct ChunkedBody {
    at: ChunkPart,
    left: u64,
    digits: u8,
    extra: u16,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum ChunkPart {
    #[default]
    Size,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    TrailerStart,
    Trailer,
    TrailerLf,
    EndLf,
    End,
}

impl ChunkedBody {
    /// How many of `bytes` belong to this body.
    fn pass(&mut self, bytes: &[u8]) -> Result<usize, &'static str> {
        let mut done = 0;
        while self.at != ChunkPart::End
            && let Some(byte) = bytes.get(done)
        {
            if self.at == ChunkPart::Data {
                let rest = bytes.len() - done;
                let step = rest.min(usize::try_from(self.left).unwrap_or(usize::MAX));
                self.left -= step as u64;
                done += step;
                if self.left == 0 {
                    self.at = ChunkPart::DataCr;
                }
            } else {
                match self.step(*byte) {
                    Ok(next) => self.at = next,
                    // The valid bytes pass; the next call begins at the invalid one.
                    Err(_) if done > 0 => break,
                    Err(reason) => return Err(reason),
                }
                done += 1;
            }
        }
        Ok(done)
    }

    fn step(&mut self, byte: u8) -> Result<ChunkPart, &'static str> {
        match (self.at, byte) {
            (ChunkPart::Size, b'\r') if self.digits > 0 => Ok(ChunkPart::SizeLf),
            (ChunkPart::Size, b';') if self.digits > 0 => Ok(ChunkPart::Extension),
            (ChunkPart::Size, _) => self.digit(byte),
            (ChunkPart::Extension, b'\r') => Ok(ChunkPart::SizeLf),
            (ChunkPart::Extension, b'\t' | b' '..=b'~') => self.extra(ChunkPart::Extension),
            (ChunkPart::Extension, _) => Err("A chunk extension is malformed"),
            (ChunkPart::SizeLf, b'\n') if self.left == 0 => Ok(ChunkPart::TrailerStart),
            (ChunkPart::SizeLf, b'\n') => Ok(ChunkPart::Data),
            (ChunkPart::DataCr, b'\r') => Ok(ChunkPart::DataLf),
            (ChunkPart::DataLf, b'\n') => {
                self.digits = 0;
                Ok(ChunkPart::Size)
            }
            (ChunkPart::TrailerStart, b'\r') => Ok(ChunkPart::EndLf),
            (ChunkPart::Trailer, b'\r') => Ok(ChunkPart::TrailerLf),
            (ChunkPart::TrailerStart | ChunkPart::Trailer, b'\t' | b' '..=b'~' | 0x80..) => {
                self.extra(ChunkPart::Trailer)
            }
            (ChunkPart::TrailerLf, b'\n') => Ok(ChunkPart::TrailerStart),
            (ChunkPart::EndLf, b'\n') => Ok(ChunkPart::End),
            (ChunkPart::TrailerStart | ChunkPart::Trailer, _) => Err("A trailer is malformed"),
            (ChunkPart::SizeLf | ChunkPart::TrailerLf | ChunkPart::EndLf, _) => {
                Err("A line of a chunked body does not end in CR and LF")
            }
            (ChunkPart::DataCr | ChunkPart::DataLf, _) => {
                Err("A chunk is longer than its size says")
            }
            (ChunkPart::Data | ChunkPart::End, _) => Ok(self.at),
        }
    }

    fn digit(&mut self, byte: u8) -> Result<ChunkPart, &'static str> {
        let digit = char::from(byte).to_digit(16).ok_or("The size of a chunk is malformed")?;
        if self.digits == CHUNK_DIGITS_MAX {
            return Err("The size of a chunk has too many digits");
        }
        self.digits += 1;
        self.left = self.left << 4 | u64::from(digit);
        Ok(ChunkPart::Size)
    }

    fn extra(&mut self, next: ChunkPart) -> Result<ChunkPart, &'static str> {
        self.extra += 1;
        if self.extra > CHUNK_EXTRA_BYTES_MAX {
            return Err("A chunked body has too many extensions or trailers");
        }
        Ok(next)
    }
}
