//! cairn-server: hosts transparency logs.

pub mod admit;
pub mod api;
pub mod clock;
pub mod config;
pub mod engine;
pub mod fsck;
pub mod init;
pub mod log;
pub mod metrics;
pub mod server;
pub mod store;
