//! What a search asks for, as the search keys that entries are stored under.

use jiff::Timestamp;
use log_core::hash::sha256;

use super::index::fold;
use super::minisign::MinisignKey;
use super::pgp::{PublicKeys, key_packets};
use super::ssh::SshKey;
use super::tuf::canonical_root;
use super::x509::KeyObject;

/// The formats of public keys that a search may be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyFormat {
    /// A key file of minisign or signify.
    Minisign,
    /// An OpenPGP key, armoured or not.
    Pgp,
    /// A line as in `authorized_keys`.
    Ssh,
    /// The root metadata of The Update Framework.
    Tuf,
    /// PEM: a public key, a certificate or a chain.
    X509,
}

impl KeyFormat {
    /// The format with this name on the wire; `None` for names that nothing here can read.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "minisign" => Some(Self::Minisign),
            "pgp" => Some(Self::Pgp),
            "ssh" => Some(Self::Ssh),
            "tuf" => Some(Self::Tuf),
            "x509" => Some(Self::X509),
            _ => None,
        }
    }
}

/// The search key of a digest: hex with or without the name of its hash function, which is one of
/// SHA-512, SHA-256 and SHA-1. `None` for anything else.
pub fn hash_key(hash: &str) -> Option<String> {
    let (algorithm, digits) = match hash.split_once(':') {
        Some((algorithm, digits)) => (algorithm, digits),
        None => {
            let algorithm = match hash.len() {
                128 => "sha512",
                64 => "sha256",
                _ => "sha1",
            };
            (algorithm, hash)
        }
    };
    let len = match algorithm {
        "sha512" => 128,
        "sha256" => 64,
        "sha1" => 40,
        _ => return None,
    };
    let is_hex = digits.len() == len && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| format!("{algorithm}:{}", digits.to_ascii_lowercase()))
}

/// The search key of an e-mail address or another subject.
pub fn subject_key(subject: &str) -> String {
    fold(subject)
}

/// The search key of a public key; `None` if it cannot be read, or is a root that has expired.
pub fn public_key_key(format: KeyFormat, content: &[u8], now: Timestamp) -> Option<String> {
    let canonical = match format {
        KeyFormat::Minisign => MinisignKey::parse(content).ok()?.canonical(),
        KeyFormat::Pgp => PublicKeys::parse(&key_packets(content).ok()?).ok()?.canonical(),
        KeyFormat::Ssh => SshKey::parse(content).ok()?.canonical(),
        KeyFormat::Tuf => canonical_root(content, now)?,
        KeyFormat::X509 => {
            let object = KeyObject::parse(content).ok()?;
            object.is_usable().then_some(object.pem)?
        }
    };
    Some(sha256(&canonical).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_gets_the_name_of_its_hash_function() {
        let cases = [(40, "sha1"), (64, "sha256"), (128, "sha512")];
        for (len, name) in cases {
            let digits = "aB".repeat(len / 2);
            let expected = Some(format!("{name}:{}", digits.to_lowercase()));
            assert_eq!(hash_key(&digits), expected);
            assert_eq!(hash_key(&format!("{name}:{digits}")), expected);
            for other in cases.iter().filter(|(other, _)| *other != len) {
                assert_eq!(hash_key(&format!("{}:{digits}", other.1)), None);
            }
        }
        let sha384 = "ab".repeat(48);
        for bad in ["", ":", "sha256:", &sha384, &format!("sha384:{sha384}"), &"g".repeat(64)] {
            assert_eq!(hash_key(bad), None, "{bad}");
        }
        assert_eq!(hash_key(&format!("SHA256:{}", "ab".repeat(32))), None);
    }

    #[test]
    fn what_is_no_key_has_no_search_key() {
        let formats =
            [KeyFormat::Minisign, KeyFormat::Pgp, KeyFormat::Ssh, KeyFormat::Tuf, KeyFormat::X509];
        for format in formats {
            for content in [&b""[..], b"x", b"-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----"]
            {
                assert_eq!(
                    public_key_key(format, content, Timestamp::UNIX_EPOCH),
                    None,
                    "{format:?}"
                );
            }
        }
        assert_eq!(KeyFormat::from_name("pkcs7"), None);
    }

    #[test]
    fn subjects_are_looked_up_without_regard_to_case() {
        assert_eq!(subject_key("Some.One@Example.COM"), "some.one@example.com");
        assert_eq!(subject_key("\u{c4}\u{3a3}"), subject_key("\u{e4}\u{3c3}"));
    }
}
