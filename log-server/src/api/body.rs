//! The body of a request, read to its end within its length, its time, and the memory that all
//! long bodies share.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::Request;
use http::header::{CONTENT_LENGTH, EXPECT};
use http::request::Parts;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::ApiError;

/// A body above this is long: the default limit of the protocols whose bodies never are.
const LONG_BYTES: usize = 4 * 1024 * 1024;

/// Long bodies that are in memory at once. Each is read, freed of its escapes, and decoded, so with
/// the default limit of Rekor v1, 32 MiB, they take 650 MB at worst.
pub(super) const LONG_BODIES_MAX: usize = 8;

/// Bytes of a refused body that are read and thrown away, in times of its limit.
const DISCARDED_LIMITS: usize = 4;

/// Bytes of a refused body that are read and thrown away at least, however small its limit is.
const DISCARDED_BYTES_MIN: usize = 16 * 1024 * 1024;

/// What a body must keep within.
pub(super) struct Limits<'a> {
    /// Its length, in bytes, as it was configured.
    pub(super) bytes_max: usize,
    /// Bytes that are allowed on top of that.
    pub(super) framing_bytes: usize,
    /// Its time, in milliseconds.
    pub(super) ms_max: u64,
    /// Permits for long bodies; without them none may be long, or nobody counts.
    pub(super) long: Option<&'a Arc<Semaphore>>,
}

/// A request that was read.
pub(super) struct ReadRequest {
    pub(super) parts: Parts,
    pub(super) body: Bytes,
    /// Given back when the body is gone.
    _long: Option<OwnedSemaphorePermit>,
}

/// Reads a body.
///
/// # Errors
/// It is too long, too slow or broken, or too many long ones are under way.
pub(super) async fn read(
    request: Request<Incoming>,
    limits: &Limits<'_>,
) -> Result<ReadRequest, ApiError> {
    let (parts, mut body) = request.into_parts();
    let deadline = Instant::now() + Duration::from_millis(limits.ms_max);
    let mut room = Room { limits, long: None };
    // A length that is announced need not be read to be refused, least of all if asked first.
    let announced = parts.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let announced: Option<usize> = announced.and_then(|length| length.parse().ok());
    if let Some(length) = announced
        && let Err(refused) = room.take(length)
    {
        if !parts.headers.contains_key(EXPECT) && length <= limits.discarded_bytes_max() {
            discard(body, deadline, limits).await;
        }
        return Err(refused);
    }
    match tokio::time::timeout_at(deadline.into(), collect(&mut body, &mut room, announced)).await {
        Ok(Ok(body)) => Ok(ReadRequest { parts, body, _long: room.long }),
        Ok(Err(refused @ ApiError::BodyBroken(_))) => Err(refused),
        Ok(Err(refused)) => {
            discard(body, deadline, limits).await;
            Err(refused)
        }
        Err(_) => Err(ApiError::BodyTooSlow(limits.ms_max)),
    }
}

impl Limits<'_> {
    fn discarded_bytes_max(&self) -> usize {
        self.bytes_max.saturating_mul(DISCARDED_LIMITS).max(DISCARDED_BYTES_MIN)
    }
}

/// The memory that one body may take.
struct Room<'a> {
    limits: &'a Limits<'a>,
    long: Option<OwnedSemaphorePermit>,
}

impl Room<'_> {
    /// Makes room for a body of this many bytes.
    fn take(&mut self, length: usize) -> Result<(), ApiError> {
        let Limits { bytes_max, framing_bytes, .. } = self.limits;
        if length > bytes_max.saturating_add(*framing_bytes) {
            return Err(ApiError::BodyTooLarge(*bytes_max));
        }
        if let Some(permits) = self.limits.long
            && length > LONG_BYTES
            && self.long.is_none()
        {
            let permit = Arc::clone(permits).try_acquire_owned();
            self.long = Some(permit.map_err(|_| ApiError::TooManyLongBodies)?);
        }
        Ok(())
    }
}

async fn collect(
    body: &mut Incoming,
    room: &mut Room<'_>,
    announced: Option<usize>,
) -> Result<Bytes, ApiError> {
    let mut whole = BytesMut::new();
    if room.long.is_some() {
        // Growing step by step, a long body would take up to twice its length.
        whole.reserve(announced.unwrap_or_default());
    }
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| ApiError::BodyBroken(error.to_string()))?;
        // Trailers say nothing here.
        let Ok(data) = frame.into_data() else { continue };
        room.take(whole.len() + data.len())?;
        if whole.is_empty() && body.is_end_stream() {
            return Ok(data);
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

/// Reads what is left of a body that was refused. A connection that is closed while bytes wait to
/// be read is reset, and a client that is still sending would never see why.
async fn discard(mut body: Incoming, deadline: Instant, limits: &Limits<'_>) {
    let reading = async {
        let mut left = limits.discarded_bytes_max();
        while let Some(Ok(frame)) = body.frame().await {
            let read = frame.data_ref().map_or(0, Bytes::len);
            let Some(rest) = left.checked_sub(read) else { return };
            left = rest;
        }
    };
    // Whoever takes longer is cut off.
    let _ = tokio::time::timeout_at(deadline.into(), reading).await;
}
