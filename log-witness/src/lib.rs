//! `cairn-witness`: cosigns the checkpoints of transparency logs that show one history, and keeps
//! the proof when one of them does not.
//!
//! One request from the socket to the disk and back, in order of travel:
//!
//! | file | what happens there |
//! |---|---|
//! | [`server`] | connections, their limits, the graceful stop |
//! | [`api`] | routes, bodies within their limits; the only file with status codes |
//! | [`witness`] | holds the parts together: decide, sign, commit, answer |
//! | [`add_checkpoint`] | the decision, in the order of the specification; pure |
//! | [`keys`] | the private keys; every signature is checked before it is used |
//! | [`commit`] | one writes at a time: what waits becomes one durable transaction |
//! | [`state`] | the tables: compare-and-swap of size and root, journal, what was lost |
//!
//! Beside it: [`sign_subtree`], [`evidence`] (what convicts a log), [`lost_state`] (how an operator
//! restarts an origin), [`admin`] (what operators ask a running witness), [`log_list`], [`clock`],
//! [`config`], [`init`], [`logs`], [`row`], [`metrics`], [`printable`], [`idle`] and
//! [`unfinished`] (who holds places without using them).
//!
//! The promise: no signature leaves before the compare-and-swap on its head is durable, so one key
//! never cosigns two histories, whatever is killed and when. FORMAT.md has every byte and the
//! analysis of a crash at each step.

pub mod add_checkpoint;
pub mod admin;
pub mod api;
pub mod clock;
pub mod commit;
pub mod config;
pub mod evidence;
pub mod idle;
pub mod init;
pub mod keys;
pub mod log_list;
pub mod logs;
pub mod lost_state;
pub mod metrics;
pub mod printable;
pub mod refusal;
pub mod row;
pub mod server;
pub mod sign_subtree;
pub mod state;
pub mod unfinished;
pub mod witness;
