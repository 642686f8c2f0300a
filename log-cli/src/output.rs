//! What a command prints: text for people, or one JSON object for programs.

use std::fmt;

use serde_json::{Value, json};

use crate::failure::Failure;

/// What a command found out.
#[derive(Debug)]
pub struct Answer {
    /// For a person; no newline at its end.
    pub text: String,
    /// For a program: one object.
    pub json: Value,
    /// Why the answer is not a yes, although there is something to show.
    pub failure: Option<Failure>,
}

impl Answer {
    /// A yes with both forms.
    pub fn new(text: impl Into<String>, json: Value) -> Self {
        Self { text: text.into(), json, failure: None }
    }

    /// The same, but not a yes: what was found is printed, and then this reason.
    pub fn but(mut self, failure: Failure) -> Self {
        self.json["error"] = json!(failure.to_string());
        self.json["exitCode"] = json!(failure.exit_code());
        self.failure = Some(failure);
        self
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
    fn a_report_that_is_not_a_yes_says_so_to_programs() {
        let answer = Answer::new("found", json!({ "found": 1 })).but(Failure::no("forked"));
        assert_eq!(answer.json, json!({ "found": 1, "error": "forked", "exitCode": 1 }));
    }

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(Printable("a\u{1b}[2J\n\u{e9}").to_string(), "a\\u{1b}[2J\\n\u{e9}");
    }
}
