//! JSON as a tree, and the two canonical forms in which TUF needs it: the older one that is signed,
//! and RFC 8785, which is logged.

use std::collections::BTreeMap;

use super::super::json::{Json, JsonType};

/// Most arrays and objects within each other. Metadata has about ten; what is deeper would cost
/// stack here and with everybody who reads the log.
const DEPTH_MAX: usize = 64;

/// A JSON value. Of duplicate members the last is left.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Tree {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    Array(Vec<Self>),
    Object(BTreeMap<String, Self>),
}

impl Tree {
    /// `None` if it is too deep, or a number is too large.
    pub(super) fn of(json: Json<'_>) -> Option<Self> {
        Self::at_depth(json, 0)
    }

    fn at_depth(json: Json<'_>, depth: usize) -> Option<Self> {
        if depth > DEPTH_MAX {
            return None;
        }
        Some(match json.json_type() {
            JsonType::Null => Self::Null,
            JsonType::Bool => Self::Bool(json.is_true()),
            JsonType::Number => {
                let number: f64 = json.as_number()?.parse().ok()?;
                Self::Number(Some(number).filter(|number| number.is_finite())?)
            }
            JsonType::String => Self::Text(json.as_str()?.into_owned()),
            JsonType::Array => {
                let elements = json.elements().map(|element| Self::at_depth(element, depth + 1));
                Self::Array(elements.collect::<Option<_>>()?)
            }
            JsonType::Object => {
                let members = json.members().map(|(name, value)| {
                    Some((name.into_owned(), Self::at_depth(value, depth + 1)?))
                });
                Self::Object(members.collect::<Option<_>>()?)
            }
        })
    }

    /// The form that is signed (OLPC canonical JSON): whole numbers only, nothing escaped but
    /// quotes and backslashes. None either with a zero that has a sign: the form that is logged
    /// drops it, and then the signature would be over something else.
    pub(super) fn signed_form(&self) -> Option<Vec<u8>> {
        let mut out = String::new();
        self.push_signed(&mut out)?;
        Some(out.into_bytes())
    }

    /// The form that is logged (RFC 8785).
    pub(super) fn logged_form(&self) -> String {
        let mut out = String::new();
        self.push_logged(&mut out);
        out
    }

    fn push_signed(&self, out: &mut String) -> Option<()> {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Number(number) => {
                let digits = number.to_string();
                let whole: i64 = digits.parse().ok()?;
                if whole == 0 && number.is_sign_negative() {
                    return None;
                }
                out.push_str(&digits);
            }
            Self::Text(text) => push_quoted(out, text),
            Self::Array(elements) => {
                out.push('[');
                for (position, element) in elements.iter().enumerate() {
                    out.push_str(if position == 0 { "" } else { "," });
                    element.push_signed(out)?;
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (position, (name, value)) in members.iter().enumerate() {
                    out.push_str(if position == 0 { "" } else { "," });
                    push_quoted(out, name);
                    out.push(':');
                    value.push_signed(out)?;
                }
                out.push('}');
            }
        }
        Some(())
    }

    fn push_logged(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Number(number) => out.push_str(&number_text(*number)),
            Self::Text(text) => push_escaped(out, text),
            Self::Array(elements) => {
                out.push('[');
                for (position, element) in elements.iter().enumerate() {
                    out.push_str(if position == 0 { "" } else { "," });
                    element.push_logged(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                let mut members: Vec<_> = members.iter().collect();
                members.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
                out.push('{');
                for (position, (name, value)) in members.into_iter().enumerate() {
                    out.push_str(if position == 0 { "" } else { "," });
                    push_escaped(out, name);
                    out.push(':');
                    value.push_logged(out);
                }
                out.push('}');
            }
        }
    }
}

fn push_quoted(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        if matches!(character, '"' | '\\') {
            out.push('\\');
        }
        out.push(character);
    }
    out.push('"');
}

/// A string as in RFC 8785.
pub(super) fn push_escaped(out: &mut String, text: &str) {
    super::super::body::push_string(out, text);
}

/// A number as in RFC 8785, which is that of ECMAScript.
fn number_text(number: f64) -> String {
    if number == 0.0 {
        return "0".into();
    }
    let shortest = format!("{number:e}");
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-6..21).contains(&exponent) {
        return number.to_string();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{}", exponent.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> Tree {
        Tree::of(Json::only(text.as_bytes()).expect("JSON")).expect("a tree")
    }

    #[test]
    fn numbers_are_written_as_in_ecmascript() {
        for (text, expected) in [
            ("0", "0"),
            ("-0", "0"),
            ("-0.0", "0"),
            ("1", "1"),
            ("-1.0", "-1"),
            ("1e3", "1000"),
            ("0.000001", "0.000001"),
            ("0.0000001", "1e-7"),
            ("1.5e-9", "1.5e-9"),
            ("1e20", "100000000000000000000"),
            ("1e21", "1e+21"),
            ("1.25e22", "1.25e+22"),
            ("9007199254740993", "9007199254740992"),
            ("333333333.33333329", "333333333.3333333"),
            ("4.9e-324", "5e-324"),
            ("1.7976931348623157e308", "1.7976931348623157e+308"),
        ] {
            assert_eq!(tree(text).logged_form(), expected, "{text}");
        }
    }

    #[test]
    fn members_are_sorted_by_utf_16_and_strings_escaped() {
        // From RFC 8785, 3.2.3.
        let text = r#"{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew",
            "1":"One","\ud83d\ude00":"Smiley","\u0080":"Control","\u00f6":"O"}"#;
        let written = tree(text).logged_form();
        let values: Vec<_> = written.split(",\"").map(|part| part.split(':').nth(1)).collect();
        let order = ["Carriage Return", "One", "Control", "O", "Euro Sign", "Smiley", "Hebrew"];
        for (value, expected) in values.iter().zip(order) {
            let value = value.expect("a value").trim_end_matches('}');
            assert_eq!(value, format!("\"{expected}\""));
        }
        assert_eq!(
            tree(r#"{"b":[true,null],"a":{"x":"\u001f<\""},"b":[]}"#).logged_form(),
            "{\"a\":{\"x\":\"\\u001f<\\\"\"},\"b\":[]}"
        );
    }

    #[test]
    fn the_signed_form_escapes_little_and_knows_no_fractions() {
        let text = "{\"b\":1.0,\"a\":\"\\n\\u0001\\\\\\\"\\u00e9\"}";
        let signed = tree(text).signed_form().expect("a signed form");
        assert_eq!(String::from_utf8_lossy(&signed), "{\"a\":\"\n\u{1}\\\\\\\"\u{e9}\",\"b\":1}");
        for text in ["1.5", "1e19", "1e300", "[0.1]", "-0", "{\"a\":-0.0}", "-0e7"] {
            assert_eq!(tree(text).signed_form(), None, "{text}");
        }
        assert_eq!(tree("1e18").signed_form(), Some(b"1000000000000000000".to_vec()));
        assert_eq!(tree("-5").signed_form(), Some(b"-5".to_vec()));
        assert_eq!(tree("0").signed_form(), Some(b"0".to_vec()));
    }

    #[test]
    fn depth_and_size_of_numbers_are_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let of = |text: &str| Tree::of(Json::only(text.as_bytes()).expect("JSON"));
        assert!(of(&nested(DEPTH_MAX + 1)).is_some());
        assert!(of(&nested(DEPTH_MAX + 2)).is_none());
        assert!(of(&nested(9_000)).is_none());
        assert!(of("1e309").is_none());
    }
}
