//! Writes canonical bodies: sorted JSON without white space (RFC 8785). The members stand in the
//! code in the order of their names.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use log_core::leaf::{Leaf, LeafTooLong};

/// Most bodies with a bare key are no longer than this.
const USUAL_BYTES: usize = 768;

/// A body that is being written.
pub(super) struct Body(String);

impl Body {
    /// Opens an entry: `spec` comes next.
    pub(super) fn open(kind: &str, version: &str) -> Self {
        let mut body = String::with_capacity(USUAL_BYTES);
        body.push_str(r#"{"apiVersion":""#);
        body.push_str(version);
        body.push_str(r#"","kind":""#);
        body.push_str(kind);
        body.push_str(r#"","spec":"#);
        Self(body)
    }

    /// JSON that is fixed: brackets and names.
    pub(super) fn raw(mut self, json: &str) -> Self {
        self.0.push_str(json);
        self
    }

    /// A string of bytes in base64.
    pub(super) fn base64(mut self, bytes: &[u8]) -> Self {
        self.0.push('"');
        STANDARD.encode_string(bytes, &mut self.0);
        self.0.push('"');
        self
    }

    /// A string.
    pub(super) fn string(mut self, text: &str) -> Self {
        push_string(&mut self.0, text);
        self
    }

    /// An object of strings, in the order of RFC 8785: by the UTF-16 units of their names.
    pub(super) fn map(mut self, members: &BTreeMap<String, String>) -> Self {
        let mut members: Vec<_> = members.iter().collect();
        members.sort_by_cached_key(|(name, _)| name.encode_utf16().collect::<Vec<_>>());
        self.0.push('{');
        for (position, (name, value)) in members.into_iter().enumerate() {
            let comma = if position == 0 { "" } else { "," };
            self = self.raw(comma).string(name).raw(":").string(value);
        }
        self.raw("}")
    }

    /// An object with a hash function and a digest.
    pub(super) fn hash(self, algorithm: &str, value: &str) -> Self {
        let start = self.raw(r#"{"algorithm":"#).string(algorithm);
        start.raw(r#","value":"#).string(value).raw("}")
    }

    /// Closes the entry.
    ///
    /// # Errors
    /// [`LeafTooLong`] if a bundle could not hold it.
    pub(super) fn close(mut self) -> Result<Leaf, LeafTooLong> {
        self.0.push('}');
        Leaf::new(self.0.into_bytes())
    }
}

/// A string in quotes, escaped as RFC 8785 says.
pub(super) fn push_string(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.find(needs_escape) {
        let (plain, escaped) = rest.split_at(at);
        out.push_str(plain);
        push_escape(out, escaped.as_bytes()[0]);
        rest = &escaped[1..];
    }
    out.push_str(rest);
    out.push('"');
}

fn push_escape(out: &mut String, byte: u8) {
    match byte {
        b'"' => out.push_str("\\\""),
        b'\\' => out.push_str("\\\\"),
        8 => out.push_str("\\b"),
        12 => out.push_str("\\f"),
        b'\n' => out.push_str("\\n"),
        b'\r' => out.push_str("\\r"),
        b'\t' => out.push_str("\\t"),
        control => {
            _ = write!(out, "\\u{control:04x}");
        }
    }
}

fn needs_escape(character: char) -> bool {
    matches!(character, '"' | '\\' | '\0'..'\u{20}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_as_rfc_8785_says() {
        let text = "\u{20ac}$\u{f}\nA'\u{42}\"\\\u{7f}/<\u{2028}\u{8}\u{c}\r\t\u{1f}\0";
        let body = Body::open("k", "v").string(text).close().unwrap();
        let expected = "{\"apiVersion\":\"v\",\"kind\":\"k\",\"spec\":\"\u{20ac}$\\u000f\\nA'B\
                        \\\"\\\\\u{7f}/<\u{2028}\\b\\f\\r\\t\\u001f\\u0000\"}";
        assert_eq!(body.as_bytes(), expected.as_bytes());
        let parsed: serde_json::Value = serde_json::from_slice(body.as_bytes()).unwrap();
        assert_eq!(parsed["spec"], text);
    }

    #[test]
    fn a_body_that_no_bundle_holds_is_refused() {
        assert!(Body::open("k", "v").base64(&[0; 40_000]).close().is_ok());
        assert!(Body::open("k", "v").base64(&[0; 50_000]).close().is_err());
    }
}
