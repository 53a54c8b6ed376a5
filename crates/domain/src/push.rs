//! The contract of a push service: what a device shows, and the result of a push.
//!
//! Not here: any push service, and which pushes are sent. Invariant: a device token is deleted only
//! when the service says that the device is gone; no answer or an unclear one leads to a retry.

use crate::upstream::BoxFuture;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// A message to the app on one device.
#[derive(Clone, PartialEq, Eq)]
pub struct Push {
    /// The service's identifier of the app on that device. A secret: it allows sending to the app.
    pub device_token: String,
    /// One line.
    pub title: String,
    /// A sentence or two.
    pub body: String,
    /// Keys and values for the app; not shown.
    pub data: BTreeMap<String, String>,
    /// A push replaces an earlier one with the same tag on the device, so it may be sent again.
    pub tag: String,
}

/// Shows everything but the device token.
impl fmt::Debug for Push {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Push")
            .field("device_token", &"(hidden)")
            .field("title", &self.title)
            .field("body", &self.body)
            .field("data", &self.data)
            .field("tag", &self.tag)
            .finish()
    }
}

/// The result of a push. Reasons are for staff and records; they contain no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// The service accepted it. It does not report whether the device shows it.
    Accepted,
    /// The device is gone for good: its token must be deleted.
    Unregistered {
        /// The service's answer.
        reason: String,
    },
    /// Accepted or not, we do not know: try again.
    Later {
        /// The error or answer.
        reason: String,
        /// The earliest next try, counted from now, if the service named one.
        after: Option<Duration>,
    },
    /// This message will never be accepted; the token may still be valid.
    Refused {
        /// The service's answer.
        reason: String,
    },
}

/// One push service.
pub trait Pusher: Send + Sync {
    /// Sends a push. It may be called again with the same push: the tag makes repeats harmless.
    fn push<'a>(&'a self, push: &'a Push) -> BoxFuture<'a, Pushed>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_token_is_not_printed() {
        let push = Push {
            device_token: "secret-of-the-device".into(),
            title: "Delivered".into(),
            body: "50.00 BDT to 01614031175".into(),
            data: BTreeMap::from([("purchase".into(), "P1".into())]),
            tag: "P1".into(),
        };
        let printed = format!("{push:?} {push:#?}");
        assert!(!printed.contains("secret"), "{printed}");
        assert!(printed.contains("Delivered"), "{printed}");
    }
}
