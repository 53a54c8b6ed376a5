//! The pages in a real browser: every page, whole ways through them, many tabs, pictures.
//!
//! `driver` starts Debian's Chromium. Over HTTP alone the pages are tested in `web`.

mod crawl;
mod driver;
mod flows;
mod input_device;
mod keyboard;
mod pages;
mod shots;
mod tabs;
