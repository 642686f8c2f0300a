//! Rekor v1: what its logs answer and promise, what its bodies say, what is sent to them.
//!
//! A v1 log differs from a v2 log in what it signs: each entry has a signed entry timestamp beside
//! the proof, the log's key is ECDSA, the checkpoint's origin is `HOST - TREEID`, and an entry has
//! two indices, one over all trees of the log and one in its own tree.

pub mod answer;
pub mod attested;
pub mod body;
pub mod matching;
pub mod question;
pub mod request;
pub mod shown;
pub mod trust;
