//! A minimal HTTP/1.1 client: one persistent connection, one request at a time.
//!
//! For the load and for the end-to-end tests of `app`, which include this file. Not here: TLS,
//! redirects, connection pools, timeouts. Invariant: a request ends in a complete [`Answer`], or in
//! a [`Lost`] that says how far it got.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// An open connection.
#[derive(Debug)]
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    host: HeaderValue,
}

/// A complete answer.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its complete body.
    pub body: Bytes,
}

/// Why there is no complete answer.
#[derive(Debug)]
pub enum Lost {
    /// No connection: nothing was sent.
    NotConnected(std::io::Error),
    /// No byte of an answer came. The server may have read the request all the same.
    Unanswered(hyper::Error),
    /// The answer began and was cut off.
    CutOff(hyper::Error),
}

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Lost::NotConnected(error) => write!(f, "cannot connect: {error}"),
            Lost::Unanswered(error) => write!(f, "no answer: {error}"),
            Lost::CutOff(error) => write!(f, "the answer was cut off: {error}"),
        }
    }
}

impl std::error::Error for Lost {}

impl Connection {
    /// Connects to `address` (host and port) and drives the connection until it is dropped.
    pub async fn open(address: &str) -> Result<Connection, Lost> {
        let unusable = |_| Lost::NotConnected(std::io::ErrorKind::InvalidInput.into());
        let host = HeaderValue::from_str(address).map_err(unusable)?;
        let stream = TcpStream::connect(address).await.map_err(Lost::NotConnected)?;
        stream.set_nodelay(true).map_err(Lost::NotConnected)?;
        let (sender, driver) =
            http1::handshake(TokioIo::new(stream)).await.map_err(Lost::Unanswered)?;
        // Whatever goes wrong is an error of a request too: the driver's own result is not needed.
        tokio::spawn(driver);
        Ok(Connection { sender, host })
    }

    /// Sends one request and waits for the complete answer. The target is a path with its query.
    pub async fn send(&mut self, mut request: Request<Full<Bytes>>) -> Result<Answer, Lost> {
        request.headers_mut().entry(header::HOST).or_insert_with(|| self.host.clone());
        self.sender.ready().await.map_err(Lost::Unanswered)?;
        let answer = self.sender.send_request(request).await.map_err(Lost::Unanswered)?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await.map_err(Lost::CutOff)?.to_bytes();
        Ok(Answer { status: head.status, headers: head.headers, body })
    }
}
