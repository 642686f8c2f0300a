//! The load generator, and what a comparison needs beside it.
//!
//! Four programs use it: `cairn-load` drives any server, `cairn-bench` plays the whole comparison
//! whose table is in README.md, `cairn-witness-bench` does that for witnesses, `cairn-v1-bench` for
//! Rekor v1. Nothing here is part of the product.

pub mod baseline;
pub mod check;
pub mod checkpoints;
pub mod connection;
pub mod corpus;
pub mod latency;
pub mod load;
pub mod process;
pub mod series;
pub mod server;
