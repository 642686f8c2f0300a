//! The query of a request: its parameters by name, as the reference server reads them.

use super::invalid::{Invalid, Rule};

/// The text after the question mark.
#[derive(Debug, Clone, Copy)]
pub(super) struct Query<'a>(&'a str);

impl<'a> Query<'a> {
    pub(super) fn of(query: Option<&'a str>) -> Self {
        Self(query.unwrap_or_default())
    }

    /// The last value of a parameter; an empty one is as good as none.
    pub(super) fn get(self, name: &str) -> Option<String> {
        let pairs = self.0.split('&').filter(|pair| !pair.contains(';'));
        let mut values = pairs.filter_map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key, true)? == name).then(|| decode(value, true))?
        });
        values.next_back().filter(|value| !value.is_empty())
    }

    /// A whole number, at least `least`.
    ///
    /// # Errors
    /// It is none, or too small.
    pub(super) fn int64(self, name: &'static str, least: i64) -> Result<Option<i64>, Invalid> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let number: i64 =
            text.parse().map_err(|_| Invalid::query(name, Rule::wrong_type("int64", &text)))?;
        if number < least {
            return Err(Invalid::query(name, Rule::Min(least)));
        }
        Ok(Some(number))
    }

    /// The same for a parameter that must be there.
    ///
    /// # Errors
    /// It is not there, is no number, or too small.
    pub(super) fn required_int64(self, name: &'static str, least: i64) -> Result<i64, Invalid> {
        self.int64(name, least)?.ok_or_else(|| Invalid::query(name, Rule::Required))
    }

    /// `treeID`: any number of digits.
    ///
    /// # Errors
    /// Anything else.
    pub(super) fn tree_id(self) -> Result<Option<String>, Invalid> {
        const NAME: &str = "treeID";
        let Some(text) = self.get(NAME) else { return Ok(None) };
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(Some(text));
        }
        Err(Invalid::query(NAME, Rule::Pattern("^[0-9]+$")))
    }

    /// The query again, with its question mark, but without the key that some gateways want.
    pub(super) fn without_api_key(self) -> String {
        let is_api_key = |pair: &&str| {
            let name = pair.split('=').next().unwrap_or_default();
            decode(name, true).as_deref() == Some("apiKey")
        };
        let kept: Vec<&str> =
            self.0.split('&').filter(|pair| !pair.is_empty() && !is_api_key(pair)).collect();
        if kept.is_empty() { String::new() } else { format!("?{}", kept.join("&")) }
    }
}

/// A text without its percent escapes; `None` if one is broken. In a query a plus is a space.
pub(super) fn decode(text: &str, plus_is_space: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => hex(rest.next()?)? << 4 | hex(rest.next()?)?,
            b'+' if plus_is_space => b' ',
            other => other,
        });
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn hex(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Query<'_> {
        Query::of(Some(text))
    }

    #[test]
    fn the_last_of_several_values_counts() {
        assert_eq!(query("a=1&a=2&b=3").get("a").as_deref(), Some("2"));
        assert_eq!(query("%61=x%3d+y%2B").get("a").as_deref(), Some("x= y+"));
        assert_eq!(query("a=%ff").get("a").as_deref(), Some("\u{fffd}"));
        for none in ["", "a", "a=", "A=1", "a=1;b=2", "a=%", "a=%4", "a=%4g", "b=1", "a=1&a="] {
            assert_eq!(query(none).get("a"), None, "{none}");
        }
        assert_eq!(Query::of(None).get("a"), None);
    }

    #[test]
    fn numbers_are_read_like_there() {
        for (text, number) in
            [("7", 7), ("%2B7", 7), ("0007", 7), ("9223372036854775807", i64::MAX)]
        {
            assert_eq!(query(&format!("n={text}")).int64("n", 0), Ok(Some(number)), "{text}");
        }
        assert_eq!(query("n=-0").int64("n", 0), Ok(Some(0)));
        assert_eq!(query("n=").int64("n", 0), Ok(None));
        for bad in ["abc", "1.0", "1e3", "0x1", "1_0", "+7", "9223372036854775808", "%D9%A1"] {
            let refused = query(&format!("n={bad}")).int64("n", 0).unwrap_err();
            assert!(matches!(refused.rule, Rule::Type("int64", _)), "{bad}");
        }
        assert_eq!(query("n=-1").int64("n", 0).unwrap_err().rule, Rule::Min(0));
        assert_eq!(query("n=0").int64("n", 1).unwrap_err().rule, Rule::Min(1));
        assert_eq!(query("m=0").required_int64("n", 1).unwrap_err().rule, Rule::Required);
    }

    #[test]
    fn a_tree_id_has_digits_only() {
        assert_eq!(query("treeID=00").tree_id(), Ok(Some("00".into())));
        assert_eq!(query("treeID=").tree_id(), Ok(None));
        for bad in ["-1", "1a", "%20", "1%0a", "' OR 1=1 --", "\u{664}"] {
            assert!(query(&format!("treeID={bad}")).tree_id().is_err(), "{bad}");
        }
    }

    #[test]
    fn only_the_api_key_is_left_out() {
        for (sent, kept) in [
            ("", ""),
            ("apiKey=secret", ""),
            ("a=1&apiKey=secret&b=%20", "?a=1&b=%20"),
            ("api%4Bey=secret&x", "?x"),
            ("apikey=1", "?apikey=1"),
        ] {
            assert_eq!(query(sent).without_api_key(), kept);
        }
    }
}
