//! A parameter, or a member of a body, that breaks a rule of the protocol's schema.

use std::borrow::Cow;
use std::fmt;

use crate::admit::v1::GoQuoted;

/// The pattern of the ids of entries: a leaf hash, or a tree id and a leaf hash.
pub(super) const ENTRY_PATTERN: &str = "^([0-9a-fA-F]{64}|[0-9a-fA-F]{80})$";

/// Most characters of a value that an answer repeats.
const ECHO_CHARS_MAX: usize = 64;

/// What breaks which rule. Displays in the words of the reference server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::api) struct Invalid {
    pub(super) name: Cow<'static, str>,
    pub(super) place: Place,
    pub(super) rule: Rule,
}

/// Where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api) enum Place {
    Query,
    Path,
    Body,
}

/// The rule that it breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::api) enum Rule {
    /// It must be of this type; the value that it has.
    Type(&'static str, String),
    Required,
    CharsMax(usize),
    Pattern(&'static str),
    OneOf(&'static str),
    Max(i64),
    Min(i64),
    ItemsMax(usize),
    ItemsMin(usize),
}

impl Invalid {
    pub(super) fn query(name: &'static str, rule: Rule) -> Self {
        Self { name: name.into(), place: Place::Query, rule }
    }

    pub(super) fn body(name: impl Into<Cow<'static, str>>, rule: Rule) -> Self {
        Self { name: name.into(), place: Place::Body, rule }
    }
}

impl Rule {
    /// A value that is not of this type. No more of it is repeated than fits a line.
    pub(super) fn wrong_type(wanted: &'static str, value: &str) -> Self {
        Self::Type(wanted, value.chars().take(ECHO_CHARS_MAX).collect())
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match self.place {
            Place::Query => "query",
            Place::Path => "path",
            Place::Body => "body",
        };
        write!(f, "{} in {place} ", self.name)?;
        match &self.rule {
            Rule::Type(wanted, value) => {
                write!(f, "must be of type {wanted}: {}", GoQuoted(value))
            }
            Rule::Required => f.write_str("is required"),
            Rule::CharsMax(most) => write!(f, "should be at most {most} chars long"),
            Rule::Pattern(pattern) => write!(f, "should match '{pattern}'"),
            Rule::OneOf(values) => write!(f, "should be one of [{values}]"),
            Rule::Max(most) => write!(f, "should be less than or equal to {most}"),
            Rule::Min(least) => write!(f, "should be greater than or equal to {least}"),
            Rule::ItemsMax(most) => write!(f, "should have at most {most} items"),
            Rule::ItemsMin(least) => write!(f, "should have at least {least} items"),
        }
    }
}

impl std::error::Error for Invalid {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_the_words_of_the_reference_server() {
        let query = |rule| Invalid::query("q", rule).to_string();
        assert_eq!(
            query(Rule::wrong_type("int64", "a\"b")),
            r#"q in query must be of type int64: "a\"b""#
        );
        assert_eq!(query(Rule::Required), "q in query is required");
        assert_eq!(query(Rule::CharsMax(512)), "q in query should be at most 512 chars long");
        assert_eq!(query(Rule::Pattern("^x$")), "q in query should match '^x$'");
        assert_eq!(query(Rule::OneOf("and or")), "q in query should be one of [and or]");
        assert_eq!(query(Rule::Max(1000)), "q in query should be less than or equal to 1000");
        assert_eq!(query(Rule::Min(0)), "q in query should be greater than or equal to 0");
        let body = |rule| Invalid::body("b.0", rule).to_string();
        assert_eq!(body(Rule::ItemsMax(10)), "b.0 in body should have at most 10 items");
        assert_eq!(body(Rule::ItemsMin(1)), "b.0 in body should have at least 1 items");
        let path = Invalid { name: "p".into(), place: Place::Path, rule: Rule::Required };
        assert_eq!(path.to_string(), "p in path is required");
    }

    #[test]
    fn a_long_value_is_not_repeated() {
        let Rule::Type(_, kept) = Rule::wrong_type("int64", &"9".repeat(30_000)) else {
            panic!("a type")
        };
        assert_eq!(kept.len(), ECHO_CHARS_MAX);
    }
}
