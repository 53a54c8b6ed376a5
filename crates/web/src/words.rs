//! The words of the pages, in every language that we speak.
//!
//! They are data: `words/LANGUAGE/*.toml`, flat tables `key = "text"`. Invariant, by a test: each
//! language has the same keys with the same placeholders, and each key that the code uses exists.

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::LazyLock;

/// A language of the pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    English,
    Bangla,
}

impl Language {
    pub(crate) const ALL: [Language; 2] = [Language::English, Language::Bangla];

    /// As in `lang="…"` (BCP 47).
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Language::English => "en",
            Language::Bangla => "bn",
        }
    }

    /// The language's name in itself.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Language::English => "English",
            Language::Bangla => "বাংলা",
        }
    }

    pub(crate) fn of(code: &str) -> Option<Language> {
        Language::ALL.into_iter().find(|language| language.code() == code)
    }

    /// The first language of an `Accept-Language` header that we speak; else English.
    pub(crate) fn accepted(header: &str) -> Language {
        let codes = header.split(',').map(|part| part.split([';', '-']).next().unwrap_or(""));
        codes.into_iter().find_map(|code| Language::of(code.trim())).unwrap_or(Language::English)
    }

    /// The catalog's files: one for each part of the pages.
    const fn files(self) -> [&'static str; 5] {
        match self {
            Language::English => [
                include_str!("../words/en/common.toml"),
                include_str!("../words/en/people.toml"),
                include_str!("../words/en/docs.toml"),
                include_str!("../words/en/dashboard.toml"),
                include_str!("../words/en/account.toml"),
            ],
            Language::Bangla => [
                include_str!("../words/bn/common.toml"),
                include_str!("../words/bn/people.toml"),
                include_str!("../words/bn/docs.toml"),
                include_str!("../words/bn/dashboard.toml"),
                include_str!("../words/bn/account.toml"),
            ],
        }
    }
}

type Catalog = HashMap<String, String>;

static CATALOGS: LazyLock<[Catalog; 2]> = LazyLock::new(|| Language::ALL.map(read));

/// A file that cannot be read gives no words; a test reads them all.
fn read(language: Language) -> Catalog {
    let files = language.files().into_iter();
    files.flat_map(|file| toml::from_str::<Catalog>(file).unwrap_or_default()).collect()
}

/// The words of one language.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Words {
    pub(crate) language: Language,
}

impl Words {
    /// The text of a key. A key that does not exist is shown itself: a test looks for those.
    pub(crate) fn t(self, key: &str) -> &str {
        let [english, bangla] = &*CATALOGS;
        let catalog = match self.language {
            Language::English => english,
            Language::Bangla => bangla,
        };
        catalog.get(key).or_else(|| english.get(key)).map_or(key, String::as_str)
    }

    /// The text of a key with its placeholders filled: `{name}`.
    pub(crate) fn with(self, key: &str, values: &[(&str, &dyn Display)]) -> String {
        let filled = |text: String, (name, value): &(&str, &dyn Display)| {
            text.replace(&format!("{{{name}}}"), &value.to_string())
        };
        values.iter().fold(self.t(key).to_owned(), filled)
    }

    /// The text for a count, with `{n}`: `KEY.one` or `KEY.other` (CLDR; in Bangla 0 is *one*).
    pub(crate) fn count(self, key: &str, n: u64) -> String {
        let is_one = match self.language {
            Language::English => n == 1,
            Language::Bangla => n <= 1,
        };
        let form = if is_one { "one" } else { "other" };
        let shown = crate::parts::number(self, n);
        self.with(&format!("{key}.{form}"), &[("n", &shown)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    fn catalog(language: Language) -> Catalog {
        let mut all = Catalog::new();
        for file in language.files() {
            for (key, text) in toml::from_str::<Catalog>(file).unwrap() {
                assert!(all.insert(key.clone(), text).is_none(), "{key} is there twice");
            }
        }
        all
    }

    fn placeholders(text: &str) -> BTreeSet<String> {
        let parts = text.split('{').skip(1);
        parts.filter_map(|part| Some(part.split_once('}')?.0.to_owned())).collect()
    }

    #[test]
    fn every_language_has_the_same_words() {
        let english = catalog(Language::English);
        for language in Language::ALL {
            let other = catalog(language);
            for (key, text) in &english {
                let translated = other.get(key).unwrap_or_else(|| panic!("{language:?}: {key}"));
                assert_eq!(placeholders(text), placeholders(translated), "{language:?}: {key}");
                assert!(!translated.trim().is_empty(), "{language:?}: {key}");
            }
            let surplus: Vec<_> = other.keys().filter(|key| !english.contains_key(*key)).collect();
            assert!(surplus.is_empty(), "{language:?}: {surplus:?}");
        }
    }

    fn texts(folder: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => texts(&path, found),
                false => found.push(std::fs::read_to_string(&path).unwrap()),
            }
        }
    }

    #[test]
    fn every_key_in_use_exists() {
        let english = catalog(Language::English);
        let mut files = Vec::new();
        texts(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
        let mut seen = 0;
        for text in files {
            for (call, forms) in
                [(".t(\"", &[""][..]), (".with(\"", &[""]), (".count(\"", &[".one", ".other"])]
            {
                for rest in text.split(call).skip(1) {
                    let key = rest.split('"').next().unwrap();
                    // The test's own text.
                    if key.is_empty() || key.contains([',', '/']) {
                        continue;
                    }
                    for form in forms {
                        let key = format!("{key}{form}");
                        assert!(english.contains_key(&key), "no word for {key}");
                        seen += 1;
                    }
                }
            }
        }
        assert!(seen > 20, "{seen}");
    }

    #[test]
    fn the_language_is_the_readers() {
        for (header, expected) in [
            ("", Language::English),
            ("bn-BD,bn;q=0.9,en;q=0.8", Language::Bangla),
            ("de, en;q=0.5, bn;q=0.4", Language::English),
            ("fr", Language::English),
        ] {
            assert_eq!(Language::accepted(header), expected, "{header}");
        }
    }
}
