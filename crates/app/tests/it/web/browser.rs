//! A client of the pages: keeps cookies, follows no redirect by itself, fills in forms.

use crate::support::{Client, Folder, Server, anonymous};
use http::Method;
use std::collections::BTreeMap;
use std::fs;

/// A browser of one person.
pub struct Browser {
    client: Client,
    pub cookies: BTreeMap<String, String>,
    /// The token of the last page with a form.
    pub csrf: String,
}

/// What a page answered.
#[derive(Debug)]
pub struct Page {
    pub status: u16,
    pub location: String,
    pub html: String,
    pub headers: BTreeMap<String, String>,
}

impl Browser {
    pub async fn open(server: &Server) -> Browser {
        let mut client = anonymous(server).await;
        client.set("content-type", "application/x-www-form-urlencoded");
        Browser { client, cookies: BTreeMap::new(), csrf: String::new() }
    }

    /// Logs in on the pages of an area: `dashboard`, `admin`.
    pub async fn log_in(server: &Server, area: &str, email: &str, password: &str) -> Browser {
        let mut browser = Browser::open(server).await;
        browser.get(&format!("/{area}/log-in")).await;
        let fields = [("email", email), ("password", password)];
        let page = browser.post(&format!("/{area}/log-in"), &fields).await;
        assert_eq!(page.status, 303, "{email}: {}", page.html);
        browser
    }

    /// As the demo's merchant.
    pub async fn merchant(server: &Server) -> Browser {
        let merchant = &server.credentials.merchant;
        Browser::log_in(server, "dashboard", &merchant.email, &merchant.password).await
    }

    /// As somebody of the demo's staff.
    pub async fn staff(server: &Server, role: &str) -> Browser {
        let staff = server.credentials.staff.as_array().unwrap();
        let one = staff.iter().find(|one| one["role"] == role).unwrap();
        let text = |field: &str| one[field].as_str().unwrap().to_owned();
        Browser::log_in(server, "admin", &text("email"), &text("password")).await
    }

    /// Sends this header from now on; an empty value removes it.
    pub fn set(&mut self, name: &'static str, value: &str) {
        self.client.set(name, value);
    }

    pub async fn get(&mut self, path: &str) -> Page {
        self.send(Method::GET, path, "").await
    }

    /// Follows redirects to their end.
    pub async fn visit(&mut self, path: &str) -> Page {
        let mut page = self.get(path).await;
        for _ in 0..5 {
            if page.status != 303 {
                break;
            }
            page = self.get(&page.location.clone()).await;
        }
        page
    }

    /// Sends a form with the token of the last page.
    pub async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        let csrf = self.csrf.clone();
        let mut all = vec![("csrf", csrf.as_str())];
        all.extend(fields);
        self.post_bare(path, &all).await
    }

    /// Sends these fields only.
    pub async fn post_bare(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        let pairs = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value)));
        let body = pairs.collect::<Vec<_>>().join("&");
        self.send(Method::POST, path, &body).await
    }

    async fn send(&mut self, method: Method, path: &str, body: &str) -> Page {
        let cookies = self.cookies.iter().map(|(name, value)| format!("{name}={value}"));
        let cookies = cookies.collect::<Vec<_>>().join("; ");
        self.client.set("cookie", &cookies);
        let reply = self.client.send(method, path, body.to_owned()).await.unwrap();
        for set in reply.0.headers.get_all("set-cookie") {
            let text = set.to_str().unwrap();
            let (pair, attributes) = text.split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            match attributes.contains("Max-Age=0") {
                true => self.cookies.remove(name),
                false => self.cookies.insert(name.to_owned(), value.to_owned()),
            };
        }
        let headers = reply.0.headers.iter().map(|(name, value)| {
            (name.as_str().to_owned(), value.to_str().unwrap_or("").to_owned())
        });
        let html = String::from_utf8_lossy(&reply.0.body).into_owned();
        if let Some(rest) = html.split("name=\"csrf\" value=\"").nth(1) {
            self.csrf = rest.split('"').next().unwrap().to_owned();
        }
        Page {
            status: reply.status(),
            location: reply.header("location").unwrap_or_default().to_owned(),
            headers: headers.collect(),
            html,
        }
    }
}

impl Page {
    /// The value of a field of its form.
    pub fn field(&self, name: &str) -> String {
        let mark = format!("name=\"{name}\"");
        let rest = self.html.split(&mark).nth(1).unwrap_or_else(|| panic!("no {name}: {self:?}"));
        let tag = rest.split('>').next().unwrap();
        let value = tag.split("value=\"").nth(1).unwrap_or("\"");
        value.split('"').next().unwrap().to_owned()
    }

    /// Its text without the forms' tokens, to compare two answers.
    pub fn without_tokens(&self) -> String {
        let mut out = String::new();
        for (at, part) in self.html.split("name=\"csrf\" value=\"").enumerate() {
            out.push_str(if at == 0 { part } else { part.split_once('"').unwrap().1 });
        }
        out
    }
}

/// The texts of the mails in a folder, oldest first, once there are at least `count`.
pub async fn mails(folder: &Folder, count: usize) -> Vec<String> {
    for _ in 0..2_000 {
        let files = fs::read_dir(folder.data_dir().join("mail")).into_iter().flatten().flatten();
        let mut paths: Vec<_> = files.map(|file| file.path()).collect();
        // One that is still being written has another name.
        paths.retain(|path| path.extension().is_some_and(|ends| ends == "eml"));
        paths.sort();
        let texts: std::io::Result<Vec<String>> = paths.iter().map(fs::read_to_string).collect();
        let is_whole = |text: &String| text.contains("\r\n\r\n");
        if let Ok(texts) = texts
            && texts.len() >= count
            && texts.iter().all(is_whole)
        {
            return texts;
        }
        // A mail is written by a task of the server's own.
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("there are not {count} mails");
}

/// The code of a mail.
pub fn code_of(mail: &str) -> String {
    let rest = mail.split("Your code: ").nth(1).unwrap_or_else(|| panic!("no code in {mail}"));
    rest.chars().take(11).collect()
}

fn encoded(value: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => {
            char::from(byte).to_string()
        }
        other => format!("%{other:02X}"),
    };
    value.bytes().map(byte).collect()
}
