//! Requests as bytes, valid and invalid, each with the answers that it must get.

pub(super) const FRAMING: &str = "400 BAD_REQUEST_FRAMING";
pub(super) const SLOW: &str = "408 REQUEST_TIMEOUT";
pub(super) const UNPACKED: &str = "415 UNSUPPORTED_ENCODING";

/// A name, the bytes to send, and a summary of the answers.
pub(super) type Payload = (&'static str, Vec<u8>, &'static str);

pub(super) fn payloads() -> Vec<Payload> {
    [plain(), lengths(), encodings(), lines(), names(), targets(), chunks(), bounds()].concat()
}

fn plain() -> Vec<Payload> {
    let two = [get_of("/"), get_of("/")].concat();
    let bad = b"GET / HTTP/1.1\r\n\r\n".to_vec();
    vec![
        ("get", get_of("/"), "200 ok"),
        ("HTTP/1.0", b"GET / HTTP/1.0\r\n\r\n".to_vec(), "200 ok"),
        ("post", post("Content-Length: 3\r\n", "abc"), "200 abc"),
        ("two pipelined", two.clone(), "200 ok, 200 ok"),
        (
            "three pipelined with a body",
            [get_of("/"), post("Content-Length: 3\r\n", "abc"), get_of("/")].concat(),
            "200 ok, 200 abc, 200 ok",
        ),
        (
            "bad third",
            [two.clone(), bad.clone()].concat(),
            "200 ok, 200 ok, 400 BAD_REQUEST_FRAMING",
        ),
        ("bad first", [bad.clone(), two.clone()].concat(), FRAMING),
        ("bad after close", [with("Connection: close\r\n"), bad].concat(), "200 ok"),
        ("no head", Vec::new(), ""),
        ("half a head", b"GET / HTTP/1.1\r\nHo".to_vec(), ""),
        ("one and a half", [get_of("/"), b"GET / HTTP".to_vec()].concat(), "200 ok"),
        ("empty lines first", [b"\r\n\r\n".to_vec(), two].concat(), "200 ok, 200 ok"),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), FRAMING),
        ("HTTP/0.9", b"GET /\r\n\r\n".to_vec(), FRAMING),
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\n\xfc\x03\x03".to_vec(), FRAMING),
        ("TRACE", b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), "405 METHOD_NOT_ALLOWED"),
        ("CONNECT", b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), "405 METHOD_NOT_ALLOWED"),
        (
            "100-continue",
            post("Expect: 100-continue\r\nContent-Length: 2\r\n", "ab"),
            "100, 200 ab",
        ),
        ("h2c is not offered", with("Connection: Upgrade\r\nUpgrade: h2c\r\n"), "200 ok"),
        ("two upgrades", with("Upgrade: h2c\r\nUpgrade: websocket\r\n"), FRAMING),
        ("gzip", post("Content-Encoding: gzip\r\nContent-Length: 2\r\n", "ab"), UNPACKED),
        (
            "gzip behind identity",
            post(
                "Content-Encoding: identity\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n",
                "a",
            ),
            UNPACKED,
        ),
        ("identity", post("Content-Encoding: Identity\r\nContent-Length: 2\r\n", "ab"), "200 ab"),
    ]
}

fn lengths() -> Vec<Payload> {
    let of = |length: &str| post(&format!("Content-Length:{length}\r\n"), "abc");
    vec![
        ("differing lengths", of(" 3\r\nContent-Length: 4"), FRAMING),
        ("the same length twice", of(" 3\r\nContent-Length: 3"), "200 abc"),
        ("lengths in a list", of(" 3, 3"), FRAMING),
        ("signed length", of(" +3"), FRAMING),
        ("negative length", of(" -3"), FRAMING),
        ("hex length", of(" 0x3"), FRAMING),
        ("no length", of(""), FRAMING),
        ("length of 21 digits", of(" 300000000000000000000"), FRAMING),
        ("largest length", of(" 18446744073709551615"), FRAMING),
        ("second largest length", of(" 18446744073709551614"), FRAMING),
        ("third largest length", of(" 18446744073709551613"), "413 BODY_TOO_LARGE"),
        ("zeros before the length", of(" 0003"), "200 abc"),
        ("spaces around the length", of(" \t 3 \t"), "200 abc"),
        (
            "length 0, then a request",
            [post("Content-Length: 0\r\n", ""), get_of("/")].concat(),
            "200 , 200 ok",
        ),
        ("more than its length", of(" 2"), "200 ab"),
        (
            "more lines than its length",
            post("Content-Length: 2\r\n", "abc\r\n\r\n"),
            "200 ab, 400 BAD_REQUEST_FRAMING",
        ),
        ("less than its length", of(" 4"), FRAMING),
        (
            "a body to get",
            [with("Content-Length: 18\r\n"), b"GET /x HTTP/1.1\r\n\r\n".to_vec()].concat(),
            "200 ok, 400 BAD_REQUEST_FRAMING",
        ),
    ]
}

