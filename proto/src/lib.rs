//! The protobuf messages and services of Rekor v2, with upstream's names and numbers.
//!
//! The `.proto` files beside this crate are the source; `src/generated` is committed and
//! `tests/regenerate.rs` keeps the two equal. The modules follow the protobuf packages.

pub use generated::dev::sigstore::{common, rekor};
pub use generated::google;
pub use generated::io::intoto;

/// A serialized `google.protobuf.FileDescriptorSet` of all files here and their imports, for gRPC
/// reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("generated/descriptor_set.bin");

// The generated code names other packages relative to its own, so the nesting here must be that of
// the packages.
#[allow(missing_docs, unreachable_pub, reason = "generated code")]
#[allow(clippy::all, clippy::use_self, clippy::cast_possible_truncation, reason = "generated code")]
mod generated {
    pub mod dev {
        pub mod sigstore {
            pub mod common {
                pub mod v1 {
                    include!("generated/dev.sigstore.common.v1.rs");
                }
            }
            pub mod rekor {
                pub mod v1 {
                    include!("generated/dev.sigstore.rekor.v1.rs");
                }
                pub mod v2 {
                    include!("generated/dev.sigstore.rekor.v2.rs");
                }
            }
        }
    }
    pub mod google {
        pub mod api {
            include!("generated/google.api.rs");
        }
        pub mod rpc {
            include!("generated/google.rpc.rs");
        }
    }
    pub mod io {
        pub mod intoto {
            include!("generated/io.intoto.rs");
        }
    }
}

#[cfg(test)]
mod tests;
