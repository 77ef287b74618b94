//! Words from outside, written in one line.

use std::fmt;

/// Writes words from outside in one line. Control characters, the separators of lines and paragraphs, and characters that
/// change the direction of text are escaped as in Rust.
pub(crate) struct OneLine<'a>(pub(crate) &'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in self.0.split_inclusive(is_unprintable) {
            let mut chars = part.chars();
            match chars.next_back() {
                Some(last) if is_unprintable(last) => {
                    f.write_str(chars.as_str())?;
                    write!(f, "{}", last.escape_default())?;
                }
                _ => f.write_str(part)?,
            }
        }
        Ok(())
    }
}

fn is_unprintable(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_from_outside_stay_in_their_line() {
        let forged = "a\nb\r\nc\td\u{1b}[31m\u{85}e\u{2028}f\u{2029}g\u{202e}h\u{2066}\u{7f}\0";
        let line = OneLine(forged).to_string();
        assert_eq!(
            line,
            r"a\nb\r\nc\td\u{1b}[31m\u{85}e\u{2028}f\u{2029}g\u{202e}h\u{2066}\u{7f}\u{0}"
        );
        for plain in ["", "refused", r"C:\new", "größer, ‘quoted’, 日本\u{200d}"] {
            assert_eq!(OneLine(plain).to_string(), plain);
        }
    }
}
