//! Names and numbers against the protocol's tables, written down here a second time.

use std::collections::BTreeMap;

use prost::Message;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet};

use super::FILE_DESCRIPTOR_SET;

/// Every message: its fields as `number JSON-name type`, in order of number.
const MESSAGES: &[(&str, &str)] = &[
    (
        "dev.sigstore.rekor.v2.CreateEntryRequest",
        "1 hashedRekordRequestV002 HashedRekordRequestV002, 2 dsseRequestV002 DSSERequestV002",
    ),
    ("dev.sigstore.rekor.v2.HashedRekordRequestV002", "1 digest bytes, 2 signature Signature"),
    ("dev.sigstore.rekor.v2.Signature", "1 content bytes, 2 verifier Verifier"),
    (
        "dev.sigstore.rekor.v2.Verifier",
        "1 publicKey PublicKey, 2 x509Certificate X509Certificate, 3 keyDetails PublicKeyDetails",
    ),
    ("dev.sigstore.rekor.v2.PublicKey", "1 rawBytes bytes"),
    ("dev.sigstore.common.v1.X509Certificate", "1 rawBytes bytes"),
    ("dev.sigstore.rekor.v2.DSSERequestV002", "1 envelope Envelope, 2 verifiers Verifier[]"),
    ("io.intoto.Envelope", "1 payload bytes, 2 payloadType string, 3 signatures Signature[]"),
    ("io.intoto.Signature", "1 sig bytes, 2 keyid string"),
    ("dev.sigstore.rekor.v2.Entry", "1 kind string, 2 apiVersion string, 3 spec Spec"),
    (
        "dev.sigstore.rekor.v2.Spec",
        "1 hashedRekordV002 HashedRekordLogEntryV002, 2 dsseV002 DSSELogEntryV002",
    ),
    ("dev.sigstore.rekor.v2.HashedRekordLogEntryV002", "1 data HashOutput, 2 signature Signature"),
    (
        "dev.sigstore.rekor.v2.DSSELogEntryV002",
        "1 payloadHash HashOutput, 2 signatures Signature[]",
    ),
    ("dev.sigstore.common.v1.HashOutput", "1 algorithm HashAlgorithm, 2 digest bytes"),
    (
        "dev.sigstore.rekor.v1.TransparencyLogEntry",
        "1 logIndex int64, 2 logId LogId, 3 kindVersion KindVersion, 4 integratedTime int64, \
      5 inclusionPromise InclusionPromise, 6 inclusionProof InclusionProof, \
      7 canonicalizedBody bytes",
    ),
    ("dev.sigstore.common.v1.LogId", "1 keyId bytes"),
    ("dev.sigstore.rekor.v1.KindVersion", "1 kind string, 2 version string"),
    ("dev.sigstore.rekor.v1.InclusionPromise", "1 signedEntryTimestamp bytes"),
    (
        "dev.sigstore.rekor.v1.InclusionProof",
        "1 logIndex int64, 2 rootHash bytes, 3 treeSize int64, 4 hashes bytes[], \
      5 checkpoint Checkpoint",
    ),
    ("dev.sigstore.rekor.v1.Checkpoint", "1 envelope string"),
    ("dev.sigstore.rekor.v2.TileRequest", "1 L uint32, 2 N string"),
    ("dev.sigstore.rekor.v2.EntryBundleRequest", "1 N string"),
    ("google.api.HttpBody", "1 contentType string, 2 data bytes, 3 extensions Any[]"),
    ("google.rpc.Status", "1 code int32, 2 message string, 3 details Any[]"),
];

const HASH_ALGORITHM: &str = "HASH_ALGORITHM_UNSPECIFIED SHA2_256 SHA2_384 SHA2_512 SHA3_256 \
    SHA3_384";

