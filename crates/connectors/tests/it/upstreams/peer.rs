//! What a well-behaved upstream of each kind answers.

use super::world::{Reply, Rule};

/// A kind with its words, as the tests of faults need them.
pub struct Peer {
    pub kind: &'static str,
    /// Its own settings.
    pub file: &'static str,
    /// In the request line of what buys.
    pub buys_at: &'static str,
    /// In the request line of an enquiry.
    pub asked_at: &'static str,
    /// Whether its requests carry the token of a login.
    pub logs_in: bool,
    /// What a lost reply leaves: a doubt that is asked about, or one for staff.
    pub doubt: &'static str,
}

/// All kinds; one that can be asked only of a peer is there twice.
pub const PEERS: [Peer; 4] = [
    Peer {
        kind: "irecharge",
        file: "",
        buys_at: "POST /service-requests/recharge/normal",
        asked_at: "GET /transactions/status/check",
        logs_in: false,
        doubt: "unknown",
    },
    Peer {
        kind: "reloadly",
        file: "",
        buys_at: "POST /topups-async",
        asked_at: "GET /topups/reports/transactions",
        logs_in: true,
        doubt: "unknown",
    },
    Peer {
        kind: "rechargely",
        file: "",
        buys_at: "POST /transactions/bill-payment/auth",
        asked_at: "GET /transactions/",
        logs_in: true,
        doubt: "unaskable",
    },
    Peer {
        kind: "rechargely",
        file: "peer = \"saldo\"",
        buys_at: "POST /transactions/bill-payment/auth",
        asked_at: "GET /transactions/",
        logs_in: true,
        doubt: "unknown",
    },
];

impl Peer {
    /// Its rules when all goes well, but for what buys and what is asked.
    pub fn rules(&self, buys: Vec<Reply>, asked: Vec<Reply>) -> Vec<Rule> {
        let token = r#"{"access_token":"t-1","accessToken":"t-1","expires_in":3600}"#;
        let pre_auth = r#"{"responseCode":"200","responseMessage":"ok","preAuthToken":"p-1",
            "requestId":"S1042-1","status":"PENDING"}"#;
        let good = |body: &str| vec![Reply::With(200, body.to_owned())];
        vec![
            (self.buys_at, buys),
            ("POST /oauth/token", good(token)),
            ("POST /authenticate/customers", good(token)),
            ("POST /transactions/bill-payment/pre-auth", good(pre_auth)),
            (self.asked_at, asked),
        ]
    }

    /// The reply to what buys, with these values.
    pub fn bought(&self, status: Status, reference: &str, amount: &str) -> String {
        match self.kind {
            "irecharge" => format!(
                r#"{{"success":true,"message":"ok","billing":{{"reference":"{reference}",
                "status":"{}","number":"01712345678","amount":{amount},"fee":0}}}}"#,
                status.word(["success", "processing", "failed", "reversed"])
            ),
            "reloadly" => format!(
                r#"{{"transactionId":7,"status":"{}","customIdentifier":"{reference}",
                "recipientPhone":"8801712345678","requestedAmount":{amount},
                "requestedAmountCurrencyCode":"USD"}}"#,
                status.word(["SUCCESSFUL", "PROCESSING", "FAILED", "REFUNDED"])
            ),
            _ => format!(
                r#"{{"responseCode":"200","responseMessage":"ok","transactionReference":"T-1",
                "status":"{}","requestId":"{reference}","amount":{amount},"fee":0,
                "billReference":"01712345678"}}"#,
                status.word(["COMPLETED", "PROCESSING", "FAILED", "CANCELLED"])
            ),
        }
    }

    /// The reply to an enquiry.
    pub fn found(&self, status: Status, reference: &str, amount: &str) -> String {
        match self.kind {
            "irecharge" => {
                let status = status.word(["success", "processing", "failed", "reversed"]);
                format!(
                    r#"{{"success":true,"data":{{"transactionId":21,"reference":"{reference}",
                    "status":"{status}","isFinal":true,"amount":{amount},"fee":0,
                    "service":{{"status":"{status}","number":"01712345678"}}}}}}"#
                )
            }
            "reloadly" => {
                format!(r#"{{"content":[{}],"last":true}}"#, self.bought(status, reference, amount))
            }
            _ => self.bought(status, reference, amount),
        }
    }

    /// The reply to what buys that names the order, with a status that no document has.
    pub fn odd(&self, reference: &str) -> String {
        let body = self.bought(Status::Working, reference, "0.50");
        let word = ["processing", "PROCESSING"].into_iter().find(|word| body.contains(word));
        let odd = body.replacen(word.unwrap(), "queued", 1);
        // Some give it an id as well.
        odd.replacen("\"fee\":0", "\"fee\":0,\"transactionId\":77", 1)
    }

    /// The upstream's own reference in [`Peer::odd`].
    pub fn odd_id(&self) -> &'static str {
        match self.kind {
            "irecharge" => "77",
            "reloadly" => "7",
            _ => "T-1",
        }
    }

    /// The reply to an enquiry about an order that it never had.
    pub fn not_found(&self) -> Reply {
        let (status, body) = match self.kind {
            "irecharge" => {
                let text = "Transaction not found for provided identifier.";
                (404, format!(r#"{{"success":false,"message":"{text}"}}"#))
            }
            "reloadly" => (200, r#"{"content":[],"last":true}"#.to_owned()),
            _ => (404, r#"{"message":"none","code":"TRANSACTION_NOT_FOUND"}"#.to_owned()),
        };
        Reply::With(status, body)
    }

    /// The reply to a reference that was used before.
    pub fn duplicate(&self) -> Reply {
        let (status, body) = match self.kind {
            "irecharge" => {
                let text = "Reference already exists. Please send a unique reference.";
                (422, format!(r#"{{"success":false,"message":"{text}"}}"#))
            }
            "reloadly" => (400, r#"{"errorCode":"CUSTOM_IDENTIFIER_ALREADY_USED"}"#.to_owned()),
            _ => (409, r#"{"message":"used up","code":"DUPLICATE_REFERENCE"}"#.to_owned()),
        };
        Reply::With(status, body)
    }

    /// A refusal at this status, in its own form.
    pub fn refusal(&self, status: u16) -> Reply {
        let body = r#"{"success":false,"message":"no","errorCode":"NO","code":"NO"}"#;
        Reply::With(status, body.to_owned())
    }

    /// Whether it can be asked.
    pub fn is_askable(&self) -> bool {
        self.doubt == "unknown"
    }
}

/// How an order is.
#[derive(Clone, Copy, Debug)]
pub enum Status {
    Done,
    Working,
    Failed,
    Reversed,
}

impl Status {
    fn word(self, words: [&'static str; 4]) -> &'static str {
        let [done, working, failed, reversed] = words;
        match self {
            Status::Done => done,
            Status::Working => working,
            Status::Failed => failed,
            Status::Reversed => reversed,
        }
    }
}
