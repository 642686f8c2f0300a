//! The load generator, and what a comparison needs beside it.
//!
//! Two programs use it: `cairn-load` drives any server, `cairn-bench` plays the whole comparison
//! whose table is in README.md. Nothing here is part of the server.

pub mod baseline;
pub mod check;
pub mod connection;
pub mod corpus;
pub mod latency;
pub mod load;
pub mod process;
pub mod series;