/// The names of the values from 0 on.
const PUBLIC_KEY_DETAILS: &str = "PUBLIC_KEY_DETAILS_UNSPECIFIED PKCS1_RSA_PKCS1V5 PKCS1_RSA_PSS \
    PKIX_RSA_PKCS1V5 PKIX_RSA_PSS PKIX_ECDSA_P256_SHA_256 PKIX_ECDSA_P256_HMAC_SHA_256 \
    PKIX_ED25519 PKIX_ED25519_PH PKIX_RSA_PKCS1V15_2048_SHA256 PKIX_RSA_PKCS1V15_3072_SHA256 \
    PKIX_RSA_PKCS1V15_4096_SHA256 PKIX_ECDSA_P384_SHA_384 PKIX_ECDSA_P521_SHA_512 LMS_SHA256 \
    LMOTS_SHA256 PKIX_RSA_PSS_2048_SHA256 PKIX_RSA_PSS_3072_SHA256 PKIX_RSA_PSS_4096_SHA256 \
    PKIX_ECDSA_P384_SHA_256 PKIX_ECDSA_P521_SHA_256 ML_DSA_65 ML_DSA_87 ML_DSA_44";

#[test]
fn messages_have_upstreams_names_numbers_and_types() {
    let mut found = messages();
    for (name, fields) in MESSAGES {
        assert_eq!(found.remove(*name).as_deref(), Some(*fields), "{name}");
    }
    found.retain(|name, _| !name.starts_with("google.protobuf."));
    assert!(found.is_empty(), "messages that this test does not know: {found:?}");
}

#[test]
fn enums_have_upstreams_names_and_numbers() {
    let set = descriptors();
    let enums: Vec<&EnumDescriptorProto> = set.file.iter().flat_map(|f| &f.enum_type).collect();
    for (name, values) in
        [("HashAlgorithm", HASH_ALGORITHM), ("PublicKeyDetails", PUBLIC_KEY_DETAILS)]
    {
        let found = enums.iter().find(|e| e.name() == name).expect("the enum");
        let found: Vec<(i32, &str)> = found.value.iter().map(|v| (v.number(), v.name())).collect();
        let expected: Vec<(i32, &str)> = (0..).zip(values.split_whitespace()).collect();
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn the_service_has_upstreams_methods() {
    let set = descriptors();
    let mut services = set
        .file
        .iter()
        .flat_map(|file| file.service.iter().map(|service| (file.package(), service)));
    let (package, service) = services.next().expect("a service");
    assert!(services.next().is_none(), "one service");
    assert_eq!((package, service.name()), ("dev.sigstore.rekor.v2", "Rekor"));
    let methods: Vec<[&str; 3]> = service
        .method
        .iter()
        .map(|method| [method.name(), method.input_type(), method.output_type()])
        .collect();
    let body = ".google.api.HttpBody";
    let expected = [
        [
            "CreateEntry",
            ".dev.sigstore.rekor.v2.CreateEntryRequest",
            ".dev.sigstore.rekor.v1.TransparencyLogEntry",
        ],
        ["GetTile", ".dev.sigstore.rekor.v2.TileRequest", body],
        ["GetEntryBundle", ".dev.sigstore.rekor.v2.EntryBundleRequest", body],
        ["GetCheckpoint", ".google.protobuf.Empty", body],
    ];
    assert_eq!(methods, expected);
}

fn descriptors() -> FileDescriptorSet {
    FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).expect("a descriptor set")
}

fn messages() -> BTreeMap<String, String> {
    let describe = |package: &str, message: &DescriptorProto| {
        let mut fields: Vec<&FieldDescriptorProto> = message.field.iter().collect();
        fields.sort_by_key(|field| field.number());
        let fields: Vec<String> = fields.into_iter().map(describe_field).collect();
        (format!("{package}.{}", message.name()), fields.join(", "))
    };
    descriptors()
        .file
        .iter()
        .flat_map(|file| file.message_type.iter().map(|m| describe(file.package(), m)))
        .collect()
}

fn describe_field(field: &FieldDescriptorProto) -> String {
    let kind = match field.r#type() {
        Type::Message | Type::Enum => field.type_name().rsplit('.').next().expect("a name"),
        Type::Bytes => "bytes",
        Type::String => "string",
        Type::Int32 => "int32",
        Type::Int64 => "int64",
        Type::Uint32 => "uint32",
        other => panic!("no field has type {other:?}"),
    };
    let list = if field.label() == Label::Repeated { "[]" } else { "" };
    format!("{} {} {kind}{list}", field.number(), field.json_name())
}
