//! Mobile numbers: every usual spelling is read into one national form.
//!
//! A country's numbering is data of the catalog; any country with a trunk prefix and one length of
//! mobile numbers works. Numbers are portable between operators, so a number does not determine an
//! operator (CONTRACT A-06).

/// How a country writes mobile numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbering {
    /// The digits after the plus: `880`.
    pub calling_code: String,
    /// The prefix of the national form: `0`.
    pub trunk: String,
    /// The number of digits after the trunk prefix.
    pub length: usize,
    /// The first of those digits, several with commas between: `7`, or `13,14,15`.
    pub begins: String,
}

/// The text is not a mobile number of the country.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotANumber;

impl Numbering {
    /// A number of the right form, in national form: `01300000000`. Nobody is meant by it.
    pub fn example(&self) -> String {
        let begins = self.begins.split(',').next().unwrap_or_default().trim();
        let rest = self.length.saturating_sub(begins.len());
        format!("{}{begins}{}", self.trunk, "0".repeat(rest))
    }

    /// Reads `+8801712345678`, `008801712345678`, `8801712345678`, `01712345678` or `1712345678`,
    /// with ASCII spaces, hyphens and brackets anywhere, in Latin or Bangla digits, into
    /// `01712345678` (CONTRACT A-40, B-22a). Anything else is refused.
    pub fn national(&self, text: &str) -> Result<String, NotANumber> {
        if text.chars().count() > 32 {
            return Err(NotANumber);
        }
        let text = text.trim_start_matches(' ');
        let digits = text.strip_prefix('+').unwrap_or(text);
        let digits: String = digits
            .chars()
            .filter(|c| !matches!(c, ' ' | '-' | '(' | ')'))
            .map(latin_digit)
            .collect();
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(NotANumber);
        }
        let abroad = digits.strip_prefix("00").filter(|_| !text.starts_with('+'));
        let is_international = text.starts_with('+') || abroad.is_some();
        let digits = abroad.unwrap_or(&digits);
        let begins = |n: &str| self.begins.split(',').any(|begin| n.starts_with(begin.trim()));
        let is_national = |n: &&str| n.len() == self.length && begins(n);
        let without_code = digits.strip_prefix(&self.calling_code).filter(is_national);
        let national = match is_international {
            true => without_code,
            false => without_code
                .or_else(|| digits.strip_prefix(&self.trunk).filter(is_national))
                .or_else(|| Some(digits).filter(is_national)),
        };
        national.map(|n| format!("{}{n}", self.trunk)).ok_or(NotANumber)
    }

    /// Any usual spelling as `+8801712345678` (E.164); none if it is no mobile number here.
    pub fn international(&self, text: &str) -> Option<String> {
        let national = self.national(text).ok()?;
        let digits = national.strip_prefix(&self.trunk)?;
        Some(format!("+{}{digits}", self.calling_code))
    }
}

/// A Bangla digit as a Latin one; any other character as it is.
fn latin_digit(c: char) -> char {
    let digit = u32::from(c).checked_sub(u32::from('০')).filter(|digit| *digit < 10);
    digit.and_then(|digit| char::from_digit(digit, 10)).unwrap_or(c)
}

/// For logs and pages: `017****5678`. A number of up to eight characters is hidden entirely.
pub fn masked(number: &str) -> String {
    let digits: Vec<char> = number.chars().collect();
    match digits.len() {
        0..=8 => "****".to_owned(),
        n => digits[..3].iter().chain(&['*'; 4]).chain(&digits[n - 4..]).collect(),
    }
}

/// Masks every run of nine or more digits in a text, as [`masked`] does: for upstreams' texts that
/// are shown to people.
pub fn masked_in(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut run = String::new();
    for c in text.chars().chain(std::iter::once('\0')) {
        if c.is_ascii_digit() {
            run.push(c);
            continue;
        }
        out.push_str(&if run.len() >= 9 { masked(&run) } else { std::mem::take(&mut run) });
        run.clear();
        out.push(c);
    }
    out.pop();
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bangladesh() -> Numbering {
        let [calling_code, trunk, begins] = ["880", "0", "13,14,15,16,17,18,19"].map(str::to_owned);
        Numbering { calling_code, trunk, length: 10, begins }
    }

    #[test]
    fn every_usual_spelling_is_one_number() {
        for text in [
            "01712345678",
            "1712345678",
            "8801712345678",
            "+8801712345678",
            "+880 1712-345678",
            "(017) 1234 5678",
            " +8801712345678",
            "008801712345678",
            "00880 1712-345678",
            "০১৭১২৩৪৫৬৭৮",
            "+৮৮০১৭১২৩৪৫৬৭৮",
        ] {
            assert_eq!(bangladesh().national(text), Ok("01712345678".into()), "{text}");
            let international = bangladesh().international(text);
            assert_eq!(international.as_deref(), Some("+8801712345678"), "{text}");
        }
    }

    #[test]
    fn an_example_is_a_number() {
        let example = bangladesh().example();
        assert_eq!(
            (example.as_str(), bangladesh().national(&example)),
            ("01300000000", Ok(example.clone()))
        );
    }

    #[test]
    fn look_alikes_are_refused() {
        for text in [
            "",
            " ",
            "0171234567",
            "017123456789",
            "02712345678",
            "+01712345678",
            "++8801712345678",
            "880 01712345678",
            "০১০১২৩৪৫৬৭৮",
            "01012345678",
            "01112345678",
            "01212345678",
            "+008801712345678",
            "00008801712345678",
            "０１７１２３４５６７８",
            "01712345678\n",
            "01712345678\0",
            "\u{a0}01712345678",
            "0171234567a",
            "+8801712345678 ext 1",
        ] {
            assert_eq!(bangladesh().national(text), Err(NotANumber), "{text:?}");
        }
    }

    #[test]
    fn a_masked_number_hides_its_middle() {
        assert_eq!(masked("01712345678"), "017****5678");
        assert_eq!(masked("1234"), "****");
        assert_eq!(
            masked_in("10 Tk to 1712345112, no. 1712345113"),
            "10 Tk to 171****5112, no. 171****5113"
        );
        assert_eq!(masked_in(""), "");
    }
}
