//! The members of a `spec`, and the list of those that break a rule.
//!
//! A member of the wrong type counts as absent. Names in the list are doubled at each level, as the
//! reference server does; of each member at the top only the first fault is listed.

use std::borrow::Cow;
use std::fmt;

use super::json::{Json, JsonType};
use super::lax_base64;
use super::refusal::Reason;

/// A member that breaks a rule. Displays as a line of the reference server's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The member, with its path.
    pub member: Cow<'static, str>,
    /// The rule.
    pub rule: Rule,
}

/// A rule for a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// It must be there.
    Required,
    /// It must be one of these.
    OneOf(&'static [&'static str]),
    /// It must have an element.
    NotEmpty,
    /// It must match this pattern.
    Pattern(&'static str),
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in body ", self.member)?;
        match self.rule {
            Rule::Required => f.write_str("is required"),
            Rule::OneOf(values) => write!(f, "should be one of [{}]", values.join(" ")),
            Rule::NotEmpty => f.write_str("should have at least 1 items"),
            Rule::Pattern(pattern) => write!(f, "should match '{pattern}'"),
        }
    }
}

/// The members at the top that break a rule, one line each.
#[derive(Default)]
pub(super) struct Violations(Vec<Violation>);

impl Violations {
    pub(super) fn add(&mut self, violation: Option<Violation>) {
        self.0.extend(violation);
    }

    pub(super) fn finish(self) -> Result<(), Reason> {
        if self.0.is_empty() { Ok(()) } else { Err(Reason::Schema(self.0)) }
    }
}

/// A violation unless the member is there.
pub(super) fn required<T>(
    member: impl Into<Cow<'static, str>>,
    value: Option<&T>,
) -> Option<Violation> {
    value.is_none().then(|| Violation { member: member.into(), rule: Rule::Required })
}

/// A violation unless the value is one of these.
pub(super) fn one_of(
    member: impl Into<Cow<'static, str>>,
    value: &str,
    values: &'static [&'static str],
) -> Option<Violation> {
    let rule = Rule::OneOf(values);
    (!values.contains(&value)).then(|| Violation { member: member.into(), rule })
}

/// A hash function and a digest, as a request gives them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct HashMember {
    pub(super) algorithm: Option<String>,
    pub(super) value: Option<String>,
}

impl HashMember {
    pub(super) fn of(parent: Json<'_>, name: &str) -> Option<Self> {
        let hash = parent.object(name)?;
        Some(Self {
            algorithm: hash.string("algorithm").map(Cow::into_owned),
            value: hash.string("value").map(Cow::into_owned),
        })
    }

    pub(super) fn check(
        &self,
        name: &str,
        algorithms: &'static [&'static str],
    ) -> Option<Violation> {
        let fault = |member: &str, rule| {
            Some(Violation { member: format!("{name}.{member}").into(), rule })
        };
        match (&self.algorithm, &self.value) {
            (None, _) => fault("algorithm", Rule::Required),
            (Some(algorithm), _) if !algorithms.contains(&algorithm.as_str()) => {
                fault("algorithm", Rule::OneOf(algorithms))
            }
            (Some(_), None) => fault("value", Rule::Required),
            (Some(_), Some(_)) => None,
        }
    }

    /// Both members of a hash that was checked.
    pub(super) fn parts(&self) -> (&str, &str) {
        (self.algorithm.as_deref().unwrap_or_default(), self.value.as_deref().unwrap_or_default())
    }
}

/// The one hash function of all kinds but `hashedrekord`.
pub(super) const SHA256_ONLY: &[&str] = &["sha256"];

/// `spec` as an object.
pub(super) fn spec_object(spec: Json<'_>) -> Result<Json<'_>, Reason> {
    Err(Reason::SpecType(match spec.json_type() {
        JsonType::Object => return Ok(spec),
        JsonType::Array => "[]interface {}",
        JsonType::Number => "json.Number",
        JsonType::Bool => "bool",
        JsonType::String => "string",
        JsonType::Null => "<nil>",
    }))
}

/// The bytes of a member that holds base64; `None` if it is absent, empty or no string.
pub(super) fn bytes(
    parent: Json<'_>,
    name: &str,
    what: &'static str,
) -> Result<Option<Vec<u8>>, Reason> {
    let text = parent.string(name).filter(|text| !text.is_empty());
    text.map(|text| decode(&text, what)).transpose()
}

pub(super) fn decode(text: &str, member: &'static str) -> Result<Vec<u8>, Reason> {
    lax_base64::decode(text.as_bytes()).map_err(|fault| Reason::Base64 { member, fault })
}
