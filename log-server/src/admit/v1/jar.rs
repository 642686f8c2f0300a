//! `jar` 0.0.1: a signed Java archive, of which the digest and the signature are kept.

mod archive;
mod manifest;

use der::asn1::{AnyRef, ObjectIdentifier};
use der::{Decode as _, Encode as _, Tag, TagNumber};
use log_core::hash::sha256;
use thiserror::Error;

use super::artifact::Artifact;
use super::asn1::{inner_of, sequence};
use super::body::Body;
use super::cms::{self, CmsFault};
use super::index::{Form, Keys};
use super::json::Json;
use super::pem;
use super::refusal::Reason;
use super::schema::{Violations, required};
use super::{Entry, Kind, Purpose, V0_0_1};

use archive::{Archive, METADATA_BYTES_MAX, Member};
use manifest::Manifest;

const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");

/// Where everything about signatures stands; in any letter case.
const DIRECTORY: &str = "META-INF/";

/// Why an archive does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum JarFault {
    /// Not a zip archive, or one that says one thing here and another there.
    #[error("zip: not a valid zip file")]
    NotZip,
    /// Two members with one name, or a name that leads out of the archive.
    #[error("zip: insecure file path")]
    Name,
    /// A member that is encrypted, or compressed in another way than all others are.
    #[error("zip: unsupported compression algorithm")]
    Method,
    /// All members together are too long.
    #[error("zip: the members inflate to more than {} MiB", archive::INFLATED_BYTES_MAX >> 20)]
    TooLong,
    /// A member that must be read as a whole is too long.
    #[error("uncompressed jar metadata of size {0} exceeds max allowed size {METADATA_BYTES_MAX}")]
    MetadataTooLong(u64),
    /// No list of what is signed.
    #[error("JAR did not contain a manifest")]
    NoManifest,
    /// Nobody signed.
    #[error("no signatures detected in JAR archive")]
    NoSignature,
    /// More than one did.
    #[error("multiple signatures detected in JAR archive; unable to process")]
    SeveralSignatures,
    /// A signature without what it signs, or the other way round.
    #[error("JAR contains signature with no matching sigfile")]
    Unmatched,
    /// The manifest or what is signed of it cannot be read.
    #[error("JAR manifest is malformed")]
    Manifest,
    /// The manifest is not the one that was signed.
    #[error("JAR manifest does not match the signed digests")]
    OtherManifest,
    /// A member is missing, or is not the one that was signed.
    #[error("JAR contents do not match the digests of the manifest")]
    OtherContents,
    /// The signature does not hold.
    #[error(transparent)]
    Signature(#[from] CmsFault),
}

