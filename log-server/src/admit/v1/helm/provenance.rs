//! Provenance files: the chart's metadata, a line of three dots, the digests of files, all of it
//! signed where it stands.
//!
//! The digests are YAML, of which the part is read that Helm writes: names with a value each,
//! indented below `files:`, plain or in quotes, with comments between them. All else is refused.

use thiserror::Error;

use super::super::pgp::{ClearSigned, PgpFault};

/// Longest file, in bytes. The metadata of a chart are in it; all of Helm's own limits together
/// allow less.
const PROVENANCE_BYTES_MAX: usize = 1024 * 1024;

/// What separates the metadata from the digests.
const SEPARATOR: &str = "\n...\n";

/// Why a provenance file does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ProvenanceFault {
    /// More than 1 MiB.
    #[error("provenance file is longer than 1 MiB")]
    TooLong,
    /// Not signed where it stands.
    #[error("unable to decode provenance file")]
    NotClearSigned,
    /// Metadata without digests.
    #[error("error parsing provenance file: message block must have at least two parts")]
    NoDigests,
    /// The digests are not in the form that Helm writes.
    #[error("error parsing provenance file: error occurred parsing SumCollection")]
    Malformed,
    /// No file has a digest.
    #[error("No checksums found")]
    NoFile,
    /// A digest is none of SHA-256 in hex.
    #[error("Invalid hash found in Provenance file")]
    Hash,
}

/// A provenance file.
pub(super) struct Provenance {
    pub(super) message: ClearSigned,
    /// The digest of the chart in lower-case hex. Of several files the first counts.
    pub(super) sha256: String,
}

impl Provenance {
    pub(super) fn parse(text: &[u8]) -> Result<Self, ProvenanceFault> {
        if text.len() > PROVENANCE_BYTES_MAX {
            return Err(ProvenanceFault::TooLong);
        }
        let message =
            ClearSigned::parse(text).map_err(|_: PgpFault| ProvenanceFault::NotClearSigned)?;
        let plain = str::from_utf8(&message.plain).map_err(|_| ProvenanceFault::Malformed)?;
        let digests = plain.split(SEPARATOR).nth(1).ok_or(ProvenanceFault::NoDigests)?;
        let value = first_file(digests)?;
        let digits = value.strip_prefix("sha256:").ok_or(ProvenanceFault::Hash)?;
        let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if digits.len() != 64 || !digits.bytes().all(is_hex) {
            return Err(ProvenanceFault::Hash);
        }
        let sha256 = digits.to_owned();
        Ok(Self { message, sha256 })
    }
}

/// The value of the first name below `files:`.
fn first_file(yaml: &str) -> Result<&str, ProvenanceFault> {
    let (mut section, mut first) = (None, None);
    let mut seen = Vec::new();
    for line in yaml.lines().map(str::trim_end) {
        let inner = line.trim_start();
        if inner.is_empty() || inner.starts_with('#') {
            continue;
        }
        if inner.len() == line.len() {
            let name = line.strip_suffix(':').ok_or(ProvenanceFault::Malformed)?;
            let is_known = matches!(name, "files" | "images") && !seen.contains(&name);
            section = is_known.then_some(name);
            seen.push(section.ok_or(ProvenanceFault::Malformed)?);
        } else {
            let (name, value) = inner.split_once(": ").ok_or(ProvenanceFault::Malformed)?;
            let (_, value) = (scalar(name)?, scalar(value.trim_start())?);
            match section {
                Some("files") => _ = first.get_or_insert(value),
                Some(_) => {}
                None => return Err(ProvenanceFault::Malformed),
            }
        }
    }
    first.ok_or(ProvenanceFault::NoFile)
}

/// A plain text, or one in quotes that has nothing in it to be unescaped.
fn scalar(text: &str) -> Result<&str, ProvenanceFault> {
    let quoted =
        ['"', '\''].into_iter().find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote));
    let inner = quoted.unwrap_or(text);
    let has_meaning = |c: char| "\"'\\{}[]&*!|>%@`,#".contains(c) || c.is_control();
    let is_plain = !inner.is_empty() && !inner.contains(has_meaning);
    is_plain.then_some(inner).ok_or(ProvenanceFault::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_file_counts() {
        for yaml in [
            "files:\n  a.tgz: sha256:1",
            "files:\n  \"a.tgz\": 'sha256:1'\n",
            "\n# comment\nfiles:\n    # comment\n\n    a.tgz:   sha256:1\n    b.tgz: sha256:2\n",
            "images:\n  x: y\nfiles:\n  a: sha256:1\n",
            "files:\r\n  a.tgz: sha256:1\r\n",
        ] {
            assert_eq!(first_file(yaml), Ok("sha256:1"), "{yaml}");
        }
    }

    #[test]
    fn other_yaml_is_refused() {
        use ProvenanceFault::{Malformed, NoFile};
        for (yaml, fault) in [
            ("", NoFile),
            ("files:\n", NoFile),
            ("images:\n  a: sha256:1\n", NoFile),
            ("a: b\n", Malformed),
            ("other:\n  a: b\n", Malformed),
            ("files: {a: b}\n", Malformed),
            ("files:\n  a: {b: c}\n", Malformed),
            ("files:\n  a: &x b\n", Malformed),
            ("files:\n  a: *x\n", Malformed),
            ("files:\n  a: \"b\\x41\"\n", Malformed),
            ("files:\n  a: |\n", Malformed),
            ("files:\n  a\n", Malformed),
            ("files:\n  a:\n", Malformed),
            ("files:\n  - a: b\nfiles:\n  a: b\n", Malformed),
            ("  a: b\n", Malformed),
        ] {
            assert_eq!(first_file(yaml), Err(fault), "{yaml}");
        }
    }
}
