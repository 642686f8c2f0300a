package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"slices"
	"time"
)

var (
	oidSHA256          = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	oidSHA384          = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}
	oidSHA512          = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}
	oidECDSAWithSHA256 = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}
	oidSignedData      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidTSTInfo         = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 4}
	oidContentType     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	oidMessageDigest   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	oidSigningCertV2   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 47}
	oidExtKeyUsage     = asn1.ObjectIdentifier{2, 5, 29, 37}
	oidTimeStamping    = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 8}
	oidPolicy          = asn1.ObjectIdentifier{1, 2, 3, 4, 1} // any policy will do here
)

// DER tags that encoding/asn1 has no name for.
const (
	tagSequence  = 0x30
	tagSet       = 0x31
	tagContext0  = 0xa0
	signedDataV3 = 3 // CMS: the content is not plain data
	signerInfoV1 = 1 // CMS: the signer is named by issuer and serial number
)

// timestampRequest is RFC 3161's TimeStampReq.
type timestampRequest struct {
	Version    int
	Imprint    imprint
	Policy     asn1.ObjectIdentifier `asn1:"optional"`
	Nonce      *big.Int              `asn1:"optional"`
	CertReq    bool                  `asn1:"optional"`
	Extensions asn1.RawValue         `asn1:"optional,tag:0"`
}

type imprint struct {
	Algorithm pkix.AlgorithmIdentifier
	Hash      []byte
}

// timestampInfo is RFC 3161's TSTInfo.
type timestampInfo struct {
	Version int
	Policy  asn1.ObjectIdentifier
	Imprint imprint
	Serial  *big.Int
	Time    time.Time `asn1:"generalized"`
	Nonce   *big.Int  `asn1:"optional"`
}

// timestamper answers RFC 3161 requests.
type timestamper struct {
	key        *ecdsa.PrivateKey
	cert, root *x509.Certificate
}

func newTimestamper() (*timestamper, error) {
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	root, err := newRoot("timestamp root", rootKey)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	usage, err := asn1.Marshal([]asn1.ObjectIdentifier{oidTimeStamping})
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{Organization: []string{"cairn interop"}, CommonName: "timestamp signer"},
		NotBefore:    root.NotBefore, NotAfter: root.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature,
		// RFC 3161 2.3 wants this usage alone, and critical; the library would not mark it so.
		ExtraExtensions: []pkix.Extension{{Id: oidExtKeyUsage, Critical: true, Value: usage}},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, root, &key.PublicKey, rootKey)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return &timestamper{key, cert, root}, err
}

// stamp answers request with a TimeStampResp (RFC 3161 2.4.2): granted, and a signed TSTInfo.
func (tsa *timestamper) stamp(request *timestampRequest, now time.Time) ([]byte, error) {
	algorithm := request.Imprint.Algorithm.Algorithm.String()
	length := len(request.Imprint.Hash)
	if length == 0 || length != imprintBytes[algorithm] {
		return nil, fmt.Errorf("a hash of %d bytes does not fit %s", length, algorithm)
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	info, err := asn1.Marshal(timestampInfo{
		Version: 1, Policy: oidPolicy, Imprint: request.Imprint, Serial: serial,
		Time: now.UTC().Truncate(time.Second), Nonce: request.Nonce,
	})
	if err != nil {
		return nil, err
	}
	signer, err := tsa.signerInfo(info)
	if err != nil {
		return nil, err
	}
	signed := encoded{}
	signed.marshal(signedDataV3)
	signed.add(tagSet, signed.value(algorithmIdentifier(oidSHA256)))
	signed.add(tagSequence, signed.value(oidTSTInfo), wrap(tagContext0, signed.value(info)))
	if request.CertReq {
		// Only the signer's own: one member, so that no order of the set can be wrong.
		signed.add(tagContext0, tsa.cert.Raw)
	}
	signed.add(tagSet, signer)
	content := wrap(tagContext0, wrap(tagSequence, signed.bytes))
	granted := wrap(tagSequence, signed.value(0))
	token := wrap(tagSequence, signed.value(oidSignedData), content)
	return wrap(tagSequence, granted, token), signed.err
}

// signerInfo signs info by way of signed attributes (RFC 5652 5.3, 5.4).
func (tsa *timestamper) signerInfo(info []byte) ([]byte, error) {
	digest := sha256.Sum256(info)
	certHash := sha256.Sum256(tsa.cert.Raw)
	out := encoded{}
	// SigningCertificateV2 (RFC 5035 3): SHA-256 is its default and therefore not written.
	certID := wrap(tagSequence, wrap(tagSequence, wrap(tagSequence, out.value(certHash[:]))))
	attributes := [][]byte{
		wrap(tagSequence, out.value(oidContentType), wrap(tagSet, out.value(oidTSTInfo))),
		wrap(tagSequence, out.value(oidMessageDigest), wrap(tagSet, out.value(digest[:]))),
		wrap(tagSequence, out.value(oidSigningCertV2), wrap(tagSet, certID)),
	}
	// DER orders the members of a set by their encoding, and strict readers refuse any other order.
	slices.SortFunc(attributes, bytes.Compare)

	// What is signed has the tag of a set; what is sent has an implicit tag in its place.
	signedBytes := sha256.Sum256(wrap(tagSet, attributes...))
	signature, err := ecdsa.SignASN1(rand.Reader, tsa.key, signedBytes[:])
	if err != nil {
		return nil, err
	}
	out.marshal(signerInfoV1)
	out.add(tagSequence, tsa.cert.RawIssuer, out.value(tsa.cert.SerialNumber))
	out.marshal(algorithmIdentifier(oidSHA256))
	out.add(tagContext0, attributes...)
	out.marshal(pkix.AlgorithmIdentifier{Algorithm: oidECDSAWithSHA256})
	out.marshal(signature)
	return wrap(tagSequence, out.bytes), out.err
}

func algorithmIdentifier(hash asn1.ObjectIdentifier) pkix.AlgorithmIdentifier {
	return pkix.AlgorithmIdentifier{Algorithm: hash, Parameters: asn1.NullRawValue}
}

// encoded collects DER values and the first error among them.
type encoded struct {
	bytes []byte
	err   error
}

func (e *encoded) value(v any) []byte {
	der, err := asn1.Marshal(v)
	if err != nil && e.err == nil {
		e.err = err
	}
	return der
}

func (e *encoded) marshal(v any) { e.bytes = append(e.bytes, e.value(v)...) }
func (e *encoded) add(tag byte, contents ...[]byte) {
	e.bytes = append(e.bytes, wrap(tag, contents...)...)
}

// wrap writes contents behind a tag and their length in DER.
func wrap(tag byte, contents ...[]byte) []byte {
	content := bytes.Join(contents, nil)
	n := len(content)
	out := []byte{tag}
	switch {
	case n < 1<<7:
		out = append(out, byte(n))
	case n < 1<<8:
		out = append(out, 0x81, byte(n))
	case n < 1<<16:
		out = append(out, 0x82, byte(n>>8), byte(n))
	default:
		out = append(out, 0x83, byte(n>>16), byte(n>>8), byte(n))
	}
	return append(out, content...)
}