pub(super) fn check(spec: Json<'_>, purpose: Purpose) -> Result<Entry, Reason> {
    let archive = spec.object("archive").map(|archive| Artifact::of(archive, "archive content"));
    let archive = archive.transpose()?;
    let mut violations = Violations::default();
    violations.add(match &archive {
        None => required("archive", archive.as_ref()),
        Some(archive) => archive.violation("archive.archive.hash.archive.hash"),
    });
    violations.finish()?;
    let archive = archive.ok_or(Reason::Missing("package"))?;
    let (content, hash) = archive.check("package", "missing archive content", purpose)?;
    let signature = verify(&content)?;
    let mut index = Keys::default();
    index.push_fingerprint(&sha256(&signature.pem).to_string(), Form::Bare);
    index.push_hash("sha256", &hash);
    let body = Body::open(Kind::Jar.name(), V0_0_1)
        .raw(r#"{"archive":{"hash":"#)
        .hash("sha256", &hash)
        .raw(r#"},"signature":{"content":"#)
        .base64(&signature.pem)
        .raw(r#","publicKey":{"content":"#)
        .base64(&signature.certificate)
        .raw("}}}");
    Ok(Entry { leaf: body.close()?, keys: index.finish()? })
}

/// What is logged of a signature, in PEM.
struct Signature {
    pem: Vec<u8>,
    /// The first one that came along.
    certificate: Vec<u8>,
}

/// What signatures are about, by the names that tie them together.
#[derive(Default)]
struct Metadata<'a> {
    manifest: Option<Vec<u8>>,
    signed: Vec<(String, Vec<u8>)>,
    signatures: Vec<(String, Vec<u8>)>,
    members: Vec<&'a Member<'a>>,
}

fn verify(bytes: &[u8]) -> Result<Signature, JarFault> {
    let archive = Archive::parse(bytes)?;
    let metadata = Metadata::of(&archive)?;
    let manifest = metadata.manifest.ok_or(JarFault::NoManifest)?;
    let [(base, signed)] = metadata.signed.as_slice() else {
        let none = metadata.signed.is_empty() && metadata.signatures.is_empty();
        return Err(if none {
            JarFault::NoSignature
        } else if metadata.signed.len() > 1 {
            JarFault::SeveralSignatures
        } else {
            JarFault::Unmatched
        });
    };
    let signature = match metadata.signatures.as_slice() {
        [(other, signature)] if other == base => signature,
        [] | [_] => return Err(JarFault::Unmatched),
        _ => return Err(JarFault::SeveralSignatures),
    };
    let (signature, certificate) = verify_signature(signature, signed)?;
    let manifest = Manifest::parse(&manifest)?;
    manifest.check_signed(&Manifest::parse(signed)?)?;
    manifest.check_members(&metadata.members)?;
    Ok(Signature {
        pem: pem::encode("PKCS7", &signature),
        certificate: pem::encode("CERTIFICATE", &certificate),
    })
}

/// Checks a signature over other bytes; gives it without those, and its first certificate.
fn verify_signature(signature: &[u8], signed: &[u8]) -> Result<(Vec<u8>, Vec<u8>), JarFault> {
    let content = AnyRef::from_der(signature).ok().and_then(sequence);
    let content = content.ok_or(CmsFault::Malformed)?;
    let [kind, content] = content.as_slice() else { return Err(CmsFault::Malformed.into()) };
    if kind.decode_as() != Ok(SIGNED_DATA) {
        return Err(CmsFault::Malformed.into());
    }
    let signed_data = inner_of(*content).ok_or(CmsFault::Malformed)?;
    cms::verify_detached(signed_data, signed)?;
    let certificate = cms::first_certificate(signed_data)?;
    let signed_data = cms::detached(signed_data)?;
    let context = Tag::ContextSpecific { constructed: true, number: TagNumber(0) };
    let explicit = AnyRef::new(context, &signed_data).and_then(|explicit| explicit.to_der());
    let parts = [kind.to_der(), explicit].into_iter().collect::<Result<Vec<_>, _>>();
    let parts = parts.map_err(|_| CmsFault::Malformed)?.concat();
    let signature = AnyRef::new(Tag::Sequence, &parts).and_then(|whole| whole.to_der());
    let der = signature.and_then(|signature| Ok((signature, certificate.to_der()?)));
    Ok(der.map_err(|_| CmsFault::Malformed)?)
}

impl<'a> Metadata<'a> {
    fn of(archive: &'a Archive<'a>) -> Result<Self, JarFault> {
        let mut metadata = Self { members: archive.members.iter().collect(), ..Self::default() };
        for member in &archive.members {
            let upper = member.name.to_ascii_uppercase();
            let Some(name) = upper.strip_prefix(DIRECTORY) else { continue };
            let Some((base, extension)) = name.rsplit_once('.') else { continue };
            if name.contains('/') {
                continue;
            }
            let (is_signed, is_signature) = (
                extension == "SF",
                matches!(extension, "RSA" | "DSA" | "EC") || name.starts_with("SIG-"),
            );
            if name == "MANIFEST.MF" {
                if metadata.manifest.is_some() {
                    return Err(JarFault::Name);
                }
                metadata.manifest = Some(member.metadata()?);
            } else if is_signed {
                metadata.signed.push((base.to_owned(), member.metadata()?));
            } else if is_signature {
                metadata.signatures.push((base.to_owned(), member.metadata()?));
            }
        }
        Ok(metadata)
    }
}
