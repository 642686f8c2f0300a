// Command standin takes the place of the services that keyless signing needs around a log: a
// certificate authority whose certificates embed a signed certificate timestamp, and a timestamp
// authority (RFC 3161). For tests only: it checks no identity token and no proof of possession.
//
//	standin --dir DIR
//
// makes fresh keys, listens on a free loopback port, and writes into DIR
//
//	ca.pem     certificate of the authority that signs certificates
//	ct.pub     public key of the certificate transparency log
//	tsa.pem    certificates of the timestamp authority, leaf first
//	token.jwt  an identity token for dev@example.test
//	rsa.pem    an RSA key to sign with, as some clients import keys and make none
//	stamp.tsr  an answer of the timestamp authority, certificate included, to log as it is
//	url        where it listens; written last, so whoever sees it may start
package main

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	// Requests here are a key and a token, or a hash.
	bodyBytesMax = 64 << 10

	tokenIssuer  = "http://issuer.example.test"
	tokenSubject = "dev@example.test"
	tokenAge     = 24 * time.Hour

	rsaBits = 2048
)

func main() {
	dir := flag.String("dir", "", "directory for the files that clients need")
	flag.Parse()
	if *dir == "" {
		log.Fatal("standin: --dir is required")
	}
	if err := serve(*dir); err != nil {
		log.Fatal("standin: ", err)
	}
}

func serve(dir string) error {
	ca, err := newAuthority()
	if err != nil {
		return err
	}
	tsa, err := newTimestamper()
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	url := fmt.Sprintf("http://localhost:%d", listener.Addr().(*net.TCPAddr).Port)
	if err := writeFiles(dir, url, ca, tsa); err != nil {
		return err
	}

	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v2/signingCert",
		answer("application/json", http.StatusOK, ca.handle))
	mux.HandleFunc("POST /api/v1/signingCert",
		answer("application/pem-certificate-chain", http.StatusCreated, ca.handleV1))
	mux.HandleFunc("POST /api/v1/timestamp",
		answer("application/timestamp-reply", http.StatusCreated, tsa.handle))
	endpoints, err := json.Marshal(map[string]string{
		"issuer":                 tokenIssuer,
		"authorization_endpoint": url + "/auth",
		"token_endpoint":         url + "/token",
	})
	if err != nil {
		return err
	}
	mux.HandleFunc("GET /.well-known/openid-configuration",
		answer("application/json", http.StatusOK, func(*http.Request, []byte) ([]byte, error) {
			return endpoints, nil
		}))
	server := http.Server{Handler: mux, ReadTimeout: 10 * time.Second}
	return server.Serve(listener)
}

// handler answers one request, whose body it is given.
type handler func(*http.Request, []byte) ([]byte, error)

// answer reads one bounded body, hands it to handle, and writes what comes back.
func answer(kind string, status int, handle handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, bodyBytesMax))
		if err == nil {
			body, err = handle(r, body)
		}
		if err != nil {
			log.Printf("%s: %v", r.URL.Path, err)
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		w.Write(body)
	}
}

// A certificate request comes in three shapes: a signing request with the token in the header
// (sigstore-python), a bare key with the token in the header (cosign), or a bare key with the token
// in the body (sigstore-js, Rust).
type certificateRequest struct {
	CertificateSigningRequest []byte
	PublicKeyRequest          struct{ PublicKey struct{ Content string } }
	Credentials               struct{ OidcIdentityToken string }
}

func (ca *authority) handle(r *http.Request, body []byte) ([]byte, error) {
	var request certificateRequest
	if err := json.Unmarshal(body, &request); err != nil {
		return nil, err
	}
	key, err := request.publicKey()
	if err != nil {
		return nil, err
	}
	certificates, err := ca.certify(key, r, request.Credentials.OidcIdentityToken)
	if err != nil {
		return nil, err
	}
	return json.Marshal(map[string]any{
		"signedCertificateEmbeddedSct": map[string]any{
			"chain": map[string]any{"certificates": certificates},
		},
	})
}

