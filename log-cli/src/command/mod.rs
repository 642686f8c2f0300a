//! The commands of `cairn`: arguments in, an `Answer` or a `Failure` out.

pub mod audit;
pub mod checkpoint;
pub mod consistency;
pub mod evidence;
pub mod fsck;
pub mod get;
pub mod keygen;
pub mod policy;
pub mod search;
pub mod submit;
pub mod trust;
pub mod verify;
