//! Wallets in currencies with three decimals and with none, from the deposit to the books.

use crate::support::{Client, Folder, Keys, assert_exit};
use serde_json::{Value, json};

/// A country each, whose currency has three decimals or none.
const CATALOG: &str = r#"
[[country]]
code = "KW"
name = "Kuwait"
currency = "KWD"

[country.numbering]
calling_code = "965"
trunk = ""
length = 8
begins = "5,6,9"

[[country]]
code = "JP"
name = "Japan"
currency = "JPY"

[country.numbering]
calling_code = "81"
trunk = "0"
length = 10
begins = "7,8,9"

[[operator]]
id = 301
code = "FIRSTKW"
name = "First"
country = "KW"
service = "mobile-recharge"
logo = "none.png"
is_active = true

[operator.prepaid]
least = "0.500"
most = "20.000"

[[operator]]
id = 302
code = "FIRSTJP"
name = "First"
country = "JP"
service = "mobile-recharge"
logo = "none.png"
is_active = true

[operator.prepaid]
least = "10"
most = "20000"
"#;

/// What one account sees from its first deposit to its last failed recharge.
struct Country {
    currency: &'static str,
    operator: &'static str,
    /// With one decimal too many.
    wrong: &'static str,
    deposit: &'static str,
    fee: &'static str,
    recipient: &'static str,
    amount: Value,
    /// The fee with 1 % of the amount; what 1.25 % earn.
    charged: &'static str,
    earned: &'static str,
    left: &'static str,
}

#[tokio::test(flavor = "multi_thread")]
async fn three_decimals_and_none_are_right_from_deposit_to_books() {
    let folder = Folder::new();
    let server = folder.start();
    let file = folder.path("catalog.toml");
    std::fs::write(&file, CATALOG).unwrap();
    folder.saldo_ok(&["catalog", "import", file.to_str().unwrap()]);
    let countries = [
        Country {
            currency: "KWD",
            operator: "FIRSTKW",
            wrong: "18.6055",
            deposit: "18.605",
            fee: "0.005",
            recipient: "5000010",
            amount: json!(1.255),
            charged: "0.018",
            earned: "0.016",
            left: "17.332",
        },
        Country {
            currency: "JPY",
            operator: "FIRSTJP",
            wrong: "1000.5",
            deposit: "1000",
            fee: "2",
            recipient: "0800000010",
            amount: json!(110),
            charged: "3",
            earned: "1",
            left: "887",
        },
    ];
    for country in &countries {
        sells(&folder, &server.address, country).await;
    }
    server.stop();
    folder.verify();
}

async fn sells(folder: &Folder, address: &str, country: &Country) {
    let currency = ["--currency", country.currency];
    for (charge, flat) in [("fee", country.fee), ("commission", "0")] {
        let percent = if charge == "fee" { "1" } else { "1.25" };
        let set = ["price", "set", "--charge", charge, "--operator", country.operator];
        let rule = ["--flat", flat, "--percent", percent];
        folder.saldo_ok(&[&set[..], &rule, &currency].concat());
    }
    let open = ["account", "open", "--name", country.currency];
    let opened = folder.saldo_ok(&[&open[..], &currency].concat());
    let account = String::from_utf8(opened.stdout).unwrap().trim().to_owned();
    let booked = |amount: &str, reference: &str| {
        let whose = ["wallet", "deposit", "--account", &account, "--environment", "sandbox"];
        let what = ["--amount", amount, "--reference", reference, "--by", "Mina"];
        folder.saldo(&[&whose[..], &what, &currency].concat())
    };
    let (reference, currency) = (format!("IN-{account}"), country.currency);
    assert_exit(&booked(country.wrong, &reference), 1, currency);
    let done = booked(country.deposit, &reference);
    assert_exit(&done, 0, &format!("{} {currency}", country.deposit));

    let whose = ["key", "make", "--account", &account, "--environment", "sandbox"];
    let pair = folder.saldo_json(&whose).remove(0);
    let text = |name: &str| pair[name].as_str().unwrap().to_owned();
    let keys =
        Keys { open_key: text("open_key"), secret_key: text("secret_key"), webhook_secret: None };
    let mut client = Client::open(address, &keys).await;
    let path = "/api/billing/service-requests/recharge/normal";
    let body = |last: &str, amount: &Value, reference: &str| {
        let number = format!("{}{last}", country.recipient);
        json!({"number": number, "amount": amount, "operator": country.operator,
            "rechargeType": "prepaid", "reference": reference})
        .to_string()
    };
    let sold = client.post(path, body("1", &country.amount, "first")).await.json();
    assert_eq!(sold["billing"]["status"], "success", "{sold}");
    let number = |value: &Value| value.to_string();
    assert_eq!(number(&sold["billing"]["fee"]), country.charged, "{sold}");
    assert_eq!(number(&sold["billing"]["commission"]), country.earned, "{sold}");
    assert_eq!(number(&sold["billing"]["remainingBalance"]), country.left, "{sold}");
    // What fails is given back whole.
    let failed = client.post(path, body("2", &country.amount, "second")).await.json();
    assert_eq!(failed["billing"]["status"], "failed", "{failed}");
    assert_eq!(number(&failed["billing"]["remainingBalance"]), country.left, "{failed}");
    let wrong: Value = serde_json::from_str(country.wrong).unwrap();
    client.post(path, body("1", &wrong, "third")).await.assert_refused(422, "VALIDATION_ERROR");
    let shown = folder.saldo_ok(&["wallet", "show", "--account", &account]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains(country.left) && shown.contains(country.earned), "{shown}");
}
