//! The files of the pages: style sheet, script, icons; compiled in, under names that contain their
//! digest.
//!
//! Invariant: a name never serves two contents, so browsers keep a file for ever. Compressed once.

use axum::extract::Path;
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Write as _;
use std::sync::LazyLock;

/// The URL of a file contains its digest, so what it names never changes.
pub(crate) const FOR_EVER: &str = "public, max-age=31536000, immutable";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Name and ending, type, content.
const SOURCES: [Source; 7] = [
    Source("ui", "css", "text/css; charset=utf-8", include_bytes!("../files/ui.css")),
    Source("ui", "js", SCRIPT, include_bytes!("../files/ui.js")),
    Source("live", "js", SCRIPT, include_bytes!("../files/live.js")),
    Source("docs", "js", SCRIPT, include_bytes!("../files/docs.js")),
    Source("reference", "js", SCRIPT, include_bytes!("../files/reference.js")),
    Source("icons", "svg", "image/svg+xml", include_bytes!("../files/icons.svg")),
    Source("saldo", "svg", "image/svg+xml", include_bytes!("../files/saldo.svg")),
];

struct Source(&'static str, &'static str, &'static str, &'static [u8]);

struct File {
    /// As the pages call it: `ui.css`.
    name: String,
    /// As browsers load it: `/files/ui-0123456789abcdef.css`.
    url: String,
    kind: &'static str,
    content: Compressed,
}

static FILES: LazyLock<Vec<File>> = LazyLock::new(|| SOURCES.iter().map(File::of).collect());

impl File {
    fn of(Source(stem, ending, kind, bytes): &Source) -> File {
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        File {
            name: format!("{stem}.{ending}"),
            url: format!("/files/{stem}-{:016x}.{ending}", hasher.finish()),
            kind,
            content: Compressed::of(sent(kind, bytes)),
        }
    }
}

/// A script goes out without the lines that are comments: those are for whoever reads the source.
fn sent(kind: &str, bytes: &'static [u8]) -> Bytes {
    if kind != SCRIPT {
        return Bytes::from_static(bytes);
    }
    let lines = bytes.split_inclusive(|byte| *byte == b'\n');
    let code = lines.filter(|line| !line.trim_ascii_start().starts_with(b"//"));
    Bytes::from(code.collect::<Vec<_>>().concat())
}

/// The URL of a file, by its name: `ui.css`. A name without a file gives an empty text; a test
/// looks for those.
pub(crate) fn url(name: &str) -> &'static str {
    FILES.iter().find(|file| file.name == name).map_or("", |file| &file.url)
}

/// `GET /files/{name}`: 404 for a name that is not of this release.
pub(crate) async fn serve(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let url = format!("/files/{name}");
    match FILES.iter().find(|file| file.url == url) {
        Some(file) => file.content.response(file.kind, &headers),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// A content, plain and compressed.
pub(crate) struct Compressed {
    plain: Bytes,
    gzipped: Option<Bytes>,
}

impl Compressed {
    pub(crate) fn of(plain: Bytes) -> Compressed {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        let gzipped = encoder.write_all(&plain).and_then(|()| encoder.finish());
        Compressed { plain, gzipped: gzipped.ok().map(Bytes::from) }
    }

    /// The content, for ever, as the client takes it.
    pub(crate) fn response(&self, kind: &'static str, headers: &HeaderMap) -> Response {
        let fixed = |name: HeaderName, value| (name, HeaderValue::from_static(value));
        let shared = [
            fixed(CONTENT_TYPE, kind),
            fixed(CACHE_CONTROL, FOR_EVER),
            fixed(VARY, "accept-encoding"),
            fixed(X_CONTENT_TYPE_OPTIONS, "nosniff"),
            fixed(HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        ];
        match &self.gzipped {
            Some(gzipped) if accepts_gzip(headers) => {
                (shared, [fixed(CONTENT_ENCODING, "gzip")], gzipped.clone()).into_response()
            }
            Some(_) | None => (shared, self.plain.clone()).into_response(),
        }
    }
}

/// Whether Accept-Encoding lists gzip without `q=0`.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|v| v.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"))
            && !parts.any(|p| matches!(p, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn gzip_is_sent_only_if_it_is_accepted() {
        for (line, expected) in [
            ("", false),
            ("gzip", true),
            ("GZIP", true),
            ("br, gzip;q=0.5", true),
            ("gzip;q=0", false),
            ("gzip; q=0.000, br", false),
            ("br", false),
            ("*", false),
            ("x-gzip", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, line.parse().unwrap());
            assert_eq!(accepts_gzip(&headers), expected, "{line}");
        }
    }

    /// What a token is in light or dark, from the sheet.
    fn tokens(is_dark: bool) -> HashMap<String, [u8; 3]> {
        let css = include_str!("../files/ui.css");
        let colour = |hex: &str| {
            let hex = hex.trim().trim_start_matches('#');
            let part = |at: usize| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
            Some([part(0)?, part(2)?, part(4)?])
        };
        let pairs = css.lines().filter_map(|line| {
            let (name, value) = line.trim().strip_prefix("--")?.split_once(": ")?;
            let both = value.strip_prefix("light-dark(")?.strip_suffix(");")?;
            let (light, dark) = both.split_once(", ")?;
            Some((name.to_owned(), colour(if is_dark { dark } else { light })?))
        });
        pairs.collect()
    }

    /// WCAG 2.2, relative luminance and contrast ratio.
    #[expect(clippy::float_arithmetic, reason = "the formula of the standard")]
    fn contrast(one: [u8; 3], other: [u8; 3]) -> f64 {
        let luminance = |colour: [u8; 3]| {
            let linear = |part: u8| {
                let part = f64::from(part) / 255.0;
                if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
            };
            let [red, green, blue] = colour.map(linear);
            0.2126 * red + 0.7152 * green + 0.0722 * blue
        };
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    #[test]
    fn every_text_can_be_read_on_every_surface() {
        for is_dark in [false, true] {
            let tokens = tokens(is_dark);
            assert!(tokens.len() > 30, "{}", tokens.len());
            let check = |front: &str, back: &str, least: f64| {
                let ratio = contrast(tokens[front], tokens[back]);
                assert!(ratio >= least, "{front} on {back}, dark {is_dark}: {ratio:.2}");
            };
            for surface in ["paper", "card", "sunk"] {
                for text in ["ink", "soft", "brand", "link", "bad", "ok", "wait", "info", "doubt"] {
                    check(text, surface, 4.5);
                }
                for edge in ["edge", "focus"] {
                    check(edge, surface, 3.0);
                }
            }
            for tone in ["brand", "ok", "info", "wait", "doubt", "bad", "off", "back"] {
                check(tone, &format!("{tone}-bg"), 4.5);
            }
            check("on-brand", "brand", 4.5);
        }
    }

    /// The budgets of the first load.
    #[test]
    fn files_are_small() {
        for (name, limit) in
            [("ui.css", 8_192), ("ui.js", 3_072), ("live.js", 1_536), ("docs.js", 1_536)]
        {
            let file = FILES.iter().find(|file| file.name == name).unwrap();
            let size = file.content.gzipped.as_ref().unwrap().len();
            assert!(size <= limit, "{name} has {size} bytes, gzipped");
        }
    }
}