fn encodings() -> Vec<Payload> {
    const END: &str = "0\r\n\r\n";
    let of = |encoding: &str| post(&format!("{encoding}\r\n"), END);
    let smuggled = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    vec![
        ("CL.TE", post("Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", smuggled), FRAMING),
        ("TE.CL", post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", smuggled), FRAMING),
        ("TE with CL 0", post("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", END), FRAMING),
        (
            "TE identity and chunked",
            of("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked"),
            FRAMING,
        ),
        ("TE twice", of("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), FRAMING),
        ("TE list", of("Transfer-Encoding: gzip, chunked"), FRAMING),
        ("TE list of chunked", of("Transfer-Encoding: chunked, chunked"), FRAMING),
        ("TE xchunked", of("Transfer-Encoding: xchunked"), FRAMING),
        ("TE Chunked", of("Transfer-Encoding: Chunked"), FRAMING),
        ("TE identity", of("Transfer-Encoding: identity"), FRAMING),
        ("TE empty", of("Transfer-Encoding:"), FRAMING),
        ("TE quoted", of("Transfer-Encoding: \"chunked\""), FRAMING),
        ("TE with a vertical tab", of("Transfer-Encoding: \x0bchunked"), FRAMING),
        ("TE with a space before the colon", of("Transfer-Encoding : chunked"), FRAMING),
        ("TE folded", of("Transfer-Encoding:\r\n chunked"), FRAMING),
        ("TE behind a bare CR", of("X: y\rTransfer-Encoding: chunked"), FRAMING),
        ("TE behind a bare LF", of("X: y\nTransfer-Encoding: chunked"), FRAMING),
        (
            "TE on HTTP/1.0",
            b"POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_vec(),
            FRAMING,
        ),
        ("TE with an underscore", of("Transfer_Encoding: chunked"), FRAMING),
    ]
}

fn lines() -> Vec<Payload> {
    let raw = |text: &str| text.as_bytes().to_vec();
    vec![
        ("bare LF throughout", raw("GET / HTTP/1.1\nHost: a\n\n"), FRAMING),
        ("bare LF in the request line", raw("GET / HTTP/1.1\nHost: a\r\n\r\n"), FRAMING),
        ("bare LF in the last line", raw("GET / HTTP/1.1\r\nHost: a\n\r\n"), FRAMING),
        ("bare LF for the empty line", raw("GET / HTTP/1.1\r\nHost: a\r\n\n"), FRAMING),
        ("bare LF first", raw("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), FRAMING),
        ("bare CR first", raw("\rGET / HTTP/1.1\r\nHost: a\r\n\r\n"), FRAMING),
        ("folded header", with("X: a\r\n b\r\n"), FRAMING),
        ("header folded by a tab", with("X: a\r\n\tb\r\n"), FRAMING),
        ("space before the first header", raw("GET / HTTP/1.1\r\n Host: a\r\n\r\n"), FRAMING),
        ("line of one space", with(" \r\n"), FRAMING),
        ("header without a colon", with("X\r\n"), FRAMING),
        ("header without a name", with(": x\r\n"), FRAMING),
        ("NUL in a value", with("X: a\0b\r\n"), FRAMING),
        ("NUL in a name", with("X\0: b\r\n"), FRAMING),
        ("CR in a value", with("X: a\rb\r\n"), FRAMING),
        ("two spaces", raw("GET  / HTTP/1.1\r\nHost: a\r\n\r\n"), FRAMING),
        ("space behind the version", raw("GET / HTTP/1.1 \r\nHost: a\r\n\r\n"), FRAMING),
        ("HTTP/1.2", raw("GET / HTTP/1.2\r\nHost: a\r\n\r\n"), FRAMING),
        ("no host", raw("GET / HTTP/1.1\r\n\r\n"), FRAMING),
        ("empty host", raw("GET / HTTP/1.1\r\nHost:\r\n\r\n"), "200 ok"),
        ("two hosts", with("Host: b\r\n"), FRAMING),
        ("the same host twice", with("Host: a\r\n"), FRAMING),
        ("two hosts in HTTP/1.0", raw("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"), FRAMING),
        ("host with a path", raw("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"), FRAMING),
        ("hosts in a list", raw("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"), FRAMING),
        ("host of IPv6", raw("GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n"), "200 ok"),
    ]
}

fn names() -> Vec<Payload> {
    let twice = |name: &str, second: &str| with(&format!("{name}: a\r\n{name}: {second}\r\n"));
    vec![
        ("Content-Type twice, the same", twice("Content-Type", "a"), "200 ok"),
        ("Content-Type twice", twice("Content-Type", "b"), FRAMING),
        ("Authorization twice, the same", twice("Authorization", "a"), "200 ok"),
        ("Authorization twice", twice("Authorization", "b"), FRAMING),
        ("X-Open-Key twice, the same", twice("X-Open-Key", "a"), "200 ok"),
        ("X-Open-Key twice", twice("X-Open-Key", "b"), FRAMING),
        ("X-Authorization twice", twice("X-AUTHORIZATION", "b"), FRAMING),
        ("Idempotency-Key twice", twice("idempotency-key", "b"), FRAMING),
        (
            "Idempotency-Key thrice",
            with("Idempotency-Key: a\r\nidempotency-key: a\r\nIdempotency-key: b\r\n"),
            FRAMING,
        ),
        ("other headers twice", twice("X-Forwarded-For", "b"), "200 ok"),
        ("X_Forwarded_For", with("X_Forwarded_For: 10.0.0.1\r\n"), FRAMING),
        ("X-Forwarded_For", with("X-Forwarded_For: 10.0.0.1\r\n"), FRAMING),
        ("x_open_key", with("x_open_key: k\r\n"), FRAMING),
        ("X_AUTHORIZATION", with("X_AUTHORIZATION: k\r\n"), FRAMING),
        ("Content_Length", with("Content_Length: 5\r\n"), FRAMING),
        ("other underscores", with("my_header: 5\r\n"), "200 ok"),
    ]
}

fn targets() -> Vec<Payload> {
    vec![
        ("query", get_of("/?a=b&c[]=%20{d}|~^"), "200 ok"),
        ("absolute", get_of("http://a/"), "200 ok"),
        ("absolute without a scheme", get_of("a"), FRAMING),
        ("a host and a port", get_of("a:80"), FRAMING),
        ("fragment", get_of("/#a"), FRAMING),
        ("fragment, absolute", get_of("http://a/#a"), FRAMING),
        ("asterisk", get_of("*"), FRAMING),
        ("asterisk of options", b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), "404 "),
        ("brackets", get_of("/<a>"), FRAMING),
        ("backslash", get_of("/?\\"), "200 ok"),
        ("letters beyond ASCII", get_of("/?q=ঢাকা"), "200 ok"),
        ("not UTF-8", b"GET /?\xff HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), FRAMING),
        ("dots", get_of("/../"), "404 "),
    ]
}

fn chunks() -> Vec<Payload> {
    let of = |body: &str| post("Transfer-Encoding: chunked\r\n", body);
    let extension = "x".repeat(5000);
    vec![
        ("chunks", of("3\r\nabc\r\nA\r\ndefghijklm\r\n0\r\n\r\n"), "200 abcdefghijklm"),
        (
            "chunks, then a request",
            [of("00a\r\n0123456789\r\n000\r\n\r\n"), get_of("/")].concat(),
            "200 0123456789, 200 ok",
        ),
        ("no chunk", of("0\r\n\r\n"), "200 "),
        ("extension", of("3;a=\"b c\";d\r\nabc\r\n0;e\r\n\r\n"), "200 abc"),
        ("trailers", of("1\r\na\r\n0\r\nX-Sum: 1\r\nY: 2\r\n\r\n"), "200 a"),
        ("no size", of("\r\nabc\r\n0\r\n\r\n"), FRAMING),
        ("no size but an extension", of(";a\r\nabc\r\n0\r\n\r\n"), FRAMING),
        ("size with 0x", of("0x3\r\nabc\r\n0\r\n\r\n"), FRAMING),
        ("negative size", of("-3\r\nabc\r\n0\r\n\r\n"), FRAMING),
        ("size behind a space", of(" 3\r\nabc\r\n0\r\n\r\n"), FRAMING),
        ("size before a space", of("3 \r\nabc\r\n0\r\n\r\n"), FRAMING),
        ("size of 16 digits", of("fffffffffffffffd\r\nabc\r\n0\r\n\r\n"), FRAMING),
        ("size of 15 digits", of("fffffffffffffff\r\nabc"), FRAMING),
        ("bare LF behind a size", of("3\nabc\r\n0\r\n\r\n"), FRAMING),
        ("bare CR behind a size", of("3\rabc\r\n0\r\n\r\n"), FRAMING),
        ("bare LF behind a chunk", of("3\r\nabc\n0\r\n\r\n"), FRAMING),
        ("bare LF at the end", of("3\r\nabc\r\n0\r\n\n"), FRAMING),
        ("bare LF in an extension", of("3;a\nb\r\nabc\r\n0\r\n\r\n"), FRAMING),
        ("bare CR in an extension", of("3;a\rb\r\nabc\r\n0\r\n\r\n"), FRAMING),
        ("bare LF in a trailer", of("0\r\nX: a\nY: b\r\n\r\n"), FRAMING),
        ("trailer that is no field", of("0\r\nGET / HTTP/1.1\r\n\r\n"), FRAMING),
        ("longer than its size", of("3\r\nabcd\r\n0\r\n\r\n"), FRAMING),
        ("shorter than its size", of("5\r\nabc\r\n0\r\n\r\n"), FRAMING),
        ("broken off", of("3\r\nabc\r\n0\r\n"), FRAMING),
        ("too much extension", of(&format!("1;{extension}\r\na\r\n0\r\n\r\n")), FRAMING),
        ("too much trailer", of(&format!("0\r\nX: {extension}\r\n\r\n")), FRAMING),
    ]
}

fn bounds() -> Vec<Payload> {
    let head = |bytes: usize| {
        let rest = get_of("/").len() + "X: \r\n".len();
        with(&format!("X: {}\r\n", "x".repeat(bytes - rest)))
    };
    let lines = |count: usize| with(&"X: y\r\n".repeat(count - 2));
    let uri = |bytes: usize| get_of(&format!("/?{}", "x".repeat(bytes - 2)));
    let body = |bytes: usize| post(&format!("Content-Length: {bytes}\r\n"), &"x".repeat(bytes));
    let chunked = |bytes: usize| {
        let half = "x".repeat(bytes / 2);
        let rest = "x".repeat(bytes - bytes / 2);
        let body = format!("{:x}\r\n{half}\r\n{:x}\r\n{rest}\r\n0\r\n\r\n", half.len(), rest.len());
        post("X-Count: yes\r\nTransfer-Encoding: chunked\r\n", &body)
    };
    let counted = |request: Vec<u8>| [request, get_of("/")].concat();
    vec![
        ("head of 16 KiB", counted(head(16_384)), "200 ok, 200 ok"),
        ("head of 16 KiB + 1", counted(head(16_385)), "431 HEAD_TOO_LARGE"),
        ("unended head of 20 KB", head(20_000)[..19_990].to_vec(), "431 HEAD_TOO_LARGE"),
        ("64 lines", counted(lines(64)), "200 ok, 200 ok"),
        ("65 lines", counted(lines(65)), "431 HEAD_TOO_LARGE"),
        ("target of 4 KiB", counted(uri(4096)), "200 ok, 200 ok"),
        ("target of 4 KiB + 1", counted(uri(4097)), "414 URI_TOO_LONG"),
        ("target of 17 KB", counted(uri(17_000)), "414 URI_TOO_LONG"),
        ("unended line of 20 KB", vec![b'x'; 20_000], "414 URI_TOO_LONG"),
        ("body of 64 KiB", counted(body(65_536)), "200 65536, 200 ok"),
        ("body of 64 KiB + 1", counted(body(65_537)), "413 BODY_TOO_LARGE"),
        ("chunked body of 64 KiB", counted(chunked(65_536)), "200 65536, 200 ok"),
        ("chunked body of 64 KiB + 1", counted(chunked(65_537)), "413 BODY_TOO_LARGE"),
    ]
}

pub(super) fn get_of(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes()
}

pub(super) fn with(fields: &str) -> Vec<u8> {
    format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n").into_bytes()
}

pub(super) fn post(fields: &str, body: &str) -> Vec<u8> {
    format!("POST /echo HTTP/1.1\r\nHost: a\r\n{fields}\r\n{body}").into_bytes()
}
