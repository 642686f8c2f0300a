package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"fmt"
	"math/big"
	"net/url"
	"strings"
	"time"
)

const (
	rootAge = 24 * time.Hour
	// Fulcio's certificates live this long too.
	leafAge = 10 * time.Minute
	// Clocks of the programs on one machine agree; the margin covers what is cut off below a second.
	backdate = time.Minute
)

var (
	oidIssuer   = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 1} // the issuer as bare bytes
	oidIssuerV2 = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 8} // the issuer as a UTF8String
	oidSCTs     = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 2}
)

// authority issues short-lived certificates for signing, each with a signed certificate timestamp.
type authority struct {
	key   *ecdsa.PrivateKey
	cert  *x509.Certificate
	ctKey *ecdsa.PrivateKey
}

func newAuthority() (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	ctKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	cert, err := newRoot("certificate authority", key)
	return &authority{key, cert, ctKey}, err
}

// newRoot makes a self-signed authority certificate.
func newRoot(name string, key *ecdsa.PrivateKey) (*x509.Certificate, error) {
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{Organization: []string{"cairn interop"}, CommonName: name},
		NotBefore:    now.Add(-backdate), NotAfter: now.Add(rootAge),
		IsCA: true, BasicConstraintsValid: true, MaxPathLen: 1,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// issue signs the certificate twice: once to learn the bytes that the timestamp promises to log,
// and once more with the timestamp in it (RFC 6962 3.2), same serial number and dates.
func (ca *authority) issue(key crypto.PublicKey, who identity) ([]byte, error) {
	template, err := leafTemplate(key, who)
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, key, ca.key)
	if err != nil {
		return nil, err
	}
	bare, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	list, err := ca.timestampList(bare.RawTBSCertificate, time.Now())
	if err != nil {
		return nil, err
	}
	template.ExtraExtensions = append(template.ExtraExtensions,
		pkix.Extension{Id: oidSCTs, Value: list})
	return x509.CreateCertificate(rand.Reader, template, ca.cert, key, ca.key)
}

func leafTemplate(key crypto.PublicKey, who identity) (*x509.Certificate, error) {
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	spki, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, err
	}
	issuer, err := asn1.MarshalWithParams(who.Iss, "utf8")
	if err != nil {
		return nil, err
	}
	keyID := sha1.Sum(spki)
	now := time.Now()
	// The subject stays empty, which makes the alternative name critical.
	template := &x509.Certificate{
		SerialNumber: serial,
		NotBefore:    now.Add(-backdate), NotAfter: now.Add(leafAge),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
		SubjectKeyId: keyID[:],
		ExtraExtensions: []pkix.Extension{
			{Id: oidIssuer, Value: []byte(who.Iss)},
			{Id: oidIssuerV2, Value: issuer},
		},
	}
	switch {
	case who.Email != "":
		template.EmailAddresses = []string{who.Email}
	case strings.Contains(who.Sub, "://"):
		name, err := url.Parse(who.Sub)
		if err != nil {
			return nil, err
		}
		template.URIs = []*url.URL{name}
	default:
		return nil, fmt.Errorf("the subject %q is neither an address nor a URI", who.Sub)
	}
	return template, nil
}

// timestampList makes the extension that holds one timestamp over tbs (RFC 6962 3.2, 3.3).
func (ca *authority) timestampList(tbs []byte, now time.Time) ([]byte, error) {
	const (
		version1          = 0
		certificateStamp  = 0
		precertEntry      = 1
		hashSHA256        = 4
		signatureECDSA    = 3
		noExtensionsBytes = 0
	)
	logKey, err := x509.MarshalPKIXPublicKey(&ca.ctKey.PublicKey)
	if err != nil {
		return nil, err
	}
	logID := sha256.Sum256(logKey)
	issuerKeyHash := sha256.Sum256(ca.cert.RawSubjectPublicKeyInfo)
	millis := uint64(now.UnixMilli())

	signed := []byte{version1, certificateStamp}
	signed = binary.BigEndian.AppendUint64(signed, millis)
	signed = binary.BigEndian.AppendUint16(signed, precertEntry)
	signed = append(signed, issuerKeyHash[:]...)
	signed = append(signed, byte(len(tbs)>>16), byte(len(tbs)>>8), byte(len(tbs)))
	signed = append(signed, tbs...)
	signed = binary.BigEndian.AppendUint16(signed, noExtensionsBytes)
	digest := sha256.Sum256(signed)
	signature, err := ecdsa.SignASN1(rand.Reader, ca.ctKey, digest[:])
	if err != nil {
		return nil, err
	}

	stamp := append([]byte{version1}, logID[:]...)
	stamp = binary.BigEndian.AppendUint64(stamp, millis)
	stamp = binary.BigEndian.AppendUint16(stamp, noExtensionsBytes)
	stamp = append(stamp, hashSHA256, signatureECDSA)
	stamp = appendVector(stamp, signature)
	return asn1.Marshal(appendVector(nil, appendVector(nil, stamp)))
}

// appendVector appends content behind its length in two bytes, as TLS writes a vector.
func appendVector(to, content []byte) []byte {
	return append(binary.BigEndian.AppendUint16(to, uint16(len(content))), content...)
}

func newSerial() (*big.Int, error) {
	return rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
}
