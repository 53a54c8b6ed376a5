//! The mails to people of the pages, in their language.
//!
//! Invariant: a mail that carries a code has the English line with it, whatever its language, so
//! that whoever helps can read it.

use domain::Mail;

/// A language of mails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Letters {
    English,
    Bangla,
}

impl Letters {
    pub(crate) fn of(language: &str) -> Letters {
        match language {
            "bn" => Letters::Bangla,
            _ => Letters::English,
        }
    }

    /// Confirms an address.
    pub(crate) fn confirm(self, to: String, business: &str, code: &str) -> Mail {
        let (subject, text) = match self {
            Letters::English => (
                "Confirm your e-mail",
                format!(
                    "Welcome to Saldo. {business} has an account, and its sandbox works \
                     already.\n\nYour code: {code}\n\nType it on your dashboard within three days: \
                     then our staff can open live mode.\nIf it was not you, do nothing.\n"
                ),
            ),
            Letters::Bangla => (
                "আপনার ই-মেইল নিশ্চিত করুন",
                format!(
                    "Saldo-তে স্বাগতম। {business}-এর একটি অ্যাকাউন্ট হয়েছে, এর স্যান্ডবক্স এখনই \
                    কাজ করে।\n\n\
                     Your code: {code}\n\nতিন দিনের মধ্যে কোডটি আপনার ড্যাশবোর্ডে লিখুন: তারপর \
                     আমাদের কর্মীরা \
                     লাইভ খুলতে পারবেন।\nআপনি না হলে কিছু করবেন না।\n"
                ),
            ),
        };
        Mail { to, subject: subject.to_owned(), text }
    }

    /// Somebody signs up whose address has a login.
    pub(crate) fn known(self, to: String) -> Mail {
        let (subject, text) = match self {
            Letters::English => (
                "You have an account already",
                "Somebody, we hope you, signed up with this address. It has an account already: \
                 log in with its password, or have it reset. What was just opened is a sandbox \
                 without a way back in.\nIf it was not you, do nothing: nothing of yours \
                 changed.\n",
            ),
            Letters::Bangla => (
                "আপনার আগেই একটি অ্যাকাউন্ট আছে",
                "কেউ, সম্ভবত আপনি, এই ঠিকানায় সাইন আপ করেছেন। এর আগেই একটি অ্যাকাউন্ট আছে: তার \
                পাসওয়ার্ড \
                 দিয়ে লগ ইন করুন, অথবা পাসওয়ার্ড বদলান।\nআপনি না হলে কিছু করবেন না: আপনার কিছুই \
                 বদলায়নি।\n",
            ),
        };
        Mail { to, subject: subject.to_owned(), text: text.to_owned() }
    }

    /// Somebody is invited to an account.
    pub(crate) fn invite(self, to: String, account: &str, link: &str) -> Mail {
        let (subject, text) = match self {
            Letters::English => (
                format!("Join {account} on Saldo"),
                format!(
                    "You are invited to join {account} on Saldo.\n\n{link}\n\nThe link works once, \
                     for three days. If you do not know {account}, do nothing.\n"
                ),
            ),
            Letters::Bangla => (
                format!("Saldo-তে {account}-এ যোগ দিন"),
                format!(
                    "আপনাকে Saldo-তে {account}-এ যোগ দিতে আমন্ত্রণ জানানো \
                    হয়েছে।\n\n{link}\n\nলিংকটি একবার কাজ \
                     করে, তিন দিন পর্যন্ত। {account}-কে না চিনলে কিছু করবেন না।\n"
                ),
            ),
        };
        Mail { to, subject, text }
    }

    /// A login was used in a browser that is new to it.
    pub(crate) fn new_device(self, to: String, agent: &str, address: &str) -> Mail {
        let (subject, text) = match self {
            Letters::English => (
                "A new log-in",
                format!(
                    "Your login was used in a browser that we did not \
                    know.\n\n{agent}\n{address}\n\n\
                     If it was you, do nothing. If not: end the session on your dashboard, under \
                     Security, and change your password.\n"
                ),
            ),
            Letters::Bangla => (
                "নতুন লগ ইন",
                format!(
                    "আপনার লগইন এমন একটি ব্রাউজারে ব্যবহার হয়েছে যা আমরা চিনতাম \
                    না।\n\n{agent}\n{address}\n\n\
                     আপনি হলে কিছু করবেন না। না হলে ড্যাশবোর্ডের নিরাপত্তা পাতায় সেশনটি শেষ করুন \
                     এবং পাসওয়ার্ড \
                     বদলান।\n"
                ),
            ),
        };
        Mail { to, subject: subject.to_owned(), text }
    }

