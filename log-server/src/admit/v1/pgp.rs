//! OpenPGP (RFC 9580, RFC 4880): published keys, and signatures of them over data.
//!
//! Read here and not by a library: an entry holds the packets of the key byte for byte with other
//! headers, which libraries do not give, and all else that is needed is a small part of the format.
//! Nothing is decrypted or decompressed. Keys are of version 4, and RSA from 2048 bits, ECDSA on
//! P-256, P-384 or P-521, or Ed25519.

mod armor;
mod clear;
mod key;
mod packet;
mod ring;
mod signature;

use std::borrow::Cow;

use thiserror::Error;

use super::super::verifier::is_too_long;
use packet::{packets, tag};
use ring::Ring;
use signature::{Signature, kind};

pub(super) use clear::ClearSigned;

/// How an armoured file starts.
const ARMOR_START: &[u8] = b"-----BEGIN PGP";

/// Why an OpenPGP key or signature does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PgpFault {
    /// More text than any entry can hold, in whatever form.
    #[error("openpgp: invalid data: longer than any entry")]
    TooLong,
    /// Too short to be a key.
    #[error("unable to read PGP public key: EOF")]
    Empty,
    /// Armour that has no end, is no base64, or encloses something else.
    #[error("openpgp: invalid argument: no armored data found")]
    Armor,
    /// The armour of a signature encloses something else.
    #[error("invalid PGP signature provided")]
    OtherArmor,
    /// No signature where one must be.
    #[error("valid PGP signature was not detected")]
    NoSignature,
    /// Bytes that are no packets.
    #[error("openpgp: invalid data: malformed packet")]
    MalformedPacket,
    /// More packets than a key may have.
    #[error("openpgp: invalid data: too many packets")]
    TooManyPackets,
    /// More signatures than are checked of one key.
    #[error("openpgp: invalid data: too many signatures")]
    TooManySignatures,
    /// A packet of a key that cannot be read.
    #[error("openpgp: invalid data: malformed public key")]
    MalformedKey,
    /// A signature packet that cannot be read.
    #[error("openpgp: invalid data: malformed signature")]
    MalformedSignature,
    /// Something that nothing here can check.
    #[error("openpgp: unsupported feature: {0}")]
    Unsupported(&'static str),
    /// No public key among the packets.
    #[error("openpgp: invalid data: first packet was not a public/private key")]
    NoKey,
    /// A secret key: it must not have been sent.
    #[error("openpgp: invalid data: a secret key, which is secret no more")]
    SecretKey,
    /// A key without a name that it has signed itself.
    #[error("openpgp: invalid data: v4 entity without any identities")]
    NoIdentity,
    /// A signature of a sort that does not belong where it stands.
    #[error("openpgp: invalid data: signature with wrong type")]
    MisplacedSignature,
    /// A subkey that the primary key does not own up to.
    #[error("openpgp: invalid data: subkey packet not followed by signature")]
    UnboundSubkey,
    /// A subkey that signs, and does not own up to its primary key.
    #[error("openpgp: invalid signature: signing subkey is missing cross-signature")]
    NoCrossSignature,
    /// A signature that does not say of which key it is.
    #[error("openpgp: invalid data: signature doesn't have an issuer")]
    NoIssuer,
    /// A signature of another key.
    #[error("openpgp: signature made by unknown entity")]
    UnknownIssuer,
    /// A signature by another algorithm than its key has.
    #[error("openpgp: invalid argument: public key and signature use different algorithms")]
    OtherAlgorithm,
    /// A signature over something else, by its first bytes.
    #[error("openpgp: invalid signature: hash tag doesn't match")]
    HashTag,
    /// A signature that does not verify.
    #[error("openpgp: invalid signature: {0} verification failure")]
    Unverified(&'static str),
    /// A signature with a notation that must be understood.
    #[error("openpgp: invalid signature: unknown critical notation")]
    CriticalNotation,
    /// The key has been revoked.
    #[error("openpgp: signature made by revoked key")]
    KeyRevoked,
    /// The key had expired when it signed, or was not there yet.
    #[error("openpgp: key expired")]
    KeyExpired,
    /// The signature has expired, or is from the future.
    #[error("openpgp: signature expired")]
    SignatureExpired,
    /// Not a text with a signature below it.
    #[error("failed to decode clearsigned text")]
    NotClearSigned,
}

/// The packets of a key file, which [`PublicKeys`] reads.
pub(super) fn key_packets(text: &[u8]) -> Result<Cow<'_, [u8]>, PgpFault> {
    if is_too_long(text) {
        return Err(PgpFault::TooLong);
    }
    if text.len() < ARMOR_START.len() {
        return Err(PgpFault::Empty);
    }
    if !text.starts_with(ARMOR_START) {
        return Ok(Cow::Borrowed(text));
    }
    let block = armor::first_block(text).ok_or(PgpFault::Armor)?;
    if block.label != armor::PUBLIC_KEY.as_bytes() {
        return Err(PgpFault::Armor);
    }
    Ok(Cow::Owned(block.content))
}

/// The keys of one file.
#[derive(Debug)]
pub(super) struct PublicKeys<'a>(Ring<'a>);

