//! The client against real sockets: which servers it trusts, which requests it reports as not
//! sent, how it reads `Retry-After`.

use super::*;
use rustls::ServerConnection;
use rustls::pki_types::PrivateKeyDer;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::thread::JoinHandle;

const CA: &[u8] = include_bytes!("test-ca.pem");
const SERVER: &[u8] = include_bytes!("test-server.pem");
const TIMEOUT: Duration = Duration::from_secs(5);

/// 2026-04-23T23:09:00Z
const NOW: Timestamp = Timestamp(1_776_985_740_000_000);

#[test]
fn an_endpoint_is_https_or_on_this_machine() {
    for (text, expected) in [
        ("https://fcm.googleapis.com", Ok("https://fcm.googleapis.com/")),
        ("https://example.com/a?b", Ok("https://example.com/a?b")),
        ("http://127.0.0.1:80/", Ok("http://127.0.0.1/")),
        ("http://[::1]:8080", Ok("http://[::1]:8080/")),
        ("http://localhost:1", Ok("http://localhost:1/")),
        ("http://example.com", Err(EndpointError::Insecure)),
        ("http://127.0.0.1.example.com", Err(EndpointError::Insecure)),
        ("http://localhost@example.com", Err(EndpointError::Insecure)),
        ("ftp://127.0.0.1", Err(EndpointError::NotAUrl)),
        ("mailto:a@example.com", Err(EndpointError::NotAUrl)),
        ("example.com", Err(EndpointError::NotAUrl)),
        ("", Err(EndpointError::NotAUrl)),
    ] {
        assert_eq!(
            parse_endpoint(text).as_ref().map(Url::as_str),
            expected.as_ref().copied(),
            "{text}"
        );
    }
}

#[test]
fn retry_after_is_seconds_or_a_date() {
    for (text, expected) in [
        ("0", Some(0)),
        ("120", Some(120)),
        (" 7 ", Some(7)),
        ("99999999999", Some(86_400)),
        ("Thu, 23 Apr 2026 23:10:30 GMT", Some(90)),
        ("Thu, 23 Apr 2026 23:00:00 GMT", Some(0)),
        ("Fri, 23 Apr 2027 23:00:00 GMT", Some(86_400)),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
    ] {
        let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
        assert_eq!(retry_after(&headers, NOW), expected.map(Duration::from_secs), "{text}");
    }
    assert_eq!(retry_after(&HeaderMap::new(), NOW), None);
}

#[test]
fn an_extra_ca_file_without_certificates_is_rejected() {
    let key_only = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for pem in ["", "no PEM", key_only, garbage] {
        let error = client(TIMEOUT, Some(pem.as_bytes())).unwrap_err();
        assert!(matches!(error, ClientError::ExtraCa(_)), "{pem}: {error}");
    }
}

#[tokio::test]
async fn an_extra_ca_is_trusted_only_if_given() {
    let (address, server) = tls_server();
    let trusting = client(TIMEOUT, Some(CA)).unwrap();
    let response = send(trusting.get(format!("https://{address}/"))).await.unwrap();
    assert_eq!((response.status.as_u16(), response.body.as_slice()), (200, &b"hello"[..]));
    let request = server.join().unwrap();
    let agent = format!("user-agent: saldo/{}\r\n", env!("CARGO_PKG_VERSION"));
    assert!(request.to_lowercase().contains(&agent), "{request}");

    let (address, server) = tls_server();
    let default_client = client(TIMEOUT, None).unwrap();
    let error = send(default_client.get(format!("https://{address}/"))).await.unwrap_err();
    assert!(matches!(&error, RequestError::NotSent { reason }
        if reason.contains("invalid peer certificate")));
    assert_eq!(server.join().unwrap(), "", "no byte of the request was sent");
}

#[tokio::test]
async fn a_refused_connection_is_not_sent_and_a_closed_one_is_unknown() {
    let default_client = client(TIMEOUT, None).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        assert!(stream.read(&mut [0; 1024]).unwrap() > 0);
    });
    let url = format!("http://{address}/?secret");
    let unknown = send(default_client.post(&url)).await.unwrap_err();
    assert!(matches!(&unknown, RequestError::Unknown { .. }), "{unknown:?}");
    server.join().unwrap();

    let not_sent = send(default_client.post(&url)).await.unwrap_err();
    assert!(matches!(&not_sent, RequestError::NotSent { .. }), "{not_sent:?}");
    for reason in [unknown.reason(), not_sent.reason()] {
        assert!(!reason.contains("secret"), "{reason}");
    }
}

/// A server that answers one request; its thread returns the bytes of the request.
fn tls_server() -> (SocketAddr, JoinHandle<String>) {
    let chain = CertificateDer::pem_slice_iter(SERVER).collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(SERVER).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let connection = ServerConnection::new(Arc::new(config)).unwrap();
        let mut stream = rustls::StreamOwned::new(connection, stream);
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut bytes = [0; 1024];
            match stream.read(&mut bytes) {
                Ok(0) | Err(_) => break,
                Ok(read) => request.extend_from_slice(&bytes[..read]),
            }
        }
        // This fails if the client rejected the certificate.
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello");
        let _ = stream.flush();
        String::from_utf8(request).unwrap()
    });
    (address, server)
}
