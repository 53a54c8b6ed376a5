//! The contract of a push service: what a device is shown, and what became of it.
//!
//! Not here: any service, and who is told what. Invariant: a device token is forgotten only when
//! the service says that the device is gone; a service that is silent or confused costs a retry.

use crate::upstream::BoxFuture;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// What an app on a device is shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Push {
    /// The service's name for the app on that device. Whoever knows it can be sent to: a secret.
    pub device_token: String,
    /// One line.
    pub title: String,
    /// A sentence or two.
    pub body: String,
    /// What the app reads.
    pub data: BTreeMap<String, String>,
    /// Repeats with the same tag replace each other on the device, so a push may be sent again.
    pub tag: String,
}

/// Says everything but the device token.
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

/// What became of a push. Reasons are for staff and for records; no secret is in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// The service has it. Whether the device ever shows it, nobody tells us.
    Accepted,
    /// The device is gone for good: forget its token.
    Unregistered {
        /// What the service said.
        reason: String,
    },
    /// Perhaps taken, perhaps not: try again.
    Later {
        /// What was seen.
        reason: String,
        /// Not before this has passed, if the service named a time.
        after: Option<Duration>,
    },
    /// This message will never be taken; the token may still be good.
    Refused {
        /// What the service said.
        reason: String,
    },
}

/// One push service.
pub trait Pusher: Send + Sync {
    /// Sends it. May be called again with the same push: the tag makes repeats one.
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
