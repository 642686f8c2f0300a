//! A client of raw logs: any bytes go in, the proof comes back and is verified.

use std::io;

use log_core::checkpoint::Origin;
use log_core::tlog_proof::TlogProof;
use log_core::{Leaf, VerifierKey};

use crate::answer::Acknowledged;
use crate::http::{Connection, Request, Response};

/// Adds an entry to the raw log `name`. The inner result is the verified answer, or whatever else
/// the server said.
///
/// # Errors
/// The connection broke.
///
/// # Panics
/// When the server acknowledged something that does not verify.
#[track_caller]
pub fn add(
    connection: &mut Connection,
    name: &str,
    body: &[u8],
    key: &VerifierKey,
) -> io::Result<Result<Acknowledged, Response>> {
    let request = Request::post(&format!("/logs/{name}/add"), body);
    let response = connection.try_send(&request.header("accept", "text/x.tlog-proof"))?;
    if response.status != 200 {
        return Ok(Err(response));
    }
    let proof = TlogProof::parse(&response.body)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&response.body)));
    let leaf = Leaf::new(body.to_vec()).expect("a leaf");
    let origin = Origin::parse(key.name().as_str()).expect("an origin");
    let head = proof.verify(&leaf.hash(), &origin, key).expect("a proof that verifies").head();
    Ok(Ok(Acknowledged { index: proof.index, leaf, head, note: proof.checkpoint }))
}
