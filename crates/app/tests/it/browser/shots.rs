//! Pictures of every page and part, to be looked at: `make shots` puts them into `target/shots/`,
//! with an index.

use super::driver::Chromium;
use super::pages::{demo_with_history, enter, pages};
use crate::support::Folder;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use web::AreaKind;

/// Language, colours, width: Bangla on a phone and wide, as its words are longer or shorter.
const SIGHTS: [(&str, &str, u32); 8] = [
    ("en", "light", 1280),
    ("en", "light", 360),
    ("en", "dark", 1280),
    ("en", "dark", 360),
    ("bn", "light", 1280),
    ("bn", "light", 360),
    ("bn", "dark", 1280),
    ("bn", "dark", 360),
];

#[tokio::test]
#[ignore = "makes pictures for people; `make shots` runs it"]
async fn every_page_is_pictured() {
    let shots = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/shots");
    let _ = fs::remove_dir_all(&shots);
    fs::create_dir_all(&shots).unwrap();
    let folder = Folder::new();
    let server = demo_with_history(&folder).await;
    let mut index = "<!doctype html><meta charset=utf-8><title>Pictures</title>\n".to_owned();
    for area in [AreaKind::Public, AreaKind::Dashboard, AreaKind::Admin] {
        let pages = pages(&server, area).await;
        let mut browser = Chromium::start(&server).await;
        enter(&mut browser, &server, area).await;
        let mut taken = vec![String::new(); pages.len()];
        for (language, colours, width) in SIGHTS {
            browser.width(width).await;
            browser.colours(colours).await;
            browser.goto(&format!("/preferences?language={language}&next=/docs")).await;
            for (at, page) in pages.iter().enumerate() {
                browser.goto(&page.path).await;
                let name = page.path.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
                let file =
                    format!("{}{name}.{language}.{colours}.{width}.png", area.prefix().len());
                fs::write(shots.join(&file), browser.picture().await).unwrap();
                let _ =
                    write!(taken[at], "<a href=\"{file}\"><img src=\"{file}\" width=\"240\"></a> ");
            }
        }
        for (page, pictures) in pages.iter().zip(taken) {
            let _ =
                writeln!(index, "<h2>{}</h2><p>{pictures}</p>", page.path.replace('&', "&amp;"));
        }
    }
    fs::write(shots.join("index.html"), index).unwrap();
    server.stop();
}
