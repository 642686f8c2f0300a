//! What `cairn` promises, tried from outside: real vectors, tampered bundles, hostile servers.

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "a panic is how a test fails, and its sizes are small"
)]

mod audit;
mod audit_faults;
mod binary;
mod certificates;
mod evidence;
mod fixture;
mod hostile;
mod served;
mod tamper;
mod timestamps;
mod v1_binary;
mod v1_bundles;
mod v1_certificates;
mod v1_fixture;
mod v1_tiles;
mod v1_vectors;
mod vectors;
mod witnesses;
