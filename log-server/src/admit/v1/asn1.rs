//! Walking through DER one level at a time, where a typed reader would refuse too much: elements
//! that nobody knows are stepped over, sets may stand in any order. Nothing recurses.

use der::asn1::AnyRef;
use der::{Decode as _, Reader as _, SliceReader, Tag, TagNumber, Tagged as _};

/// The elements that stand one behind the other; `None` if that is not all there is.
pub(super) fn elements(der: &[u8]) -> Option<Vec<AnyRef<'_>>> {
    let mut reader = SliceReader::new(der).ok()?;
    let mut elements = Vec::new();
    while !reader.is_finished() {
        elements.push(AnyRef::decode(&mut reader).ok()?);
    }
    Some(elements)
}

/// The elements of a sequence.
pub(super) fn sequence(any: AnyRef<'_>) -> Option<Vec<AnyRef<'_>>> {
    if any.tag() == Tag::Sequence { elements(any.value()) } else { None }
}

/// The one element in an explicit tag with the number 0.
pub(super) fn inner_of(any: AnyRef<'_>) -> Option<AnyRef<'_>> {
    match elements(any.value())?.as_slice() {
        [inner] if context_number(any) == Some(0) => Some(*inner),
        _ => None,
    }
}

/// The number of a context-specific tag.
pub(super) fn context_number(any: AnyRef<'_>) -> Option<u32> {
    match any.tag() {
        Tag::ContextSpecific { number: TagNumber(number), .. } => Some(number),
        _ => None,
    }
}
