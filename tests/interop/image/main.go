// Command image signs and verifies a container image with the library of podman, CRI-O and skopeo.
// Its signatures carry what a Rekor v1 log promised, and it reads nothing else of the log.
//
//	image keygen PREFIX                        makes PREFIX.key and PREFIX.pub
//	image sign KEY REKOR-URL DIR               makes a small image in DIR and signs it
//	image verify KEY REKOR-KEY DIR             the policy of a cluster: signed by KEY, in that log
package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/url"
	"os"
	"path/filepath"

	"go.podman.io/image/v5/copy"
	"go.podman.io/image/v5/directory"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/image"
	"go.podman.io/image/v5/signature"
	"go.podman.io/image/v5/signature/signer"
	"go.podman.io/image/v5/signature/sigstore"
	"go.podman.io/image/v5/signature/sigstore/rekor"
	"go.podman.io/image/v5/types"
)

const (
	// What the signature says the image is called.
	imageName = "registry.example.test/demo:1"

	emptyConfig = "{}"
)

// Keys here last for one run.
var passphrase = []byte{}

func main() {
	log.SetFlags(0)
	commands := map[string]struct {
		run   func(args []string) error
		arity int
	}{"keygen": {keygen, 1}, "sign": {sign, 3}, "verify": {verify, 3}}
	if len(os.Args) > 1 {
		command, known := commands[os.Args[1]]
		if known && len(os.Args) == 2+command.arity {
			if err := command.run(os.Args[2:]); err != nil {
				log.Fatal("image: ", err)
			}
			return
		}
	}
	log.Fatal("usage: image keygen PREFIX | sign KEY REKOR-URL DIR | verify KEY REKOR-KEY DIR")
}

func keygen(args []string) error {
	pair, err := sigstore.GenerateKeyPair(passphrase)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(args[0]+".key", pair.PrivateKey, 0o600),
		os.WriteFile(args[0]+".pub", pair.PublicKey, 0o600))
}

// sign copies an unsigned image to the directory, and has the copy signed.
func sign(args []string) error {
	key, rekorURL, dir := args[0], args[1], args[2]
	log, err := url.Parse(rekorURL)
	if err != nil {
		return err
	}
	by, err := sigstore.NewSigner(
		sigstore.WithPrivateKeyFile(key, passphrase), rekor.WithRekor(log))
	if err != nil {
		return err
	}
	defer by.Close()
	unsigned, err := os.MkdirTemp("", "image")
	if err != nil {
		return err
	}
	defer os.RemoveAll(unsigned)
	if err := writeImage(unsigned); err != nil {
		return err
	}
	from, err := directory.NewReference(unsigned)
	if err != nil {
		return err
	}
	to, err := directory.NewReference(dir)
	if err != nil {
		return err
	}
	name, err := reference.ParseNamed(imageName)
	if err != nil {
		return err
	}
	// The source is trusted: it was just made.
	trust, err := signature.NewPolicyContext(&signature.Policy{
		Default: signature.PolicyRequirements{signature.NewPRInsecureAcceptAnything()},
	})
	if err != nil {
		return err
	}
	defer trust.Destroy()
	_, err = copy.Image(context.Background(), trust, to, from, &copy.Options{
		Signers: []*signer.Signer{by}, SignIdentity: name,
	})
	return err
}

func verify(args []string) error {
	key, rekorKey, dir := args[0], args[1], args[2]
	identity, err := signature.NewPRMExactReference(imageName)
	if err != nil {
		return err
	}
	signed, err := signature.NewPRSigstoreSigned(
		signature.PRSigstoreSignedWithKeyPath(key),
		signature.PRSigstoreSignedWithRekorPublicKeyPath(rekorKey),
		signature.PRSigstoreSignedWithSignedIdentity(identity))
	if err != nil {
		return err
	}
	policy, err := signature.NewPolicyContext(&signature.Policy{
		Default: signature.PolicyRequirements{signed},
	})
	if err != nil {
		return err
	}
	defer policy.Destroy()
	from, err := directory.NewReference(dir)
	if err != nil {
		return err
	}
	ctx := context.Background()
	source, err := from.NewImageSource(ctx, &types.SystemContext{})
	if err != nil {
		return err
	}
	defer source.Close()
	allowed, err := policy.IsRunningImageAllowed(ctx, image.UnparsedInstance(source, nil))
	if err == nil && !allowed {
		err = errors.New("the policy does not allow the image")
	}
	return err
}

// writeImage writes the smallest image of the OCI's format, in the layout that the library reads.
func writeImage(dir string) error {
	digest := sha256.Sum256([]byte(emptyConfig))
	name := hex.EncodeToString(digest[:])
	manifest, err := json.Marshal(map[string]any{
		"schemaVersion": 2,
		"mediaType":     "application/vnd.oci.image.manifest.v1+json",
		"config": map[string]any{
			"mediaType": "application/vnd.oci.image.config.v1+json",
			"digest":    "sha256:" + name, "size": len(emptyConfig),
		},
		"layers": []any{},
	})
	if err != nil {
		return err
	}
	for file, content := range map[string]string{
		"version":       "Directory Transport Version: 1.1\n",
		"manifest.json": string(manifest), name: emptyConfig,
	} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	return nil
}
