//! The witness as its neighbours see it: the real server over real HTTP, in this process.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod client;
mod commands;
mod evidence;
mod limits;
mod operator;
mod races;
mod rig;
mod state_loss;
mod table;
mod test_log;
mod time;
mod vectors;
