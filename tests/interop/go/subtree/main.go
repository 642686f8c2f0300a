// Command subtree asks a witness for its cosignature under a part of a log (sign-subtree) and
// verifies it with transparency-dev/formats. The reference checkpoint is the one that the witness
// shows on its monitoring prefix; the leaves are known, and x/mod hashes them.
//
//	subtree --witness URL --vkey FILE --origin ORIGIN --leaves FILE
//
// The key is the ML-DSA one: no other kind signs subtrees.
package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"

	"filippo.io/torchwood"
	formats "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("subtree: ")
	url := flag.String("witness", "", "submission and monitoring prefix of the witness")
	vkey := flag.String("vkey", "", "its ML-DSA key")
	origin := flag.String("origin", "", "origin of the log")
	leaves := flag.String("leaves", "", "file of its leaf hashes, 32 bytes each")
	flag.Parse()
	if err := check(*url, *vkey, *origin, *leaves); err != nil {
		log.Fatal(err)
	}
}

func check(url, vkey, origin, leavesFile string) error {
	verifier, err := formats.NewMLDSAVerifier(vkey)
	if err != nil {
		return err
	}
	shown, err := latest(url, origin)
	if err != nil {
		return err
	}
	opened, err := note.Open(shown, note.VerifierList(verifier))
	if err != nil {
		return err
	}
	tree, err := torchwood.ParseCheckpoint(opened.Text)
	if err != nil {
		return err
	}
	leaves, err := readLeaves(leavesFile, tree.N)
	if err != nil {
		return err
	}
	if hashOf(leaves) != tree.Hash || tree.N < 4 {
		return fmt.Errorf("the leaves are not those of the tree of size %d", tree.N)
	}

	// The second quarter of the largest full tree: the first quarter is on its path to the root, and
	// everything behind that full tree.
	half := int64(1)
	for half*2 < tree.N {
		half *= 2
	}
	start := half / 2
	part := hashOf(leaves[start:half])
	path := []tlog.Hash{hashOf(leaves[:start]), hashOf(leaves[half:])}
	ask := func(hash tlog.Hash, under string) (int, []byte, error) {
		body := fmt.Sprintf("subtree %d %d\n%v\n%v\n%v\n\n%s",
			start, half, hash, path[0], path[1], under)
		return request(http.Post(url+"/sign-subtree", "text/plain", strings.NewReader(body)))
	}
	status, lines, err := ask(part, string(shown))
	if err != nil || status != http.StatusOK {
		return fmt.Errorf("status %d: %s (%v)", status, lines, err)
	}
	if err := verify(verifier, lines, origin, start, half, part); err != nil {
		return err
	}

	other := part
	other[0] ^= 1
	if status, _, err := ask(other, string(shown)); err != nil || status != 422 {
		return fmt.Errorf("another hash: status %d, not 422 (%v)", status, err)
	}
	if verify(verifier, lines, origin, start, half, other) == nil {
		return errors.New("the line verifies for another hash")
	}
	if verify(verifier, lines, origin, start, half+1, part) == nil {
		return errors.New("the line verifies for another range")
	}
	bare := opened.Text + "\n" + logLine(opened, origin)
	if status, _, err := ask(part, bare); err != nil || status != 403 {
		return fmt.Errorf("a checkpoint not cosigned: status %d, not 403 (%v)", status, err)
	}
	fmt.Printf("[%d, %d) of %d is cosigned\n", start, half, tree.N)
	return nil
}

// latest is the checkpoint that the witness cosigned last.
func latest(url, origin string) ([]byte, error) {
	path := fmt.Sprintf("%s/%x/checkpoint", url, sha256.Sum256([]byte(origin)))
	status, body, err := request(http.Get(path))
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("%s: status %d", path, status)
	}
	return body, err
}

func request(response *http.Response, err error) (int, []byte, error) {
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	return response.StatusCode, body, err
}

// verify checks the one line of the answer; it makes no statement about time.
func verify(
	by *formats.SubtreeVerifier, lines []byte, origin string, start, end int64, hash tlog.Hash,
) error {
	prefix := "— " + by.Name() + " "
	line, isOne := strings.CutSuffix(string(lines), "\n")
	text, named := strings.CutPrefix(line, prefix)
	raw, err := base64.StdEncoding.DecodeString(text)
	if !isOne || !named || err != nil || len(raw) < 12 {
		return fmt.Errorf("not one line of %s: %q", by.Name(), lines)
	}
	if binary.BigEndian.Uint32(raw) != by.KeyHash() || binary.BigEndian.Uint64(raw[4:]) != 0 {
		return errors.New("another key, or a time")
	}
	if !by.VerifySubtree(0, origin, uint64(start), uint64(end), hash[:], raw[4:]) {
		return errors.New("the cosignature does not verify")
	}
	return nil
}

// logLine is the line of the log itself.
func logLine(opened *note.Note, origin string) string {
	for _, line := range opened.UnverifiedSigs {
		if line.Name == origin {
			return fmt.Sprintf("— %s %s\n", line.Name, line.Base64)
		}
	}
	return ""
}

func readLeaves(path string, size int64) ([]tlog.Hash, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if int64(len(raw)) < size*tlog.HashSize {
		return nil, fmt.Errorf("%d leaves are known of %d", len(raw)/tlog.HashSize, size)
	}
	leaves := make([]tlog.Hash, size)
	for i := range leaves {
		leaves[i] = tlog.Hash(raw[i*tlog.HashSize:])
	}
	return leaves, nil
}

// hashOf is the Merkle tree hash of RFC 6962 over leaves, of which there is one at least.
func hashOf(leaves []tlog.Hash) tlog.Hash {
	if len(leaves) == 1 {
		return leaves[0]
	}
	split := 1
	for split*2 < len(leaves) {
		split *= 2
	}
	return tlog.NodeHash(hashOf(leaves[:split]), hashOf(leaves[split:]))
}
