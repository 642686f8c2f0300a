//! Admit: a request becomes an entry with its canonical leaf, or is refused with the reason.
//!
//! Keys, algorithms, signatures and certificates are checked here and nowhere else; protobuf types
//! end here. Pure: no store, no clock, no network, so a certificate's dates are not looked at and
//! nothing that a request names is fetched. Out of scope: how a request travelled (`api`) and
//! whether the entry is known already (`log`).

mod algorithm;
mod dsse;
mod hashedrekord;
mod key;
mod refusal;
mod signature;
pub mod v1;
mod verifier;

#[cfg(test)]
mod tests;

use log_core::Leaf;
use log_core::entry::Entry;
use log_proto::rekor::v2::CreateEntryRequest;
use log_proto::rekor::v2::create_entry_request::Spec;

pub use algorithm::Implied;
pub use key::KeyKind;
pub use refusal::{Reason, Refusal};

/// What a log takes beyond `hashedrekord`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdmitRules {
    /// Whether the older kind `dsse` is taken.
    pub dsse: bool,
}

/// A leaf that may be logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    /// The canonical bytes of the entry.
    pub leaf: Leaf,
    /// The kind of the entry, as in an answer's `kindVersion`.
    pub kind: &'static str,
    /// The version of that kind.
    pub version: &'static str,
}

/// Decides about a request.
///
/// # Errors
/// [`Refusal`]; always the submitter's fault.
pub fn create_entry(request: &CreateEntryRequest, rules: &AdmitRules) -> Result<Admitted, Refusal> {
    let entry = match &request.spec {
        Some(Spec::HashedRekordRequestV002(hashed_rekord)) => {
            Entry::HashedRekord(hashedrekord::admit(hashed_rekord)?)
        }
        Some(Spec::DsseRequestV002(envelope)) if rules.dsse => Entry::Dsse(dsse::admit(envelope)?),
        _ => return Err(Refusal::NoSpec { dsse_on: rules.dsse }),
    };
    let (kind, version) = (entry.kind(), entry.api_version());
    let leaf = entry.to_leaf().map_err(|_| Refusal::LeafTooLong)?;
    Ok(Admitted { leaf, kind, version })
}
