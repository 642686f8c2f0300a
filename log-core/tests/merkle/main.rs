//! The Merkle tree of log-core against published vectors and against a slow reference.

// In a test a panic is the report; clippy knows only the functions marked as tests.
#![allow(clippy::unwrap_used)]

mod accumulated;
mod growth;
mod paths;
mod proofs;
#[path = "../reference/mod.rs"]
mod reference;
mod vectors;