// handleV1 answers the older request, whose key is PEM once more encoded (cosign 2).
func (ca *authority) handleV1(r *http.Request, body []byte) ([]byte, error) {
	var request struct{ PublicKey struct{ Content []byte } }
	if err := json.Unmarshal(body, &request); err != nil {
		return nil, err
	}
	block, _ := pem.Decode(request.PublicKey.Content)
	if block == nil {
		return nil, errors.New("the public key is not PEM")
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	certificates, err := ca.certify(key, r, "")
	return []byte(strings.Join(certificates, "")), err
}

// certify issues a certificate to whom the token names, which is in the header unless it is given.
func (ca *authority) certify(key crypto.PublicKey, r *http.Request, token string) ([]string, error) {
	if token == "" {
		token = strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	}
	who, err := readToken(token)
	if err != nil {
		return nil, err
	}
	leaf, err := ca.issue(key, who)
	if err != nil {
		return nil, err
	}
	return []string{pemOf("CERTIFICATE", leaf), pemOf("CERTIFICATE", ca.cert.Raw)}, nil
}

func (request *certificateRequest) publicKey() (crypto.PublicKey, error) {
	if len(request.CertificateSigningRequest) > 0 {
		block, _ := pem.Decode(request.CertificateSigningRequest)
		if block == nil {
			return nil, errors.New("the signing request is not PEM")
		}
		csr, err := x509.ParseCertificateRequest(block.Bytes)
		if err != nil {
			return nil, err
		}
		return csr.PublicKey, csr.CheckSignature()
	}
	block, _ := pem.Decode([]byte(request.PublicKeyRequest.PublicKey.Content))
	if block == nil {
		return nil, errors.New("the public key is not PEM")
	}
	return x509.ParsePKIXPublicKey(block.Bytes)
}

// identity is what a certificate says about its holder.
type identity struct{ Iss, Sub, Email string }

// readToken reads the claims of a JWT and leaves its signature alone.
func readToken(token string) (identity, error) {
	var who identity
	parts := strings.Split(strings.TrimSpace(token), ".")
	if len(parts) != 3 {
		return who, errors.New("the identity token is not a JWT")
	}
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return who, err
	}
	return who, json.Unmarshal(claims, &who)
}

func newToken(now time.Time) string {
	claims, _ := json.Marshal(map[string]any{
		"aud": "sigstore", "iss": tokenIssuer, "sub": tokenSubject,
		"email": tokenSubject, "email_verified": true,
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(tokenAge).Unix(),
	})
	parts := [][]byte{[]byte(`{"alg":"RS256","typ":"JWT"}`), claims, []byte("unsigned")}
	var token []string
	for _, part := range parts {
		token = append(token, base64.RawURLEncoding.EncodeToString(part))
	}
	return strings.Join(token, ".")
}

func writeFiles(dir, url string, ca *authority, tsa *timestamper) error {
	ctKey, err := x509.MarshalPKIXPublicKey(&ca.ctKey.PublicKey)
	if err != nil {
		return err
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, rsaBits)
	if err != nil {
		return err
	}
	signingKey, err := x509.MarshalPKCS8PrivateKey(rsaKey)
	if err != nil {
		return err
	}
	digest := sha256.Sum256([]byte("a document"))
	stamp, err := tsa.stamp(&timestampRequest{
		Imprint: imprint{algorithmIdentifier(oidSHA256), digest[:]}, CertReq: true,
	}, time.Now())
	if err != nil {
		return err
	}
	// The address comes last and by renaming: it says that everything else is there.
	files := []struct{ name, content string }{
		{"ca.pem", pemOf("CERTIFICATE", ca.cert.Raw)},
		{"ct.pub", pemOf("PUBLIC KEY", ctKey)},
		{"tsa.pem", pemOf("CERTIFICATE", tsa.cert.Raw) + pemOf("CERTIFICATE", tsa.root.Raw)},
		{"token.jwt", newToken(time.Now())},
		{"rsa.pem", pemOf("PRIVATE KEY", signingKey)},
		{"stamp.tsr", string(stamp)},
		{"url.part", url},
	}
	for _, file := range files {
		path := filepath.Join(dir, file.name)
		if err := os.WriteFile(path, []byte(file.content), 0o600); err != nil {
			return err
		}
	}
	return os.Rename(filepath.Join(dir, "url.part"), filepath.Join(dir, "url"))
}

func pemOf(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// A timestamp request comes as DER, or from sigstore-js as JSON.
func (tsa *timestamper) handle(_ *http.Request, body []byte) ([]byte, error) {
	var request timestampRequest
	if !bytes.HasPrefix(bytes.TrimSpace(body), []byte("{")) {
		if rest, err := asn1.Unmarshal(body, &request); err != nil || len(rest) > 0 {
			return nil, fmt.Errorf("not a timestamp request: %w (%d bytes follow)", err, len(rest))
		}
		return tsa.stamp(&request, time.Now())
	}
	var form struct {
		ArtifactHash  []byte
		HashAlgorithm string
		Certificates  bool
	}
	if err := json.Unmarshal(body, &form); err != nil {
		return nil, err
	}
	algorithm, known := map[string]asn1.ObjectIdentifier{
		"sha256": oidSHA256, "sha384": oidSHA384, "sha512": oidSHA512,
	}[form.HashAlgorithm]
	if !known {
		return nil, fmt.Errorf("unknown hash algorithm %q", form.HashAlgorithm)
	}
	request.CertReq = form.Certificates
	request.Imprint = imprint{algorithmIdentifier(algorithm), form.ArtifactHash}
	return tsa.stamp(&request, time.Now())
}

// imprintBytes is how long a hash of each accepted algorithm is.
var imprintBytes = map[string]int{
	oidSHA256.String(): sha256.Size,
	oidSHA384.String(): sha512.Size384,
	oidSHA512.String(): sha512.Size,
}
