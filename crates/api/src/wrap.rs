//! Wraps long lines of expected texts in tests.

/// Characters of a line.
const LINE_CHARS: usize = 84;

/// The text with each long line cut behind a space or a comma; what follows is indented.
pub(crate) fn wrap(text: &str) -> String {
    let mut out = String::new();
    for line in text.split_inclusive('\n') {
        let mut width = 0;
        for part in line.split_inclusive([' ', ',']) {
            let length = part.trim_end().chars().count();
            if width > 0 && width + length > LINE_CHARS {
                out.truncate(out.trim_end_matches(' ').len());
                out.push_str("\n    ");
                width = 4;
            }
            out.push_str(part);
            width += part.chars().count();
        }
    }
    out
}
