//! The Merkle tree of log-core against published vectors and against a slow reference.

mod accumulated;
mod growth;
mod paths;
mod proofs;
#[path = "../reference/mod.rs"]
mod reference;
mod vectors;
