//! What a command prints: text for people, or one JSON object for programs.

use std::fmt;

use serde_json::Value;

/// The answer of a command that said yes.
#[derive(Clone, Debug)]
pub struct Answer {
    /// For a person; no newline at its end.
    pub text: String,
    /// For a program.
    pub json: Value,
}

impl Answer {
    /// An answer with both forms.
    pub fn new(text: impl Into<String>, json: Value) -> Self {
        Self { text: text.into(), json }
    }
}

/// Text from elsewhere, safe for a terminal: control characters are shown escaped.
pub struct Printable<'a>(pub &'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            if c.is_control() {
                write!(f, "{}", c.escape_default())?;
            } else {
                write!(f, "{c}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(Printable("a\u{1b}[2J\n\u{e9}").to_string(), "a\\u{1b}[2J\\n\u{e9}");
    }
}
