//! What `cairn` is made of, usable from tests and load generators: a client of transparency logs
//! and an offline verifier of what they answer.
//!
//! It shares no code with the server beyond `log-core`.

pub mod artefact;
pub mod audit;
pub mod bundle;
pub mod certificate;
pub mod chain;
pub mod client;
pub mod command;
pub mod failure;
pub mod files;
pub mod legacy_bundle;
pub mod log_entry;
pub mod output;
pub mod pem;
pub mod protojson;
pub mod public_key;
pub mod signer;
pub mod statement;
pub mod tiles;
pub mod timestamp;
pub mod tlv;
pub mod trusted_root;
pub mod v1;
pub mod verify;
pub mod witnessed;
