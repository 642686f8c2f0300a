//! Real keys for the tests, and requests made with them.

use aws_lc_rs::digest::digest;
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair, RSA_PKCS1_SHA256, RsaEncoding, RsaKeyPair,
};
use ed25519_dalek::{Signer, SigningKey};
use log_core::entry::HashAlgorithm;
use log_proto::common::v1::X509Certificate;
use log_proto::intoto::Envelope;
use log_proto::rekor::v2::create_entry_request::Spec;
use log_proto::rekor::v2::verifier::Verifier as Key;
use log_proto::rekor::v2::{
    CreateEntryRequest, DsseRequestV002, HashedRekordRequestV002, PublicKey, Signature, Verifier,
};
use sha2::{Digest, Sha512};

use super::super::verifier::implementation;

/// What an Ed25519 key has in front of it in a SubjectPublicKeyInfo.
const ED25519_SPKI_START: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

pub(super) fn ecdsa(algorithm: &'static EcdsaSigningAlgorithm) -> (EcdsaKeyPair, Vec<u8>) {
    let key = EcdsaKeyPair::generate(algorithm).unwrap();
    let spki: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
    let spki = spki.as_ref().to_vec();
    (key, spki)
}

pub(super) fn sign_ecdsa(key: &EcdsaKeyPair, message: &[u8]) -> Vec<u8> {
    key.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()
}

pub(super) fn rsa(size: KeySize) -> (RsaKeyPair, Vec<u8>) {
    let key = RsaKeyPair::generate(size).unwrap();
    let spki: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
    let spki = spki.as_ref().to_vec();
    (key, spki)
}

pub(super) fn sign_rsa(key: &RsaKeyPair, message: &[u8]) -> Vec<u8> {
    sign_rsa_with(key, &RSA_PKCS1_SHA256, message)
}

pub(super) fn sign_rsa_with(
    key: &RsaKeyPair,
    scheme: &'static dyn RsaEncoding,
    message: &[u8],
) -> Vec<u8> {
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(scheme, &SystemRandom::new(), message, &mut signature).unwrap();
    signature
}

pub(super) fn ed25519(seed: u8) -> (SigningKey, Vec<u8>) {
    let key = SigningKey::from_bytes(&[seed; 32]);
    let spki = [&ED25519_SPKI_START[..], key.verifying_key().as_bytes()].concat();
    (key, spki)
}

pub(super) fn sign_ed25519ph(key: &SigningKey, context: Option<&[u8]>, message: &[u8]) -> Vec<u8> {
    let prehash = Sha512::new().chain_update(message);
    key.sign_prehashed(prehash, context).unwrap().to_vec()
}

pub(super) fn sign_ed25519(key: &SigningKey, message: &[u8]) -> Vec<u8> {
    key.sign(message).to_vec()
}

pub(super) fn hash(algorithm: HashAlgorithm, message: &[u8]) -> Vec<u8> {
    digest(implementation(algorithm), message).as_ref().to_vec()
}

pub(super) fn public_key(spki: &[u8], key_details: i32) -> Verifier {
    let key = PublicKey { raw_bytes: spki.to_vec() };
    Verifier { verifier: Some(Key::PublicKey(key)), key_details }
}

pub(super) fn certificate(der: &[u8], key_details: i32) -> Verifier {
    let certificate = X509Certificate { raw_bytes: der.to_vec() };
    Verifier { verifier: Some(Key::X509Certificate(certificate)), key_details }
}

pub(super) fn hashed_rekord(
    digest: &[u8],
    content: &[u8],
    verifier: Verifier,
) -> CreateEntryRequest {
    let signature = Signature { content: content.to_vec(), verifier: Some(verifier) };
    let request = HashedRekordRequestV002 { digest: digest.to_vec(), signature: Some(signature) };
    CreateEntryRequest { spec: Some(Spec::HashedRekordRequestV002(request)) }
}

pub(super) fn dsse(envelope: Option<Envelope>, verifiers: Vec<Verifier>) -> CreateEntryRequest {
    let request = DsseRequestV002 { envelope, verifiers };
    CreateEntryRequest { spec: Some(Spec::DsseRequestV002(request)) }
}
