//! The load generator, and what a comparison needs beside it.
//!
//! Three programs use it: `cairn-load` drives any server, `cairn-bench` plays the whole comparison
//! whose table is in README.md, `cairn-witness-bench` does that for witnesses. Nothing here is part
//! of the product.

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
