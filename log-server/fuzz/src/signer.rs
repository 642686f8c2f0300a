//! A key that signs whatever the fuzzer made, for what is read only after a signature held.

use ed25519_dalek::{Signer as _, SigningKey};
use log_core::entry::dsse::pae;

use super::base64;

/// What stands in front of the 32 bytes of an Ed25519 key in DER (RFC 8410).
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// The key in PEM.
pub fn public_key() -> String {
    let spki = [SPKI.as_slice(), key().verifying_key().as_bytes()].concat();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", base64(&spki))
}

/// The 32 bytes of the key in hex.
pub fn public_key_hex() -> String {
    hex(key().verifying_key().as_bytes())
}

/// Its signature over a DSSE envelope, in base64.
pub fn sign_envelope(payload_type: &str, payload: &[u8]) -> String {
    base64(&key().sign(&pae(payload_type.as_bytes(), payload)).to_bytes())
}

/// Its signature over a message, in hex.
pub fn sign_hex(message: &[u8]) -> String {
    hex(&key().sign(message).to_bytes())
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
