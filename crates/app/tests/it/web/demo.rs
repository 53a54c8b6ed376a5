//! The demo as it begins: merchants with a history beside one that starts clean.

use super::person::Person;
use crate::support::Folder;

/// Bytes of a new demo's data folder at most.
const FOLDER_BYTES_MAX: u64 = 4 * 1024 * 1024;

#[tokio::test]
async fn three_merchants_have_a_history_and_the_first_one_starts_clean() {
    let folder = Folder::new();
    let server = folder.start_with_history();
    let merchant = &server.credentials.merchant;
    let mut person = Person::log_in(&server, &merchant.email, &merchant.password).await;
    let overview = person.page("/dashboard/live").await;
    assert!(overview.contains("৳7,000.00"), "{overview}");
    assert!(overview.contains("There is no transaction yet."), "{overview}");
    assert_eq!(folder.sql("SELECT count(*) FROM accounts WHERE role = 'merchant'"), ["4"]);
    let count = "SELECT count(*) FROM purchases WHERE state = '";
    let of = |state: &str| folder.sql(&format!("{count}{state}'"))[0].parse::<u32>().unwrap();
    let (delivered, failed, refunded) = (of("delivered"), of("failed"), of("refunded"));
    assert!(delivered > 600 && failed > 20 && refunded > 2, "{delivered} {failed} {refunded}");
    assert!(delivered + failed + refunded >= 3 * 29 * 8, "{delivered} {failed} {refunded}");
    server.stop();
    folder.verify();
    let files = std::fs::read_dir(folder.data_dir()).unwrap();
    let bytes: u64 = files.map(|file| file.unwrap().metadata().unwrap().len()).sum();
    assert!(bytes <= FOLDER_BYTES_MAX, "{bytes} bytes");
}