    /// A code for a new password.
    pub(crate) fn reset(self, to: String, code: &str) -> Mail {
        let (subject, text) = match self {
            Letters::English => (
                "Your code for a new password",
                format!(
                    "Somebody, we hope you, wants a new password for this address.\n\n\
                     Your code: {code}\n\nType it where you asked for it, within 30 minutes.\n\
                     If it was not you, do nothing: your password stays.\n"
                ),
            ),
            Letters::Bangla => (
                "নতুন পাসওয়ার্ডের কোড",
                format!(
                    "কেউ, সম্ভবত আপনি, এই ঠিকানার জন্য নতুন পাসওয়ার্ড চান।\n\nYour code: \
                    {code}\n\n৩০ মিনিটের মধ্যে \
                     যেখানে চেয়েছেন সেখানে লিখুন।\nআপনি না হলে কিছু করবেন না: আপনার পাসওয়ার্ড \
                     একই থাকবে।\n"
                ),
            ),
        };
        Mail { to, subject: subject.to_owned(), text }
    }

    /// Live mode is open.
    pub(crate) fn approved(self, to: String, account: &str) -> Mail {
        let (subject, text) = match self {
            Letters::English => (
                "Live mode is open",
                format!(
                    "{account} may sell for real money now. Make live keys on your dashboard.\n"
                ),
            ),
            Letters::Bangla => (
                "লাইভ খোলা হয়েছে",
                format!(
                    "{account} এখন আসল টাকায় বিক্রি করতে পারে। ড্যাশবোর্ডে লাইভ কী তৈরি \
                করুন।\n"
                ),
            ),
        };
        Mail { to, subject: subject.to_owned(), text }
    }

    /// Webhooks no longer go to an address: it has failed for long, or took itself off the list.
    /// `environment`: `sandbox`, `live`; `why` as it is stored, in English.
    pub(crate) fn switched_off(self, to: String, environment: &str, host: &str, why: &str) -> Mail {
        let (subject, text) = match self {
            Letters::English => (
                format!("Webhooks to {host} are switched off"),
                format!(
                    "Webhooks of your {environment} environment are no longer sent to {host}: \
                     {why}.\n\n\
                     They are kept for 30 days. Once the address works, switch it on again on your \
                     dashboard, under Webhooks, and send again what was missed.\n"
                ),
            ),
            Letters::Bangla => (
                format!("{host}-এ ওয়েবহুক বন্ধ করা হয়েছে"),
                format!(
                    "আপনার {environment} পরিবেশের ওয়েবহুক আর {host}-এ পাঠানো হচ্ছে না।\n\n\
                     কারণ: {why}\n\n\
                     এগুলো ৩০ দিন রাখা হয়। ঠিকানাটি আবার কাজ করলে ড্যাশবোর্ডের ওয়েবহুক পাতায় \
                     এটি চালু করুন এবং যা \
                     পৌঁছায়নি তা আবার পাঠান।\n"
                ),
            ),
        };
        Mail { to, subject, text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_the_line_with_the_code() {
        for letters in [Letters::English, Letters::Bangla] {
            let to = || "a@b.co".to_owned();
            for mail in
                [letters.confirm(to(), "B", "7K2M4-9XQ0B"), letters.reset(to(), "7K2M4-9XQ0B")]
            {
                assert!(mail.text.contains("\nYour code: 7K2M4-9XQ0B\n"), "{}", mail.text);
            }
            assert!(letters.invite(to(), "B", "https://x/y").text.contains("\nhttps://x/y\n"));
        }
    }

    #[test]
    fn an_address_that_is_switched_off_is_named_in_every_language() {
        for letters in [Letters::English, Letters::Bangla] {
            let mail = letters.switched_off("a@b.co".to_owned(), "live", "a.example", "it fails");
            assert!(mail.subject.contains("a.example"), "{mail:?}");
            for word in ["live", "a.example", "it fails", "30"] {
                let latin = mail.text.replace("৩০", "30");
                assert!(latin.contains(word), "{word}: {latin}");
            }
        }
    }
}
