//! Rekor v2 over gRPC: the same verbs as protobuf messages, ending at the same admission.

use std::sync::Arc;

use log_core::tile::{BundleId, TileId};
use log_proto::common::v1::LogId;
use log_proto::google::api::HttpBody;
use log_proto::rekor::v1::{Checkpoint, InclusionProof, KindVersion, TransparencyLogEntry};
use log_proto::rekor::v2::rekor_server::{Rekor, RekorServer};
use log_proto::rekor::v2::{CreateEntryRequest, EntryBundleRequest, TileRequest};
use prost::Message;
use tonic::metadata::MetadataValue;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

use super::error::ApiError;
use super::rekor_v2::{Created, create};
use super::tiles;
use crate::admit::create_entry;
use crate::engine::Hosted;

/// Paths of our own service begin so.
pub(super) const REKOR_PATH: &str = "/dev.sigstore.rekor.v2.Rekor/";

/// Our service, with health and both versions of reflection beside it.
pub(super) async fn routes(
    message_bytes_max: usize,
) -> Result<Routes, tonic_reflection::server::Error> {
    let rekor = RekorServer::new(RekorService).max_decoding_message_size(message_bytes_max);
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_serving::<RekorServer<RekorService>>().await;
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(log_proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let routes = Routes::new(rekor)
        .add_service(health)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?);
    Ok(routes.prepare())
}

/// The Rekor service. Which log it is about stands in the request's extensions: the router put it
/// there, from the authority that the client called.
#[derive(Debug, Clone, Copy)]
pub(super) struct RekorService;

/// The log that the router chose.
#[derive(Clone)]
pub(super) struct Chosen(pub(super) Arc<Hosted>);

fn chosen<T>(request: &Request<T>) -> Result<Arc<Hosted>, Status> {
    let chosen = request.extensions().get::<Chosen>();
    chosen.map(|log| Arc::clone(&log.0)).ok_or_else(|| ApiError::NotFound.into_status())
}

#[tonic::async_trait]
impl Rekor for RekorService {
    async fn create_entry(
        &self,
        request: Request<CreateEntryRequest>,
    ) -> Result<Response<TransparencyLogEntry>, Status> {
        let hosted = chosen(&request)?;
        let message = request.into_inner();
        let created =
            create(&hosted, message.encoded_len(), move |rules| Ok(create_entry(&message, rules)?))
                .await
                .map_err(ApiError::into_status)?;
        let mut response = Response::new(created.to_message());
        response.metadata_mut().insert("x-http-code", MetadataValue::from_static("201"));
        Ok(response)
    }

    async fn get_tile(&self, request: Request<TileRequest>) -> Result<Response<HttpBody>, Status> {
        let hosted = chosen(&request)?;
        let TileRequest { l, n } = request.into_inner();
        let id = TileId::parse(&format!("tile/{l}/{n}")).map_err(|_| ApiError::NotFound);
        respond(id.and_then(|id| tiles::tile(&hosted, &id)))
    }

    async fn get_entry_bundle(
        &self,
        request: Request<EntryBundleRequest>,
    ) -> Result<Response<HttpBody>, Status> {
        let hosted = chosen(&request)?;
        let path = format!("tile/entries/{}", request.into_inner().n);
        let id = BundleId::parse(&path).map_err(|_| ApiError::NotFound);
        respond(id.and_then(|id| tiles::bundle(&hosted, &id)))
    }

    async fn get_checkpoint(&self, request: Request<()>) -> Result<Response<HttpBody>, Status> {
        let hosted = chosen(&request)?;
        respond(tiles::checkpoint(&hosted).map(|published| tiles::Found {
            content_type: tiles::TEXT,
            bytes: published.note().as_bytes().to_vec(),
        }))
    }
}

fn respond(found: Result<tiles::Found, ApiError>) -> Result<Response<HttpBody>, Status> {
    let found = found.map_err(ApiError::into_status)?;
    Ok(Response::new(HttpBody {
        content_type: found.content_type.into(),
        data: found.bytes,
        extensions: Vec::new(),
    }))
}

impl Created {
    fn to_message(&self) -> TransparencyLogEntry {
        let head = self.answer.published.head();
        let index = self.answer.index.get().cast_signed();
        TransparencyLogEntry {
            log_index: index,
            log_id: Some(LogId { key_id: self.log_id.as_bytes().to_vec() }),
            kind_version: Some(KindVersion {
                kind: self.admitted.kind.into(),
                version: self.admitted.version.into(),
            }),
            integrated_time: 0,
            inclusion_promise: None,
            inclusion_proof: Some(InclusionProof {
                log_index: index,
                root_hash: head.root_hash.as_bytes().to_vec(),
                tree_size: head.size.get().cast_signed(),
                hashes: self
                    .answer
                    .inclusion
                    .hashes()
                    .iter()
                    .map(|h| h.as_bytes().to_vec())
                    .collect(),
                checkpoint: Some(Checkpoint { envelope: self.answer.published.note().into() }),
            }),
            canonicalized_body: self.admitted.leaf.as_bytes().to_vec(),
        }
    }
}
