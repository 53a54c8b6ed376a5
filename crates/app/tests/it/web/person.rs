//! Somebody at a browser without script: cookies, forms, pages.

use crate::support::{Client, Reply, Server};
use http::Method;

/// A browser, logged in or not.
pub struct Person {
    client: Client,
    cookies: Vec<(String, String)>,
}

impl Person {
    pub async fn anonymous(server: &Server) -> Person {
        let mut client = Client::anonymous(&server.address).await;
        client.set("sec-fetch-site", "same-origin");
        client.set("accept-language", "en");
        Person { client, cookies: Vec::new() }
    }

    /// Logs in on the dashboard.
    pub async fn log_in(server: &Server, email: &str, password: &str) -> Person {
        let mut person = Person::anonymous(server).await;
        let page = person.get("/dashboard/log-in").await;
        let fields =
            [("csrf", csrf(&page)), ("email", email.into()), ("password", password.into())];
        let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let reply = person.post("/dashboard/log-in", &fields).await;
        assert_eq!(reply.status(), 303, "{reply:?}");
        person
    }

    /// Reads pages in this language from now on.
    pub fn speak(&mut self, language: &str) {
        self.cookies.push(("language".to_owned(), language.to_owned()));
    }

    pub async fn get(&mut self, path: &str) -> Reply {
        self.send(Method::GET, path, String::new()).await
    }

    /// A page that must be there.
    pub async fn page(&mut self, path: &str) -> String {
        let reply = self.get(path).await;
        assert_eq!(reply.status(), 200, "{path}: {}", text(&reply));
        text(&reply).to_owned()
    }

    /// Sends a form, as it is.
    pub async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let pairs = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value)));
        let body = pairs.collect::<Vec<_>>().join("&");
        self.client.set("content-type", "application/x-www-form-urlencoded");
        self.send(Method::POST, path, body).await
    }

    /// Sends a form of a page, with the page's token.
    pub async fn submit(&mut self, on: &str, to: &str, fields: &[(&str, &str)]) -> Reply {
        let csrf = csrf(&self.get(on).await);
        let mut all = vec![("csrf", csrf.as_str())];
        all.extend(fields);
        self.post(to, &all).await
    }

    async fn send(&mut self, method: Method, path: &str, body: String) -> Reply {
        let pairs = self.cookies.iter().map(|(name, value)| format!("{name}={value}"));
        let cookies = pairs.collect::<Vec<_>>().join("; ");
        self.client.set("cookie", &cookies);
        let reply = self.client.send(method, path, body).await.unwrap();
        for set in reply.0.headers.get_all("set-cookie") {
            let (pair, _) = set.to_str().unwrap().split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.retain(|(known, _)| known != name);
            self.cookies.push((name.to_owned(), value.to_owned()));
        }
        reply
    }
}

pub fn text(reply: &Reply) -> &str {
    std::str::from_utf8(&reply.0.body).unwrap()
}

/// The token of a page's forms.
pub fn csrf(reply: &Reply) -> String {
    hidden(text(reply), "csrf")
}

/// The value of a hidden field.
#[track_caller]
pub fn hidden(html: &str, name: &str) -> String {
    let begin = format!("name=\"{name}\" value=\"");
    let (_, rest) = html.split_once(&begin).unwrap_or_else(|| panic!("no {name} in {html}"));
    rest.split('"').next().unwrap().to_owned()
}

fn encoded(value: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => {
            char::from(byte).to_string()
        }
        other => format!("%{other:02X}"),
    };
    value.bytes().map(byte).collect()
}
