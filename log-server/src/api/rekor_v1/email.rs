//! Whether a text is an e-mail address as mail programs write it (RFC 5322), alone: no name before
//! it, no comments.

/// Longest address that mail servers can transport (RFC 5321, 4.5.3.1), with room for quotes.
const BYTES_MAX: usize = 512;

/// Whether this is an address.
pub(super) fn is_email(text: &str) -> bool {
    if text.len() > BYTES_MAX {
        return false;
    }
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    (is_dotted(local) || is_quoted(local)) && (is_dotted(domain) || is_literal(domain))
}

/// Words with single dots between them.
fn is_dotted(text: &str) -> bool {
    text.split('.').all(|word| !word.is_empty() && word.chars().all(is_atom))
}

fn is_atom(letter: char) -> bool {
    letter.is_ascii_alphanumeric()
        || "!#$%&'*+-/=?^_`{|}~".contains(letter)
        || (!letter.is_ascii() && !letter.is_control())
}

/// Text in quotes, in which a backslash goes before a quote or a backslash.
fn is_quoted(text: &str) -> bool {
    let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    let Some(mut letters) = inner.map(str::chars) else { return false };
    while let Some(letter) = letters.next() {
        let fine = match letter {
            '"' => false,
            '\\' => letters.next().is_some_and(|escaped| !escaped.is_control()),
            other => !other.is_control(),
        };
        if !fine {
            return false;
        }
    }
    true
}

/// An IP address in brackets.
fn is_literal(text: &str) -> bool {
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    inner.is_some_and(|inner| {
        let address = inner.strip_prefix("IPv6:").unwrap_or(inner);
        address.parse::<std::net::IpAddr>().is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_other_texts() {
        for good in [
            "a@b",
            "some.one@example.com",
            "o'neil+tag=x@sub-domain.example",
            "\"a b@c\\\"\"@example.com",
            "j\u{f6}rg@exa\u{300}mple.org",
            "a@[127.0.0.1]",
            "a@[IPv6:::1]",
        ] {
            assert!(is_email(good), "{good}");
        }
        let long = format!("{}@b", "a".repeat(BYTES_MAX));
        for bad in [
            "",
            "@",
            "nobody",
            "a@",
            "@b",
            ".a@b",
            "a.@b",
            "a..c@b",
            "a@b.",
            "a@b@c",
            "a b@c",
            "a@b c",
            "a@b\n",
            "A <a@b>",
            "<a@b>",
            "\"a\"b\"@c",
            "\"a\\\"@c",
            "a@[nowhere]",
            "a,b@c",
            "(x)a@b",
            &long,
        ] {
            assert!(!is_email(bad), "{bad}");
        }
    }
}
