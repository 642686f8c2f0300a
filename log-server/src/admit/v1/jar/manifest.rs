//! Manifests and signature files of Java archives (JAR File Specification, "Name-Value pairs and
//! Sections" and "Signed JAR File"): sections of attributes, some of which are digests.

use std::collections::HashMap;

use aws_lc_rs::digest::Context;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::algorithm::HashFunction;
use super::JarFault;
use super::archive::Member;

/// What stands behind the name of the hash function in the name of an attribute: the digest of a
/// section or member, of the whole manifest, of its first section.
const DIGEST: &str = "-Digest";
const DIGEST_OF_ALL: &str = "-Digest-Manifest";
const DIGEST_OF_MAIN: &str = "-Digest-Manifest-Main-Attributes";

/// Most digests of one thing: one for each hash function. Each costs a pass over the bytes.
const DIGESTS_MAX: usize = 4;

/// A manifest, or the file that is signed.
pub(super) struct Manifest<'a> {
    bytes: &'a [u8],
    main: Section<'a>,
    /// By the names of members.
    named: HashMap<String, Section<'a>>,
}

/// A section: what it says, and its bytes with the empty line behind them.
struct Section<'a> {
    bytes: &'a [u8],
    attributes: Vec<(String, String)>,
}

impl<'a> Manifest<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, JarFault> {
        let mut rest = bytes;
        let mut sections = Vec::new();
        while !rest.is_empty() {
            let (section, after) = Section::parse(rest).ok_or(JarFault::Manifest)?;
            rest = after;
            // Empty lines between sections are no sections.
            if !section.attributes.is_empty() || sections.is_empty() {
                sections.push(section);
            }
        }
        let mut sections = sections.into_iter();
        let main = sections.next().ok_or(JarFault::Manifest)?;
        let mut named = HashMap::new();
        for section in sections {
            let name = match section.attributes.first() {
                Some((attribute, name)) if attribute.eq_ignore_ascii_case("Name") => name.clone(),
                _ => return Err(JarFault::Manifest),
            };
            if named.insert(name, section).is_some() {
                return Err(JarFault::Manifest);
            }
        }
        Ok(Self { bytes, main, named })
    }

    /// Checks that this manifest is the one of which the digests were signed: as a whole, or else
    /// each of its sections.
    pub(super) fn check_signed(&self, signed: &Self) -> Result<(), JarFault> {
        let matches = |section: &Section<'_>, suffix, bytes: &[u8]| {
            let digests = section.digests(suffix)?;
            let all = digests.iter().all(|(hash, digest)| hash.digest(bytes).as_ref() == digest);
            Ok::<_, JarFault>((digests.len(), all))
        };
        if let (1.., true) = matches(&signed.main, DIGEST_OF_ALL, self.bytes)? {
            return Ok(());
        }
        if let (_, false) = matches(&signed.main, DIGEST_OF_MAIN, self.main.bytes)? {
            return Err(JarFault::OtherManifest);
        }
        for (name, section) in &self.named {
            let signed = signed.named.get(name).ok_or(JarFault::OtherManifest)?;
            if !matches!(matches(signed, DIGEST, section.bytes)?, (1.., true)) {
                return Err(JarFault::OtherManifest);
            }
        }
        Ok(())
    }

    /// Checks that each member that the manifest names is there and is the one that it means.
    /// Others may be there too; nobody has signed them.
    pub(super) fn check_members(&self, members: &[&Member<'_>]) -> Result<(), JarFault> {
        let members: HashMap<_, _> = members.iter().map(|member| (member.name, *member)).collect();
        for (name, section) in &self.named {
            let digests = section.digests(DIGEST)?;
            // What is said of a package as a whole has no bytes.
            if digests.is_empty() && name.ends_with('/') {
                continue;
            }
            let member = members.get(name.as_str()).ok_or(JarFault::OtherContents)?;
            let new = |(hash, _): &(HashFunction, _)| Context::new(hash.algorithm());
            let mut contexts: Vec<_> = digests.iter().map(new).collect();
            member.read(|chunk| contexts.iter_mut().for_each(|context| context.update(chunk)))?;
            let made = contexts.into_iter().map(Context::finish);
            let all = made.zip(&digests).all(|(made, (_, digest))| made.as_ref() == digest);
            if digests.is_empty() || !all {
                return Err(JarFault::OtherContents);
            }
        }
        Ok(())
    }
}

impl<'a> Section<'a> {
    /// The first section of some bytes, up to an empty line or the end, and what follows it.
    fn parse(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let mut rest = bytes;
        let mut attributes: Vec<(String, String)> = Vec::new();
        while !rest.is_empty() {
            let (line, after) = line(rest);
            rest = after;
            let line = str::from_utf8(line).ok()?;
            if line.is_empty() {
                break;
            }
            if let Some(more) = line.strip_prefix(' ') {
                attributes.last_mut()?.1.push_str(more);
            } else {
                let (name, value) = line.split_once(": ")?;
                attributes.push((name.to_owned(), value.to_owned()));
            }
        }
        let bytes = &bytes[..bytes.len() - rest.len()];
        Some((Self { bytes, attributes }, rest))
    }

    /// The digests of good enough hash functions in attributes with this end.
    fn digests(&self, suffix: &str) -> Result<Vec<(HashFunction, Vec<u8>)>, JarFault> {
        let named = |attribute: &str| {
            let at = attribute.len().checked_sub(suffix.len())?;
            let (hash, end) = attribute.split_at_checked(at)?;
            end.eq_ignore_ascii_case(suffix).then(|| hash.to_ascii_uppercase())
        };
        let mut digests = Vec::new();
        for (attribute, value) in &self.attributes {
            let hash = match named(attribute).as_deref() {
                Some("SHA1" | "SHA-1" | "SHA") => HashFunction::Sha1,
                Some("SHA-256" | "SHA256") => HashFunction::Sha256,
                Some("SHA-384" | "SHA384") => HashFunction::Sha384,
                Some("SHA-512" | "SHA512") => HashFunction::Sha512,
                _ => continue,
            };
            let digest = STANDARD.decode(value.trim()).map_err(|_| JarFault::Manifest)?;
            digests.push((hash, digest));
        }
        if digests.len() > DIGESTS_MAX { Err(JarFault::Manifest) } else { Ok(digests) }
    }
}

/// The first line without its end, which is CR, LF or both, and what follows it.
fn line(bytes: &[u8]) -> (&[u8], &[u8]) {
    let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
    let Some(end) = bytes.iter().position(is_end) else { return (bytes, &[]) };
    let len = if bytes[end..].starts_with(b"\r\n") { 2 } else { 1 };
    (&bytes[..end], &bytes[end + len..])
}