impl<'a> PublicKeys<'a> {
    pub(super) fn parse(packets: &'a [u8]) -> Result<Self, PgpFault> {
        Ring::parse(packets).map(Self)
    }

    /// Armoured, with packet headers of the newer format. Names stand in the order of the input.
    pub(super) fn canonical(&self) -> Vec<u8> {
        armor::encode(armor::PUBLIC_KEY, &self.0.write())
    }

    /// The e-mail addresses in the names.
    pub(super) fn emails(&self) -> impl Iterator<Item = &'a str> {
        self.0.names().filter_map(|name| email(str::from_utf8(name).ok()?))
    }

    /// Checks the first signature that one of these keys may have made.
    fn verify(&self, signatures: &[u8], data: &[u8], now_s: i64) -> Result<(), PgpFault> {
        for packet in packets(signatures)? {
            if packet.tag != tag::SIGNATURE {
                return Err(PgpFault::NoSignature);
            }
            let signature = match Signature::parse_detached(packet.body) {
                Err(PgpFault::Unsupported(_)) => continue,
                other => other?,
            };
            let issuer = signature.issuer.ok_or(PgpFault::NoIssuer)?;
            let signers = self.0.signers(issuer);
            if signers.is_empty() {
                continue;
            }
            let digest = match signature.kind {
                kind::BINARY => signature.digest(&[data]),
                kind::TEXT => signature.digest(&[&clear::with_crlf(data)]),
                _ => Err(PgpFault::Unsupported("signature type")),
            }?;
            let mut last_fault = PgpFault::UnknownIssuer;
            for signer in signers {
                match signer.key.verify(&signature, &digest) {
                    Ok(()) => return signer.check_in_force(&signature, now_s),
                    Err(fault) => last_fault = fault,
                }
            }
            return Err(last_fault);
        }
        Err(PgpFault::UnknownIssuer)
    }
}

/// A signature that comes beside its data.
pub(super) struct DetachedSignature<'a> {
    text: &'a [u8],
    packets: Cow<'a, [u8]>,
}

impl<'a> DetachedSignature<'a> {
    pub(super) fn parse(text: &'a [u8]) -> Result<Self, PgpFault> {
        if is_too_long(text) {
            return Err(PgpFault::TooLong);
        }
        let packets = match armor::first_block(text) {
            Some(block) if block.label == armor::SIGNATURE.as_bytes() => Cow::Owned(block.content),
            Some(_) => return Err(PgpFault::OtherArmor),
            None => Cow::Borrowed(text),
        };
        Self::check_first(&packets)?;
        Ok(Self { text, packets })
    }

    /// A signature whose packets are known, and whose armour is not.
    pub(super) fn from_packets(packets: &'a [u8]) -> Result<Self, PgpFault> {
        Self::check_first(packets)?;
        Ok(Self { text: packets, packets: Cow::Borrowed(packets) })
    }

    fn check_first(bytes: &[u8]) -> Result<(), PgpFault> {
        match packets(bytes)?.first() {
            Some(packet) if packet.tag == tag::SIGNATURE => Ok(()),
            _ => Err(PgpFault::NoSignature),
        }
    }

    /// Armour as it came, or new armour for bytes without any.
    pub(super) fn canonical(&self) -> Vec<u8> {
        match self.packets {
            Cow::Owned(_) => self.text.to_vec(),
            Cow::Borrowed(packets) => armor::encode(armor::SIGNATURE, packets),
        }
    }

    /// Checks it. `now_s` is in seconds since 1970.
    pub(super) fn verify(
        &self,
        data: &[u8],
        keys: &PublicKeys<'_>,
        now_s: i64,
    ) -> Result<(), PgpFault> {
        keys.verify(&self.packets, data, now_s)
    }
}

/// The address in a name: between angle brackets, or the name itself.
fn email(name: &str) -> Option<&str> {
    let inner = name.split_once('<').map(|(_, rest)| rest.split('>').next().unwrap_or(rest));
    let address = inner.unwrap_or(name).trim();
    let (local, domain) = address.rsplit_once('@')?;
    let is_plain = |part: &str| {
        let odd = |c: char| c.is_whitespace() || c.is_control() || "@<>()[]:;,\\\"".contains(c);
        !part.is_empty() && !part.contains(odd)
    };
    let is_dotted = domain.contains('.') && domain.split('.').all(|label| !label.is_empty());
    (is_plain(local) && is_plain(domain) && is_dotted).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_in_names() {
        for (name, expected) in [
            ("Some One <one@example.com>", Some("one@example.com")),
            ("Some (comment) <One.Two@Example.com> x", Some("One.Two@Example.com")),
            ("one@example.com", Some("one@example.com")),
            ("<one@a.b.c>", Some("one@a.b.c")),
            ("Some One", None),
            ("Some One <one>", None),
            ("<@example.com>", None),
            ("<one@>", None),
            ("<one@localhost>", None),
            ("<one@a..b>", None),
            ("<one two@a.b>", None),
            ("a@b@c.d", None),
            ("", None),
        ] {
            assert_eq!(email(name), expected, "{name}");
        }
    }
}
